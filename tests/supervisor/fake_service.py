"""Run as a program: a real supervisor whose workers are fakes that files in a folder tell what to do.

Arguments: FOLDER WORKERS CONFIG LIMITS, the latter two as JSON. The workers write what they do into `events`
in the folder. A fake worker's row in `durable.worker` is its pid.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, MutableSequence, Sequence
from functools import partial
from pathlib import Path

from durable.config import Config
from durable.errors import ConfigError, DatabaseUnavailable
from durable.model import Culprit
from durable.wasm.busy import Busy
from workers import link, spawn, worker_process
from workers.restart_policy import RestartLimits
from workers.supervisor import supervise


class FakeWorker:
    """Does nothing, and fails where a file of that name says so."""

    task_count = 0

    def __init__(
        self, folder: Path, config: Config, *, on_registered: Callable[[int], None], busy_cells: MutableSequence[int]
    ) -> None:
        self._folder = folder
        self._on_registered = on_registered
        self._busy_cells = busy_cells
        self._closed = asyncio.Event()

    async def start(self) -> None:
        self._note("start")
        self._fail_as_told("boot")
        await self._hang_as_told("boot-hangs")
        self._on_registered(os.getpid())
        self._fail_as_told("boot-registered")
        self._compute_as_told()
        if self._is_told("garbage"):
            link.encode = lambda message: b"garbage\n"

    async def drain(self) -> None:
        self._note("drain")
        await self._hang_as_told("drain-hangs")
        self._fail_as_told("drain-fails")
        self._closed.set()

    async def reclaim(self, worker_ids: Sequence[int], culprits: Sequence[Culprit] = ()) -> None:
        self._note("asked", list(worker_ids))
        self._fail_as_told("reclaim-fails")
        await self._hang_as_told("reclaim-hangs")
        self._note("reclaimed", list(worker_ids))
        for culprit in culprits:
            self._note(f"blamed: {culprit.cause}", [culprit.task_id, culprit.lease])

    async def wait_closed(self) -> None:
        self._note("ready")
        await self._closed.wait()

    def _note(self, event: str, worker_ids: Sequence[int] = ()) -> None:
        line = json.dumps({"pid": os.getpid(), "name": event, "worker_ids": worker_ids})
        with open(self._folder / "events", "a") as file:
            file.write(line + "\n")

    def _compute_as_told(self) -> None:
        if self._is_told("computing"):
            task_id, lease = (self._folder / "computing").read_text().split()
            Busy(self._busy_cells, int(task_id), int(lease)).begin()

    def _is_told(self, name: str) -> bool:
        return (self._folder / name).exists()

    async def _hang_as_told(self, name: str) -> None:
        while self._is_told(name):  # noqa: ASYNC110 - told by a file, which nobody announces
            await asyncio.sleep(0.01)

    def _fail_as_told(self, name: str) -> None:
        try:
            told = (self._folder / name).read_text()
        except FileNotFoundError:
            return
        match told:
            case "unavailable":
                raise DatabaseUnavailable("the database does not answer")
            case "misconfigured":
                raise ConfigError("heartbeat_interval is longer\nthan heartbeat_timeout")
            case "bug":
                raise ZeroDivisionError("a bug")
            case status:
                os._exit(int(status))


def _fork_as_told(folder: Path, fork: Callable[[], int]) -> int:
    if (folder / "no-fork").exists():
        raise BlockingIOError(errno.EAGAIN, "no more processes")
    return fork()


def main() -> int:
    folder = Path(sys.argv[1])
    if (folder / "no-parent-death-signal").exists():
        spawn._die_with = lambda parent: None
    os.fork = partial(_fork_as_told, folder, os.fork)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    make_worker: worker_process.MakeWorker = partial(FakeWorker, folder)
    config = Config(**json.loads(sys.argv[3]))
    limits = RestartLimits(**json.loads(sys.argv[4]))
    return supervise(config, int(sys.argv[2]), make_worker=make_worker, limits=limits)


if __name__ == "__main__":
    sys.exit(main())
