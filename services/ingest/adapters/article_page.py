"""The `article` format: the text (or HTML) of one news page, or one entry of a feed as JSON.

An entry is `{"id", "title", "text", "url", "published"}`; its text may be HTML.
"""

from dataclasses import replace
from datetime import UTC, datetime, time
from html import escape

from services.ingest.adapters.base import TEXT_LIMIT_CHARACTERS, Adapter, Draft, NotUnderstoodError, Read
from services.ingest.adapters.fields import Fields
from services.ingest.adapters.values import WIB, decode, moment, words
from services.ingest.article import Article, NotText, read_article

_NOON = time(12)


def _entry(body: bytes) -> dict[str, object] | None:
    """The entry of a feed; `None` when the body is a page."""
    if not body.lstrip().startswith(b"{"):
        return None
    try:
        entry = decode(body)
    except NotUnderstoodError:
        return None
    if not words(entry.get("text")) and not words(entry.get("title")):
        raise NotUnderstoodError("The entry holds neither `title` nor `text`")
    return entry


def _page(entry: dict[str, object]) -> bytes:
    title, text = words(entry.get("title")), words(entry.get("text"))
    if "</" in text or "/>" in text:
        heading = escape(title)
        return f"<html><head><title>{heading}</title></head><body><h1>{heading}</h1>{text}</body></html>".encode()
    return f"{title}\n\n{text}".strip().encode()


def _article(body: bytes) -> Article:
    entry = _entry(body)
    try:
        article = read_article(_page(entry) if entry else body)
    except NotText as error:
        raise NotUnderstoodError("The body is not text", broken=True) from error
    if not (article.body or article.title):
        raise NotUnderstoodError("The page holds no text")
    if len(article.body) > TEXT_LIMIT_CHARACTERS:
        raise NotUnderstoodError(f"The article is longer than {TEXT_LIMIT_CHARACTERS:,} characters")
    return article


def _read(body: bytes, _: Fields) -> list[Read]:
    article, entry = _article(body), _entry(body)
    external_id = (words(entry.get("id")) or words(entry.get("url"))) if entry else ""
    # What stands around an article changes from one visit to the next; title and body are what makes it this one.
    return [Read(external_id=external_id, content=f"{article.title}\n{article.body}".encode())]


def _draft(body: bytes, _: Fields) -> Draft:
    article, entry = _article(body), _entry(body)
    # Noon in Jakarta lies on the same day in every Indonesian zone.
    published = datetime.combine(article.published, _NOON, WIB).astimezone(UTC) if article.published else None
    draft = Draft(text=article.body or article.title, title=article.title, occurred_at=published)
    if entry:
        draft = replace(
            draft,
            title=words(entry.get("title")) or draft.title,
            occurred_at=published or moment(words(entry.get("published"))),
            url=words(entry.get("url"))[:2_000],
        )
    return draft


ADAPTER = Adapter(media_types=("text/plain", "text/html", "application/json"), read=_read, draft=_draft)
