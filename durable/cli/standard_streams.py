"""Standard streams that whoever started the command has closed (`>&-`)."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Let them lead nowhere. Python has None in their place, and the next file or connection would get their number:
    what some library writes to stderr would go to the database.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - to stay
