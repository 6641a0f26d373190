"""docs/cli.md has every command and every option, and the commands in all documents can be parsed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from durable.cli.invocation import Invocation
from durable.cli.root import cli
from durable.config import KEYS
from tests.docs.documents import DOCUMENTS, ROOT, blocks, name_of, sections

REFERENCE = ROOT / "docs" / "cli.md"


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            yield from _commands(sub, (*path, name))


COMMANDS = dict(_commands(cli, ("durable",)))
GLOBAL_OPTIONS = {option for parameter in cli.params for option in parameter.opts}


def _section(command: str) -> str:
    """What is said about a command; its heading may go on with its arguments."""
    if command == "durable":
        return REFERENCE.read_text()
    found = [
        title + text
        for title, text in sections(REFERENCE, 2)
        if title == command
        or (title.startswith(f"{command} ") and title.split()[len(command.split())].strip("[").isupper())
    ]
    assert len(found) == 1, f"{command} has {len(found)} sections"
    return found[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section_with_its_arguments_its_options_and_an_example(command: str) -> None:
    text = _section(command)
    assert f"\n```\n{command}" in text or f"$({command} " in text or isinstance(COMMANDS[command], click.Group)
    for parameter in COMMANDS[command].params:
        if isinstance(parameter, click.Argument):
            assert (parameter.metavar or parameter.name or "").strip("[]").upper() in text
        elif not GLOBAL_OPTIONS.intersection(parameter.opts) and parameter.name not in KEYS:
            missing = [option for option in parameter.opts if option not in text]
            assert not missing, f"{command}: {missing}"


def test_every_global_option_is_described() -> None:
    text = dict(sections(REFERENCE, 2))["Global options"]
    shown = {option for option in GLOBAL_OPTIONS if f"`{option}`" in text or f"`{option} " in text}
    assert shown == GLOBAL_OPTIONS - {"--version"}


def test_no_command_is_described_that_does_not_exist() -> None:
    for title, _ in sections(REFERENCE, 2):
        words = [word for word in title.split() if word.islower()]
        assert title == "Global options" or " ".join(words) in COMMANDS


def _written(document: Path) -> list[str]:
    """Command lines in the fenced code without a language; one goes on while a quote is open."""
    found: list[str] = []
    for line in (line for block in blocks(document, "") for line in block.splitlines()):
        if found and _has_open_quote(found[-1]):
            found[-1] += "\n" + line
        elif line.startswith("durable "):
            found.append(line)
    return found


def _has_open_quote(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("document", "line"), [(name_of(document), line) for document in DOCUMENTS for line in _written(document)]
)
def test_every_command_in_the_documents_can_be_parsed(
    document: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for command in COMMANDS.values():
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", None)
    for part in line.split(" | "):
        words = shlex.split(part.replace("xargs -r durable", "durable") + " 1" * ("xargs" in part), comments=True)
        if words[0] == "durable":
            with cli.make_context("durable", words[1:], obj=Invocation({})) as context:
                cli.invoke(context)
