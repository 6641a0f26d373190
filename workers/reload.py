"""What SIGHUP does: reads the configuration again and rolls it out, or keeps the old one and says why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from durable import log_format
from durable.config import Config
from durable.errors import DurableError
from workers.companion import Companion
from workers.endings import Endings
from workers.rollout import Rollout
from workers.service_manager import ServiceManager
from workers.slots import Slot, Slots

logger = logging.getLogger("durable.supervisor")


class Reload:
    """Knows the configuration that counts, which is the latest one that a worker became ready with."""

    def __init__(
        self, config: Config, read: Callable[[], Config], slots: Slots, endings: Endings,
        companions: Sequence[Companion], manager: ServiceManager,
    ) -> None:  # fmt: skip
        self.config = config
        self._read = read
        self._slots = slots
        self._endings = endings
        self._companions = companions
        self._manager = manager
        self._rollout: Rollout | None = None
        self.trouble = ""  # of the last reload, for the status

    @property
    def is_under_way(self) -> bool:
        return self._rollout is not None

    @property
    def spare(self) -> Slot | None:
        """The slot that is there only for the time of a rollout."""
        return self._rollout.spare if self._rollout is not None else None

    def begin(self, has_been_up: bool) -> None:
        """Where a rollout is under way, start over with what is read now."""
        self._manager.reloading()
        try:
            config = self._with_fixed_keys(self._read())
        except Exception as error:  # whatever it is, the service goes on
            reason = str(error) if isinstance(error, DurableError) else f"{type(error).__name__}: {error}"
            logger.error("received SIGHUP; the old configuration stays: %s", " ".join(reason.split()))
            self.trouble = "the configuration could not be reloaded"
            if not self.is_under_way:
                self._manager.reloaded()
            return
        logger.info("received SIGHUP; replacing the workers one by one")
        self.trouble = ""
        if not has_been_up:
            self._replace_all_at_once(config)
            return
        if self.spare is not None:
            self._endings.retire(self.spare)
        self._rollout = Rollout(config)

    def _with_fixed_keys(self, config: Config) -> Config:
        """A configuration that is this one and no other, even when nothing has changed."""
        if config.log_file != self.config.log_file:
            logger.warning("another log_file needs a restart of the service")
        return replace(config, log_file=self.config.log_file)

    def _replace_all_at_once(self, config: Config) -> None:
        """No worker has ever been ready: there is nothing to be kept."""
        self._adopt(config)
        for slot in self._slots.staying:
            self._endings.retire(slot)
            self._slots.add(config)

    def step(self) -> None:
        """Do what can be done now. Call it whenever something has changed."""
        while self._rollout is not None and (leaving := self._rollout.step(self._slots)):
            self._adopt(self._rollout.config)
            self._endings.retire(leaving)
        if self._rollout is not None and self._rollout.is_done:
            logger.info("all workers have the new configuration")
            self._rollout = None
            self._manager.reloaded()

    def spare_died(self, spare: Slot, what: str) -> None:
        """A replacement that does not become ready ends the rollout."""
        logger.error("%s; the new configuration is not rolled out, the workers that are left keep theirs", what)
        self._rollout = None
        self._slots.remove(spare)
        self.trouble = f"the new configuration is not rolled out: {what}"
        self._manager.reloaded()

    def _adopt(self, config: Config) -> None:
        if config is self.config:
            return
        self.config = config
        log_format.set_up(config.log_format, config.log_level)
        self._endings.drain_timeout = config.drain_timeout
        for companion in self._companions:
            companion.reconfigure(config)
