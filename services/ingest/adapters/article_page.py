"""The `article` format: the text (or HTML) of one news page."""

from datetime import UTC, datetime, time

from services.ingest.adapters.base import TEXT_LIMIT_CHARACTERS, Adapter, Draft, NotUnderstoodError, Read
from services.ingest.adapters.json_report import WIB
from services.ingest.article import Article, NotText, read_article

_NOON = time(12)


def _article(body: bytes) -> Article:
    try:
        article = read_article(body)
    except NotText as error:
        raise NotUnderstoodError("The body is not text", broken=True) from error
    if not (article.body or article.title):
        raise NotUnderstoodError("The page holds no text")
    if len(article.body) > TEXT_LIMIT_CHARACTERS:
        raise NotUnderstoodError(f"The article is longer than {TEXT_LIMIT_CHARACTERS:,} characters")
    return article


def _read(body: bytes) -> Read:
    article = _article(body)
    # What stands around an article changes from one visit to the next; title and body are what makes it this one.
    return Read(external_id="", content=f"{article.title}\n{article.body}".encode())


def _draft(body: bytes) -> Draft:
    article = _article(body)
    # Noon in Jakarta lies on the same day in every Indonesian zone.
    published = datetime.combine(article.published, _NOON, WIB).astimezone(UTC) if article.published else None
    return Draft(text=article.body or article.title, title=article.title, occurred_at=published)


ADAPTER = Adapter(media_types=("text/plain", "text/html"), read=_read, draft=_draft, batch=False)
