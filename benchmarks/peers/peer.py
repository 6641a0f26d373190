"""Another engine: a program in an environment of its own, and worker processes that tell what they begin."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

from benchmarks.environments import environment
from benchmarks.stage import Stage
from tests.engine.database import Database, wait_until

_PROGRAMS = Path(__file__).parent / "programs"
_FILL_TIMEOUT = 300.0
_PROBE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """`program` names its environment, its requirements and its module `with_…`; `work` starts a worker."""

    name: str
    program: str
    work: Sequence[str]
    drains: Mapping[str, int]
    count_left: LiteralString

    def prepare(self, stage: Stage, database: Database) -> None:
        self._run(database, "schema")

    def fill(self, database: Database, workflow: str, count: int) -> float:
        return float(self._run(database, "fill", workflow, str(count)).rpartition("filled ")[2])

    def left(self, database: Database) -> int:
        return int(database.value(self.count_left))

    @contextmanager
    def working(self, stage: Stage, database: Database, count: int, processes: int = 2) -> Iterator[PeerWorkers]:
        output = stage.folder / f"{self.name}.out"
        output.write_bytes(b"")
        workers: list[subprocess.Popen[bytes]] = []
        try:
            with output.open("ab") as written:
                for _ in range(processes):
                    workers.append(self._start(database, self._command(*self.work), written.fileno(), count, processes))
            yield PeerWorkers(self, database, workers, output)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    def probe(self, database: Database, samples: int, pause: float) -> None:
        self._run(database, "probe", str(samples), pause=pause)

    def _start(
        self, database: Database, command: Sequence[str], output: int, count: int, processes: int
    ) -> subprocess.Popen[bytes]:
        variables = self._environment(database) | {"PEER_SHARE": str(-(-count // processes))}
        return subprocess.Popen(command, env=variables, cwd=_PROGRAMS, stdout=output, stderr=output)

    def _run(self, database: Database, *arguments: str, pause: float = 0.0) -> str:
        variables = self._environment(database) | {"PEER_PAUSE": str(pause), "PEER_SHARE": "1"}
        ended = subprocess.run(
            self._command("python", f"with_{self.program}.py", *arguments), env=variables, cwd=_PROGRAMS,
            capture_output=True, text=True, timeout=_FILL_TIMEOUT,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def _command(self, command: str, *arguments: str) -> list[str]:
        return [str(environment(self.program) / command), *arguments]

    def _environment(self, database: Database) -> dict[str, str]:
        return {**os.environ, "PEER_URL": database.url, "PYTHONPATH": str(_PROGRAMS)}


class PeerWorkers:
    """Its processes, and what they have written: `latency SECONDS`, and `began PID TIME`."""

    def __init__(
        self, peer: Peer, database: Database, workers: Sequence[subprocess.Popen[bytes]], output: Path
    ) -> None:
        self._peer = peer
        self._database = database
        self._workers = workers
        self._output = output

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    def delays(self, samples: int, pause: float) -> list[float]:
        seen = len(self._told("latency"))
        self._peer.probe(self._database, samples, pause)
        wait_until(lambda: len(self._told("latency")) == seen + samples, f"{samples} starts", timeout=_PROBE_TIMEOUT)
        return [float(seconds) for (seconds,) in self._told("latency")[seen:]]

    def recover(self, timeout: float) -> float | None:
        self._peer.fill(self._database, "long", 1)
        [(pid, _)] = wait_until(lambda: self._told("began"), "the start of a long workflow")
        killed = float(self._database.value("SELECT extract(epoch FROM clock_timestamp())"))
        os.kill(int(pid), signal.SIGKILL)
        try:
            [_, (_, began)] = wait_until(lambda: self._told("began")[1:] and self._told("began"), "", timeout)
        except AssertionError:
            return None
        return float(began) - killed

    def _told(self, what: str) -> list[list[str]]:
        lines = self._output.read_text(errors="replace").splitlines()
        return [words[1:] for line in lines if (words := line.split())[:1] == [what]]
