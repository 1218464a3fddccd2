"""From the answers of a form to a report: the field map of `sources.yaml`, or what the names of the fields suggest."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from services.ingest.adapters.base import Draft, NotUnderstoodError
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import MOST_ATTACHMENTS, link, moment, point, without_caption, words
from shared.contracts import Attachment

MOST_ANSWERS = 500
_DEEPEST = 12

# Sorted by how steadily each tells one reporter from another.
_IDENTITY = (
    re.compile(r"(?:^|_)(?:no_?)?(?:hp|telp|telepon|tlp|wa|whatsapp|phone|msisdn|handphone|ponsel)(?:_|$)"),
    re.compile(r"(?:^|_)(?:nik|ktp)(?:_|$)"),
    re.compile(r"(?:^|_)(?:e_?mail|surel)(?:_|$)"),
    re.compile(
        r"^(?:nama|name|your_name|full_name)(?:_lengkap)?(?:_anda|_pelapor)?$|(?:^|_)(?:pelapor|reporter)(?:_|$)"
    ),
)
_NO_LETTERS = re.compile(r"[^0-9a-z]+")


def flatten(value: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every string and number in nested objects and lists with its path, as far as a form reaches."""
    if isinstance(value, dict) and depth < _DEEPEST:
        for key, part in value.items():
            # Kobo repeats the whole path in each key of a repeated group.
            inside = str(key) if path and str(key).startswith(f"{path}/") else f"{path}/{key}" if path else str(key)
            yield from flatten(part, inside, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for part in value:
            yield from flatten(part, path, depth + 1)
    elif text := words(value):
        yield path, text


def gather(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Answers by path; those of a repeated question joined by a comma."""
    answers: dict[str, str] = {}
    for path, text in islice(pairs, MOST_ANSWERS):
        answers[path] = f"{answers[path]}, {text}" if path in answers else text
    return answers


def taken(answers: Mapping[str, str], names: Iterable[str]) -> list[tuple[str, str]]:
    """Path and answer of each named field, in the order of the names."""
    return [
        (path, text) for name in names for path, text in answers.items() if path == name or path.endswith(f"/{name}")
    ]


def first(answers: Mapping[str, str], names: Iterable[str]) -> str:
    """The first answer among the named fields; empty when none has one."""
    return next((text for _, text in taken(answers, names)), "")


def draft_of(
    answers: Mapping[str, str], fields: Fields, *, attachments: tuple[Attachment, ...] = (), lead: str = ""
) -> Draft:
    """The report that answers make.

    Args:
        answers: by path.
        fields: what the operator says of them.
        attachments: references that came beside the answers.
        lead: words that stand before the answers.

    Raises:
        NotUnderstoodError: nothing is left that could be a report.
    """
    reporter = _reporter(answers, fields)
    times = taken(answers, fields.time)
    occurred_at = next(filter(None, (moment(text) for _, text in times)), None)
    spots = {path: spot for path, text in answers.items() if (spot := point(text))}
    wanted = [spots[path] for path, _ in taken(answers, fields.coordinates) if path in spots]
    for _, text in taken(answers, fields.attachments):
        attachments += tuple(one for url in re.split(r"[\s,]+", text) if "://" in url for one in link(url))
    lines = [lead] if lead else []
    if fields.text or fields.place:
        lines += [_line(label, text) for name, label in fields.text.items() for _, text in taken(answers, [name])]
        places = [(label or "Lokasi", name) for name, label in fields.place.items()]
        lines += [_line(label, text) for label, name in places for _, text in taken(answers, [name])]
    else:
        used = {path for path, _ in times + taken(answers, (*fields.attachments, *fields.receiver, *fields.id))}
        used.update(spots, (path for path, _ in reporter))
        lines += [_line(_label(path), text) for path, text in answers.items() if path not in used]
    lines += [_line("Waktu", text) for _, text in times if moment(text) is None]
    text = "\n".join(lines) or without_caption(attachments)
    if not text:
        raise NotUnderstoodError("No answer could be the text of a report; name the fields in sources.yaml")
    receiver = first(answers, fields.receiver)
    return Draft(
        text=text,
        occurred_at=occurred_at,
        coordinates=next(iter(wanted or spots.values()), None),
        receivers=(receiver,) if receiver else (),
        reporter=tuple(text for _, text in reporter),
        attachments=attachments[:MOST_ATTACHMENTS],
    )


def _reporter(answers: Mapping[str, str], fields: Fields) -> list[tuple[str, str]]:
    if fields.reporter:
        return taken(answers, fields.reporter)
    return [(path, text) for kind in _IDENTITY for path, text in answers.items() if kind.search(_plain(path))]


def _plain(path: str) -> str:
    return _NO_LETTERS.sub("_", path.rpartition("/")[2].lower()).strip("_")


def _label(path: str) -> str:
    label = path.rpartition("/")[2].replace("_", " ").strip().rstrip(":?")
    return label[:1].upper() + label[1:]


def _line(label: str, text: str) -> str:
    return f"{label}: {text}" if label else text
