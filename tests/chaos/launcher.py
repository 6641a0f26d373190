"""A client that launches tasks while the database is being struck: its calls fail, and nobody knows what they did."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import durable
from tests.chaos.witness import Crowd
from tests.engine.database import workflow

#: Seconds between two launches, at most; and while it hurries.
PAUSE, SHORT_PAUSE = 2.0, 0.005
#: Seconds that it gets to be at it. Not more: it may still have no connection since the last fault.
LEAD = 1.0


class Launcher:
    """Launches one task after the other on a thread of its own, and never tries one again."""

    def __init__(self, crowd: Crowd, client: durable.Client, chance: random.Random) -> None:
        self._crowd = crowd
        self._client = client
        self._chance = chance
        self._hurries, self._has_launched, self._is_over = threading.Event(), threading.Event(), threading.Event()
        self._thread = ThreadPoolExecutor(1, "launcher")
        self._work = self._thread.submit(self._run)

    @contextmanager
    def hurrying(self) -> Iterator[None]:
        """It is at it: what happens now may well hit a launch that is under way."""
        self._has_launched.clear()
        self._hurries.set()
        try:
            self._has_launched.wait(LEAD)
            yield
        finally:
            self._hurries.clear()

    def stop(self) -> None:
        """Returns when the last call has ended. Raises what ended the thread."""
        self._is_over.set()
        self._hurries.set()
        self._thread.shutdown()
        self._work.result()

    def _run(self) -> None:
        program = self._client.program(workflow("witnessed"))
        for number in itertools.count(1):
            self._crowd.launch_one(f"launched apart {number}", program, self._client)
            self._has_launched.set()
            if self._hurries.wait(self._chance.uniform(0, PAUSE)):
                self._is_over.wait(self._chance.uniform(0, SHORT_PAUSE))
            if self._is_over.is_set():
                return


@contextmanager
def launching(crowd: Crowd, database_url: str, chance: random.Random) -> Iterator[Launcher]:
    with durable.Client(database_url) as client:
        launcher = Launcher(crowd, client, chance)
        try:
            yield launcher
        finally:
            launcher.stop()
