import base64
import os
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from services.ingest.signature import SignatureError, read_claim, sign, verify

KEY = os.urandom(32)
NOW = 1_732_600_000
BODY = b'{"text":"camat bagi amplop"}'


def headers(signature: str, *, message_id: str = "msg_1", timestamp: int = NOW) -> dict[bytes, bytes]:
    return {
        b"webhook-id": message_id.encode(),
        b"webhook-timestamp": str(timestamp).encode(),
        b"webhook-signature": signature.encode(),
    }


def check(given: dict[bytes, bytes], body: bytes = BODY, keys: tuple[bytes, ...] = (KEY,), now: float = NOW) -> None:
    verify(read_claim(given, now=now, tolerance_seconds=300), body, keys)


def test_a_signature_of_the_published_library_is_accepted() -> None:
    library = Webhook("whsec_" + base64.b64encode(KEY).decode())
    signature = library.sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    check(headers(signature))


def test_our_signature_is_accepted_by_the_published_library() -> None:
    now = int(datetime.now(UTC).timestamp())
    library = Webhook("whsec_" + base64.b64encode(KEY).decode())
    given = headers(sign(KEY, "msg_1", now, BODY), timestamp=now)
    library.verify(BODY, {name.decode(): value.decode() for name, value in given.items()})


def test_while_a_key_is_replaced_the_old_and_the_new_one_sign() -> None:
    new = os.urandom(32)
    for key in (KEY, new):
        check(headers(sign(key, "msg_1", NOW, BODY)), keys=(new, KEY))


def test_one_fitting_signature_among_several_is_enough() -> None:
    check(headers("v1,AAAA v2,BBBB " + sign(KEY, "msg_1", NOW, BODY)))


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({}, BODY),
        (headers(sign(KEY, "msg_1", NOW, BODY)), BODY + b" "),
        (headers(sign(os.urandom(32), "msg_1", NOW, BODY)), BODY),
        (headers(sign(KEY, "msg_2", NOW, BODY)), BODY),
        (headers(sign(KEY, "msg_1", NOW, BODY).replace("v1", "v2")), BODY),
        (headers("v1,"), BODY),
        ({**headers(sign(KEY, "msg_1", NOW, BODY)), b"webhook-timestamp": b"soon"}, BODY),
        (headers("\xff\xfe v1,\xff"), BODY),
    ],
    ids=["no headers", "other body", "other key", "other id", "other version", "empty", "no time", "not ascii"],
)
def test_a_request_that_proves_nothing_is_refused(given: dict[bytes, bytes], body: bytes) -> None:
    with pytest.raises(SignatureError):
        check(given, body)


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_signature_from_another_time_is_refused(seconds: int) -> None:
    with pytest.raises(SignatureError, match="clock"):
        check(headers(sign(KEY, "msg_1", NOW, BODY)), now=NOW + seconds)
