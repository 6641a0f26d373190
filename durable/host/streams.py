"""`wasi:io/streams` and the standard streams: output goes to the task's log, input is closed."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from durable.execution.run import Run
from durable.host.pollables import ALWAYS_READY, Pollable
from durable.journal import labels
from durable.wasm.traps import GuestLimit
from durable.wasm.values import Case, Err, Ok

#: What `check-write` permits at once.
_WRITE_PERMIT = 1 << 20
_CLOSED = Err(Case("closed"))
_OK = Ok()


@dataclass(frozen=True, slots=True)
class InputStream:
    """The only input there is: closed."""


@dataclass(frozen=True, slots=True)
class OutputStream:
    """`stdout` or `stderr`."""

    name: str


def check_write(run: Run, stream: OutputStream) -> Ok:
    return Ok(_WRITE_PERMIT)


def write(run: Run, stream: OutputStream, contents: bytes) -> Ok | Coroutine[Any, Any, Ok]:
    text = run.decode_output(stream.name, contents)
    return run.record(labels.WRITE, lambda: _OK, lambda _: "null", lambda _: _OK, text)


def write_zeroes(run: Run, stream: OutputStream, count: int) -> Ok | Coroutine[Any, Any, Ok]:
    if count > _WRITE_PERMIT:
        raise GuestLimit(f"{count} zeroes were written at once; check-write permits {_WRITE_PERMIT}")
    return write(run, stream, bytes(count))


def flush(run: Run, stream: OutputStream) -> Ok:
    return _OK


def splice(run: Run, stream: OutputStream, source: InputStream, count: int) -> Err:
    return _CLOSED


def read(run: Run, stream: InputStream, count: int) -> Err:
    return _CLOSED


def subscribe(run: Run, stream: object) -> Pollable:
    return ALWAYS_READY


def error_to_debug_string(run: Run, error: object) -> str:
    return str(error)


def _no_terminal(run: Run) -> None:
    return None


FUNCTIONS = {
    "wasi:io/error": {"[method]error.to-debug-string": error_to_debug_string},
    "wasi:io/streams": {
        "[method]input-stream.read": read,
        "[method]input-stream.blocking-read": read,
        "[method]input-stream.skip": read,
        "[method]input-stream.blocking-skip": read,
        "[method]input-stream.subscribe": subscribe,
        "[method]output-stream.check-write": check_write,
        "[method]output-stream.write": write,
        "[method]output-stream.blocking-write-and-flush": write,
        "[method]output-stream.flush": flush,
        "[method]output-stream.blocking-flush": flush,
        "[method]output-stream.subscribe": subscribe,
        "[method]output-stream.write-zeroes": write_zeroes,
        "[method]output-stream.blocking-write-zeroes-and-flush": write_zeroes,
        "[method]output-stream.splice": splice,
        "[method]output-stream.blocking-splice": splice,
    },
    "wasi:cli/stdin": {"get-stdin": lambda run: InputStream()},
    "wasi:cli/stdout": {"get-stdout": lambda run: OutputStream("stdout")},
    "wasi:cli/stderr": {"get-stderr": lambda run: OutputStream("stderr")},
    "wasi:cli/terminal-stdin": {"get-terminal-stdin": _no_terminal},
    "wasi:cli/terminal-stdout": {"get-terminal-stdout": _no_terminal},
    "wasi:cli/terminal-stderr": {"get-terminal-stderr": _no_terminal},
}
