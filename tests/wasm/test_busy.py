"""Whom a process computes for is told while a coroutine computes, and not while it waits."""

from __future__ import annotations

import asyncio

import pytest

from durable.wasm.busy import Busy, nobody_looks


def test_every_step_is_marked_and_no_wait() -> None:
    cells = nobody_looks()
    busy, seen = Busy(cells, 7, 3), []

    async def work(others: asyncio.Event) -> str:
        seen.append(list(cells))
        await others.wait()
        seen.append(list(cells))
        return "done"

    async def main() -> None:
        others = asyncio.Event()
        working = asyncio.ensure_future(busy.during(work(others)))
        await asyncio.sleep(0)
        seen.append(list(cells))
        others.set()
        assert await working == "done"

    asyncio.run(main())
    assert [mark for mark, _ in seen] == [7, 0, 7]
    assert cells[0] == 0


@pytest.mark.parametrize("error", [ValueError, GeneratorExit, KeyboardInterrupt, StopAsyncIteration])
def test_what_it_raises_is_raised(error: type[BaseException]) -> None:
    cells = nobody_looks()

    async def work() -> None:
        raise error

    async def main() -> None:
        with pytest.raises(error):
            await Busy(cells, 7, 3).during(work())

    asyncio.run(main())
    assert cells[0] == 0


def test_a_cancellation_reaches_it_and_finds_it_marked() -> None:
    cells = nobody_looks()
    marks: list[int] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            marks.append(cells[0])
            await asyncio.sleep(0)
            marks.append(cells[0])

    async def main() -> None:
        working = asyncio.ensure_future(Busy(cells, 7, 3).during(work()))
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(main())
    assert (marks, cells[0]) == ([7, 7], 0)
