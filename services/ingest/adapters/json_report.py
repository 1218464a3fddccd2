"""The generic `json` format: one report as a JSON object."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from services.ingest.adapters.base import TEXT_LIMIT_CHARACTERS, Adapter, Draft, NotUnderstoodError, Problem, Read
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import EARLIEST_YEAR, WIB
from services.ingest.clean import clean_text
from shared.contracts import Attachment

_PLAIN_LETTER = re.compile("[A-Za-z0-9]")

Short = Annotated[str, StringConstraints(max_length=500)]
Link = Annotated[str, StringConstraints(max_length=2_000)]


def _id_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Body(BaseModel):
    """Unknown keys are ignored: a sender may say more than we ask."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Reporter(_Body):
    """Who reports. Seen by nobody who reads reports."""

    name: Short = ""
    phone: Short = ""
    email: Short = ""


class AttachmentReference(_Body):
    """A picture, recording or document: its address and kind. It is not fetched."""

    url: Link
    type: Short = ""


class JsonReport(_Body):
    """One report."""

    id: Annotated[Short | None, BeforeValidator(_id_as_text)] = Field(
        None, description="Your own id of the report; the same id sent again is the same report."
    )
    text: str = Field(max_length=TEXT_LIMIT_CHARACTERS, description="What happened, in the reporter's words.")
    title: Short | None = None
    occurred_at: datetime | None = Field(None, description="ISO 8601; without a zone it is read as WIB (UTC+7).")
    region: Short | None = Field(None, description="Kemendagri code (63.11) or name (Kabupaten Balangan).")
    reporter: Reporter | None = None
    url: Link | None = None
    attachments: Annotated[list[AttachmentReference], Field(max_length=50)] | None = None
    meta: dict[str, Any] | None = None

    @field_validator("occurred_at")
    @classmethod
    def _plausible(cls, moment: datetime | None) -> datetime | None:
        if moment is not None and not EARLIEST_YEAR <= moment.year <= datetime.now(WIB).year + 1:
            raise ValueError(f"the year must lie between {EARLIEST_YEAR} and next year")
        return moment

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        head = text[:10_000]
        # A plain letter survives every cleaning; only a text without any needs the costly look.
        if not (_PLAIN_LETTER.search(head) or clean_text(head)):
            raise ValueError("the text is empty")
        return text


def _validated(body: bytes) -> JsonReport:
    try:
        return JsonReport.model_validate_json(body)
    except ValidationError as error:
        problems = [
            Problem("/" + "/".join(str(part) for part in problem["loc"]) if problem["loc"] else "", problem["msg"])
            for problem in error.errors(include_url=False, include_input=False, include_context=False)[:20]
        ]
        broken = error.errors(include_url=False, include_input=False, include_context=False)[0]["type"]
        if broken == "json_invalid":
            raise NotUnderstoodError("The body is not JSON", problems, broken=True) from None
        raise NotUnderstoodError("The report does not fit", problems) from None
    except RecursionError:
        raise NotUnderstoodError("The JSON is nested too deeply", broken=True) from None


def _read(body: bytes, _: Fields) -> list[Read]:
    report = _validated(body)
    content = report.model_dump_json(exclude={"id", "meta"}, exclude_none=True).encode()
    return [Read(external_id=report.id or "", content=content, region=report.region or "")]


def _draft(body: bytes, _: Fields) -> Draft:
    report = _validated(body)
    occurred_at = report.occurred_at
    if occurred_at and occurred_at.tzinfo is None:
        occurred_at = occurred_at.replace(tzinfo=WIB)
    reporter = report.reporter or Reporter()
    return Draft(
        text=report.text,
        title=report.title or "",
        occurred_at=occurred_at,
        region=report.region or "",
        reporter=tuple(filter(None, (reporter.phone, reporter.email, reporter.name))),
        url=report.url or "",
        attachments=tuple(Attachment(url=one.url, type=one.type) for one in report.attachments or ()),
    )


ADAPTER = Adapter(media_types=("application/json",), read=_read, draft=_draft, batch=True)
