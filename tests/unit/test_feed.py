"""Feeds: what becomes of their entries, and what is said of a feed that is none."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cli.feed import read_feed
from deploy.cli.reports_from_files import UnreadableError

ATOM = """<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Berita</title>
<entry><title>Kedua</title><id>tag:berita.example,2024:2</id><link href="https://berita.example/2"/>
<updated>2024-11-05T03:00:00+07:00</updated><content type="html">&lt;p&gt;Isi kedua.&lt;/p&gt;</content></entry>
<entry><title>Pertama</title><link href="https://berita.example/1"/><updated>2024-11-04T03:00:00+07:00</updated>
<summary>Isi pertama.</summary></entry>
<entry><link href="https://berita.example/0"/></entry></feed>"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a web server with one feed, at `/feed.xml`."""
    (tmp_path / "feed.xml").write_text(ATOM)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_each_entry_is_one_article_known_by_its_id_or_link_oldest_first(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(ATOM)
    entries = [json.loads(one.body) for one in read_feed(str(tmp_path / "feed.xml"))]
    assert [(one["id"], one["title"], one["text"]) for one in entries] == [
        ("https://berita.example/1", "Pertama", "Isi pertama."),
        ("tag:berita.example,2024:2", "Kedua", "<p>Isi kedua.</p>"),
    ]
    assert entries[1]["published"] == "2024-11-04T20:00:00+00:00"


def test_a_feed_is_fetched_from_its_address(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert len(read_feed(f"{site}/feed.xml")) == 2
    with pytest.raises(UnreadableError, match="404"):
        read_feed(f"{site}/tidak-ada.xml")


@pytest.mark.parametrize("content", [b"", b"<html><body>bukan feed</body></html>", b"\x00\xff", b"<rss><channel>"])
def test_what_is_no_feed_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.xml").write_bytes(content)
    with pytest.raises(UnreadableError, match="RSS or Atom"):
        read_feed(str(tmp_path / "x.xml"))
