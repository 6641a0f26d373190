"""Runs hostile scripts in a process of its own: `python -m tests.hostile.calls SEED FIRST CASES URL`.

Before each case its number goes to stdout, so that whoever started the process knows which one killed it. At the end
one line of JSON tells what became of all.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from wasmtime import component as wc

from durable.config import Config
from durable.execution.database import GuestDatabase
from durable.execution.http import GuestHttp
from durable.execution.outcome import Outcome
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.host.functions import host_functions
from durable.journal.faults import Fenced, JournalUnavailable
from durable.model import CRASH_LOG_INDEX, ClaimedTask, Event, Notification, TaskState
from durable.net.client import Client, client_of
from durable.runner import Runner
from durable.store.guest_pool import GuestPool
from durable.timing import DatabaseClock
from durable.wasm.engine import EpochTicker, new_engine
from durable.wasm.fiber import Fiber, GuestLimits
from durable.wasm.linker import Linker
from durable.wasm.program import Program
from durable.wasm.resources import Resources
from durable.wasm.world import World, world_bytes
from tests.hostile.puppet import imports, puppet, script
from tests.hostile.scripts import random_script

MAX_REASON = 16_384 + 200  # and the marker that says how much was cut
CONFIG = Config(suspend_timeout=0.05, guest_sql_timeout=2.0, max_http_timeout=1.0)


class Nobody:
    """A task that is alone in the world, with a writer that takes everything."""

    async def events(self, task_id: int, first: int) -> list[Event]:
        return []

    async def notifications(self, task_id: int) -> list[Notification]:
        return [Notification(1, datetime(2026, 1, 1, tzinfo=UTC), "event", "[1.10]")]

    async def task_state(self, task_id: int) -> TaskState | None:
        return None

    async def task_data(self, task_id: int, limit: int) -> str | None:
        return None

    def notice(self, tail: Tail) -> None:
        self.tail = tail

    def hurry(self) -> None:
        self.tail.cut()
        self.tail.committed(self.tail.added)


class Host:
    """Everything that a worker offers to a guest, with a real connection for its SQL and a real client for its HTTP."""

    def __init__(self, url: str) -> None:
        self.engine = engine = new_engine()
        self.world = World(wc.Component(engine, world_bytes()), engine)
        self.offered = imports(self.world)
        self.program = Program(wc.Component(engine, puppet(self.world)), engine, self.world)
        self.ticker = EpochTicker(engine, 0.01)
        self.linker = Linker(engine, self.world, host_functions(self.world))
        self.runner = Runner(self.linker, self.ticker, GuestLimits(memory=64 << 20, cpu=5))
        self.guests = GuestPool(url, connections=2, timeout=2.0, idle=10.0)
        self.client: Client = client_of(CONFIG)

    def number_of(self, name: str) -> int:
        """Of the function with this name, as commands call it."""
        return next(number for number, one in enumerate(self.offered) if one.name == name)

    def run_of(self, data: str) -> Run:
        nobody = Nobody()
        created = datetime(2026, 1, 1, tzinfo=UTC)
        task = ClaimedTask(7, "hostile", data, created, 1, 1, 0, None, None)
        database = GuestDatabase(self.guests, uuid4())
        http = GuestHttp(self.client, lambda: True)
        return Run(task, CONFIG, Tail(7, 1, nobody), DatabaseClock(), nobody, database=database, http=http)

    async def end_of(self, program: Program, data: str, patience: float = 3) -> tuple[str, str]:
        """How a guest with this task data ends, and why. Raises for what must never happen."""
        try:
            async with asyncio.timeout(patience):
                outcome: Outcome = await self.runner.run(self.run_of(data), program)
        except (Fenced, JournalUnavailable) as error:
            return type(error).__name__, str(error)
        except TimeoutError:
            return "waited", ""  # it slept within a transaction, which it may
        reason = outcome.reason or ""
        assert outcome.log_index != CRASH_LOG_INDEX, reason
        assert len(reason.encode()) <= MAX_REASON, "the reason is too long"
        return str(outcome.state), reason

    async def close(self) -> None:
        await self.guests.close()
        self.client.close()
        self.ticker.stop()


async def all_cases(host: Host, seed: int, first: int, cases: int) -> dict[str, object]:
    outcomes, calls, reasons = Counter[str](), Counter[str](), Counter[str]()
    resident = 0
    problems = []
    for case in range(first, first + cases):
        print(case, flush=True)
        chance = random.Random(f"{seed} {case}")
        made = random_script(chance, host.offered, chance.randint(1, 9))
        try:
            state, reason = await host.end_of(host.program, script(made.commands, made.payload))
        except Exception as error:
            problems.append(f"case {case} of seed {seed}, {made.calls}: {error!r}"[:3000])
            continue
        outcomes[state] += 1
        reasons[(reason.splitlines() or [""])[0][:60]] += 1
        calls.update(made.calls)
        if case == first + cases // 5:
            resident = resident_bytes()
    growth = resident_bytes() - resident
    await host.close()
    return {
        "outcomes": outcomes, "calls": calls.total(), "functions": len(calls), "growth": growth, "problems": problems,
        "fibers": len(host.linker.fibers), "left": left_behind(), "reasons": reasons.most_common(40),
    }  # fmt: skip


def left_behind() -> int:
    """Host objects of guests that are gone."""
    gc.collect()
    return sum(isinstance(one, Fiber | Resources | Run) for one in gc.get_objects())


def resident_bytes() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    seed, first, cases, url = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    host = Host(url)
    summary = asyncio.run(all_cases(host, seed, first, cases))
    print(json.dumps(summary), flush=True)


if __name__ == "__main__":
    main()
