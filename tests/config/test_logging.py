"""Logging: one line per record."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys

import pytest

from durable.log_format import formatter_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def line(message: str, format: str = "json", level: int = logging.INFO, environ: dict[str, str] | None = None,
         error: BaseException | None = None, **extra: object) -> str:  # fmt: skip
    record = logging.LogRecord("durable.x", level, __file__, 1, message, None, None)
    record.__dict__.update(extra)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    return formatter_for(format, io.StringIO(), environ or {}, worker=3).format(record)


def raised() -> ValueError:
    try:
        raise ValueError("first line\nsecond line")
    except ValueError as error:
        return error


def test_json_has_what_applies_and_nothing_else() -> None:
    said = json.loads(line("claimed", task_id=7, program="hello", event_index=0))

    assert said.pop("ts").endswith("Z")
    assert said == {
        "level": "info",
        "logger": "durable.x",
        "msg": "claimed",
        "worker": 3,
        "pid": os.getpid(),
        "task_id": 7,
        "program": "hello",
        "event_index": 0,
    }


def test_people_read_words_and_programs_read_json_unless_they_ask_for_something_else() -> None:
    human = line("claimed", "human", task_id=7)
    assert "info    claimed worker=3" in human
    assert "task_id=7" in human
    assert type(formatter_for("auto", Terminal(), {})) is type(formatter_for("human", io.StringIO(), {}))
    assert type(formatter_for("auto", io.StringIO(), {})) is type(formatter_for("json", Terminal(), {}))


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_record_is_one_line_whatever_it_says(format: str) -> None:
    said = line("two\nlines\r", format, error=raised())

    assert len(said.splitlines()) == 1
    assert "ValueError: first line" in said
    assert "test_logging.py" in said


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_password_in_a_message_or_an_exception_is_hidden(format: str) -> None:
    secret = "s3cr3t"
    said = line(
        f"connect postgresql://me:{secret}@host/db",
        format,
        error=RuntimeError(f"password={secret}"),
        program=f"x password={secret}",
    )

    assert secret not in said
    if format == "json":
        json.loads(said)


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_journald_gets_the_priority_in_front(level: int, priority: int) -> None:
    assert line("m", level=level, environ={"JOURNAL_STREAM": "8:1"}).startswith(f"<{priority}>{{")


def test_a_process_logs_to_stderr_from_its_level_on() -> None:
    code = (
        "import logging; from durable.log_format import set_up; set_up('json', 'warning', worker=2)\n"
        "logging.getLogger('a').info('quiet'); logging.getLogger('a').warning('loud %s', 'x')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    (only,) = done.stderr.splitlines()
    assert json.loads(only)["msg"] == "loud x"
    assert json.loads(only)["worker"] == 2
