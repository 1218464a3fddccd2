"""The classifier's service: what happens when classifying a report fails."""

from collections.abc import Sequence

import pytest

from services.classify.engine import Told
from services.classify.handler import Assessor
from shared.bus.errors import UnprocessableError
from shared.bus.message import Message
from shared.bus.outbox import Outbox
from shared.bus.streams import ASSESSMENTS, REPORTS, Stream
from shared.contracts import Assessment, Judgement, Kind, RiskClass
from tests.assessments import an_assessment


class Recorded(Outbox):
    """An outbox that shows what was published."""

    def __init__(self) -> None:
        super().__init__(REPORTS)
        self.published: list[tuple[Stream, bytes]] = []
        self.put_aside: list[str] = []

    def publish(self, stream: Stream, body: bytes, *, by: str | None = None) -> None:
        """Remember the message."""
        self.published.append((stream, body))

    def quarantine(self, message: Message, *, group: str, error: str, attempts: int) -> None:
        """Remember what was put aside."""
        self.put_aside.append(f"{self.source.name} {group}: {error}")


class Stumbling:
    """A classifier that fails on one text."""

    rule_pack_version = "7"
    model_version = ""

    def judge_all(self, told: Sequence[Told]) -> list[Judgement]:
        """Fail on texts that say so."""
        if any("tersandung" in one.text for one in told):
            raise RecursionError("too deep")
        return [an_assessment().judgement for _ in told]


def messages(*texts: str) -> Sequence[Message]:
    reports = [an_assessment(text=f"{text}: camat membagikan amplop").report for text in texts]
    return [Message(b"1-0", {b"body": report.model_dump_json().encode()}) for report in reports]


async def test_a_report_whose_classification_fails_shows_as_not_classified_and_its_neighbours_as_usual() -> None:
    outbox = Recorded()
    await Assessor(Stumbling()).handle(messages("satu", "tersandung", "tiga"), outbox)  # type: ignore[arg-type]
    assert [stream for stream, _ in outbox.published] == [ASSESSMENTS] * 3
    judgements = [Assessment.model_validate_json(body).judgement for _, body in outbox.published]
    assert [judgement.kind for judgement in judgements] == [
        Kind.VIOLATION_REPORT,
        Kind.CLASSIFY_FAILED,
        Kind.VIOLATION_REPORT,
    ]
    failed = judgements[1]
    assert outbox.put_aside == ["salingjaga:reports classify: classification failed: RecursionError"], "to be replayed"
    assert (failed.primary, failed.reason, failed.rule_pack_version) == (RiskClass.NONE, "RecursionError", "7")


async def test_what_is_no_report_is_named_for_the_quarantine() -> None:
    with pytest.raises(UnprocessableError, match="not a report"):
        await Assessor(Stumbling()).handle([Message(b"1-0", {b"body": b"{}"})], Outbox())  # type: ignore[arg-type]
