"""Starts the workers of one host, starts again those that die, and ends them when it is told to end.

One thread, no database, no wasm engine: what is as simple as this does not fail, and a fork of it is clean.
Signals and links only put something into a queue; the loop below takes it out, then reaps, starts, asks and
kills what is due.

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
from contextlib import suppress
from functools import partial

from durable import log_format
from durable.config import Config
from workers import worker_process
from workers.busy_page import BusyPage
from workers.link import Drain, Draining, Link, LinkError, Message, Ready, Reclaimed
from workers.orphans import Orphans
from workers.restart_policy import Death, Halt, RestartLimits, after_death
from workers.signal_queue import SignalQueue
from workers.slots import Child, Slot, how_it_ended
from workers.spawn import spawn

logger = logging.getLogger("durable.supervisor")

#: Two requests to end within this many seconds are one: timeout(1) signals its child, then the group the
#: child is in.
SAME_REQUEST = 0.1


def supervise(
    config: Config,
    workers: int,
    *,
    make_worker: worker_process.MakeWorker | None = None,
    limits: RestartLimits | None = None,
) -> int:
    """Keep `workers` worker processes running until SIGTERM or SIGINT; returns the exit status of the
    service.

    On the first signal the workers drain; those that have not ended after `config.drain_timeout` seconds are
    killed. A second signal kills them at once. SIGTERM to a worker drains that one, and it is replaced. Only
    for the main thread.
    """
    if workers < 1:
        raise ValueError("a supervisor needs at least one worker")
    if make_worker is None:
        make_worker = _load_worker()
    _share_memory_with_children()
    return _Supervisor(config, workers, make_worker, limits or RestartLimits()).run()


def _load_worker() -> worker_process.MakeWorker:
    """Import wasmtime, psycopg and all the rest once, before the first fork. Modules may be shared; objects
    made from them, like an engine or a connection, may not: those are the child's own.
    """
    from workers.worker import Worker

    return Worker


def _share_memory_with_children() -> None:
    # The collector writes into every object that it looks at, and so would copy all pages of the modules into
    # each child.
    gc.collect()
    gc.freeze()


class _Supervisor:
    def __init__(
        self, config: Config, workers: int, make_worker: worker_process.MakeWorker, limits: RestartLimits
    ) -> None:
        self._config = config
        self._make_worker = make_worker
        self._limits = limits
        self._slots = [Slot(number) for number in range(1, workers + 1)]
        self._orphans = Orphans()
        self._signals = SignalQueue(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        # Not epoll or kqueue: a child would inherit their descriptor, and what it does there is seen by the
        # parent.
        self._selector = selectors.PollSelector()
        self._has_been_up = False
        self._is_stopping = False
        self._asked_to_end_at: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        with self._signals, self._selector:
            self._selector.register(self._signals, selectors.EVENT_READ)
            while self._children() or not self._is_stopping:
                self._start_due()
                self._wait()
                # Before the dead are replaced: a signal to the whole group may have killed them.
                self._heed_signals()
                self._reap()
                self._reassign_orphans()
                self._kill_overdue()
        self._report_end()
        return self._exit_code

    def _children(self) -> list[Child]:
        return [slot.child for slot in self._slots if slot.child is not None]

    # Starting

    def _start_due(self) -> None:
        for slot in self._startable():
            if slot.start_at <= time.monotonic():
                self._start(slot)

    def _startable(self) -> list[Slot]:
        """Empty slots that are to be filled. Until one worker has been ready only the first slot is tried:
        what keeps it from starting keeps all of them, and is said once.
        """
        if self._is_stopping:
            return []
        tried = self._slots if self._has_been_up else self._slots[:1]
        return [slot for slot in tried if slot.child is None]

    def _start(self, slot: Slot) -> None:
        page = BusyPage()
        try:
            pid, link = spawn(partial(self._run_worker, slot.number, page), self._forget_in_child)
        except OSError as error:  # out of processes, memory or descriptors: that may pass
            page.close()
            death = Death(time.monotonic(), None, 1)
            self._start_again(slot, death, f"worker {slot.number} cannot be forked: {error}")
            return
        slot.child = Child(slot.number, pid, link, page, last_progress=time.monotonic())
        self._selector.register(link, selectors.EVENT_READ, slot.child)
        _log(logging.INFO, slot.child, "started %s", slot.child)

    def _run_worker(self, number: int, page: BusyPage, link: Link) -> int:
        log_format.set_up(self._config.log_format, self._config.log_level, worker=number)
        return worker_process.run(self._config, link, self._make_worker, page.cells)

    def _forget_in_child(self) -> None:
        self._signals.forget_in_child()
        for sibling in self._children():
            sibling.close()

    def _start_again(self, slot: Slot, death: Death, what: str) -> None:
        slot.state, decision = after_death(slot.state, death, self._limits, random.random())
        if isinstance(decision, Halt):
            logger.error("%s; starting it again would not help", what, extra={"worker": slot.number})
            self._exit_code = decision.exit_code
            self._stop()
            return
        slot.start_at = death.at + decision.delay
        when = f" in {decision.delay:.1f} s" if decision.delay else ""
        logger.warning("%s; starting it again%s", what, when, extra={"worker": slot.number})

    # Waiting

    def _wait(self) -> None:
        for key, _ in self._selector.select(self._seconds_to_wait()):
            if key.data is not None:
                self._listen(key.data)

    def _seconds_to_wait(self) -> float | None:
        due = [slot.start_at for slot in self._startable()]
        due += [child.deadline for child in self._children() if child.deadline is not None]
        if (unanswered := self._orphans.next_deadline()) is not None:
            due.append(unanswered)
        return max(0.0, min(due) - time.monotonic()) if due else None

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
                self._give_deadline(child)
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
        for slot in self._slots:
            if slot.child is not None and slot.child.pid == pid:
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
            self._orphans.add(child.worker_ids, child.page.culprits(how))
        child.close()

    def _fill_again(self, slot: Slot, child: Child, status: int) -> None:
        what = f"{child} {how_it_ended(child, status)}"
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

    # The end of the service

    def _heed_signals(self) -> None:
        for signum in self._signals.take():
            if signum in (signal.SIGTERM, signal.SIGINT):
                self._heed_request_to_end(signal.Signals(signum).name)

    def _heed_request_to_end(self, name: str) -> None:
        now = time.monotonic()
        if self._asked_to_end_at is None:
            logger.info("received %s; workers have %g s to drain", name, self._config.drain_timeout)
            self._asked_to_end_at = now
            self._stop()
        elif now - self._asked_to_end_at >= SAME_REQUEST:
            logger.warning("received %s again", name)
            for child in self._children():
                self._kill(child)

    def _stop(self) -> None:
        self._is_stopping = True
        for child in self._children():
            child.link.send(Drain())
            self._give_deadline(child)

    def _give_deadline(self, child: Child) -> None:
        if child.deadline is None and not child.was_killed:
            child.deadline = time.monotonic() + self._config.drain_timeout

    def _kill_overdue(self) -> None:
        for child in self._children():
            if child.deadline is not None and child.deadline <= time.monotonic():
                self._kill(child)

    def _kill(self, child: Child) -> None:
        _log(logging.WARNING, child, "killing %s, which has not drained", child)
        child.was_killed = True
        child.deadline = None
        os.kill(child.pid, signal.SIGKILL)

    def _report_end(self) -> None:
        if worker_ids := self._orphans.waiting:
            logger.warning("tasks of workers %s have to wait for the heartbeat timeout", list(worker_ids))
        logger.info("stopped, exit status %d", self._exit_code)


def _log(level: int, child: Child, text: str, *values: object) -> None:
    logger.log(level, text, *values, extra={"worker": child.slot, "pid": child.pid})
