"""`durable simulate`."""

from __future__ import annotations

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_rows
from durable.cli.parameters import DATA, FILE
from durable.errors import DurableError, UsageError
from durable.operations.data import Json, notification_data, task_data
from durable.operations.programs import read_component

if TYPE_CHECKING:
    from workers.simulation import Component, RunResult, SimulatedDatabase

_COLUMNS = ("seed", "problem")
_OF_A_COMPONENT = ("data", "notifications", "http_body", "sql")


@click.command(
    cls=Command,
    epilog='durable simulate order.wasm --data \'{"item": "lamp"}\' --runs 200\n'
    "durable simulate order.wasm --seed 17 --runs 1 --trace\n"
    "durable simulate --runs 100",
)
@click.argument("component", required=False, type=FILE)
@DATA
@click.option(
    "--notify", "notifications", metavar="EVENT=JSON", multiple=True, help="A notification for the task, in this order."
)
@click.option(
    "--http-body", metavar="TEXT", default="{}", help="The body of the answer to every HTTP request; {} when not given."
)
@click.option("--sql", type=FILE, metavar="FILE", help="SQL that makes the tables of the workflow, before each run.")
@click.option("--seed", type=click.IntRange(0), metavar="N", help="The seed of the first run; random when not given.")
@click.option("--runs", type=click.IntRange(1), metavar="N", default=100, help="Runs; 100 when not given.")
@click.option(
    "--steps", type=click.IntRange(1), metavar="N", default=50, help="Things that happen in one run; 50 when not given."
)
@click.option("--workers", type=click.IntRange(1, 20), metavar="N", default=3, help="Workers; 3 when not given.")
@click.option("--trace", is_flag=True, help="Print what happened in every run, not only in the first one that failed.")
@click.pass_obj
def simulate(
    invocation: Invocation, component: str | None, data: Json, notifications: tuple[str, ...], http_body: str,
    sql: str | None, seed: int | None, runs: int, steps: int, workers: int, trace: bool,
) -> int:  # fmt: skip
    """Run COMPONENT (a file) under simulated faults.

    They are deaths, stops, cuts, drains, lost hints, and time that leaps. Each run follows from its seed. The workflow
    has to end as it does without faults, and its replay likewise. Without a COMPONENT, workflows that try everything
    put the engine itself to the test. Nothing is sent by HTTP; PostgreSQL is a temporary one, or a new database on the
    server of --database-url, dropped at the end. The exit code is 1 when a run failed.
    """
    from workers.simulation import simulate_component, simulate_engine

    if component is None:
        _refuse_options_of_a_component()
    subject = None if component is None else _component(invocation, component, data, notifications, http_body, sql)
    first = secrets.randbelow(2**31) if seed is None else seed
    with _database(invocation) as database:
        if sql is not None and subject is not None:
            _try_script(database, sql, subject.set_up)
        if subject is None:
            results = simulate_engine(database, first, runs=runs, steps=steps, workers=workers)
        else:
            results = simulate_component(
                database, subject, first, runs=runs, steps=steps, workers=workers, config=invocation.config
            )
        return _report(invocation, results, first, trace)


def _refuse_options_of_a_component() -> None:
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in _OF_A_COMPONENT:
            raise UsageError(f"{parameter.opts[0]} is for a COMPONENT, and none was given")


def _component(
    invocation: Invocation, path: str, data: Json, notifications: tuple[str, ...], http_body: str, sql: str | None
) -> Component:
    from workers.simulation import Component

    config = invocation.config
    return Component(
        read_component(Path(path)), Path(path).stem, task_data(data, config.max_task_data_bytes),
        tuple(_notification(text, config.max_notification_bytes) for text in notifications),
        http_body.encode(), "" if sql is None else _script(sql),
    )  # fmt: skip


def _notification(text: str, limit: int) -> tuple[str, str]:
    event, equals, data = text.partition("=")
    if not equals:
        raise UsageError(f"--notify {text!r}: write EVENT=JSON, such as paid='{{\"amount\": 12}}'")
    return event, notification_data(Json(data), event, limit)


def _script(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _try_script(database: SimulatedDatabase, path: str, script: str) -> None:
    """Once before the first run, which would not know the name of the file."""
    try:
        database.set_up(script)
    except DurableError as error:
        raise UsageError(f"{path}: {error}") from None


@contextmanager
def _database(invocation: Invocation) -> Iterator[SimulatedDatabase]:
    from workers.simulation import scratch_database

    if invocation.config.database_url is not None:
        with scratch_database(invocation.config.database_url) as database:
            yield database
        return
    from durable.embedded import EmbeddedServer

    with tempfile.TemporaryDirectory(prefix="durable-simulation-") as folder:
        server = EmbeddedServer(Path(folder), fsync=False)
        try:
            server.ensure_running()
            with scratch_database(server.url) as database:
                yield database
        finally:
            server.stop("immediate")


def _report(invocation: Invocation, results: Iterable[RunResult], first: int, trace: bool) -> int:
    total: Counter[str] = Counter()
    failed = 0
    rows = []
    shows = invocation.output == "table"
    for result in results:
        total.update(result.count)
        failed += result.problem is not None
        rows.append({"seed": result.seed, "problem": result.problem, **result.count})
        if shows and (trace or (failed == 1 and result.problem is not None)):
            click.echo(f"seed {result.seed}:")
            click.echo("\n".join(result.trace))
        if shows and result.problem is not None:
            click.echo(f"seed {result.seed} FAILED: {result.problem}")
            click.echo(f"again: the same command with --seed {result.seed} --runs 1")
    if shows:
        click.echo(f"{len(rows)} runs from seed {first}: {_counts(total)}")
        click.echo(f"{failed} failed" if failed else "every promise held")
    else:
        print_rows(rows, invocation.output, _COLUMNS)
    return 1 if failed else 0


def _counts(total: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in total.items())
