"""Run as a program: a real supervisor whose workers are fakes that files in a folder tell what to do.

Arguments: FOLDER WORKERS CONFIG LIMITS, the latter two as JSON. The workers write what they do into `events`
in the folder. A fake worker's row in `durable.worker` is its pid. SIGHUP reads CONFIG again from the file `config`, if
there is one.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import mmap
import os
import selectors
import sys
import time
from collections.abc import Callable, MutableSequence, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from durable.config import Config
from durable.errors import ConfigError, DatabaseUnavailable
from durable.model import Culprit
from durable.wasm.busy import Busy
from workers import link, spawn, worker_process
from workers.link import Drain, Fleet, Link
from workers.restart_policy import RestartLimits
from workers.stack_dump import TaskInMemory
from workers.supervisor import supervise


class FakeWorker:
    """Does nothing, and fails where a file of that name says so."""

    task_count = 0
    has_handed_over = True

    def __init__(
        self, folder: Path, config: Config, *, on_registered: Callable[[int], None], busy_cells: MutableSequence[int]
    ) -> None:
        self._folder = folder
        self._max_tasks = config.max_tasks
        self._on_registered = on_registered
        self._busy_cells = busy_cells
        self._closed = asyncio.Event()

    async def start(self) -> None:
        self._note("start", [self._max_tasks])
        self._fail_as_told("boot")
        self._fail_as_told(f"boot-{self._max_tasks}")
        await self._hang_as_told(f"boot-hangs-{self._max_tasks}")
        await self._hang_as_told("boot-hangs")
        self._on_registered(os.getpid())
        self._fail_as_told("boot-registered")
        self._compute_as_told()
        if self._is_told("garbage"):
            link.encode = lambda message: b"garbage\n"

    def tasks_in_memory(self) -> list[TaskInMemory]:
        running = asyncio.create_task(self._hang_as_told("stalls"))
        return [TaskInMemory(7, "abc", 3, "replaying event 3 of 9", running)]

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
        stall = asyncio.create_task(self._stall_as_told())
        await self._closed.wait()
        stall.cancel()

    async def _stall_as_told(self) -> None:
        while not self._is_told(f"stalls-{os.getpid()}"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        self.stand_still()

    def stand_still(self) -> None:
        while self._is_told(f"stalls-{os.getpid()}"):
            time.sleep(0.01)

    def _note(self, event: str, worker_ids: Sequence[int] = ()) -> None:
        note(self._folder, event, worker_ids)

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


class _PageAsTold(mmap.mmap):
    """Memory that a file `no-page` says there is none of."""

    def __new__(cls, *args: Any) -> _PageAsTold:
        if (Path(sys.argv[1]) / "no-page").exists():
            raise OSError(errno.ENOMEM, "no more memory")
        return super().__new__(cls, *args)


def note(folder: Path, event: str, worker_ids: Sequence[int] = ()) -> None:
    line = json.dumps({"pid": os.getpid(), "name": event, "worker_ids": worker_ids})
    with open(folder / "events", "a") as file:
        file.write(line + "\n")


def run_fake_exporter(folder: Path, config: Config, link: Link, metrics_folder: Path) -> int:
    """Notes what it is told; its environment is that of all children."""
    note(folder, "exporter", [int("NOTIFY_SOCKET" in os.environ), int(metrics_folder.is_dir())])
    if (folder / "exporter-fails").exists():
        return int((folder / "exporter-fails").read_text())
    with selectors.PollSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        while not link.ended:
            selector.select()
            for message in link.receive():
                match message:
                    case Drain():
                        return 0
                    case Fleet(up, restarts, slots, ready):
                        (folder / "fleet").write_text(json.dumps([up, restarts, slots, ready]))
    return 0


def read_config(folder: Path, first: str) -> Config:
    try:
        text = (folder / "config").read_text()
    except FileNotFoundError:
        text = first
    if text == "wrong":
        raise ConfigError("max_tasks is\nwrong")
    return config_of(text)


def config_of(text: str) -> Config:
    values = json.loads(text)
    if "log_file" in values:
        values["log_file"] = Path(values["log_file"])
    return Config(**values)


def main() -> int:
    folder = Path(sys.argv[1])
    if (folder / "no-parent-death-signal").exists():
        spawn._die_with = lambda parent: None
    os.fork = partial(_fork_as_told, folder, os.fork)
    mmap.mmap = _PageAsTold  # type: ignore[misc,assignment]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    make_worker: worker_process.MakeWorker = partial(FakeWorker, folder)
    return supervise(
        config_of(sys.argv[3]),
        int(sys.argv[2]),
        reload=partial(read_config, folder, sys.argv[3]),
        make_worker=make_worker,
        run_exporter=partial(run_fake_exporter, folder),
        limits=RestartLimits(**json.loads(sys.argv[4])),
    )


if __name__ == "__main__":
    sys.exit(main())
