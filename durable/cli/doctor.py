"""`durable doctor`: what stands between this host and running tasks, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from psycopg import sql

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_rows
from durable.database_url import redacted
from durable.drivers.connecting import Conn, connect
from durable.drivers.faults import translated
from durable.errors import ConfigError, DurableError
from durable.plugins.installed import installed
from durable.store import migrations, queries

OLDEST_SERVER = 140000
MAX_CLOCK_SKEW = 1.0  # seconds
#: Notifications of one task: nothing limits them, and one that has so many hardly reads them.
MANY_NOTIFICATIONS = 10_000

_SQL = queries.load("doctor")
_WORKERS = queries.load("worker_list")

# What the role lacks of what a worker needs: kind, name, right. By oid, because without USAGE on a schema the names in
# it cannot be looked up, and what was granted on its tables would seem to be missing, too.
_MISSING = f"""
SELECT 'SCHEMA', 'durable', 'USAGE' WHERE NOT has_schema_privilege(to_regnamespace('durable'), 'USAGE')
UNION ALL
SELECT 'TABLE', needed.relation, needed.privilege
FROM ({_SQL["missing_privileges"]}) AS needed JOIN pg_class ON needed.relation = 'durable.' || relname
WHERE relnamespace = to_regnamespace('durable') AND NOT has_table_privilege(pg_class.oid, needed.privilege)
UNION ALL
SELECT 'SEQUENCE', * FROM ({_SQL["missing_sequence_privileges"]}) AS needed
"""
_KINDS = ("SCHEMA", "TABLE", "SEQUENCE")
_RIGHTS = ("USAGE", "SELECT", "INSERT", "UPDATE", "DELETE")

# Without these the schema cannot even be looked at; without those nobody can say who is at work, or what is unread.
_TO_SEE_THE_SCHEMA = {("durable", "USAGE"), ("durable.migration", "SELECT")}
_TO_SEE_THE_INBOXES = {("durable", "USAGE"), ("durable.notification", "SELECT")}
_TO_SEE_THE_WORKERS = {("durable", "USAGE"), ("durable.worker", "SELECT"), ("durable.task", "SELECT")}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: ok, a warning, or bad, which means that tasks cannot run as things are."""

    check: str
    status: str
    found: str
    remedy: str = ""


@click.command(cls=Command, epilog="durable doctor")
@click.pass_obj
def doctor(invocation: Invocation) -> int:
    """Check the database, this host and the workers.

    It says what to do. The exit code is 1 when something is bad.
    """
    findings = list(examine(invocation))
    if invocation.output == "table":
        for finding in findings:
            _print(finding)
    else:
        rows = [{name: getattr(finding, name) for name in Finding.__slots__} for finding in findings]
        print_rows(rows, invocation.output, Finding.__slots__)
    return 1 if any(finding.status == "bad" for finding in findings) else 0


def examine(invocation: Invocation) -> Iterator[Finding]:
    """All findings. Raises ConfigError: without a configuration there is nothing to examine."""
    config = invocation.config
    yield check_wasmtime()
    yield check_cache_folder(config.cache_folder)
    yield check_plugins(config.plugins)
    try:
        url = invocation.database_url
        with connect(url) as connection:
            yield from _check_database(connection, url, config.heartbeat_timeout)
    except DurableError as error:
        problem, _, remedy = str(error).partition("\n")
        yield Finding("database", "bad", problem, remedy)


def check_wasmtime() -> Finding:
    """Whether the engine can be loaded at all: it is native code."""
    try:
        import wasmtime  # noqa: F401
    except (ImportError, OSError) as error:
        return Finding("wasmtime", "bad", f"cannot be loaded: {error}", "install durable again with its dependencies")
    found, pinned = importlib.metadata.version("wasmtime"), _pinned("wasmtime")
    if pinned in (None, found):
        return Finding("wasmtime", "ok", f"version {found}")
    text = f"version {found}, but durable was tested with {pinned} and uses parts of it that change"
    return Finding("wasmtime", "warning", text, f"`pip install wasmtime=={pinned}`")


def check_plugins(names: Sequence[str] | None) -> Finding:
    """Whether the plugins that a worker of this host would load fit their types, the host and each other."""
    try:
        loaded = _load_plugins(names)
    except ConfigError as error:
        return Finding("plugins", "bad", str(error), "repair or uninstall it, or leave it out of `plugins`")
    told = "; ".join(f"{name} ({', '.join(interfaces)})" for name, interfaces in loaded.items())
    return Finding("plugins", "ok", told or "none installed")


def _load_plugins(names: Sequence[str] | None) -> dict[str, list[str]]:
    wanted = installed(names)
    if not wanted:
        return {}
    from durable.plugins.loaded import LoadedPlugins
    from durable.wasm.engine import new_engine
    from durable.wasm.world import host_world

    engine = new_engine()
    return LoadedPlugins(wanted, host_world(engine), engine).interfaces


def _pinned(package: str) -> str | None:
    """The only version that durable allows; None when there is none such, or durable runs without being installed."""
    with suppress(importlib.metadata.PackageNotFoundError):
        for requirement in importlib.metadata.requires("durable") or ():
            if found := re.match(rf"{package} *==([\w.+!-]+)", requirement):
                return found[1]
    return None


