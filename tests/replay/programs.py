"""Random guests: what one asks for next follows from all the answers that it got, and from nothing else."""

from __future__ import annotations

import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import iscoroutine
from typing import Any

from durable.execution.run import Run
from durable.host.http import RequestRecord
from durable.host.pollables import ALWAYS_READY, Pollable
from durable.host.streams import OutputStream
from tests.host.stage import host


@dataclass(frozen=True)
class Program:
    steps: int
    salt: int


class Guest:
    """One program while it runs. `digest` stands for everything that it has been told so far."""

    def __init__(self, program: Program, run: Run, between_calls: Callable[[], None]) -> None:
        self.run = run
        self.digest = zlib.crc32(f"{program.salt}".encode())
        self.known: dict[int, int] = {}  # the digest at the call that took each index
        self._between_calls = between_calls

    async def call(self, function: str, *arguments: Any) -> Any:
        self._between_calls()
        self.known[self.run.cursor.index] = self.digest
        interface, _, name = function.partition(".")
        answer = host()[1][interface][name](self.run, *arguments)
        if iscoroutine(answer):
            answer = await answer
        self.digest = zlib.crc32(repr(answer).encode(), self.digest)
        return answer


async def play(program: Program, run: Run, between_calls: Callable[[], None]) -> Guest:
    """Run the guest to its end."""
    guest = Guest(program, run, between_calls)
    for _ in range(program.steps):
        chance = random.Random(guest.digest)
        await chance.choice(_STEPS)(guest, chance)
    return guest


Step = Callable[[Guest, random.Random], Awaitable[None]]


# -- one recorded call, or a few -------------------------------------------------------------------------------------
async def _clock(guest: Guest, chance: random.Random) -> None:
    await guest.call(chance.choice(["wasi:clocks/wall-clock.now", "wasi:clocks/monotonic-clock.now"]))


async def _random(guest: Guest, chance: random.Random) -> None:
    await guest.call("wasi:random/random.get-random-bytes", chance.randrange(6))
    await guest.call("wasi:random/random.get-random-u64")


async def _insecure(guest: Guest, chance: random.Random) -> None:
    await guest.call("wasi:random/insecure.get-insecure-random-u64")
    await guest.call("wasi:random/insecure-seed.insecure-seed")


async def _print(guest: Guest, chance: random.Random) -> None:
    stream = OutputStream(chance.choice(["stdout", "stderr"]))
    text = f"{guest.digest} grüße\n".encode()
    cut = chance.randrange(len(text))  # also in the middle of a character
    for piece in (text[:cut], text[cut:]):
        await guest.call("wasi:io/streams.[method]output-stream.write", stream, piece)


async def _sleep(guest: Guest, chance: random.Random) -> None:
    pollable: Pollable = await guest.call(
        "wasi:clocks/monotonic-clock.subscribe-duration", chance.randrange(10_000_000)
    )
    await guest.call("wasi:io/poll.[method]pollable.ready", pollable)
    if chance.random() < 0.5:
        await guest.call("wasi:io/poll.[method]pollable.block", pollable)
    else:
        await guest.call("wasi:io/poll.poll", [pollable, *[ALWAYS_READY] * chance.randrange(2)])


async def _notify(guest: Guest, chance: random.Random) -> None:
    await guest.call("durable:core/notify.notify", chance.randrange(1, 4), "known", f"{guest.digest}")


async def _receive(guest: Guest, chance: random.Random) -> None:
    await guest.call("durable:core/notify.notification-blocking")


async def _receive_in_time(guest: Guest, chance: random.Random) -> None:
    await guest.call("durable:core/notify.notification-blocking-timeout", chance.randrange(10_000_000))


# -- transactions ----------------------------------------------------------------------------------------------------
async def _transaction(guest: Guest, chance: random.Random) -> None:
    """The body prints, draws and sends; its answers are told only by its result."""
    known = guest.digest
    told = await guest.call("durable:core/core.transaction-enter", "step", False)
    if told is None:
        await guest.call("wasi:random/random.get-random-u64")
        await _print(guest, chance)
        if chance.random() < 0.5:
            request: RequestRecord = ("POST", "https://api.example/", [], f"{known}".encode(), None)
            await guest.call("durable:core/http.fetch", request)
        told = f"{guest.digest}"
        await guest.call("durable:core/core.transaction-exit", told)
    guest.digest = zlib.crc32(told.encode(), known)


_STEPS: list[Step] = [
    _clock, _random, _insecure, _print, _sleep, _notify, _receive, _receive_in_time, _transaction, _transaction,
]  # fmt: skip
