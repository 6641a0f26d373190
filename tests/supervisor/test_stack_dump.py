"""What a worker says of its tasks, on a real event loop."""

from __future__ import annotations

import asyncio
import logging
import re
import threading

import pytest

from workers.stack_dump import TaskInMemory, log_tasks_and_stacks


async def innermost(event: asyncio.Event) -> None:
    await event.wait()


async def outermost(event: asyncio.Event) -> None:
    await innermost(event)


async def _dump() -> None:
    event = asyncio.Event()
    running = asyncio.create_task(outermost(event))
    asyncio.create_task(innermost(event), name="heartbeat")  # noqa: RUF006 - ends with the loop
    await asyncio.sleep(0)
    log_tasks_and_stacks([TaskInMemory(12, "c0ffee", 3, 'in transaction "pay"', running)])
    event.set()
    await running


def test_every_task_coroutine_and_thread_has_a_line_with_all_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="compiler")
    thread.start()
    try:
        with caplog.at_level(logging.WARNING):
            asyncio.run(_dump())
    finally:
        leave.set()
        thread.join()
    said = [record.getMessage() for record in caplog.records]
    # At least these two threads: other tests in this process may have left some.
    assert re.fullmatch(r"1 tasks in memory, 2 coroutines beside them, ([2-9]|\d\d) threads", said[0])
    [task] = [record for record in caplog.records if record.getMessage().startswith("task 12: ")]
    assert task.getMessage().startswith('task 12: in transaction "pay"; asyncio/locks.py:')
    assert " innermost < supervisor/test_stack_dump.py:" in task.getMessage()
    assert task.getMessage().endswith(" outermost")
    assert (task.__dict__["task_id"], task.__dict__["program"], task.__dict__["event_index"]) == (12, "c0ffee", 3)
    assert any(line.startswith("coroutine heartbeat: ") for line in said)
    assert any(line.startswith("thread compiler: ") and " wait" in line for line in said)
    assert any(line.startswith("thread MainThread: ") and " _dump < " in line for line in said)
