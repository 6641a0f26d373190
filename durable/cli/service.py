"""`durable service`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

import durable
from durable.cli.invocation import Invocation
from durable.cli.options import Command, Group
from durable.cli.unit_file import Unit
from durable.errors import DurableError

SYSTEM_FOLDER = Path("/etc/systemd/system")

#: What the sandbox of the system unit hides or replaces: ProtectHome and PrivateTmp.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")


@click.group(cls=Group, epilog="durable service install --workers 4")
def service() -> None:
    """Run durable under systemd."""


@service.command(cls=Command, epilog="durable service install\ndurable service install --user --print")
@click.option("--name", default="durable", metavar="NAME", help="The name of the unit; NAME@ for one with instances.")
@click.option(
    "--system/--user",
    "for_system",
    default=True,
    help="A service of the whole system, which is the default, or of the current user.",
)
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Worker processes; one per CPU when not given.")
@click.option("--folder", type=click.Path(path_type=Path), metavar="DIR", help="Where to write it, for packagers.")
@click.option("--print", "prints", is_flag=True, help="Only print the unit file.")
@click.option("--force", is_flag=True, help="Write over a file that is different.")
@click.pass_obj
def install(
    invocation: Invocation,
    name: str,
    for_system: bool,
    workers: int | None,
    folder: Path | None,
    prints: bool,
    force: bool,
) -> None:
    """Write the systemd unit of this installation, and say what to do next.

    With --config FILE the service reads that file. It is not started, and systemd is not needed.
    """
    config = invocation.flags.get("config")
    unit = _unit(name, not for_system, Path(os.path.abspath(str(config))) if config else None, workers)
    problem = None if unit.for_user else _why_unreachable(_needed_paths(unit))
    if prints:
        click.echo(unit.text(), nl=False)
        click.echo(f"warning: {problem}", err=True) if problem else None
        return
    if problem:
        raise DurableError(problem)
    path = (folder or _unit_folder(unit, invocation.environ)) / unit.file_name
    _write(path, unit.text(), force)
    click.echo(f"wrote {path}")
    click.echo("\n".join(["next:", *(f"    {step}" for step in _next_steps(unit))]), err=True)


def _unit(name: str, for_user: bool, config: Path | None, workers: int | None) -> Unit:
    try:
        return Unit(name, _command(), for_user=for_user, config=config, workers=workers)
    except ValueError as error:
        raise click.BadParameter(f"{name!r}: {error}", param_hint="--name") from None


def _command() -> list[str]:
    """What runs this durable: the command beside this Python, else the module."""
    python = Path(os.path.abspath(sys.executable))
    script = python.with_name("durable")
    return [str(script)] if os.access(script, os.X_OK) else [str(python), "-m", "durable"]


def _unit_folder(unit: Unit, environ: Mapping[str, str]) -> Path:
    if not unit.for_user:
        return SYSTEM_FOLDER
    try:
        return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "systemd" / "user"
    except RuntimeError:
        raise DurableError("this user has no home folder\n--folder says where to write the unit") from None


def _write(path: Path, text: str, force: bool) -> None:
    try:
        if not force and path.exists() and path.read_text(encoding="utf-8") != text:
            raise DurableError(f"{path} exists and is different\n--force writes over it, --print shows the new one")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.new")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise DurableError(
            f"cannot write {path}: {error.strerror}\nrun it as root, or for yourself with --user, or see --print"
        ) from None


def _next_steps(unit: Unit) -> Iterator[str]:
    systemctl = "systemctl --user" if unit.for_user else "systemctl"
    if unit.has_instances:
        yield f"write {unit.folder}/INSTANCE.toml"
    if not unit.for_user and not Path(unit.credential).exists():
        file = unit.credential.replace("%i", "INSTANCE")
        yield f"install -D -m 600 /dev/stdin {file}   # type the URL of the database, then Ctrl-D"
    if not unit.for_user:
        url = f"$(cat {unit.credential.replace('%i', 'INSTANCE')})"
        yield f"DURABLE_DATABASE_URL={url} {shlex.join(unit.command)} migrate   # when the database is new"
    yield f"{systemctl} daemon-reload"
    yield f"{systemctl} enable --now {unit.name}{'INSTANCE' if unit.has_instances else ''}"
    if unit.for_user:
        yield "loginctl enable-linger   # to run it while you are not logged in"


# A system service runs as a user of its own, in a sandbox: it must be able to reach what it runs.


def _needed_paths(unit: Unit) -> list[Path]:
    python = Path(sys.executable)
    return [Path(unit.command[0]), python, python.resolve(), Path(durable.__file__).resolve()]


def _why_unreachable(paths: list[Path]) -> str | None:
    for path in paths:
        if any(path.is_relative_to(hidden) for hidden in HIDDEN):
            return _unreachable(path, "home folders and /tmp are hidden from it")
        for folder in path.parents:
            if not folder.stat().st_mode & 0o001:
                return _unreachable(path, f"{folder} is closed to other users")
    return None


def _unreachable(path: Path, why: str) -> str:
    return f"the service could not reach {path}: {why}\ninstall durable in a folder such as /opt/durable, or use --user"
