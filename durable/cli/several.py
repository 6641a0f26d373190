"""Do the same to several tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from durable.errors import DurableError


def each(task_ids: Iterable[int], act: Callable[[int], None], done: str | None = None) -> int:
    """Act on each, say `done` of it with its id in the place of {}, and return the exit code.

    What one task refuses is told, and the others have their turn. Raises what would be wrong with all of them.
    """
    code = 0
    for task_id in task_ids:
        try:
            act(task_id)
        except DurableError as error:
            if error.exit_code != DurableError.exit_code:
                raise
            click.echo(f"error: {error}", err=True)
            code = error.exit_code
        else:
            if done is not None:
                click.echo(done.format(task_id))
    return code
