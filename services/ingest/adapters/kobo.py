"""The `kobo` format: KoboToolbox's REST service (JSON export).

It signs nothing and sends a submission once, on creation; a retry reads the submission again, so its body may differ.
"""

import re
from dataclasses import replace
from datetime import UTC
from typing import Any

from services.ingest.adapters.answers import draft_of, first, flatten, gather
from services.ingest.adapters.base import Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, coordinates, decode, items, link, moment, words

_META = re.compile(
    r"(?:.*/)?(?:_.*|meta|start|end|today|username|deviceid|phonenumber|simserial|subscriberid|audit|instanceID)\Z"
    r"|(?:_|meta/|formhub/).*",
    re.DOTALL,
)

_FILE_NAME = re.compile(
    r"[\w-]+\.(?:jpe?g|png|gif|webp|heic|mp4|3gp|mov|m4a|mp3|amr|wav|ogg|pdf|docx?|xlsx?)", re.IGNORECASE
)


def _submission(body: bytes) -> dict[str, Any]:
    content = decode(body)
    wrapped = content.get("fields")  # the shape that Kobo's page on payload templates suggests
    submission = wrapped if isinstance(wrapped, dict) else content
    if not submission:
        raise NotUnderstoodError("The submission is empty")
    return submission


def _id(submission: dict[str, Any], fields: Fields) -> str:
    named = first(gather(flatten(submission)), fields.id) if fields.id else ""
    keys = ("meta/rootUuid", "_uuid", "meta/instanceID", "_id")
    return named or next((text for key in keys if (text := words(submission.get(key)).removeprefix("uuid:"))), "")


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    return [(_id(_submission(body), fields), body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    submission = _submission(body)
    answers = gather((path, text) for path, text in flatten(submission) if not _META.match(path))
    files = items(submission.get("_attachments"))
    attachments = tuple(one for file in files for one in link(at(file, "download_url"), at(file, "mimetype")))
    names = {words(at(file, "filename")).rpartition("/")[2] for file in files}
    # Often the list is not complete yet when the hook fires; a bare file name tells nobody anything.
    answers = {path: text for path, text in answers.items() if text not in names and not _FILE_NAME.fullmatch(text)}
    draft = draft_of(answers, fields, attachments=attachments)
    place = submission.get("_geolocation")
    form = words(submission.get("_xform_id_string"))
    return replace(
        draft,
        coordinates=draft.coordinates or coordinates(at(place, 0), at(place, 1)),
        sent_at=moment(words(submission.get("_submission_time")), UTC),
        receivers=(*draft.receivers, *filter(None, [form])),
    )


ADAPTER = lenient(_split, _draft)
