"""Logging: one line per record on stderr, for people on a terminal, JSON elsewhere (docs/operations.md,
"Logging").

What a record is about is given as `extra=`: `log.info("claimed", extra={"task_id": 7, "program": "hello"})`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from durable.database_url import redacted

#: The attributes of a record that are written when they are there, in this order.
FIELDS = ("worker", "pid", "task_id", "program", "event_index", "label")

# sd-daemon(3): the priority that journald takes from the beginning of a line.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def set_up(
    format: str = "auto", level: str = "info", worker: int | str | None = None, stream: TextIO | None = None
) -> None:
    """Make the root logger write to stderr (or `stream`), replacing what an earlier call set up.

    `format` is auto, human or json; `worker`, when given, appears in every record of this process.
    """
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter_for(format, out, os.environ, worker))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It warns of each connection that it discards, whatever the level of the root; whoever used one says so already.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


def formatter_for(
    format: str, stream: TextIO, environ: Mapping[str, str], worker: int | str | None = None
) -> logging.Formatter:
    """The formatter for this stream: `auto` is human on a terminal and json elsewhere."""
    human = format == "human" or (format == "auto" and stream.isatty())
    prefix = bool(environ.get("JOURNAL_STREAM"))
    return HumanFormatter(worker, prefix) if human else JsonFormatter(worker, prefix)


class _LineFormatter(logging.Formatter):
    def __init__(self, worker: int | str | None, prefix: bool) -> None:
        super().__init__()
        self._worker = worker
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        line = self.line(record)
        return f"<{_priority(record.levelno)}>{line}" if self._prefix else line

    def line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        known = {"worker": self._worker, "pid": record.process, **record.__dict__}
        return {name: known[name] for name in FIELDS if known.get(name) is not None}


class JsonFormatter(_LineFormatter):
    """One JSON object per record: ts, level, logger, msg, the fields that apply, exception."""

    def line(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "ts": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **self.fields(record),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        safe = {name: redacted(value) if isinstance(value, str) else value for name, value in said.items()}
        return json.dumps(safe, ensure_ascii=False, default=lambda value: redacted(str(value)))


class HumanFormatter(_LineFormatter):
    """`09:35:12.345 warning message worker=1 pid=7 task_id=12`; of an exception its last line and its place."""

    def line(self, record: logging.LogRecord) -> str:
        said = [_timestamp(record)[11:23], f"{record.levelname.lower():7}", record.getMessage()]
        said += [f"{name}={value}" for name, value in self.fields(record).items()]
        if record.exc_info and record.exc_info[1] is not None:
            said.append(_exception_in_short(record.exc_info[1]))
        return redacted(" ".join(said)).replace("\n", "\\n").replace("\r", "\\r")


def _exception_in_short(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(error)).strip()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return f"{text}{where}"


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)
