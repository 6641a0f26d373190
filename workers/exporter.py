"""The exporter process from the supervisor's side, and the folder that it reads."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from durable.config import Config
from workers.companion import Companion
from workers.link import Fleet, Link
from workers.restart_policy import RestartLimits

#: `metrics_addr` of a service without exporter.
OFF = "off"


class RunExporter(Protocol):
    """What runs in the process: workers.exporter_process.run, or what a test has in its place."""

    def __call__(self, config: Config, link: Link, metrics_folder: Path) -> int: ...


class Exporter(Companion):
    """Serves metrics, unless the configuration says that it is off."""

    name = "exporter"
    lack = "there are no metrics"

    def __init__(
        self, config: Config, run: RunExporter, folder: Path, limits: RestartLimits, selector: selectors.BaseSelector,
        forget: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(config, limits, selector, forget)
        self._run = run
        self._folder = folder
        self._told: tuple[int, Fleet] | None = None  # to which process

    def run(self, config: Config, link: Link) -> int:
        return self._run(config, link, self._folder)

    @property
    def is_wanted(self) -> bool:
        return self.config.metrics_addr != OFF

    def tell(self, fleet: Fleet) -> None:
        """Send this if it is news, or later if the process does not read."""
        if self.child is None or self.child.link.is_clogged:
            return
        news = (self.child.pid, fleet)
        if news != self._told:
            self._told = news
            self.child.link.send(fleet)
