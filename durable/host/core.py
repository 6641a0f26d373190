"""`durable:core/core`: who the task is, and transactions."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from durable.execution.run import Run
from durable.execution.transaction import Transaction
from durable.host.datetimes import Datetime, datetime_record
from durable.journal.json_text import check_json
from durable.journal.label_text import without_user
from durable.store.guest_faults import QueryFailed, TransactionLost
from durable.wasm.traps import GuestTrap

#: Levels of JSON that any stack has room for.
_SHALLOW = 50


def task_id(run: Run) -> int:
    return run.task.id


def task_name(run: Run) -> str:
    return run.task.name


def task_data(run: Run) -> str | Coroutine[Any, Any, str]:
    return run.task_data()


def task_created_at(run: Run) -> Datetime:
    return datetime_record(run.task.created_at)


def transaction_enter(run: Run, label: str, is_db: bool) -> str | Coroutine[Any, Any, str | None] | None:
    """The recorded result, or None: run the body now. Live, nothing has happened yet that could be recorded."""
    run.check_label(label)
    label = without_user(label)
    if run.transaction is not None:
        raise GuestTrap(f"transaction {label!r} was entered within transaction {run.transaction.label!r}")
    if run.cursor.needs_page or run.tail.is_full:
        return _enter_later(run, label, is_db)
    return _enter(run, label, is_db)


async def _enter_later(run: Run, label: str, is_db: bool) -> str | None:
    await run.prepare()
    return _enter(run, label, is_db)


def _enter(run: Run, label: str, is_db: bool) -> str | None:
    value = run.replay(label)
    if value is None:
        run.transaction = Transaction(label, is_db, run.new_log())
    return value


def transaction_exit(run: Run, data: str) -> Coroutine[Any, Any, None] | None:
    """Record the result of the open transaction: at once when nothing has to be waited for.

    JSON is parsed recursively, and a callback runs on the guest's small stack: what may be nested deep is left to the
    coroutine.
    """
    transaction = run.transaction
    if transaction is None:
        raise GuestTrap("transaction-exit was called but no transaction is open")
    run.check_value(transaction.label, data)
    if transaction.database is not None or data.count("[") + data.count("{") > _SHALLOW:
        return _exit_later(run, transaction, data)
    _check_result(transaction, data)
    run.end_transaction_without_database(data)
    return None


async def _exit_later(run: Run, transaction: Transaction, data: str) -> None:
    _check_result(transaction, data)
    try:
        await run.end_transaction(data)
    except TransactionLost as error:
        raise GuestTrap(f"transaction {transaction.label!r}: {error}") from None
    except QueryFailed as error:
        raise GuestTrap(f"the commit of transaction {transaction.label!r} was refused: {error}") from None


def _check_result(transaction: Transaction, data: str) -> None:
    try:
        check_json(data)
    except ValueError as error:
        raise GuestTrap(f"the result of transaction {transaction.label!r} is not valid JSON: {error}") from None


FUNCTIONS = {
    "durable:core/core": {
        "task-id": task_id,
        "task-name": task_name,
        "task-data": task_data,
        "task-created-at": task_created_at,
        "transaction-enter": transaction_enter,
        "transaction-exit": transaction_exit,
    }
}
