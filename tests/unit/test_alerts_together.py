"""What several tasks ask for at once is done in one go, and one that fails spoils it for no other."""

import asyncio
from collections.abc import Sequence

import pytest

from services.alerts.together import Together
from shared.bus.errors import DependencyAwayError


class Double:
    """Doubles numbers, but neither 13 nor, while it is away, anything; notes what it was asked in one go."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.away = False
        self.begun = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.begun.set()
        await asyncio.sleep(0)
        if self.away:
            raise DependencyAwayError("away")
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


async def test_what_is_asked_at_the_same_moment_is_done_in_one_go_and_each_gets_its_own_answer() -> None:
    double = Double()
    together = Together(double)
    assert await asyncio.gather(*(together(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert double.calls == [[0, 1, 2, 3, 4]]


async def test_what_is_asked_while_it_is_busy_goes_next() -> None:
    double = Double()
    together = Together(double)
    first = asyncio.create_task(together(1))
    await double.begun.wait()
    assert await asyncio.gather(first, together(2), together(3)) == [2, 4, 6]
    assert double.calls == [[1], [2, 3]]


async def test_an_item_that_cannot_be_done_fails_alone() -> None:
    together = Together(Double())
    answers = await asyncio.gather(together(1), together(13), together(2), return_exceptions=True)
    assert isinstance(answers[1], ValueError)
    assert [answers[0], answers[2]] == [2, 4]


async def test_while_a_dependency_is_away_everybody_learns_it_at_once_and_may_ask_again() -> None:
    double = Double()
    together = Together(double)
    double.away = True
    answers = await asyncio.gather(together(1), together(2), return_exceptions=True)
    assert all(isinstance(answer, DependencyAwayError) for answer in answers)
    assert len(double.calls) == 1
    double.away = False
    assert await together(3) == 6


async def test_one_who_waits_no_longer_holds_up_nobody() -> None:
    together = Together(Double())
    gone, staying = asyncio.create_task(together(1)), asyncio.create_task(together(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await staying == 4
    with pytest.raises(asyncio.CancelledError):
        await gone
