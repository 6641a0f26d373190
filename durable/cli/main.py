"""From a command line to an exit code: every way in which a command can end is decided here."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click
from click.exceptions import Exit
from click.shell_completion import shell_complete

from durable.cli.invocation import Invocation
from durable.cli.process_list import hide_password
from durable.cli.root import cli
from durable.cli.standard_streams import open_closed_streams
from durable.errors import DurableError

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended

_COMPLETE = "_DURABLE_COMPLETE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default the one this process was started with, and return its exit code."""
    open_closed_streams()
    if arguments is None:
        hide_password()
        arguments = sys.argv[1:]
    if os.environ.get(_COMPLETE):
        return shell_complete(cli, {}, "durable", _COMPLETE, os.environ[_COMPLETE])
    invocation = Invocation(os.environ)
    try:
        code = _run(list(arguments), invocation)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return EXIT_BROKEN_PIPE
    except Exception as error:
        return _report(error, invocation.debug)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        invocation.close()


def _run(arguments: list[str], invocation: Invocation) -> int:
    try:
        with cli.make_context("durable", arguments or ["--help"], obj=invocation) as context:
            return int(cli.invoke(context) or 0)
    except Exit as end:
        return end.exit_code


def _report(error: Exception, debug: bool) -> int:
    """Say on stderr what was wrong and what to do, in one line or two, and return the exit code."""
    if debug:
        traceback.print_exception(error)
    match error:
        case click.Abort():
            return EXIT_INTERRUPTED
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "durable"
            click.echo(f"error: {error.format_message()}\ntry `{where} --help`", err=True)
            return error.exit_code
        case click.ClickException():
            click.echo(f"error: {error.format_message()}", err=True)
            return error.exit_code
        case DurableError():
            click.echo(f"error: {error}", err=True)
            return error.exit_code
    click.echo(f"error: {type(error).__name__}: {error}\n`--debug` shows where it happened", err=True)
    return EXIT_ERROR


def _forget_stdout() -> None:
    """Nobody reads any more; without this the interpreter complains when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
