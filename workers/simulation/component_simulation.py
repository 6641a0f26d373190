"""Somebody's own component under simulation: it has to end, with faults, as it does without any."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from durable.config import Config
from durable.execution.run import Run
from durable.host.functions import host_functions
from durable.model import TaskState
from durable.net.message import Request, Response
from durable.plugins.loaded import LoadedPlugins
from durable.runner import Runner
from durable.wasm.engine import new_engine
from durable.wasm.fiber import GuestLimits
from durable.wasm.inspect import compile_component
from durable.wasm.linker import Linker
from durable.wasm.program import Program
from durable.wasm.world import host_world
from workers.simulation.database import SimulatedDatabase
from workers.simulation.ending import Ending, Expected
from workers.simulation.invariants import Violation
from workers.simulation.one_program import LongComputingTicker, OneProgram
from workers.simulation.process import Process
from workers.simulation.replay import Play
from workers.simulation.simulation import Simulation
from workers.simulation.snapshot import Snapshot
from workers.simulation.worker import Answer, SimulatedWorker
from workers.worker import Worker

#: The task of a run.
TASK = 1
_A_DAY = 86_400.0


@dataclass(frozen=True)
class Component:
    """What is simulated: a component, the data of its task, the notifications (event, data) that are sent to it in this
    order, the body of the answer to every HTTP request, and SQL that sets the database up before each run. All data is
    JSON text.
    """

    wasm: bytes = field(repr=False)
    name: str = "component"
    data: str = "null"
    notifications: tuple[tuple[str, str], ...] = ()
    http_body: bytes = b"{}"
    set_up: str = ""


class Loaded:
    """A component compiled once for all runs, and what runs it. Raises InvalidComponent."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.engine = new_engine()
        self.world = host_world(self.engine)
        self.plugins = LoadedPlugins((), self.world, self.engine)
        self.linker = Linker(self.engine, self.world, host_functions(self.world))
        self.ticker = LongComputingTicker(self.engine)
        self.program = Program(compile_component(self.engine, component.wasm), self.engine, self.world)

    def close(self) -> None:
        self.ticker.stop()


class ComponentSimulation(Simulation):
    """A run with one task of a component. Random numbers follow from `entropy` and from where they are drawn, so that
    runs with and without faults draw the same. `expected` is what the runs without faults had in common.
    """

    def __init__(
        self, database: SimulatedDatabase, chance: random.Random, loaded: Loaded, config: Config, *,
        workers: int = 3, entropy: int = 0, began: float = 0.0, expected: Expected | None = None,
    ) -> None:  # fmt: skip
        config = replace(config, database_url=database.url, guest_database_url=None, poll_interval=5.0)
        super().__init__(database, chance, config, workers=workers, began=began)
        self._loaded = loaded
        self._entropy = entropy
        self._expected = expected
        self._drawn: dict[tuple[int, int], int] = {}
        component = loaded.component
        database.set_up(component.set_up)
        stored = database.execute("store_program", {"wasm": component.wasm, "name": component.name})
        self._program = int(stored[0][0])

    def new_worker(self, process: Process) -> Worker:
        return _Worker(self._config, process, partial(self.answer, process), self._loaded, self.runner())

    def runner(self) -> Runner:
        limits = GuestLimits(memory=self._config.guest_memory_limit, cpu=self._config.guest_cpu_limit)
        return _Runner(self._loaded, limits, self._random_bytes)

    @property
    def is_over(self) -> bool:
        return not self.now.unfinished

    def launch(self) -> None:
        self.launch_task(self._program, self._loaded.component.data)

    def message(self, sender: str, task_id: int) -> tuple[str, str, Callable[[], None]] | None:
        """All notifications come from one client, in the order in which they were given."""
        sent = self.ledger.sent.get(("client", TASK), 0)
        if task_id != TASK or sent >= len(self._loaded.component.notifications):
            return None
        event, data = self._loaded.component.notifications[sent]
        return event, data, lambda: self.ledger.sent.__setitem__(("client", TASK), sent + 1)

    def release(self, task_id: int) -> None:
        self.notify(TASK, len(self._loaded.component.notifications))

    def answer(self, process: Process, request: Request) -> Response:
        self.count["requests"] += 1
        return Response(200, [("content-type", b"application/json")], self._loaded.component.http_body)

    def replay(self, task_id: int) -> tuple[Play, str]:
        runner = self.runner()
        return lambda run: runner.run(run, self._loaded.program), self._database.data_of(task_id)

    def longest_rest(self) -> float:
        takeover = self._config.heartbeat_timeout + 2 * self._config.heartbeat_interval
        return takeover + 60.0 + 2 * (_A_DAY if self._expected is None else self._expected.took)

    def problems(self, now: Snapshot) -> Iterator[str]:
        """A component may fail, when it does so without faults, too: that is compared at the end."""
        return iter(())

    def _is_over(self) -> bool:
        over = super()._is_over()
        task = self.now.tasks[TASK]
        if task.state is TaskState.SUSPENDED and task.wakeup_at is None and not self.now.pending[TASK]:
            raise Violation("the task waits for a notification that nobody sends: name those it needs, in their order")
        return over

    def ending(self) -> Ending:
        """How the task ended, after `heal`."""
        task = self.now.tasks[TASK]
        return Ending(
            task, self.now.journals[TASK], self.now.logs[TASK], self.now.reason(TASK), self._scheduler.seconds
        )

    def unexpected(self) -> Iterator[str]:
        """How it ended otherwise than without faults."""
        return iter(()) if self._expected is None else self._expected.problems(self.ending())

    def _random_bytes(self, run: Run, count: int) -> bytes:
        place = run.task.lease, run.cursor.index
        number = self._drawn[place] = self._drawn.get(place, 0) + 1
        seed = f"{self._entropy} {run.cursor.index} {number}"
        return hashlib.shake_128(seed.encode()).digest(count)


class _Runner(Runner):
    def __init__(self, loaded: Loaded, limits: GuestLimits, random_bytes: Callable[[Run, int], bytes]) -> None:
        super().__init__(loaded.linker, loaded.ticker, limits, loaded.ticker.cells)
        self._random_bytes = random_bytes

    async def play(self, run: Run, program: Program) -> object:
        run.entropy = lambda count: self._random_bytes(run, count)
        return await super().play(run, program)


class _Worker(SimulatedWorker):
    def __init__(self, config: Config, process: Process, answer: Answer, loaded: Loaded, runner: Runner) -> None:
        super().__init__(config, process, answer)
        self._runner = runner
        self._loaded = loaded

    def _prepare(self) -> LoadedPlugins:
        self._programs = OneProgram(self._loaded.program)
        self._plugins = self._loaded.plugins
        return self._loaded.plugins
