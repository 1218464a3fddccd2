"""What each channel posts, signed as it signs: fixtures in the shapes of the real senders, written for this project."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

FOLDER = Path(__file__).parent / "data" / "channels"

FILES = {
    "google-forms": "google_forms.json",
    "kobo": "kobo.json",
    "odk": "odk.json",
    "rapidpro": "rapidpro.json",
    "sms": "sms.form",
    "telegram": "telegram.json",
    "twilio": "twilio.form",
    "typeform": "typeform.json",
    "ushahidi": "ushahidi.json",
    "whatsapp": "whatsapp.json",
}
SECRET = "rahasia-saluran-uji-0123456789"
BASIC = "kobo:rahasia-saluran-uji"
SECRETS = {
    "SALINGJAGA_SECRET_SALURAN": SECRET,
    "SALINGJAGA_SECRET_KOBO": BASIC,
    "SALINGJAGA_VERIFY_TOKEN": "sandi-jabat-tangan",
}
PUBLIC = "https://lapor.example/v1/reports/"

SOURCES = f"""
  formulir: {{adapter: google-forms, auth: {{scheme: x-hub-signature-256, secret_env: SALINGJAGA_SECRET_SALURAN}},
    fields: {{text: {{"Apa yang terjadi?": ""}}, place: Tempat kejadian, time: Waktu kejadian,
      reporter: [Nomor HP, Nama]}}}}
  kobo: {{adapter: kobo, auth: {{scheme: basic, secret_env: SALINGJAGA_SECRET_KOBO}},
    fields: {{text: kronologi, time: waktu, reporter: [no_hp, nama_pelapor]}}, region_prior: "63"}}
  odk: {{adapter: odk, auth: {{scheme: static-header, header: X-API-Key, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  rapidpro: {{adapter: rapidpro, reply: true,
    auth: {{scheme: static-header, header: X-Secret, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  sms: {{adapter: sms, reply: true, auth: {{scheme: secret-in-url, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  sms-get: {{adapter: sms, auth: {{scheme: secret-in-url, parameter: kunci, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  sms-hmac: {{adapter: sms, auth: {{scheme: x-hub-signature-256, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  telegram: {{adapter: telegram, reply: true,
    auth: {{scheme: telegram-secret-token, secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  twilio: {{adapter: twilio, reply: true,
    auth: {{scheme: twilio, secret_env: SALINGJAGA_SECRET_SALURAN, public_url: "{PUBLIC}twilio"}}}}
  typeform: {{adapter: typeform, auth: {{scheme: x-hub-signature-256, header: Typeform-Signature, encoding: base64,
    secret_env: SALINGJAGA_SECRET_SALURAN}}}}
  ushahidi: {{adapter: ushahidi,
    auth: {{scheme: ushahidi, secret_env: SALINGJAGA_SECRET_SALURAN, public_url: "{PUBLIC}ushahidi"}}}}
  whatsapp: {{adapter: whatsapp, region_prior: {{"+62 812-0000-0001": "63.01"}},
    auth: {{scheme: x-hub-signature-256, secret_env: SALINGJAGA_SECRET_SALURAN,
      verify_token_env: SALINGJAGA_VERIFY_TOKEN}}}}
  terbatas: {{adapter: kobo, auth: {{scheme: basic, secret_env: SALINGJAGA_SECRET_KOBO}}, allow_from: [10.1.0.0/16]}}
"""
SOURCE_OF = {**{name: name for name in FILES}, "google-forms": "formulir"}


def posted(name: str) -> bytes:
    """The body in a file of that name, or the usual one of an adapter."""
    return (FOLDER / FILES.get(name, name)).read_bytes().strip()


def request(adapter: str, body: bytes | None = None, *, secret: str = SECRET, basic: str = BASIC) -> dict[str, Any]:
    """A POST of that channel, signed: what `httpx` needs besides the address."""
    content = posted(adapter) if body is None else body
    key, form = secret.encode(), {"content-type": "application/x-www-form-urlencoded"}
    headers = {"content-type": "application/json"}
    path = f"/v1/reports/{SOURCE_OF[adapter]}"
    if adapter in ("whatsapp", "google-forms"):
        headers["x-hub-signature-256"] = "sha256=" + hmac.new(key, content, hashlib.sha256).hexdigest()
    elif adapter == "typeform":
        headers["typeform-signature"] = "sha256=" + _b64(hmac.digest(key, content, "sha256"))
    elif adapter == "ushahidi":
        headers["x-ushahidi-signature"] = _b64(hmac.digest(key, f"{PUBLIC}ushahidi".encode() + content, "sha256"))
    elif adapter == "twilio":
        parameters = sorted(parse_qsl(content.decode("latin-1"), keep_blank_values=True))
        signed = f"{PUBLIC}twilio" + "".join(name + value for name, value in parameters)
        headers = {**form, "x-twilio-signature": _b64(hmac.digest(key, signed.encode(), "sha1"))}
    elif adapter == "kobo":
        headers["authorization"] = "Basic " + _b64(basic.encode())
    elif adapter == "odk":
        headers["x-api-key"] = secret
    elif adapter == "rapidpro":
        headers["x-secret"] = secret
    elif adapter == "telegram":
        headers["x-telegram-bot-api-secret-token"] = secret
    elif adapter == "sms":
        headers, path = form, f"{path}/{secret}"
    return {"method": "POST", "url": path, "content": content, "headers": headers}


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
