"""A service under an even load for hours, sampled all the time: `python -m tests.chaos.soak --hours 4`.

Tasks of two kinds arrive: some that sleep and print, some that use every interface. Ended ones are deleted soon, so
that everything should level off. Every few minutes all its connections are broken, since what leaks, leaks there
first. Prints a line a minute. Exit status 1 when something grows that should not, or a task does not complete.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
import psycopg

import durable
from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.chaos.samples import Bounds, Sample, figures, sample, verdict
from tests.chaos.witness import Receiver, Witnesses, witnesses
from tests.engine.database import Database, wait_until, workflow
from tests.engine.service import Service, running_service
from tests.proof import seed

WORKERS = 2
#: Of one worker: its own, and those for the SQL of workflows.
CONNECTIONS = 5 + 8
#: Of all tasks, those that use every interface.
WITNESSED = 0.2
SAMPLES = 240

_SETTINGS = {
    "cleanup_age": "20", "suspend_timeout": "0.5", "egress_allow": "127.0.0.1", "log_level": "warning",
}  # fmt: skip


class Load:
    """Launches so many tasks a second, and tells those that wait for it that they may go on."""

    def __init__(self, scene: Witnesses, rate: float) -> None:
        self._scene = scene
        self._rate = rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self.launched = 0

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        started, crowd = time.monotonic(), self._scene.crowd
        with durable.Client(self._scene.database.url) as client:
            while not self._stop.wait(0.2):
                due = round((time.monotonic() - started) * self._rate) - self.launched
                witnessed = round(due * WITNESSED)
                crowd.launch(witnessed)
                sleepers = [("sleeper", {"count": 3, "seconds": 0.1})] * (due - witnessed)
                client.launch_many(workflow("sleep-n-go"), sleepers)
                self.launched += due
                crowd.tell(1)


def soak(hours: float, rate: float, folder: Path) -> tuple[list[Sample], list[str]]:
    """All samples, and what was not bounded."""
    server = EmbeddedServer(folder / "postgres")
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        migrate(connection)
    database, of_load = Database(server.url), Database(server.url)
    try:
        with (
            witnesses(of_load, random.Random(seed()), Receiver()) as scene,
            running_service(database, folder / "cache", folder / "log", workers=WORKERS, **_SETTINGS) as service,
        ):
            with Load(scene, rate) as load:
                samples = _watch(hours * 3600, service, database, scene)
            wait_until(lambda: _ended(scene), "the end of all tasks", 120)
            print(f"{load.launched} tasks launched, {rate:g} a second; {len(scene.receiver.seen())} requests")
        return samples, verdict(samples, Bounds(WORKERS * CONNECTIONS, backlog=round(rate * 30)))
    finally:
        database.close()
        of_load.close()
        server.stop()


def _watch(seconds: float, service: Service, database: Database, scene: Witnesses) -> list[Sample]:
    started, samples = time.monotonic(), list[Sample]()
    pause, told, broken = seconds / SAMPLES, 0.0, 0.0
    while (now := time.monotonic() - started) < seconds:
        samples.append(sample(now, service, database))
        if now - told >= 60 or not told:
            told = now or 1e-9
            print(figures(samples[-1]), flush=True)
        if now - broken >= min(300, seconds / 10):
            broken = now
            _break_connections(database)
        database.query("DELETE FROM witness.step WHERE at < now() - interval '20 s'")
        time.sleep(pause)
    print(figures(samples[-1]))
    return samples


def _break_connections(database: Database) -> None:
    database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'durable %%'")


def _ended(scene: Witnesses) -> bool:
    scene.crowd.tell(0)
    return scene.crowd.has_told_all() and not scene.unfinished()


@click.command()
@click.option("--hours", default=4.0, help="How long; 0.1 is six minutes.")
@click.option("--rate", default=50.0, help="Tasks a second.")
def main(hours: float, rate: float) -> None:
    """Run it and judge."""
    with tempfile.TemporaryDirectory(prefix="durable-soak-") as folder:
        _, wrong = soak(hours, rate, Path(folder))
    for sentence in wrong:
        print(f"NOT BOUNDED: {sentence}")
    print("not bounded" if wrong else "everything was bounded, and every task completed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
