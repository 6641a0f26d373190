"""Hints: what NOTIFY says, read without trust."""

from __future__ import annotations

import json

from psycopg import sql


def listen_statement(channel: str) -> sql.Composed:
    """The statement that begins to listen on a channel."""
    return sql.SQL("LISTEN {}").format(sql.Identifier(channel))


def hinted_task(payload: str) -> int | None:
    """The task that a hint is about; None for a payload that is not of the contract."""
    try:
        said = json.loads(payload)
    except ValueError:
        return None
    task_id = said.get("task_id", said.get("id")) if isinstance(said, dict) else None
    return task_id if isinstance(task_id, int) else None
