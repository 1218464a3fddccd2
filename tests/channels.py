"""What each channel posts: fixtures in the shapes of the real senders, written for this project."""

from pathlib import Path

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


def posted(name: str) -> bytes:
    """The body in a file of that name, or the usual one of an adapter."""
    return (FOLDER / FILES.get(name, name)).read_bytes().strip()
