"""The `ushahidi` format: a whole post of Ushahidi; a post sent again, changed or not, is the same report."""

from dataclasses import replace

from services.ingest.adapters.answers import draft_of, flatten, gather
from services.ingest.adapters.base import Answer, Draft, lenient
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import at, coordinates, decode, items, since_1970, words


def _split(body: bytes, _: Fields) -> list[tuple[str, bytes]]:
    return [(words(decode(body).get("id")), body)]


def _draft(body: bytes, fields: Fields) -> Draft:
    post = decode(body)
    given = post.get("values")
    values = given if isinstance(given, dict) else {}
    spots = [coordinates(at(one, "lat"), at(one, "lon")) for value in values.values() for one in items(value)]
    # Tags are numbers of categories, which say nothing without Ushahidi's own list.
    told = {key: one for key, one in values.items() if not any(isinstance(part, dict | int) for part in items(one))}
    title, content = words(post.get("title")), words(post.get("content"))
    draft = draft_of(gather(flatten(told)), fields, lead=content or title)
    identity = (words(post.get("author_email")), *draft.reporter, words(post.get("author_realname")))
    form = words(post.get("form_id"))
    return replace(
        draft,
        title=title if content else "",
        sent_at=since_1970(post.get("created")),
        coordinates=draft.coordinates or next(filter(None, spots), None),
        receivers=(*draft.receivers, *filter(None, [form])),
        reporter=tuple(filter(None, identity)),
    )


ADAPTER = lenient(_split, _draft, answer=lambda *_: Answer(200, b'{"status":200}'))
