"""A password in `--database-url` must not stay in the process list, where every user of the host can read it."""

from __future__ import annotations

import os
import sys

from durable.config import KEYS
from durable.database_url import has_password

_KEY = KEYS["database_url"]


def hide_password() -> None:
    """Start this program again, in the same process, with the URL in the environment instead."""
    arguments, url = without_url(sys.orig_argv)
    if url is not None and has_password(url):
        os.environ[_KEY.env] = url
        os.execv(sys.executable, [sys.executable, *arguments[1:]])


def without_url(arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments without any --database-url, and the last one that was given."""
    kept: list[str] = []
    url: str | None = None
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name != _KEY.flag:
            kept.append(argument)
        else:
            url = value if equals else next(rest, url)
    return kept, url
