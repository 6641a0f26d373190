"""Follow a task from the command line until it ends; how it ended becomes the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from durable.cli.invocation import Invocation
from durable.errors import TaskFailed
from durable.model import FAILURE_LOG_INDEX, LogLine, Task, TaskState


def tail_log(invocation: Invocation, task_id: int) -> None:
    """Print the log as it is, and why the task failed on stderr. Raises TaskFailed."""
    say_when_nobody_works(invocation)
    text = LogText(reason_on_stderr=True)
    with says_that_it_goes_on(task_id):
        for line in invocation.client.follow_logs(task_id):
            text.write(line)
    require_complete(invocation.client.task(task_id))


def wait_for_end(invocation: Invocation, task_id: int, timeout: float | None = None) -> Task:
    """The task when it has ended, however. Raises WaitTimeout."""
    task = invocation.client.task(task_id)
    if not task.state.is_ended:
        say_when_nobody_works(invocation)
        with says_that_it_goes_on(task_id):
            task = invocation.client.wait(task_id, timeout)
    return task


@contextmanager
def says_that_it_goes_on(task_id: int) -> Iterator[None]:
    """Ctrl-C ends the command alone, and whoever presses it may have meant the task."""
    try:
        yield
    except KeyboardInterrupt:
        start = "\n" if sys.stderr.isatty() else ""  # the terminal has written ^C
        hint = f"`durable logs -f {task_id}` follows it, `durable cancel {task_id}` ends it"
        click.echo(f"{start}task {task_id} goes on: {hint}", err=True)
        raise


def require_complete(task: Task) -> None:
    """Raise TaskFailed, without the reason, for a task that ended in another way."""
    if task.state is not TaskState.COMPLETE:
        raise TaskFailed(f"task {task.id} {task.state}")


def say_when_nobody_works(invocation: Invocation) -> None:
    """A wait without a worker looks exactly like one for a slow task, so say it."""
    workers = invocation.client.workers(heartbeat_timeout=invocation.config.heartbeat_timeout)
    if not any(worker.is_alive for worker in workers):
        click.echo("no worker is running: start one with `durable supervise`; waiting for it", err=True)


class LogText:
    """Log text on its way out: as it is, except that the reason of a failure has its lines for itself."""

    def __init__(self, *, reason_on_stderr: bool) -> None:
        self._reason_on_stderr = reason_on_stderr
        self._at_line_start = True

    def write(self, line: LogLine) -> None:
        """Write one row of the log to stdout, or to stderr when it is a reason that belongs there."""
        is_reason, text = line.index >= FAILURE_LOG_INDEX, line.message
        if is_reason:
            text = ("" if self._at_line_start else "\n") + text.rstrip("\n") + "\n"
        if text:
            click.echo(text.encode(), nl=False, err=is_reason and self._reason_on_stderr)
            self._at_line_start = text.endswith("\n")
