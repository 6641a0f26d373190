"""Options that every command takes, before and after its name, and options for configuration keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from durable.cli.invocation import Invocation
from durable.cli.output import FORMATS
from durable.cli.parameters import FILE
from durable.config import KEYS, Key

#: Keys that every command has a flag for. `supervise` and `config` have one for each of the others too.
GLOBAL_KEYS = ("database_url", "log_format", "log_level")

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Command(click.Command):
    """A command with the global options, shown in a section of their own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": _CONTEXT, **kwargs})
        self.params.extend(global_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {"Options": []}  # first, though click's --help comes last
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The whole first sentence: the list of commands wraps it where click would cut it."""
        return super().get_short_help_str(limit=1000)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The example, line by line as it is written."""
        if self.epilog:
            with formatter.section("Example"):
                for line in self.epilog.splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Group(Command, click.Group):
    """A group whose commands are of the class above."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added, which is that of use, where click would sort them."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class SectionOption(click.Option):
    """An option in a section of its own of the help, whose value is kept on the invocation."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, expose_value=False, callback=_remember, **kwargs)
        self.section = section


def global_options() -> list[click.Option]:
    """Fresh options, because click binds an option to one command."""
    section = "Global options"
    return [
        *(_key_option(KEYS[key], section) for key in GLOBAL_KEYS),
        SectionOption(["--config"], section=section, type=FILE, metavar="FILE", help="The configuration file (TOML)."),
        SectionOption(
            ["-o", "--output"],
            section=section,
            type=click.Choice(FORMATS),
            default=None,
            help="How rows are printed; table when not given.",
        ),
        SectionOption(["--debug"], section=section, is_flag=True, default=None, help="Show tracebacks."),
    ]


def key_options() -> Iterable[click.Option]:
    """An option for every configuration key that is not a global one."""
    return [_key_option(key, "Configuration") for name, key in KEYS.items() if name not in GLOBAL_KEYS]


def with_key_options(command: click.Command) -> click.Command:
    """The command, with an option for every configuration key."""
    command.params.extend(key_options())
    return command


def _key_option(key: Key, section: str) -> click.Option:
    choices = "|" in key.kind.name  # words to be written as they are
    metavar = f"[{key.kind.name}]" if choices else key.kind.name.upper()
    return SectionOption([key.flag], section=section, metavar=metavar, help=key.doc)


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """The value nearest to the end of the command line wins."""
    invocation = ctx.find_object(Invocation)
    if value is not None and invocation is not None and parameter.name is not None:
        invocation.flags[parameter.name] = value
