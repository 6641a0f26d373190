"""The host functions that most test guests need: they wait, note, fail and measure at the test's word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from durable.wasm.linker import HostFunction
from tests.wasm.guests import HostCall, HostInterface

CALLS = HostInterface(
    "test:host/calls",
    [
        HostCall("wait", "(func)", ""),
        HostCall("note", '(func (param "n" u32))', "(param i32)"),
        HostCall("number", "(func (result u32))", "(result i32)"),
        HostCall("number-later", "(func (result u32))", "(result i32)"),
        HostCall("fail", "(func)", ""),
        HostCall("fail-later", "(func (result string))", "(param i32)"),
        HostCall("progress", "(func)", ""),
        HostCall("cpu-ms", "(func (result u64))", "(result i64)"),
    ],
)


async def _at_once() -> None:
    return None


@dataclass
class Guest:
    """What the host functions do for one guest, and what the guest told them."""

    number: int = 0
    error: BaseException | None = None
    wait: Callable[[], Awaitable[None]] = _at_once
    progress: Callable[[], None] = lambda: None
    notes: list[int] = field(default_factory=list)
    waiting: bool = False
    dropped: bool = False


async def _wait(guest: Guest) -> None:
    guest.waiting = True
    try:
        await guest.wait()
    except BaseException:
        guest.dropped = True
        raise
    finally:
        guest.waiting = False


async def _number_later(guest: Guest) -> int:
    await guest.wait()
    return guest.number


def _fail(guest: Guest) -> None:
    assert guest.error is not None
    raise guest.error


async def _fail_later(guest: Guest) -> str:
    await asyncio.sleep(0)
    assert guest.error is not None
    raise guest.error


FUNCTIONS: dict[str, HostFunction] = {
    "wait": _wait,
    "note": lambda guest, n: guest.notes.append(n),
    "number": lambda guest: guest.number,
    "number-later": _number_later,
    "fail": _fail,
    "fail-later": _fail_later,
    "progress": lambda guest: guest.progress(),
    "cpu-ms": lambda guest: int(time.thread_time() * 1000),
}