def check_cache_folder(folder: Path) -> Finding:
    """Whether compiled programs can be kept. Without it every worker compiles for itself, and tasks start later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"durable")
    except OSError as error:
        remedy = "make the folder writable, or set cache_folder (DURABLE_CACHE_FOLDER)"
        return Finding("cache folder", "warning", f"{folder}: {error.strerror}", remedy)
    return Finding("cache folder", "ok", f"{folder} is writable")


def _check_database(connection: Conn, url: str, heartbeat_timeout: float) -> Iterator[Finding]:
    with translated():
        before = datetime.now(UTC).timestamp()
        number, version, database, user, database_clock, is_standby = _rows(connection, "server")[0]
        after = datetime.now(UTC).timestamp()
    yield _server(number, f"PostgreSQL {version}, database {database}, role {user}, {redacted(url)}", is_standby)
    yield clock_skew(before, database_clock, after)
    with translated():
        missing = connection.execute(_MISSING).fetchall()
    lacks = {(name, right) for _, name, right in missing}
    if not lacks & _TO_SEE_THE_SCHEMA:
        schema = _checked("schema", lambda: _schema(connection))
        yield schema
        if schema.status == "bad":
            return
    yield _privileges(sql.Identifier(user).as_string(connection), missing)
    if not lacks & _TO_SEE_THE_WORKERS:
        yield _checked("workers", lambda: _workers(connection, heartbeat_timeout))
    if not lacks & _TO_SEE_THE_INBOXES:
        yield _checked("inboxes", lambda: _inboxes(connection))


def _checked(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        with translated():
            return check()
    except DurableError as error:
        problem, _, remedy = str(error).partition("\n")
        return Finding(name, "bad", problem, remedy)


def _server(number: int, found: str, is_standby: bool) -> Finding:
    if is_standby:
        return Finding("database", "bad", f"{found}: a standby, which is read-only", "use the URL of the primary")
    if number < OLDEST_SERVER:
        return Finding("database", "bad", f"{found}: too old", "use PostgreSQL 14 or newer")
    return Finding("database", "ok", found)


def clock_skew(before: float, database_clock: float, after: float) -> Finding:
    """How far this host's clock is from the database's, which was read between two looks at this host's."""
    ahead = before - database_clock if database_clock < before else min(0.0, after - database_clock)
    if abs(ahead) <= MAX_CLOCK_SKEW:
        return Finding("clock", "ok", f"within {MAX_CLOCK_SKEW:g} s of the database's")
    # Only a warning: durable lives by the database's clock.
    found = f"this host is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database"
    return Finding("clock", "warning", found, "set the clocks by NTP: times in logs and in tables do not agree")


def _schema(connection: Conn) -> Finding:
    current = migrations.check_schema(connection).current
    if current == migrations.latest():
        return Finding("schema", "ok", f"version {current}")
    found = f"version {current}; this durable is made for {migrations.latest()} and works with it"
    return Finding("schema", "warning", found, "upgrade durable on this host")


def _privileges(role: str, missing: Sequence[tuple[str, str, str]]) -> Finding:
    """`role` as it is written in SQL; `missing` are kind, name and right, as `_MISSING` finds them."""
    if not missing:
        return Finding("privileges", "ok", "the role may do what a worker does")
    rights: dict[tuple[str, str], list[str]] = {}
    for kind, name, right in sorted(missing, key=lambda one: (_KINDS.index(one[0]), one[1], _RIGHTS.index(one[2]))):
        rights.setdefault((kind, name), []).append(right)
    grants: dict[tuple[str, str], list[str]] = {}  # what is lacked of several tables alike is granted at once
    for (kind, name), those in rights.items():
        grants.setdefault((kind, ", ".join(those)), []).append(name)
    lacks = "; ".join(f"{those} on {kind.lower()} {', '.join(names)}" for (kind, those), names in grants.items())
    remedy = [f"GRANT {those} ON {kind} {', '.join(names)} TO {role};" for (kind, those), names in grants.items()]
    text = f"the role {role} lacks {lacks}"
    return Finding(
        "privileges", "bad", text, "\n".join(["to run workers with it, as the role that migrated:", *remedy])
    )


def _workers(connection: Conn, heartbeat_timeout: float) -> Finding:
    parameters = {"heartbeat_timeout": heartbeat_timeout}
    alive = connection.execute(_WORKERS["count_alive"], parameters).fetchall()[0][0]
    waiting = _rows(connection, "waiting")[0][0]
    if alive:
        return Finding("workers", "ok", f"{alive} alive, {waiting} task(s) ready to run")
    status = "bad" if waiting else "warning"
    return Finding("workers", status, f"none alive, {waiting} task(s) ready to run", "run `durable supervise`")


def _inboxes(connection: Conn) -> Finding:
    full = connection.execute(_SQL["full_inboxes"], {"many": MANY_NOTIFICATIONS}).fetchall()
    if not full:
        return Finding("inboxes", "ok", f"no task has {MANY_NOTIFICATIONS} unread notifications")
    told = ", ".join(f"task {task_id} has {count} unread notifications" for task_id, count in full)
    return Finding("inboxes", "warning", told, "stop who sends them; `durable cancel` what will not read them")


def _rows(connection: Conn, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(_SQL[query]).fetchall()


def _print(finding: Finding) -> None:
    click.echo(f"{finding.status:8} {finding.check:13} {finding.found}")
    for number, line in enumerate(finding.remedy.splitlines()):
        click.echo(f"{'':8} {'':13} {'       ' if number else 'to do: '}{line}")
