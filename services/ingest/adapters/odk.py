"""The `odk` format: ODK Central through `central-webhook`, a trigger in its database.

It sends each submission at most once, as XML inside JSON. States of review and changes of entities are not reports.
"""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from services.ingest.adapters.answers import draft_of, first, gather
from services.ingest.adapters.base import Draft, NotUnderstoodError, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, decode, words

_META = frozenset({"meta", "start", "end", "today", "deviceid", "username", "phonenumber"})


def _split(body: bytes, fields: Fields) -> list[tuple[str, bytes]]:
    event = decode(body)
    kind = words(event.get("type"))
    if kind.startswith("entity.") or (kind == "submission.update" and not at(event, "data", "xml")):
        return []
    external_id = words(event.get("id")).removeprefix("uuid:")
    if fields.id:
        external_id = first(gather(_answers(_form(event))), fields.id) or external_id
    return [(external_id, body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    form = _form(decode(body))
    draft = draft_of(gather(_answers(form)), fields)
    return replace(draft, receivers=(*draft.receivers, *filter(None, [form.get("id", "")])))


def _form(event: dict[str, object]) -> Element:
    xml = at(event, "data", "xml")
    if not isinstance(xml, str) or not xml.strip():
        raise NotUnderstoodError("There is no submission in the event")
    try:
        # An entity or a document type has no place in a form, and is how XML is made to eat memory.
        form: Element = fromstring(xml.encode(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise NotUnderstoodError("The submission is not plain XML", broken=True) from None
    return form


def _answers(form: Element) -> Iterator[tuple[str, str]]:
    waiting = [(child, _name(child)) for child in reversed(form)]
    while waiting:
        element, path = waiting.pop()
        if path.rpartition("/")[2] in _META:
            continue
        if len(element):
            waiting += [(child, f"{path[:200]}/{_name(child)}") for child in reversed(element)]
        elif text := (element.text or "").strip():
            yield path, text


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


ADAPTER = lenient(_split, _draft)
