"""Store, find, list and remove programs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from durable.errors import DurableError, InvalidComponent, InvalidTask, MissingPlugin, UnknownProgram
from durable.model import Program
from durable.operations.data import program_name, storable
from durable.operations.steps import Call, Operation, Statement
from durable.store import queries

if TYPE_CHECKING:
    from durable.plugins import Plugin

#: What a program may import from besides the host, or a function that finds it when it is needed.
#: None: the plugins that are installed here.
Plugins: TypeAlias = "Sequence[Plugin] | Callable[[], Sequence[Plugin]] | None"

#: A stored program, a file, the bytes of a component, or a text: the path of a file, a name, a hash or its
#: beginning.
ProgramSource: TypeAlias = Program | Path | bytes | str

MAX_COMPONENT_BYTES = 256 * 1024**2

_SQL = queries.load("program")
_HASH_BEGINNING = re.compile(r"[0-9a-f]{6,64}")


def program(source: ProgramSource, name: str | None = None, plugins: Plugins = None) -> Operation[Program]:
    """The stored program that the source means; a file or bytes are checked and stored when they are new.

    A new program gets the name, or the file's name without its ending; a stored one is renamed when a name is
    given. It may import what the host and these plugins provide; None means the installed ones. Raises
    InvalidComponent, UnknownProgram; InvalidTask for a name that cannot be stored; ConfigError when an installed
    plugin cannot be loaded.
    """
    if name is not None:
        program_name(name)
    if isinstance(source, Program):
        return source
    if isinstance(source, bytes):
        return (yield from store(source, name, plugins=plugins))
    path = Path(source)
    if isinstance(source, Path) or (yield Call(lambda: _is_file(source))):
        wasm: bytes = yield Call(lambda: read_component(path))
        return (yield from store(wasm, name, path.stem, plugins))
    found = yield from find(source)
    return found if name is None else (yield from _touch(found, name)) or found


def store(
    wasm: bytes, name: str | None = None, default_name: str | None = None, plugins: Plugins = None
) -> Operation[Program]:
    """Store a component unless its content is there already. Raises InvalidComponent."""
    if len(wasm) > MAX_COMPONENT_BYTES:
        raise InvalidComponent(f"the component is larger than {MAX_COMPONENT_BYTES // 1024**2} MiB")
    hash = hashlib.sha256(wasm).hexdigest()
    rows = yield Statement(_SQL["find"], {"hash": hash})
    if rows:
        known = yield from _used(rows[0], name, default_name)
        if known is not None:
            return known
    yield Call(lambda: require_runnable(wasm, plugins))
    parameters = {
        "hash": hash,
        "wasm": wasm,
        "name": name if name is not None else _storable_or_none(default_name),
    }
    return _program((yield Statement(_SQL["store"], parameters))[0])


def find(text: str) -> Operation[Program]:
    """The program of this name, this hash, or a hash that begins so. Raises UnknownProgram."""
    rows: Sequence[Sequence[Any]] = []
    if _storable_or_none(text):
        rows = yield Statement(_SQL["named"], {"name": text})
    if not rows and _HASH_BEGINNING.fullmatch(text.lower()):
        rows = yield Statement(_SQL["hashed"], {"prefix": text.lower()})
    if len(rows) > 1:
        raise UnknownProgram(f"more than one stored program has a hash that begins with {text}: write more of it")
    found = (yield from _used(rows[0])) if rows else None
    if found is None:
        raise UnknownProgram(
            f"there is no file and no stored program {text!r}\n`durable program list` shows what is stored"
        )
    return found


def programs() -> Operation[list[Program]]:
    """All stored programs, the newest first."""
    rows = yield Statement(_SQL["list"])
    return [_program(row) for row in rows]


def remove_program(source: Program | str) -> Operation[Program]:
    """Delete a program and return what it was. Raises UnknownProgram, DurableError when a task uses it."""
    gone = source if isinstance(source, Program) else (yield from find(source))
    parameters = {"program_id": gone.id}
    if not (yield Statement(_SQL["remove"], parameters)):
        users = (yield Statement(_SQL["count_tasks"], parameters))[0][0]
        if not users:
            raise UnknownProgram(f"the program {gone.hash[:12]} is not stored any more")
        raise DurableError(f"the program {gone.hash[:12]} is used by {users} task(s) and cannot be removed")
    return gone


def read_component(path: Path) -> bytes:
    """The content of a file. Raises InvalidComponent when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidComponent(f"cannot read {path}: {error.strerror}") from None


def require_runnable(wasm: bytes, plugins: Plugins = None) -> None:
    """Raise InvalidComponent unless a host with these plugins can run the component, by default the installed ones.

    Takes the time of a compilation.
    """
    # Here and not above: launching a program that is stored must not cost the import of wasmtime.
    from durable.plugins.installed import installed
    from durable.plugins.types import inspect_program

    found = installed() if plugins is None else plugins() if callable(plugins) else plugins
    try:
        inspect_program(wasm, found).require_runnable()
    except MissingPlugin as error:
        raise MissingPlugin(
            f"{error}\ninstall the plugin that does; `durable doctor` lists those of this host"
        ) from None


def _used(row: Sequence[Any], name: str | None = None, default_name: str | None = None) -> Operation[Program | None]:
    """The program of the row, its use noted when the last note is old; None when it is gone by now."""
    found, stale = _program(row), bool(row[5])
    wanted = name if name is not None else found.name or _storable_or_none(default_name)
    if not stale and wanted == found.name:
        return found
    return (yield from _touch(found, wanted))


def _touch(found: Program, name: str | None) -> Operation[Program | None]:
    rows = yield Statement(_SQL["touch"], {"program_id": found.id, "name": name})
    return _program(rows[0]) if rows else None


def _program(row: Sequence[Any]) -> Program:
    return Program(*row[:5])


def _storable_or_none(text: str | None) -> str | None:
    try:
        return storable(text, "the name") if text else None
    except InvalidTask:
        return None


def _is_file(text: str) -> bool:
    """A pipe is one too; a folder is not, so that it does not hide a stored program of the same name."""
    try:
        return Path(text).exists() and not Path(text).is_dir()
    except (OSError, ValueError):
        return False
