"""Adapters: one file for each format in which reports arrive.

`read` checks a body at the door and gives each report in it its identity; `draft` reads the kept bytes of one report
later, in the normaliser.
"""

from services.ingest.adapters import (
    article_page,
    google_forms,
    json_report,
    kobo,
    odk,
    rapidpro,
    sms,
    telegram,
    twilio,
    typeform,
    ushahidi,
    whatsapp,
)
from services.ingest.adapters.base import Adapter, Answer, Draft, NotUnderstoodError, Problem, Read
from services.ingest.adapters.fields import Fields

ADAPTERS: dict[str, Adapter] = {
    "json": json_report.ADAPTER,
    "article": article_page.ADAPTER,
    "google-forms": google_forms.ADAPTER,
    "kobo": kobo.ADAPTER,
    "odk": odk.ADAPTER,
    "rapidpro": rapidpro.ADAPTER,
    "sms": sms.ADAPTER,
    "telegram": telegram.ADAPTER,
    "twilio": twilio.ADAPTER,
    "typeform": typeform.ADAPTER,
    "ushahidi": ushahidi.ADAPTER,
    "whatsapp": whatsapp.ADAPTER,
}

__all__ = ["ADAPTERS", "Adapter", "Answer", "Draft", "Fields", "NotUnderstoodError", "Problem", "Read"]
