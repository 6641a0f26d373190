"""A log file in the place of stderr, for all that is written there, by whatever part of the process."""

from __future__ import annotations

import os
from pathlib import Path

from durable.errors import ConfigError

_STDERR = 2


def open_log(path: Path) -> None:
    """Let stderr be this file, opened anew and appended to; it is made when it is not there. Children inherit it.

    Raises ConfigError; stderr is as before then.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(f"log_file: cannot open {path}: {error.strerror}") from None
    os.dup2(file, _STDERR)
    os.close(file)
    # Lines in a file have no priority for journald in front.
    os.environ.pop("JOURNAL_STREAM", None)
