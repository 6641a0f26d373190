"""One guest's database transaction: statements as the guest sends them, and the frame that makes them exactly once.

The frame is two messages. The first begins and leaves a row whose deferred foreign key refers to the event still to
come, so that a COMMIT which the guest sends itself fails. The second writes the event, if the lease holds, removes that
row and commits. A guest that rolls back and goes on in a new transaction is found out, because the number of the
transaction is no longer the same.

Statements are sent with libpq's functions and not through a psycopg cursor: parameters and results keep their binary
form, and rows come as they are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import generators, waiting
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable, Unstorable
from durable.store.guest_faults import (
    Allowance,
    Clock,
    Faults,
    QueryFailed,
    TookTooLong,
    TransactionLost,
    failure_of,
    idle_time,
)
from durable.store.guest_rows import Columns, Row, UnreadRows, chunk_rows
from durable.store.pg_types import PgType
from durable.store.problems import impaired, is_worlds_fault, journal_fault
from durable.store.queries import load
from durable.store.session import Connection
from durable.store.type_catalog import TypeCatalog

_QUERIES = load("guest")
#: Rows that may be read before the guest asks for them, and bytes that they take.
_READ_AHEAD = 10_000
READ_AHEAD_BYTES = 16 << 20
#: Seconds for a ROLLBACK, which is quick: a network that has gone deaf must not hold who rolls back past its lease.
_ROLLBACK = 5.0
#: What may change settings, on which plans depend, other than a function of the database.
_SETTING = (b"SET", b"RESET", b"DO", b"CALL")
_MORE = (ExecStatus.SINGLE_TUPLE, ExecStatus.TUPLES_CHUNK)
_IDLE = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
_COPY = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


class GuestTransaction:
    """A transaction on a connection of the guests' pool. Use one method at a time; `touch` may come at any time."""

    def __init__(self, connection: Connection, catalog: TypeCatalog, timeout: float, clock: Clock = idle_time) -> None:
        self._connection = connection
        self._catalog = catalog
        self._timeout = timeout
        self._clock = clock
        self._number = ""
        self._sql = ""
        self._allowance = self._new_allowance()
        self._types: Sequence[PgType] = ()  # of the columns, as they were when the statement was last looked at
        self._rows = UnreadRows()
        self._rows_wanted = False
        self._reading = False
        self._count: int | None = None
        self._command = b""
        self._affected = 0
        # Who uses the connection: the guest, or `touch` while the guest does something else.
        self._turn = asyncio.Lock()
        #: What went wrong while nobody asked.
        self._heard: Exception | None = None
        #: Whether the guest may have changed a setting.
        self.has_set = False

    async def begin(self, task_id: int, index: int) -> None:
        """Raises JournalUnavailable."""
        try:
            async with self._turn, self._faults_of_ours():
                cursor = await self._connection.execute(_QUERIES["begin"].format(task=task_id, index=index))
                cursor.nextset()
                ((self._number,),) = await cursor.fetchall()
                passing("sql.begun")
        except (QueryFailed, TookTooLong) as failure:
            told = f"a workflow's transaction cannot begin: {failure}"
            state = failure.code if isinstance(failure, QueryFailed) else None
            raise impaired(state, told) or JournalUnavailable(told) from None

    async def query(self, sql: str, parameters: Sequence[tuple[int, bytes | None]], rows_wanted: bool) -> None:
        """Start a statement; unread rows of an earlier one are dropped.

        Raises QueryFailed, TransactionLost, JournalUnavailable.
        """
        if "\0" in sql:
            raise QueryFailed("a statement cannot contain the character U+0000", None, None, None)
        async with self._turn:
            await self._drop_unread()
            await self._query(sql, parameters, rows_wanted)

    async def _query(self, sql: str, parameters: Sequence[tuple[int, bytes | None]], rows_wanted: bool) -> None:
        self._sql, self._allowance = sql, self._new_allowance()
        async with self._faults():
            types = self._catalog.columns_of(sql)
            self._types = await self._describe(sql, [oid for oid, _ in parameters]) if types is None else types
            self.has_set = self.has_set or "set_config" in sql.lower()
            self._send(sql, parameters)
            self._reading, self._count, self._command, self._affected = True, None, b"", 0
            self._rows_wanted = rows_wanted
            await self._connection.wait(generators.send(self._pgconn))
            await self._read()
            while self._reading and not rows_wanted:
                await self._read()

    async def fetch(self) -> Row | int | None:
        """The next row, then the number of rows affected, then None. Raises as `query` does."""
        if self._reading and not self._rows.are_readable:
            async with self._turn, self._faults():
                while self._reading and not self._rows.are_readable:
                    await self._read()
        if self._rows.are_readable:
            return self._rows.pop()
        self._raise_heard()
        count, self._count = self._count, None
        return count

    async def type_named(self, schema: str | None, name: str, is_array: bool) -> PgType | None:
        """A type by its name, None when there is none. Raises QueryFailed, JournalUnavailable."""
        async with self._turn:
            await self._drop_unread()
            async with self._faults_of_ours():
                cursor = await self._connection.execute(
                    _QUERIES["type_named"], {"schema": schema, "name": name, "is_array": is_array}
                )
                rows = await cursor.fetchall()
                if not rows or not rows[0][0]:
                    return None
                (ty,) = await self._catalog.learn(self._connection, [rows[0][0]])
                return ty

    async def record(
        self, task_id: int, lease: int, secret: UUID, index: int, label: str, value: str, message: str
    ) -> bool:
        """Record the event and commit; False when the lease is over.

        Raises JournalUnavailable when it is unknown whether it was committed, or when trying again may help, Unstorable
        when it was not, because of the value, QueryFailed when the database refuses it because of what the guest did.
        """
        texts = (str(task_id), str(lease), str(secret), str(index), label, value, message)
        async with self._turn:
            await self._drop_unread()
            return await self._record([text.encode() for text in texts])

    async def _record(self, parameters: list[bytes]) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                passing("record.before")
                await self._send_together(
                    *([(_QUERIES["regain"], [])] if self.has_set else []),
                    (_QUERIES["record"], parameters),
                    (_QUERIES["unlisten"], []),
                    ("COMMIT", []),
                )
                passing("commit.done")
        except TimeoutError:
            raise JournalUnavailable("the commit of a guest's transaction took too long") from None
        except psycopg.Error as error:
            if self.has_failed and isinstance(error, psycopg.errors.DivisionByZero):
                return False
            raise self._refusal(error) from None
        return True

    async def touch(self) -> None:
        """Let the database hear of a guest that does something else than SQL; it ends transactions that are idle.

        Rows that the guest has not read yet are in the way, so some of them are read for it.
        """
        if self._turn.locked() or self._heard is not None:
            return
        async with self._turn:
            try:
                async with self._faults():
                    while self._reading and len(self._rows) < _READ_AHEAD and self._rows.size < READ_AHEAD_BYTES:
                        await self._read()
                if self._pgconn.transaction_status in _IDLE:
                    async with self._faults_of_ours():
                        await self._connection.execute("")
            except (QueryFailed, TransactionLost, JournalUnavailable) as error:
                self._heard, self._reading = error, False

    async def end(self) -> None:
        """Leave the connection without a transaction, or closed: whatever was not committed is rolled back."""
        async with self._turn:
            await self._end()

    async def _end(self) -> None:
        pgconn = self._pgconn
        try:
            if pgconn.transaction_status in _IDLE:
                pgconn.send_query(b"ROLLBACK")
                async with asyncio.timeout(_ROLLBACK):
                    # Not connection.wait, which would try for ten seconds to stop the ROLLBACK.
                    await waiting.wait_async(generators.execute(pgconn), pgconn.socket, interval=_ROLLBACK)
        except (psycopg.Error, TimeoutError):
            pass
        finally:
            if pgconn.transaction_status != TransactionStatus.IDLE:
                await self._connection.close()  # rolls back as well; or dropped in the middle of a statement

    @property
    def has_failed(self) -> bool:
        """A statement failed, the guest knows, and has not rolled back to a savepoint: nothing can be committed."""
        return bool(self._heard is None and self._pgconn.transaction_status == TransactionStatus.INERROR)

    # -- inside ------------------------------------------------------------------------------------------------------
    @property
    def _pgconn(self) -> Any:
        return self._connection.pgconn

    async def _send_together(self, *statements: tuple[str, list[bytes]]) -> None:
        """Statements with parameters as text, in one message; each runs if all before it did. Raises psycopg.Error."""
        pgconn, error = self._pgconn, None
        pgconn.enter_pipeline_mode()
        try:
            for sql, parameters in statements:
                pgconn.send_query_params(sql.encode(), parameters)
            pgconn.pipeline_sync()
            await self._connection.wait(generators.send(pgconn))
            while (result := await self._next_result()) is None or result.status != ExecStatus.PIPELINE_SYNC:
                if result is not None and result.status == ExecStatus.FATAL_ERROR:
                    error = psycopg.errors.error_from_result(result)
            pgconn.exit_pipeline_mode()
        except BaseException:
            # Left in the middle: nobody knows what the connection will answer next.
            await self._connection.close()
            raise
        if error is not None:
            raise error

    async def _next_result(self) -> PGresult | None:
        """None stands between the results of two statements."""
        result: PGresult | None = await self._connection.wait(generators.fetch(self._pgconn))
        return result

    def _refusal(self, error: psycopg.Error) -> Exception:
        """Why the transaction was not committed: the world's fault, the event's, or of the rest of the transaction."""
        fault = journal_fault(error)
        if is_worlds_fault(error) or (self.has_failed and isinstance(fault, Unstorable)):
            return fault
        return failure_of(error)

    async def _describe(self, sql: str, oids: list[int]) -> Sequence[PgType]:
        """Learn the types of a statement's columns before its rows come: they cannot be looked up while it runs."""
        self._pgconn.send_prepare(b"", sql.encode(), oids)
        (prepared,) = await self._results()
        self._raise_for(prepared)
        self._pgconn.send_describe_prepared(b"")
        (described,) = await self._results()
        self._raise_for(described)
        types = await self._catalog.learn(self._connection, _oids(described))
        self._catalog.remember(sql, types)
        return types

    async def _results(self) -> list[PGresult]:
        results: list[PGresult] = await self._connection.wait(generators.execute(self._pgconn))
        return results

    def _send(self, sql: str, parameters: Sequence[tuple[int, bytes | None]]) -> None:
        values = [data for _, data in parameters]
        oids = [oid for oid, _ in parameters]
        self._pgconn.send_query_params(sql.encode(), values, oids, [1] * len(values), 1)
        if psycopg.pq.version() >= 170000:
            self._pgconn.set_chunked_rows_mode(chunk_rows(len(self._types)))
        else:
            self._pgconn.set_single_row_mode()

    async def _read(self) -> None:
        """Read one result: some rows, or the end of the statement."""
        result = await self._next_result()
        if result is None:
            self._reading = False
            await self._check_transaction()
            return
        if result.status in _COPY:
            await self._connection.close()
            raise TransactionLost("COPY to or from the client is not possible in a workflow")
        if result.command_status:
            # Of rows in chunks, the last chunk carries it and not the empty result behind it.
            self._command, self._affected = result.command_status, result.command_tuples or 0
            self.has_set = self.has_set or self._command in _SETTING
        if result.status in _MORE or result.status == ExecStatus.TUPLES_OK:
            self._take(result)
        if result.status in _MORE:
            return
        await self._finish(result)

    async def _finish(self, result: PGresult) -> None:
        """The last result of a statement; what follows it is None."""
        while await self._next_result() is not None:
            pass
        self._reading = False
        if result.status == ExecStatus.FATAL_ERROR:
            self._check_not_ended()
            if self._rows and not self._rows.are_readable:
                raise self._of_other_types()  # which cannot be looked up in a transaction that has failed
            self._raise_for(result)
        self._count = self._affected
        self._check_encoding()
        await self._check_transaction()
        if self._rows and not self._rows.are_readable:
            self._remember(result, await self._catalog.learn(self._connection, _oids(result)))

    async def _check_transaction(self) -> None:
        self._check_not_ended()
        if self._command in (b"ROLLBACK", b"COMMIT") and self._pgconn.transaction_status == TransactionStatus.INTRANS:
            # `ROLLBACK TO` has the same tag; `ROLLBACK AND CHAIN` leaves a transaction that is not ours.
            cursor = await self._connection.execute(_QUERIES["is_same_transaction"])
            if await cursor.fetchall() != [(self._number,)]:
                raise TransactionLost("the workflow ended the database transaction itself")

    def _check_not_ended(self) -> None:
        if self._pgconn.transaction_status not in _IDLE:
            raise TransactionLost("the workflow ended the database transaction itself")

    def _check_encoding(self) -> None:
        if self._pgconn.parameter_status(b"client_encoding") not in (b"UTF8", b"UNICODE"):
            raise TransactionLost("the workflow changed client_encoding; texts are always UTF-8")

    def _take(self, result: PGresult) -> None:
        """Keep rows for the guest. Of what types they are cannot be looked up before the statement has ended, should
        the same text have columns of others now: after a migration, or in another search_path.
        """
        if not self._rows_wanted:
            return
        if self._rows.columns is None:
            oids = _oids(result)
            if oids == [ty.oid for ty in self._types]:
                self._rows.columns = _columns(result, self._types)
            elif types := self._catalog.find(oids):
                self._remember(result, types)
        self._rows.add(result)
        if self._rows.columns is None and self._rows.size > READ_AHEAD_BYTES:
            raise self._of_other_types()

    def _remember(self, result: PGresult, types: list[PgType]) -> None:
        self._rows.columns = _columns(result, types)
        self._catalog.remember(self._sql, types)

    def _of_other_types(self) -> JournalUnavailable:
        """The next run describes the statement before it sends it."""
        self._catalog.forget(self._sql)
        return JournalUnavailable("a statement has columns of other types than the last time")

    def _raise_for(self, result: PGresult) -> None:
        if result.status == ExecStatus.FATAL_ERROR:
            raise QueryFailed(
                _field(result, DiagnosticField.MESSAGE_PRIMARY) or "the statement failed",
                _field(result, DiagnosticField.SQLSTATE),
                _field(result, DiagnosticField.CONSTRAINT_NAME),
                _field(result, DiagnosticField.TABLE_NAME),
            )

    async def _drop_unread(self) -> None:
        self._rows_wanted, self._rows = False, UnreadRows()
        if self._reading:
            async with self._faults():
                while self._reading:
                    await self._read()
        self._count = None
        self._raise_heard()

    def _raise_heard(self) -> None:
        error, self._heard = self._heard, None
        if error is not None:
            raise error

    def _new_allowance(self) -> Allowance:
        return Allowance(self._timeout, self._clock)

    def _faults(self) -> Faults:
        return Faults(self._connection, self._allowance)

    def _faults_of_ours(self) -> Faults:
        """Around a statement of ours, which has a time of its own."""
        return Faults(self._connection, self._new_allowance())


def _oids(result: PGresult) -> list[int]:
    return [result.ftype(number) for number in range(result.nfields)]


def _columns(result: PGresult, types: Sequence[PgType]) -> Columns:
    return [(_name(result, number), ty) for number, ty in enumerate(types)]


def _name(result: PGresult, column: int) -> str:
    return (result.fname(column) or b"").decode("utf-8", "replace")


def _field(result: PGresult, field: DiagnosticField) -> str | None:
    value = result.error_field(field)
    return None if value is None else value.decode("utf-8", "replace")
