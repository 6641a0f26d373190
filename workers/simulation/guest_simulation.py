"""The engine under simulation, with guests that try everything a workflow can do."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import wasmtime

from durable.config import Config
from durable.execution.run import Run
from durable.model import Culprit
from durable.net.message import Request, Response
from durable.plugins.loaded import LoadedPlugins
from durable.wasm.program import Program
from durable.wasm.world import World
from workers.simulation.database import SimulatedDatabase
from workers.simulation.guest import LONGEST_WAIT, GuestPrograms, GuestRunner, GuestWorld
from workers.simulation.guest_invariants import guest_problems
from workers.simulation.process import Process
from workers.simulation.replay import Play
from workers.simulation.simulation import Simulation
from workers.simulation.snapshot import Snapshot
from workers.simulation.worker import SimulatedWorker
from workers.worker import Worker

#: Steps of the longest guest.
LONGEST_GUEST = 8
_CHATTY = 0.01  # how often a client sends a notification between two steps of the processes


class GuestSimulation(Simulation):
    """A run with guests of `workers.simulation.guest`. `deadly` is how likely one kills its process when it goes on."""

    def __init__(self, database: SimulatedDatabase, chance: random.Random, *, workers: int = 3) -> None:
        config = Config(database_url=database.url, poll_interval=5.0, suspend_timeout=6.0)
        super().__init__(database, chance, config, workers=workers)
        self._program = int(database.execute("new_program")[0][0])
        self.deadly = 0.0

    # -- what the workers run ------------------------------------------------------------------------------------------
    def new_worker(self, process: Process) -> Worker:
        return _Worker(self._config, process, partial(self.answer, process), self)

    def launch(self) -> None:
        data = {"steps": self.chance.randint(3, LONGEST_GUEST), "salt": self.chance.randrange(2**32)}
        self.launch_task(self._program, json.dumps(data))

    def message(self, sender: str, task_id: int) -> tuple[str, str, Callable[[], None]]:
        number = self.ledger.sent.get((sender, task_id), 0) + 1
        note = partial(self.ledger.sent.__setitem__, (sender, task_id), number)
        return "hello", json.dumps({"from": sender, "number": number}), note

    def answer(self, process: Process, request: Request) -> Response:
        task, index, digest, lease = (int(part) for part in (request.body or b"").decode().split("/"))
        self.ledger.requests[task, index].append(digest)
        self.count["requests"] += 1
        # A worker whose clock stood still believes in its leases for as long as it did, and nobody can help that.
        may_be_wrong = process.has_frozen or task in self.ledger.operated
        if not may_be_wrong and self._database.execute("lease_of", {"task": task}) != [(lease,)]:
            self._scheduler.wrong.append(f"task {task} sent its request at event {index} without a lease")
        return Response(200, [], b"")

    def problems(self, now: Snapshot) -> Iterator[str]:
        return guest_problems(now, self.ledger)

    def longest_rest(self) -> float:
        takeover = self._config.heartbeat_timeout + 2 * self._config.heartbeat_interval
        return takeover + (LONGEST_GUEST + 1) * (LONGEST_WAIT + 2 * self._config.poll_interval)

    def release(self, task_id: int) -> None:
        self.notify(task_id, LONGEST_GUEST)

    def heal(self) -> None:
        self.deadly = 0.0
        super().heal()

    def replay(self, task_id: int) -> tuple[Play, str]:
        runner = GuestRunner(_Spectator())
        return lambda run: runner.run(run, cast(Program, None)), self._database.data_of(task_id)

    def work(self, steps: int) -> None:
        """Clients do not wait until the workers have a rest."""
        for _ in range(steps):
            if self.tasks and self.chance.random() < _CHATTY:
                self.notify(self.chance.choice(self.tasks))
            if not self._step() and not self._scheduler.wait_for_timer():
                break
        self.tell(f"work: {steps} steps")

    # -- what guests meet ----------------------------------------------------------------------------------------------
    def random_bytes(self, count: int) -> bytes:
        return self.chance.randbytes(count)

    async def may_die(self, run: Run) -> None:
        if self.deadly and self.chance.random() < self.deadly:
            self._dying = Culprit(run.task.id, run.task.lease, "was killed by the simulation")
            await asyncio.get_running_loop().create_future()

    def waited(self, run: Run, index: int, deadline: int) -> None:
        early = deadline - self._database.now * 1000
        if early > 0:
            self._scheduler.wrong.append(f"the wait of task {run.task.id} at event {index} ended {early} ns early")


class _Spectator:
    """The world of a guest that is replayed."""

    def random_bytes(self, count: int) -> bytes:
        raise AssertionError("a replay draws nothing")

    async def may_die(self, run: Run) -> None:
        """It cannot."""

    def waited(self, run: Run, index: int, deadline: int) -> None:
        """Long ago."""


class _Worker(SimulatedWorker):
    def __init__(
        self, config: Config, process: Process, answer: Callable[[Request], Response], world: GuestWorld
    ) -> None:
        super().__init__(config, process, answer)
        self._runner = GuestRunner(world)
        self._programs = GuestPrograms()

    def _prepare(self) -> LoadedPlugins:
        self._plugins = LoadedPlugins((), cast(World, None), cast(wasmtime.Engine, None))
        return self._plugins
