"""Durable execution: workflows run to completion whatever dies underneath them.

An application uses `Client` or `AsyncClient`, `Json` for data that is JSON text already, the errors, and `Worker` when
it runs tasks itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from durable.errors import (
    ConfigError,
    DatabaseUnavailable,
    DurableError,
    InvalidComponent,
    InvalidTask,
    MissingPlugin,
    NotResumable,
    SchemaMismatch,
    TaskEnded,
    TaskFailed,
    TryAgain,
    UnknownProgram,
    UnknownTask,
    WaitTimeout,
)
from durable.model import Event, LogLine, Program, Task, TaskState
from durable.version import __version__

if TYPE_CHECKING:
    from durable.client import AsyncClient, Client, Json
    from workers.worker import Worker

__all__ = [
    "AsyncClient",
    "Client",
    "ConfigError",
    "DatabaseUnavailable",
    "DurableError",
    "Event",
    "InvalidComponent",
    "InvalidTask",
    "Json",
    "LogLine",
    "MissingPlugin",
    "NotResumable",
    "Program",
    "SchemaMismatch",
    "Task",
    "TaskEnded",
    "TaskFailed",
    "TaskState",
    "TryAgain",
    "UnknownProgram",
    "UnknownTask",
    "WaitTimeout",
    "Worker",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """The client brings psycopg with it, the worker wasmtime: who only wants a pure module must not pay for that.

    And `workers` stands on `durable`: nothing in here may need it to be imported.
    """
    if name in ("AsyncClient", "Client", "Json"):
        from durable import client

        return getattr(client, name)
    if name == "Worker":
        from workers.worker import Worker

        return Worker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
