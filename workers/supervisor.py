"""Starts the workers of one host, starts again those that die, and ends them when it is told to end.

One thread, no database, no wasm engine: what is as simple as this does not fail, and a fork of it is clean.
Signals and links only put something into a queue; the loop below takes it out, then reaps, starts, asks and
kills what is due.

It also replaces workers that hang (workers/hang_watch.py), all of them after a change of the configuration
(workers/rollout.py), keeps the exporter and the keeper of an embedded database alive (workers/companion.py), and tells
systemd (workers/service_manager.py).

Exit status: 0 after a clean drain; 1 when a worker had to be killed or died while it drained; 78 when a
worker could not start for a reason that starting again does not change.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import selectors
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from durable import log_format, metrics
from durable.config import Config
from workers import worker_process
from workers.busy_page import BusyPage
from workers.child_signals import reopen_log, set_up_signals
from workers.companion import Companion
from workers.endings import Endings
from workers.exporter import OFF, Exporter, RunExporter
from workers.fatal_signals import show_stacks_of_the_dying
from workers.hang_watch import LONGEST_SLEEP, Wakefulness
from workers.inspection import dump
from workers.keeper import Keeper, RunKeeper
from workers.link import Draining, Link, LinkError, Message, Ready, Reclaimed
from workers.log_file import open_log
from workers.metrics_folder import metrics_folder
from workers.notify_socket import NotifySocket
from workers.orphans import Orphans
from workers.reload import Reload
from workers.restart_policy import Death, Halt, RestartLimits, after_death
from workers.service_manager import ServiceManager
from workers.service_report import fleet, makes_progress, status
from workers.signal_queue import SignalQueue
from workers.slots import Child, Slot, Slots, how_it_ended
from workers.spawn import spawn
from workers.terminal import Terminal

logger = logging.getLogger("durable.supervisor")

#: Two requests to end within this many seconds are one: timeout(1) signals its child, then the group the
#: child is in.
SAME_REQUEST = 0.1


#: SIGUSR2 means something to workers only; here it must not kill.
SIGNALS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


def supervise(
    config: Config,
    workers: int,
    *,
    reload: Callable[[], Config] | None = None,
    make_worker: worker_process.MakeWorker | None = None,
    run_exporter: RunExporter | None = None,
    run_keeper: RunKeeper | None = None,
    limits: RestartLimits | None = None,
) -> int:
    """Keep `workers` worker processes running until SIGTERM or SIGINT; returns the exit status of the
    service.

    On the first signal the workers drain; those that have not ended after `config.drain_timeout` seconds are
    killed. A second signal kills them at once. SIGTERM to a worker drains that one, and it is replaced.
    docs/operations.md has the other signals. `reload` reads the configuration again for SIGHUP; what it raises is
    logged, and the old one stays. `run_keeper` is for an embedded database. Only for the main thread.

    Raises ConfigError when the log file or the folder for metrics cannot be made.
    """
    if workers < 1:
        raise ValueError("a supervisor needs at least one worker")
    if config.log_file is not None:
        open_log(config.log_file)
        log_format.set_up(config.log_format, config.log_level)
    if make_worker is None:
        make_worker = _load_worker()
    show_stacks_of_the_dying()  # systemd's watchdog sends SIGABRT
    with metrics_folder() as folder:
        _share_memory_with_children()
        return _Supervisor(
            config, workers, make_worker, run_exporter or _run_exporter, run_keeper, reload or (lambda: config),
            limits or RestartLimits(), folder,
        ).run()  # fmt: skip


def _load_worker() -> worker_process.MakeWorker:
    """Import wasmtime, psycopg and all the rest once, before the first fork. Modules may be shared; objects
    made from them, like an engine or a connection, may not: those are the child's own.
    """
    from workers.worker import Worker

    return Worker


def _run_exporter(config: Config, link: Link, metrics_folder: Path) -> int:
    from workers.exporter_process import run

    return run(config, link, metrics_folder)


def _share_memory_with_children() -> None:
    # The collector writes into every object that it looks at, and so would copy all pages of the modules into
    # each child.
    gc.collect()
    gc.freeze()


class _Supervisor:
    def __init__(
        self, config: Config, workers: int, make_worker: worker_process.MakeWorker, run_exporter: RunExporter,
        run_keeper: RunKeeper | None, load_config: Callable[[], Config], limits: RestartLimits, folder: Path,
    ) -> None:  # fmt: skip
        self._make_worker = make_worker
        self._limits = limits
        self._metrics_folder = folder
        self._slots = Slots(workers, config)
        self._restarts = Counter[int]()
        self._orphans = Orphans()
        self._signals = SignalQueue(*SIGNALS)
        # Not epoll or kqueue: a child would inherit their descriptor, and what it does there is seen by the
        # parent.
        self._selector = selectors.PollSelector()
        self._exporter = Exporter(config, run_exporter, folder, limits, self._selector, self._forget_in_child)
        self._companions: list[Companion] = [self._exporter]
        if run_keeper is not None:
            self._companions.append(Keeper(config, run_keeper, limits, self._selector, self._forget_in_child))
        self._manager = ServiceManager(NotifySocket.from_environment(os.environ))
        self._awake = Wakefulness()
        self._endings = Endings(self._slots, config.drain_timeout)
        self._reload = Reload(config, load_config, self._slots, self._endings, self._companions, self._manager)
        self._trouble = ""  # what kept a worker from being ready, until all are
        self._terminal = Terminal()
        self._has_been_up = False
        self._is_stopping = False
        self._asked_to_end_at: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        with self._signals, self._selector:
            self._selector.register(self._signals, selectors.EVENT_READ)
            while self._children() or not self._is_stopping:
                if not self._is_stopping:
                    self._reload.step()
                self._start_due()
                self._tell_others()
                self._wait()
                # Before the dead are replaced: a signal to the whole group may have killed them.
                self._heed_signals()
                self._reap()
                self._reassign_orphans()
                self._endings.kill_overdue()
                self._endings.abort_hung(self._awake.since)
            for companion in self._companions:
                companion.end()
        self._report_end()
        return self._exit_code

    def _children(self) -> list[Child]:
        return self._slots.children

    def _all_children(self) -> list[Child]:
        companions = [companion.child for companion in self._companions if companion.child is not None]
        return [*self._children(), *companions]

    # Starting

    def _start_due(self) -> None:
        for slot in self._startable():
            if slot.start_at <= time.monotonic():
                self._start(slot)
        if not self._is_stopping:
            for companion in self._companions:
                companion.start_due()

    def _startable(self) -> list[Slot]:
        """Empty slots that are to be filled. Until one worker has been ready only the first slot is tried:
        what keeps it from starting keeps all of them, and is said once.
        """
        if self._is_stopping:
            return []
        tried = self._slots.staying if self._has_been_up else self._slots.staying[:1]
        return [slot for slot in tried if slot.child is None]

    def _start(self, slot: Slot) -> None:
        page: BusyPage | None = None
        try:
            page = BusyPage()
            pid, link = spawn(partial(self._run_worker, slot, page), self._forget_in_child)
        except OSError as error:  # out of processes, memory or descriptors: that may pass
            if page is not None:
                page.close()
            death = Death(time.monotonic(), None, 1)
            self._start_again(slot, death, f"worker {slot.number} cannot be forked: {error}")
            return
        slot.child = Child(slot.number, pid, link, page, last_progress=time.monotonic())
        self._selector.register(link, selectors.EVENT_READ, partial(self._listen, slot.child))
        _log(logging.INFO, slot.child, "started %s", slot.child)

    def _run_worker(self, slot: Slot, page: BusyPage, link: Link) -> int:
        config = slot.config
        log_format.set_up(config.log_format, config.log_level, worker=slot.number)
        if config.metrics_addr != OFF:
            metrics.share(self._metrics_folder, f"worker-{slot.number}")
        return worker_process.run(config, link, self._make_worker, page.cells)

    def _forget_in_child(self) -> None:
        self._signals.forget_in_child()
        set_up_signals(self._reload.config.log_file)
        for sibling in self._all_children():
            sibling.close()

    def _start_again(self, slot: Slot, death: Death, what: str) -> None:
        if slot is self._reload.spare:
            self._reload.spare_died(slot, what)
            return
        slot.state, decision = after_death(slot.state, death, self._limits, random.random())
        if isinstance(decision, Halt):
            logger.error("%s; starting it again would not help", what, extra={"worker": slot.number})
            self._exit_code = decision.exit_code
            self._stop()
            return
        slot.start_at = death.at + decision.delay
        self._restarts[slot.number] += 1
        self._trouble = what
        when = f" in {decision.delay:.1f} s" if decision.delay else ""
        logger.warning("%s; starting it again%s", what, when, extra={"worker": slot.number})

    # Waiting

    def _wait(self) -> None:
        wanted = self._seconds_to_wait()
        events = self._selector.select(wanted)
        if lost := self._awake.slept(wanted):
            logger.warning("was held up for %.1f s; the workers get that time back", lost)
            for child in self._children():
                child.forgive(lost)
        for key, _ in events:
            if key.data is not None:
                key.data()

    def _seconds_to_wait(self) -> float | None:
        now = time.monotonic()
        due = [slot.start_at for slot in self._startable()]
        for child in self._children():
            due += [at for at in (child.deadline, child.abort_deadline, now + LONGEST_SLEEP) if at is not None]
        # One that ends while the service stops is not started again, and so is never due.
        starts = [] if self._is_stopping else [companion.next_start() for companion in self._companions]
        for other in (self._orphans.next_deadline(), self._manager.next_deadline(), *starts):
            due += [] if other is None else [other]
        return max(0.0, min(due) - now) if due else None

    def _listen(self, child: Child) -> None:
        self._heed_messages(child)
        if child.link.ended:
            # A process that cannot be talked to is of no use. One that ended its link by exiting does not
            # notice the kill.
            self._selector.unregister(child.link)
            os.kill(child.pid, signal.SIGKILL)

    def _heed_messages(self, child: Child) -> None:
        try:
            for message in child.link.receive():
                child.heed(message, time.monotonic())
                self._heed(child, message)
        except LinkError as error:
            _log(logging.ERROR, child, "%s: %s", child, error)
            child.link.ended = True

    def _heed(self, child: Child, message: Message) -> None:
        match message:
            case Ready():
                self._has_been_up = True
                _log(logging.INFO, child, "%s is ready", child)
            case Draining():
                self._endings.is_draining(child)
            case Reclaimed(worker_ids):
                self._orphans.answered(child.pid, worker_ids)

    # The end of a worker

    def _reap(self) -> None:
        """Everybody who has ended: several deaths may come as one signal. Strangers too, who are ours if this
        is process 1.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._bury(pid, os.waitstatus_to_exitcode(status))

    def _bury(self, pid: int, status: int) -> None:
        for companion in self._companions:
            if companion.child is not None and companion.child.pid == pid:
                companion.bury(status, is_stopping=self._is_stopping)
        slot = self._slots.of(pid)
        if slot is not None and slot.child is not None:
            child, slot.child = slot.child, None
            self._settle(child, how_it_ended(child, status))
            self._fill_again(slot, child, status)

    def _settle(self, child: Child, how: str) -> None:
        self._heed_messages(child)  # its last words, unread as yet
        with suppress(KeyError):
            self._selector.unregister(child.link)
        # Not a moment earlier may others have its tasks: a process runs until it has been waited for.
        self._orphans.died(child.pid)
        if not child.has_stopped:
            self._orphans.add(child.worker_ids, child.culprits(how))
        child.close()

    def _fill_again(self, slot: Slot, child: Child, status: int) -> None:
        what = f"{child} {how_it_ended(child, status)}"
        if slot.is_leaving and not self._is_stopping:
            _log(logging.INFO, child, "%s; it is not started again", what)
            self._slots.remove(slot)
            return
        if not self._is_stopping:
            self._start_again(slot, Death(time.monotonic(), child.ready_at, status), what)
            return
        _log(logging.INFO, child, "%s", what)
        if self._exit_code == 0 and (child.was_killed or (child.is_ready and status != 0)):
            self._exit_code = 1

    def _reassign_orphans(self) -> None:
        self._orphans.pass_over(time.monotonic())
        while self._orphans.waiting and (child := self._most_alive()):
            child.link.send(self._orphans.ask(child.pid, time.monotonic()))

    def _most_alive(self) -> Child | None:
        """Whom to ask: the one heard of last, since a worker that is stopped or stuck is silent; in need one
        that drains.
        """
        able = [c for c in self._children() if c.can_reclaim and self._orphans.may_ask(c.pid)]
        return max(able, key=lambda child: (child.deadline is None, child.last_progress), default=None)

    # Signals

    def _heed_signals(self) -> None:
        for signum in self._signals.take():
            match signum:
                case signal.SIGTERM | signal.SIGINT:
                    self._heed_request_to_end(signal.Signals(signum).name)
                case signal.SIGHUP if self._terminal.is_gone:
                    self._heed_request_to_end("SIGHUP, the terminal is gone")
                case signal.SIGQUIT:
                    dump(self._slots, self._status())
                case signal.SIGUSR1:
                    self._reopen_log()
                case signal.SIGHUP | signal.SIGTTIN | signal.SIGTTOU if self._is_stopping:
                    logger.info("received %s; too late, the service stops", signal.Signals(signum).name)
                case signal.SIGHUP:
                    self._reload.begin(self._has_been_up)
                case signal.SIGTTIN:
                    self._add_worker()
                case signal.SIGTTOU:
                    self._remove_worker()

    def _heed_request_to_end(self, name: str) -> None:
        now = time.monotonic()
        if self._asked_to_end_at is None:
            logger.info("received %s; workers have %g s to drain", name, self._endings.drain_timeout)
            self._asked_to_end_at = now
            self._stop()
        elif now - self._asked_to_end_at >= SAME_REQUEST:
            logger.warning("received %s again", name)
            for child in self._children():
                self._endings.kill(child, "which has not drained")

    def _stop(self) -> None:
        self._is_stopping = True
        self._manager.stopping()
        for child in self._children():
            self._endings.drain(child)

    def _add_worker(self) -> None:
        logger.info("received SIGTTIN; adding worker %d", self._slots.add(self._reload.config).number)

    def _remove_worker(self) -> None:
        staying = self._permanent()
        if len(staying) <= 1:
            logger.warning("received SIGTTOU; one worker is the least")
            return
        # The last one of those that do nothing, if there are any.
        slot = min(reversed(staying), key=lambda slot: slot.is_up)
        logger.info("received SIGTTOU; worker %d leaves", slot.number)
        self._endings.retire(slot)

    def _permanent(self) -> list[Slot]:
        """Slots for which the service exists; not those that leave, nor that of a rollout under way."""
        return [slot for slot in self._slots.staying if slot is not self._reload.spare]

    def _reopen_log(self) -> None:
        log_file = self._reload.config.log_file
        reopen_log(log_file)
        for child in self._all_children():
            os.kill(child.pid, signal.SIGUSR1)
        logger.info("received SIGUSR1; %s", "the log was reopened" if log_file else "there is no log_file to reopen")

    # What others are told

    def _tell_others(self) -> None:
        now = time.monotonic()
        if all(slot.is_up for slot in self._permanent()):
            self._trouble = ""
            self._manager.ready()
        progress = makes_progress(self._children(), now, self._manager.watchdog)
        self._manager.update(self._status(), progress, self._endings.seconds_left())
        ready = self._manager.was_ready and not self._is_stopping
        self._exporter.tell(fleet(self._slots, self._restarts, ready))

    def _status(self) -> str:
        if self._is_stopping:
            return status(self._slots, len(self._permanent()), "stopping", "")
        phase = "replacing workers" if self._reload.is_under_way else ""
        return status(self._slots, len(self._permanent()), phase, self._trouble or self._reload.trouble)

    def _report_end(self) -> None:
        if worker_ids := self._orphans.waiting:
            logger.warning("tasks of workers %s have to wait for the heartbeat timeout", list(worker_ids))
        logger.info("stopped, exit status %d", self._exit_code)


def _log(level: int, child: Child, text: str, *values: object) -> None:
    logger.log(level, text, *values, extra={"worker": child.slot, "pid": child.pid})
