"""What can go wrong, in words for the person who has to act; each error knows its exit code (docs/operations.md)."""

from __future__ import annotations


class DurableError(Exception):
    """Base of all errors that durable raises on purpose. The message is one or two lines: what is wrong, what to do."""

    exit_code = 1


class InvalidTask(DurableError):
    """A launch or notification that cannot be accepted: an empty name, data that is not JSON."""


class InvalidComponent(DurableError):
    """Bytes that are not a component, or a component that this host cannot run."""


class MissingPlugin(InvalidComponent):
    """A component that this host lacks a plugin for, or the version of it that the component was built with."""


class UnknownTask(DurableError):
    """No task has this id."""

    def __init__(self, task_id: int) -> None:
        super().__init__(f"no task with id {task_id}")
        self.task_id = task_id


class UnknownProgram(DurableError):
    """No stored program has this name or hash."""


class TaskEnded(DurableError):
    """The task is in a final state: it takes no more notifications, and cannot be paused or cancelled."""


class NotResumable(DurableError):
    """The task is neither quarantined nor paused, so there is nothing to resume."""


class TaskFailed(DurableError):
    """A task that was waited for ended in a state other than complete."""


class WaitTimeout(DurableError):
    """A wait ran into its timeout; the task goes on."""

    exit_code = 124


class UsageError(DurableError):
    """The command line is wrong."""

    exit_code = 2


class DatabaseUnavailable(DurableError):
    """The database cannot be reached, refuses the login, or went away."""

    exit_code = 69


class TryAgain(DurableError):
    """A passing condition; the same call may work in a moment."""

    exit_code = 75


class ConfigError(DurableError):
    """A configuration value is unknown or invalid, or two values do not fit together."""

    exit_code = 78


class SchemaMismatch(DurableError):
    """The database schema is older or newer than this version of durable can work with."""

    exit_code = 78
