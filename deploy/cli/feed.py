"""Articles out of an RSS or Atom feed: each entry is one article, known by its id or link."""

import calendar
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser
import httpx

from deploy.cli.reports_from_files import Outgoing, UnreadableError

FEED_LIMIT_BYTES = 20 * 1024 * 1024
FETCH_SECONDS = 30


def read_feed(location: str) -> list[Outgoing]:
    """The entries of a feed, oldest first, so that what a story builds on arrives before it.

    Args:
        location: a file, or an http(s) URL.

    Raises:
        UnreadableError: it cannot be fetched or read, or is no feed.
    """
    content = _fetch(location) if location.startswith(("http://", "https://")) else _read(Path(location))
    feed = feedparser.parse(content)
    if not feed.entries:
        raise UnreadableError(f"{location}: no entries; is it an RSS or Atom feed?")
    found = [_entry(one) for one in feed.entries]
    articles = [one for one in found if one["title"] or one["text"]]
    articles.sort(key=lambda one: one["published"])
    return [
        Outgoing(f"{location}: {one['url'] or one['title']}", json.dumps(one).encode(), "application/json")
        for one in articles
    ]


def _entry(entry: Any) -> dict[str, str]:
    content = entry.get("content") or [{}]
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    published = datetime.fromtimestamp(calendar.timegm(moment), UTC).isoformat() if moment else ""
    return {
        "id": entry.get("id") or entry.get("link") or "",
        "title": entry.get("title", ""),
        "text": content[0].get("value") or entry.get("summary", ""),
        "url": entry.get("link", ""),
        "published": published,
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror}") from None


def _fetch(url: str) -> bytes:
    try:
        with httpx.stream("GET", url, timeout=FETCH_SECONDS, follow_redirects=True) as answer:
            answer.raise_for_status()
            content = b""
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > FEED_LIMIT_BYTES:
                    raise UnreadableError(f"{url}: longer than {FEED_LIMIT_BYTES:,} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnreadableError(f"{url}: cannot be fetched: {error}") from None
    return content
