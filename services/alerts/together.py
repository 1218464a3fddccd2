"""Does in one go what several tasks ask for at the same moment: the first goes at once, the others while it is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from shared.bus.errors import DependencyAwayError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Together(Generic[Item, Answer]):
    """Calls `act` with all items that are asked for while it is busy, and hands each its answer.

    Args:
        act: gives an answer for each item, in their order. It may be called again with a part of the items when one of
            them makes it fail, so that only that one fails.
    """

    def __init__(self, act: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]]) -> None:
        self._act = act
        self._asked: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Answer:
        """The answer to this item. Raises what `act` raises for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((item, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            await self._answer(asked)

    async def _answer(self, asked: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._act([item for item, _ in asked])
        except Exception as error:  # noqa: BLE001 (raised again where it was asked)
            if len(asked) > 1 and not isinstance(error, DependencyAwayError):
                for one in asked:
                    await self._answer([one])
                return
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
        else:
            for (_, answer), found in zip(asked, answers, strict=True):
                if not answer.done():
                    answer.set_result(found)
