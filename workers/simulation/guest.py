"""Guests of the simulation: small programs in Python that call the real host functions, as a component would.

What a guest does next follows from all the answers that it got and from nothing else. It keeps a digest of them, and
its transactions record that digest: a replay that tells it anything else is found out at once.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Awaitable, Callable
from inspect import iscoroutine
from typing import Any, Protocol, cast

from durable.execution.run import Run
from durable.host import clocks, core, http, notify, pollables, sql, streams
from durable.host import random as entropy
from durable.host.http import RequestRecord
from durable.host.pollables import Pollable
from durable.host.streams import OutputStream
from durable.runner import Runner
from durable.store.queries import load
from durable.wasm.program import Program
from durable.wasm.values import Ok
from workers.programs import Programs

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    f"{interface}.{name}": function
    for module in (clocks, core, entropy, http, notify, pollables, sql, streams)
    for interface, functions in module.FUNCTIONS.items()
    for name, function in functions.items()
}
_INSERT = load("simulation")["add_effect"]
#: The longest that a guest sleeps or waits, in seconds.
LONGEST_WAIT = 20.0


class GuestWorld(Protocol):
    """What a guest meets besides its host functions."""

    def random_bytes(self, count: int) -> bytes: ...

    async def may_die(self, run: Run) -> None:
        """The process may die here, while it computes for this guest."""

    def waited(self, run: Run, index: int, deadline: int) -> None:
        """The guest was told, live, that a deadline (nanoseconds since 1970) has passed."""


class WrongReplay(AssertionError):
    """A guest was told something else than when its journal was written."""


class Guest:
    """One run of a guest."""

    def __init__(self, run: Run, world: GuestWorld) -> None:
        self.run = run
        self.world = world
        assert run.task.data is not None, "it is small"
        data = json.loads(run.task.data)
        self.steps: int = data["steps"]
        self.digest = zlib.crc32(f"{data['salt']}".encode())
        self.sent: dict[int, int] = {}

    @property
    def is_live(self) -> bool:
        """Whether the next call is not in the journal."""
        return self.run.cursor.index >= self.run.cursor.length

    async def play(self) -> object:
        for number in range(self.steps):
            await self.world.may_die(self.run)
            chance = random.Random(self.digest)
            await chance.choice(_STEPS)(self, chance)
            self.digest = zlib.crc32(f"{number}".encode(), self.digest)
        await _transaction(self, random.Random(0))
        return Ok()

    async def call(self, function: str, *arguments: Any) -> Any:
        answer = _FUNCTIONS[function](self.run, *arguments)
        if iscoroutine(answer):
            answer = await answer
        self.digest = zlib.crc32(repr(answer).encode(), self.digest)
        return answer

    async def transaction(self, label: str, is_db: bool, body: Callable[[], Awaitable[str]]) -> None:
        """Its event tells the lease that wrote it, what the guest knew before, and what `body` says that it printed."""
        known, index, lease = self.digest, self.run.cursor.index, self.run.task.lease
        told = await self.call("durable:core/core.transaction-enter", label, is_db)
        if told is None:
            told = json.dumps({"lease": lease, "digest": known, "printed": await body()})
            await self.call("durable:core/core.transaction-exit", told)
        recorded = json.loads(told)
        if recorded["digest"] != known:
            raise WrongReplay(f"task {self.run.task.id} was told something else before event {index} than at first")
        self.digest = zlib.crc32(f"{recorded['lease']}".encode(), known)


Step = Callable[[Guest, random.Random], Awaitable[None]]


# -- what a guest can do -----------------------------------------------------------------------------------------------
async def _look_at_the_clock(guest: Guest, chance: random.Random) -> None:
    await guest.call(chance.choice(["wasi:clocks/wall-clock.now", "wasi:clocks/monotonic-clock.now"]))


async def _draw(guest: Guest, chance: random.Random) -> None:
    await guest.call("wasi:random/random.get-random-bytes", chance.randrange(4))
    await guest.call("wasi:random/random.get-random-u64")


async def _print(guest: Guest, chance: random.Random) -> None:
    await _print_digest(guest)


async def _print_digest(guest: Guest) -> str:
    text = f"{guest.digest}\n"
    await guest.call("wasi:io/streams.[method]output-stream.write", OutputStream("stdout"), text.encode())
    return text


async def _sleep(guest: Guest, chance: random.Random) -> None:
    nanoseconds = int(_duration(chance) * 1e9)
    began, was_live = guest.run.clock.now(), guest.is_live
    pollable: Pollable = await guest.call("wasi:clocks/monotonic-clock.subscribe-duration", nanoseconds)
    due = max(pollable.deadline, began + nanoseconds if was_live else 0)
    index, is_live = guest.run.cursor.index, guest.is_live
    await guest.call("wasi:io/poll.[method]pollable.block", pollable)
    if is_live:
        guest.world.waited(guest.run, index, due)


async def _send(guest: Guest, chance: random.Random) -> None:
    """Also to tasks that do not exist, or not yet."""
    target = 1 + chance.randrange(4)
    number = guest.sent.get(target, 0) + 1
    data = json.dumps({"from": f"task {guest.run.task.id}", "number": number})
    if isinstance(await guest.call("durable:core/notify.notify", target, "hello", data), Ok):
        guest.sent[target] = number


async def _receive(guest: Guest, chance: random.Random) -> None:
    await guest.call("durable:core/notify.notification-blocking")


async def _receive_in_time(guest: Guest, chance: random.Random) -> None:
    nanoseconds = int(_duration(chance) * 1e9)
    run, index, is_live = guest.run, guest.run.cursor.index, guest.is_live
    due = run.clock.now() + nanoseconds
    answer = await guest.call("durable:core/notify.notification-blocking-timeout", nanoseconds)
    if is_live and answer is None and run.task.wait_index != index:  # an earlier run may have begun to wait
        guest.world.waited(run, index, due)


async def _transaction(guest: Guest, chance: random.Random) -> None:
    async def body() -> str:
        await guest.call("wasi:random/random.get-random-u64")
        return await _print_digest(guest)

    await guest.transaction("step", False, body)


async def _request(guest: Guest, chance: random.Random) -> None:
    key = f"{guest.run.task.id}/{guest.run.cursor.index}/{guest.digest}/{guest.run.task.lease}"

    async def body() -> str:
        request: RequestRecord = ("POST", "https://service.example/", [], key.encode(), None)
        await guest.call("durable:core/http.fetch", request)
        return ""

    await guest.transaction("request", False, body)


async def _insert(guest: Guest, chance: random.Random) -> None:
    run = guest.run

    async def body() -> str:
        values = f"({run.task.id}, {run.cursor.index}, {run.task.lease})"
        await guest.call("durable:core/sql.query", f"{_INSERT} {values}", [], (0, False))
        await guest.call("durable:core/sql.fetch")
        return await _print_digest(guest)

    await guest.transaction("insert", True, body)


def _duration(chance: random.Random) -> float:
    return chance.choice([0.001, 0.5, 3.0, 8.0, LONGEST_WAIT])


_STEPS: list[Step] = [
    _look_at_the_clock, _draw, _print, _print, _sleep, _send, _send, _receive_in_time, _receive, _transaction,
    _transaction, _request, _insert, _insert,
]  # fmt: skip


# -- how a worker runs them -----------------------------------------------------------------------------------------
class GuestRunner(Runner):
    """The real runner with guests of the above kind."""

    def __init__(self, world: GuestWorld) -> None:
        self._world = world

    async def play(self, run: Run, program: Program) -> object:
        run.entropy = self._world.random_bytes
        return await Guest(run, self._world).play()


class GuestPrograms(Programs):
    """There is nothing to compile."""

    def __init__(self) -> None:
        self.lacking = set()

    async def load(self, program_id: int) -> Program:
        return cast(Program, None)
