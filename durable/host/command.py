"""`wasi:cli/environment` and `exit`. A workflow's input is its task data: it has no arguments and no environment."""

from __future__ import annotations

from typing import Any

from durable.execution.outcome import Exit
from durable.execution.run import Run
from durable.wasm.values import Err, Ok


def exit_with_result(run: Run, status: Ok | Err) -> None:
    succeeded = isinstance(status, Ok)
    raise Exit(succeeded, 0 if succeeded else 1)


def exit_with_code(run: Run, code: int) -> None:
    raise Exit(code == 0, code)


def _nothing(run: Run) -> list[Any]:
    return []


FUNCTIONS = {
    "wasi:cli/environment": {
        "get-environment": _nothing,
        "get-arguments": _nothing,
        "initial-cwd": lambda run: None,
    },
    "wasi:cli/exit": {"exit": exit_with_result, "exit-with-code": exit_with_code},
    "wasi:filesystem/preopens": {"get-directories": _nothing},
}
