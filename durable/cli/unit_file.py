"""The unit file of a service, made from the templates in `units/`. Pure, but for reading them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

UNITS = Path(__file__).parent / "units"

_NAME = re.compile(r"[A-Za-z0-9:_.-]+@?")  # of what systemd.unit(5) allows, without escapes
_PLACE = re.compile(r"@(\w+)@")


@dataclass(frozen=True, slots=True)
class Unit:
    """A service to be. `name` is without `.service`; one that ends with @ is for instances, `durable@staging`.

    `command` is what runs durable, `config` the configuration file if it is not the one that belongs to the
    name. Raises ValueError for a name that systemd would not take.
    """

    name: str
    command: Sequence[str]
    for_user: bool = False
    config: Path | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.endswith(".service"):
            raise ValueError("write a name like durable, or durable@ for a unit with instances")

    @property
    def file_name(self) -> str:
        return f"{self.name}.service"

    @property
    def has_instances(self) -> bool:
        return self.name.endswith("@")

    @property
    def folder(self) -> str:
        """Where its files are, below /etc/durable for a system service. `%E` is systemd's name for ~/.config."""
        return "%E/durable" if self.for_user else "/etc/durable"

    @property
    def credential(self) -> str:
        """The file with the URL of the database; for a unit with instances it has `%i` in it."""
        return f"{self.folder}/{self._own('database_url')}"

    def text(self) -> str:
        """The whole unit file."""
        template = UNITS / ("user.service.in" if self.for_user else "system.service.in")
        places = self._places()
        # Names that are no places are systemd's: SystemCallFilter=@system-service.
        return _PLACE.sub(lambda match: places.get(match[1], match[0]), template.read_text(encoding="utf-8"))

    def _places(self) -> dict[str, str]:
        label = self._label()
        config = str(self.config) if self.config else f"{self.folder}/{label}.toml"
        arguments = [] if self._reads_the_default_file() else ["--config", config]
        arguments += ["--workers", str(self.workers)] if self.workers else []
        return {
            "name": self.name,
            "suffix": "" if label == "durable" else f" ({label})",
            "executable": " ".join(quoted(word) for word in self.command),
            # %i and %E are meant; whatever a user names is taken literally.
            "arguments": "".join(f" {word if self.config is None else quoted(word)}" for word in arguments),
            "config": config,
            "environment": f"{self.folder}/{label}.env",
            "credential": self.credential,
            "guest_credential": f"{self.folder}/{self._own('guest_database_url')}",
            # Two services must not share folders: a dynamic user owns all that is in them.
            "folder": "durable" if label == "durable" else f"durable-{label}",
        }

    def _label(self) -> str:
        return "%i" if self.has_instances else self.name

    def _own(self, file: str) -> str:
        return file if self.name == "durable" else f"{self._label()}.{file}"

    def _reads_the_default_file(self) -> bool:
        """The plain service takes what the command takes: /etc/durable/durable.toml, if there is one."""
        return self.config is None and self.name == "durable"


def quoted(word: str) -> str:
    """The word as one literal argument of ExecStart, by systemd.service(5)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[\s\"'\\;]", escaped) else escaped
