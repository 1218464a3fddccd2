"""Each scheme by which senders prove who they are, against the senders' own vectors."""

import base64
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.ingest.auth import Auth, Head
from services.ingest.signature import SignatureError
from shared.config.errors import ConfigError

AUTH: TypeAdapter[Any] = TypeAdapter(Auth)
SECRET = b"rahasia"
META = b'{"object":"whatsapp_business_account","entry":[]}'
USHAHIDI = rb'{"id":7,"title":"Bagi amplop di Jl. Merdeka \/ RT 02","form_id":3}'
TWILIO = b"NumMedia=0&Body=lapor&From=whatsapp%3A%2B6281200000001&MessageSid=SM1"
STATIC = b"rahasia-yang-panjang"


def auth(**settings: object) -> Any:
    return AUTH.validate_python({"secret_env": "SALINGJAGA_SECRET_UJI", **settings})


VECTORS: list[tuple[dict[str, object], Head, bytes, bytes]] = [
    (
        {"scheme": "x-hub-signature-256"},
        Head({b"x-hub-signature-256": b"sha256=f6fba0c6e40ec9d7d50ce69ee75b2f81e53f8ab3a022d43c6b7e2a68153c8ed5"}),
        META,
        SECRET,
    ),
    (
        {"scheme": "x-hub-signature-256", "header": "Typeform-Signature", "encoding": "base64"},
        Head({b"typeform-signature": b"sha256=9vugxuQOydfVDOae51svgeU/irOgItQ8a34qaBU8jtU="}),
        META,
        SECRET,
    ),
    (
        {"scheme": "ushahidi", "public_url": "https://ingest.example/hook/ushahidi/abc"},
        Head({b"x-ushahidi-signature": b"kxd1OHta2HIMTEeARkydHWAXAziLsNAcCeR01ue3Dbs="}),
        USHAHIDI,
        SECRET,
    ),
    (
        {"scheme": "twilio", "public_url": "https://ingest.example/hook/twilio"},
        Head({b"x-twilio-signature": b"GAFKt9m2PAJnWJFe3mAbG/YFkZc="}),
        TWILIO,
        SECRET,
    ),
    (
        {"scheme": "basic"},
        Head({b"authorization": b"Basic " + base64.b64encode(b"kobo:rahasia-panjang")}),
        b"{}",
        b"kobo:rahasia-panjang",
    ),
    ({"scheme": "static-header", "header": "X-API-Key"}, Head({b"x-api-key": STATIC}), b"{}", STATIC),
    ({"scheme": "telegram-secret-token"}, Head({b"x-telegram-bot-api-secret-token": STATIC}), b"{}", STATIC),
    ({"scheme": "secret-in-url"}, Head({}, path_secret=STATIC.decode()), b"{}", STATIC),
    ({"scheme": "secret-in-url", "parameter": "kunci"}, Head({}, query=b"a=1&kunci=" + STATIC), b"{}", STATIC),
]
NAMES = [
    f"{settings['scheme']} {settings.get('header') or settings.get('parameter') or ''}" for settings, *_ in VECTORS
]


@pytest.mark.parametrize(("settings", "head", "body", "secret"), VECTORS, ids=NAMES)
def test_the_published_vector_is_accepted_also_while_a_key_is_replaced(
    settings: dict[str, object], head: Head, body: bytes, secret: bytes
) -> None:
    for keys in ((secret,), (b"yang-baru", secret), (secret, b"yang-lama")):
        auth(**settings).begin(head, keys, 0.0)(body)


@pytest.mark.parametrize(("settings", "head", "body", "secret"), VECTORS, ids=NAMES)
def test_another_secret_no_header_or_a_changed_body_is_refused(
    settings: dict[str, object], head: Head, body: bytes, secret: bytes
) -> None:
    scheme = auth(**settings)
    with pytest.raises(SignatureError):
        scheme.begin(head, (b"lain",), 0.0)(body)
    with pytest.raises(SignatureError):
        scheme.begin(Head({}), (secret,), 0.0)(body)
    if settings["scheme"] in ("x-hub-signature-256", "ushahidi", "twilio"):
        with pytest.raises(SignatureError):
            scheme.begin(head, (secret,), 0.0)(body + b"&x=1")


def test_twilio_signs_the_classic_example_of_its_documentation() -> None:
    scheme = auth(scheme="twilio", public_url="https://mycompany.com/myapp.php?foo=1&bar=2")
    head = Head({b"x-twilio-signature": b"RSOYDt4T1cUTdK1PDd93/VVr8B8="})
    body = b"Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE"
    scheme.begin(head, (b"12345",), 0.0)(body)


@pytest.mark.parametrize("body", [b"a=\xff\xfe", b"&".join(b"a%d=1" % n for n in range(2_000))])
def test_a_twilio_body_that_is_no_form_is_refused(body: bytes) -> None:
    scheme = auth(scheme="twilio", public_url="https://x.example/")
    with pytest.raises(SignatureError):
        scheme.begin(Head({b"x-twilio-signature": b"x"}), (SECRET,), 0.0)(body)


def test_secrets_come_from_several_variables_and_weak_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = auth(
        scheme="static-header", header="x-key", secret_env=["SALINGJAGA_SECRET_BARU", "SALINGJAGA_SECRET_LAMA"]
    )
    with pytest.raises(ConfigError, match="SALINGJAGA_SECRET_BARU or SALINGJAGA_SECRET_LAMA"):
        scheme.keys()
    monkeypatch.setenv("SALINGJAGA_SECRET_LAMA", "rahasia-lama-yang-panjang")
    monkeypatch.setenv("SALINGJAGA_SECRET_BARU", "rahasia-baru-yang-panjang rahasia-ketiga-panjang")
    assert scheme.keys() == (
        b"rahasia-baru-yang-panjang",
        b"rahasia-ketiga-panjang",
        b"rahasia-lama-yang-panjang",
    )
    monkeypatch.setenv("SALINGJAGA_SECRET_BARU", "pendek")
    with pytest.raises(ConfigError, match="characters"):
        scheme.keys()
    monkeypatch.setenv("SALINGJAGA_SECRET_UJI", "tanpa-titik-dua-panjang")
    hub = auth(scheme="x-hub-signature-256", verify_token_env="SALINGJAGA_VERIFY_UJI")
    with pytest.raises(ConfigError, match="SALINGJAGA_VERIFY_UJI"):
        hub.keys()
    with pytest.raises(ConfigError, match="user:password"):
        auth(scheme="basic").keys()
