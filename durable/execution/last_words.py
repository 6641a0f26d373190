"""What a guest said before it stopped: a panic is a text on stderr and then a trap, which says nothing."""

from __future__ import annotations

import re

_KEPT = 4096  # characters
_TRAP = "wasm `unreachable` instruction executed"
#: Rust's and Go's. The last one counts: a panic that was caught before is another matter.
_PANIC = re.compile(r"[^\n]*\b(?:panicked at|panic:) ")
_NOTE = "note: "  # how to get a backtrace, from Rust: not in a workflow


class LastWords:
    """The end of what a guest wrote to stderr."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text = ""

    def add(self, text: str) -> None:
        self._text = (self._text + text)[-_KEPT:]

    def explain(self, trap: str) -> str:
        """The trap, after the panic that led to it in one line if there was one."""
        panics = list(_PANIC.finditer(self._text)) if _TRAP in trap.partition("\n")[0] else []
        if not panics:
            return trap
        said = self._text[panics[-1].start() :].splitlines()
        return " ".join(line.strip() for line in said if line.strip() and not line.startswith(_NOTE)) + f"\n{trap}"
