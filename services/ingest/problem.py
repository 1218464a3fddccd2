"""Refusals: RFC 9457 problem documents that say what to change."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.ingest.adapters import Problem
from shared.http import Send, respond
from shared.observability import metrics

PROBLEM_JSON = b"application/problem+json"


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of ours
    """A request that is refused.

    Args:
        status: the HTTP status.
        title: what is wrong, the same words for the same thing.
        detail: what to change.
        problems: single places in the body.
        retry_after_seconds: when to try again; for 429 and 503.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        problems: Sequence[Problem] = (),
        *,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.problems = problems
        self.retry_after_seconds = retry_after_seconds

    async def send(self, send: Send, source: str) -> None:
        """Answer with the problem document and count it."""
        metrics.refused.labels(source, str(self.status)).inc()
        document: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status}
        if self.detail:
            document["detail"] = self.detail
        if self.problems:
            document["errors"] = describe(self.problems)
        headers = []
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", str(self.retry_after_seconds).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Webhook-Signature"))
        await respond(send, self.status, msgspec.json.encode(document), PROBLEM_JSON, headers)


def describe(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Single problems as they stand in a problem document."""
    return [{"pointer": problem.pointer, "detail": problem.detail} for problem in problems]
