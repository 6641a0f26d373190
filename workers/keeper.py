"""The keeper of the embedded PostgreSQL from the supervisor's side."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from durable.config import Config
from workers.companion import Companion
from workers.link import Link
from workers.restart_policy import RestartLimits

#: What runs in the process: workers.keeper_process.run with a server, or what a test has in its place.
RunKeeper = Callable[[Link], int]


class Keeper(Companion):
    """Sees to it that the server is started again when it has died."""

    name = "keeper"
    lack = "a PostgreSQL that dies is not started again"
    #: If it is killed between the start of a server and that server's postmaster.pid, nobody knows of the server, and
    #: the last holder does not stop it.
    end_within = 10.0

    def __init__(
        self, config: Config, run: RunKeeper, limits: RestartLimits, selector: selectors.BaseSelector,
        forget: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(config, limits, selector, forget)
        self._run = run

    def run(self, config: Config, link: Link) -> int:
        return self._run(link)
