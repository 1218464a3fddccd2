"""The lists of KoboToolbox and ODK Central read over real HTTP: pages, tokens, and servers that fail on the way."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deploy.cli.exports import UnreadableExportError, fetch_export
from tests.form_server import KOBO_PATH, ODK_PATH, TOKEN, FormServer

KOBO = [{"_uuid": f"kobo-{number}", "_submission_time": f"2024-11-2{number}T03:00:00"} for number in range(5)]
ODK = [
    {
        "__id": f"uuid:{number}",
        "__system": {"submissionDate": f"2024-11-2{number}T03:00:00.000Z"},
        "kronologi": "amplop",
    }
    for number in range(5)
]
SENDERS = [("kobo", KOBO_PATH, KOBO), ("odk", ODK_PATH, ODK)]


@pytest.fixture(params=SENDERS, ids=["kobo", "odk"])
def sender(request: pytest.FixtureRequest) -> Iterator[tuple[FormServer, str, str]]:
    """A server with five submissions on three pages; its adapter, and the address of its list."""
    adapter, path, submissions = request.param
    with FormServer(submissions) as server:
        yield server, adapter, server.url + path


def read(url: str, adapter: str, token: str = TOKEN, into: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The bodies that would be posted; those read before a fault stay in `into`."""
    found = [] if into is None else into
    with httpx.Client(timeout=10, trust_env=False) as client:
        for page in fetch_export(client, url, adapter, token):
            found += [json.loads(one.body) for one in page]
    return found


def ids(bodies: list[dict[str, Any]]) -> list[str]:
    return [body.get("_uuid") or body["id"] for body in bodies]


def test_all_pages_are_read_once_in_their_order(sender: tuple[FormServer, str, str]) -> None:
    server, adapter, url = sender
    assert len(ids(read(url, adapter))) == 5
    assert ids(read(url, adapter)) == sorted(ids(read(url, adapter)))
    assert len(server.asked) == 9


def test_a_wrong_token_is_told_with_its_cure_and_nothing_more_is_asked(sender: tuple[FormServer, str, str]) -> None:
    server, adapter, url = sender
    with pytest.raises(UnreadableExportError, match="HTTP 401; check the address and the token"):
        read(url, adapter, "salah")
    assert len(server.asked) == 1


def test_a_wrong_address_is_told(sender: tuple[FormServer, str, str]) -> None:
    server, adapter, _ = sender
    with pytest.raises(UnreadableExportError, match="HTTP 404"):
        read(f"{server.url}/lain", adapter)


@pytest.mark.parametrize(
    ("how", "words"),
    [("status", "HTTP 502"), ("cut", "RemoteProtocolError"), ("garbage", "not JSON"), ("login", "HTTP 302")],
)
def test_a_server_that_fails_midway_leaves_what_was_read_and_names_the_page(
    sender: tuple[FormServer, str, str], how: str, words: str
) -> None:
    server, adapter, url = sender
    server.breaks_at, server.how = 1, how
    found: list[dict[str, Any]] = []
    with pytest.raises(UnreadableExportError, match=words) as error:
        read(url, adapter, into=found)
    assert len(found) == 2
    assert server.asked[-1] in str(error.value)


def test_a_server_that_is_away_is_told(sender: tuple[FormServer, str, str]) -> None:
    server, adapter, url = sender
    server.__exit__()
    with pytest.raises(UnreadableExportError, match="ConnectError"):
        read(url, adapter)
