"""Recorded journals as files: what an engine of some version wrote, and what it read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from durable.model import Event

FOLDER = Path(__file__).parent
PROGRAMS = FOLDER / "programs"


@dataclass(frozen=True)
class Golden:
    """A task that ended. `data`, and the value of an event, are text as PostgreSQL prints jsonb.

    `events` are (index, label, value), `logs` (index, message); the program is kept in `programs` by its hash, since
    a newer compiler makes another component of the same source.
    """

    workflow: str
    program: str  # sha256, hexadecimal
    task_id: int
    task_name: str
    data: str
    created_at: str  # RFC 3339
    state: str
    events: list[tuple[int, str, str]]
    logs: list[tuple[int, str]]

    @property
    def wasm(self) -> bytes:
        content = (PROGRAMS / f"{self.program}.wasm").read_bytes()
        assert hashlib.sha256(content).hexdigest() == self.program, f"{self.workflow}: the program is another one"
        return content

    @property
    def journal(self) -> list[Event]:
        return [Event(index, label, value) for index, label, value in self.events]

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / f"{self.workflow}.json").write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Golden:
    content = json.loads(path.read_text(encoding="utf-8"))
    content["events"] = [tuple(event) for event in content["events"]]
    content["logs"] = [tuple(log) for log in content["logs"]]
    return Golden(**content)


def paths() -> list[Path]:
    """Of all versions."""
    return sorted(FOLDER.glob("*/*.json"))
