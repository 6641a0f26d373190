"""How a function of a plugin ends other than by returning, on purpose. Every other exception is a bug of the plugin."""

from __future__ import annotations

import math
from typing import Any


class ResultError(Exception):
    """The error case of the function's WIT `result`: an answer for the workflow like any other, and recorded so."""

    def __init__(self, value: Any = None) -> None:
        super().__init__(value)
        self.value = value


class TaskFailure(Exception):
    """The task cannot go on: it fails, for good, and the message is the reason in its log."""


class Unavailable(Exception):
    """The world is at fault, and it may pass: the task is suspended and makes the call again `retry_after` seconds on.

    It does so for ever: give up by a ResultError where the workflow can do something about it.
    Raises ValueError or TypeError when `retry_after` is no number of seconds.
    """

    def __init__(self, message: str, *, retry_after: float = 10.0) -> None:
        super().__init__(message)
        self.retry_after = float(retry_after)
        if math.isnan(self.retry_after):
            raise ValueError("retry_after is the number of seconds until the next attempt, and not NaN")


class PluginFailed(Exception):
    """A bug of a plugin, told as one: its task fails, its worker and everybody else goes on."""
