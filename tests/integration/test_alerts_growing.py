"""A report that grows while its reporter goes on writing: it counts once, in the region that is known last."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from services.alerts import decide
from services.alerts.case import Case
from services.alerts.store import Change, case_key
from shared.contracts import AlertState, Assessment, Part, Region, RiskClass, Severity
from tests.assessments import BALANGAN, PARINGIN, VOTING_DAY, an_assessment
from tests.integration.test_alerts_flagging import Desk

MINUTE = timedelta(minutes=1)
UNKNOWN, IN_BALANGAN = (case_key(code, RiskClass.MONEY_POLITICS) for code in ("", "63.11"))


@pytest.fixture
async def redis(redis_url: str) -> Any:
    """A connection to an empty Redis."""
    async with Redis.from_url(redis_url) as connection:
        yield connection


def told(messages: int, region: Region | None, *, number: int = 7) -> Assessment:
    """A report as it stands after so many messages, a minute apart."""
    one = an_assessment(
        region=region, severity=Severity.HIGH, at=VOTING_DAY, report_id=UUID(int=number), incident_id=UUID(int=number)
    )
    parts = tuple(
        Part(receipt=f"SJ-{number}-{turn}", content_hash="", received_at=VOTING_DAY + turn * MINUTE)
        for turn in range(messages)
    )
    return one.model_copy(update={"report": one.report.model_copy(update={"parts": parts})})


async def case(desk: Desk, key: str) -> Case:
    found = await desk.store.case(key)
    assert found is not None
    return found


async def states(desk: Desk) -> dict[str, tuple[AlertState, int] | None]:
    """State and number of reports of the alert of each case; `None` without an alert."""
    found = {"unknown": await desk.store.case(UNKNOWN), "balangan": await desk.store.case(IN_BALANGAN)}
    return {name: (one.alert.state, one.alert.reports) if one and one.alert else None for name, one in found.items()}


async def test_a_report_whose_place_is_told_later_closes_the_alert_without_a_place(redis: Redis) -> None:
    desk = Desk(redis)
    await desk.take(told(1, None))
    assert await states(desk) == {"unknown": (AlertState.OPEN, 1), "balangan": None}
    await desk.take(told(2, BALANGAN))
    assert await states(desk) == {"unknown": (AlertState.RESOLVED, 1), "balangan": (AlertState.OPEN, 1)}
    assert [event["event"] for event in await desk.events() if event["region_code"] == ""] == ["opened", "resolved"]
    assert (await case(desk, UNKNOWN)).sightings == ()


async def test_what_is_delivered_again_or_late_moves_no_report_back(redis: Redis) -> None:
    desk = Desk(redis)
    first, second = told(1, None), told(2, BALANGAN)
    await desk.take(first, second)
    assert await states(desk) == {"unknown": None, "balangan": (AlertState.OPEN, 1)}
    before = await desk.events()
    for batch in ((first,), (second, first), (first, second)):
        await desk.take(*batch)
    assert await states(desk) == {"unknown": None, "balangan": (AlertState.OPEN, 1)}
    assert await desk.events() == before


async def test_an_officer_reads_what_the_report_says_by_now(redis: Redis) -> None:
    desk = Desk(redis)
    first, second = told(1, BALANGAN), told(2, PARINGIN)
    await desk.take(first)
    await desk.take(second)
    await desk.take(first)
    [exhibit] = (await case(desk, IN_BALANGAN)).exhibits
    assert exhibit.district_name == "Kecamatan Paringin"
    assert not exhibit.told, "what it says by now has not been told yet"
    assert [event["event"] for event in await desk.events()] == ["opened"]


async def test_the_other_reports_of_the_alert_stay(redis: Redis) -> None:
    desk = Desk(redis)
    await desk.take(told(1, None), told(1, None, number=8))
    await desk.take(told(2, BALANGAN))
    assert await states(desk) == {"unknown": (AlertState.OPEN, 1), "balangan": (AlertState.OPEN, 1)}
    [left] = (await case(desk, UNKNOWN)).sightings
    assert left.report_id == UUID(int=8)


async def test_what_an_officer_has_closed_stays_closed(redis: Redis) -> None:
    desk = Desk(redis)
    await desk.take(told(1, None))

    def close(stored: Case | None) -> Change:
        assert stored is not None
        done = decide.resolve(stored, actor="petugas", reason="selesai", now=desk.now)
        return Change(done.case, done.events)

    await desk.store.update({UNKNOWN: close})
    before = (await case(desk, UNKNOWN)).alert
    await desk.take(told(2, BALANGAN))
    assert (await case(desk, UNKNOWN)).alert == before
    assert (await states(desk))["balangan"] == (AlertState.OPEN, 1)


async def test_a_report_that_cannot_grow_leaves_no_trace_of_where_it_stands(redis: Redis) -> None:
    await Desk(redis).take(an_assessment())
    assert not [key async for key in redis.scan_iter(match="*stands*")]
