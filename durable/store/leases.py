"""Workers and leases in the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import TupleRow

from durable.failpoints import passing
from durable.model import FAILURE_LOG_INDEX, ClaimedTask, Culprit
from durable.store.queries import load
from durable.store.session import Session

_QUERIES = load("lease")
_SWEEP = load("sweep")
_JOURNAL = load("journal")

#: The longest data of a task that a claim brings along, as text in bytes: few enough for all the tasks of a worker.
INLINE_BYTES = 1 << 16
#: A task that was computed for when its worker died, so many times in a row without progress, is quarantined.
MAX_DEATHS = 3


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Which process a worker is. `boot` names the kernel's boot and the pid namespace: pids compare within it only.

    `supervisor` is the pid of the process that sees to what a dead worker leaves behind, 0 when there is none.
    """

    host: str
    boot: str
    pid: int
    pid_started: int
    supervisor: int
    supervisor_started: int
    version: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A worker's row: its id, and the secret that proves to the database that an event comes from it."""

    id: int
    secret: UUID


@dataclass(frozen=True, slots=True)
class Suspect:
    """A worker that may be dead: its heartbeat is too old, or it says it runs on this host."""

    id: int
    boot: str
    pid: int
    pid_started: int
    supervisor: int
    supervisor_started: int
    expired: bool


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What a reclaim brought: the number of tasks taken back, and which of them are quarantined.

    `left` counts the dead workers that are not done with: they have tasks beyond the limit, or their row or a task is
    locked just now, by a statement that their process had sent before it died.
    """

    freed: int
    quarantined: list[int]
    left: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought: tasks, the database's time, and the seconds until the next timer, when there is one.

    `waits` are the seconds that tasks had been ready, `lags` those that suspended tasks had been due.
    """

    tasks: list[ClaimedTask]
    now: float
    next_timer: float | None
    waits: list[float]
    lags: list[float]


@dataclass(frozen=True, slots=True)
class Renewal:
    """The database's time at a heartbeat, and the worker's place, from 0, among the living workers that claim."""

    now: float
    position: int
    workers: int


class LeaseStore:
    """Statements about workers and their leases. Raises JournalUnavailable and psycopg errors."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def register(self, identity: WorkerIdentity, announce: Callable[[int], None] | None = None) -> Registration:
        """A new row. `announce` is called with its id before anybody can see it: who has to take back what a dead
        worker had must know of each row there is. An id that was announced may come to nothing.
        """
        parameters = {
            "host": identity.host, "boot": identity.boot, "pid": identity.pid, "pid_started": identity.pid_started,
            "supervisor": identity.supervisor, "supervisor_started": identity.supervisor_started,
            "version": identity.version,
        }  # fmt: skip
        async with self._session.use() as connection, connection.transaction():
            rows = await (await connection.execute(_QUERIES["register_worker"], parameters)).fetchall()
            registration = Registration(*rows[0])
            if announce is not None:
                announce(registration.id)
        passing("register.done")
        return registration

    async def unregister(self, worker_id: int) -> bool:
        """Whether the row was deleted: it stays while there are tasks that nobody else would find."""
        async with self._session.use() as connection, connection.transaction():
            await connection.execute(_QUERIES["lock_worker"], {"worker": worker_id})
            cursor = await connection.execute(_QUERIES["unregister_worker"], {"worker": worker_id})
            return cursor.rowcount == 1

    async def heartbeat(self, worker_id: int, timeout: float) -> Renewal | None:
        """Renew all leases; None when the worker's row is gone. Who was silent for `timeout` seconds does not live."""
        rows = await self._fetch(_QUERIES["heartbeat"], {"worker": worker_id, "timeout": timeout})
        return Renewal(*rows[0]) if rows else None

    async def claim(self, worker_id: int, limit: int, lacking: Collection[int] = ()) -> Claim:
        """Take up to `limit` tasks, none of the programs in `lacking`.

        Raises psycopg's ForeignKeyViolation when the worker's row is gone.
        """
        parameters = {"worker": worker_id, "limit": limit, "lacking": list(lacking), "bytes": INLINE_BYTES}
        rows = await self._fetch(_QUERIES["claim"], parameters)
        now, next_timer = rows[0][:2]
        claimed = [row[2:] for row in rows if row[2] is not None]
        waits = [waited for *_, was_due, waited in claimed if not was_due]
        lags = [waited for *_, was_due, waited in claimed if was_due]
        return Claim([_claimed_task(row[:-2]) for row in claimed], now, next_timer, waits, lags)

    async def release(self, worker_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """Hand tasks, as (id, lease), back to everybody."""
        tasks, tokens = [task for task, _ in leases], [lease for _, lease in leases]
        await self._execute(_QUERIES["release"], {"worker": worker_id, "task": tasks, "lease": tokens})

    async def lost(self, worker_id: int, leases: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Which of these leases, as (task, lease), this worker does not hold any more."""
        tasks, tokens = [task for task, _ in leases], [lease for _, lease in leases]
        rows = await self._fetch(_QUERIES["lost"], {"worker": worker_id, "task": tasks, "lease": tokens})
        return [(task, lease) for task, lease in rows]

    async def release_unclaimed(self, worker_id: int, known: Sequence[tuple[int, int]]) -> int:
        """Hand back what this worker has beside these leases, as (task, lease): their number.

        No claim may be under way.
        """
        tasks, tokens = [task for task, _ in known], [lease for _, lease in known]
        return await self._execute(_QUERIES["release_unclaimed"], {"worker": worker_id, "task": tasks, "lease": tokens})

    async def suspects(self, worker_id: int, boot: str, timeout: float) -> list[Suspect]:
        rows = await self._fetch(_QUERIES["dead_workers"], {"worker": worker_id, "boot": boot, "timeout": timeout})
        return [Suspect(*row) for row in rows]

    async def announce_drain(self, worker_id: int) -> None:
        await self._execute(_QUERIES["announce_drain"], {"worker": worker_id})

    async def reclaim(
        self, known_dead: Sequence[int], presumed_dead: Sequence[int], culprits: Sequence[Culprit], timeout: float,
        limit: int,
    ) -> Reclaimed:  # fmt: skip
        """Free up to `limit` tasks of dead workers and forget the workers that have none left."""
        parameters = {
            "known_dead": list(known_dead), "presumed_dead": list(presumed_dead), "timeout": timeout, "limit": limit,
            "culprit_task": [culprit.task_id for culprit in culprits],
            "culprit_lease": [culprit.lease for culprit in culprits],
            "culprit_cause": [culprit.cause for culprit in culprits],
            "max_deaths": MAX_DEATHS, "reason_index": FAILURE_LOG_INDEX,
        }  # fmt: skip
        async with self._session.use() as connection, connection.transaction():
            cursor = await connection.execute(_QUERIES["reclaim"], parameters)
            ((freed, quarantined, dead),) = await cursor.fetchall()
            both = {"dead": dead, "known_dead": parameters["known_dead"]}
            cursor = await connection.execute(_QUERIES["forget_dead_workers"], both)
            ((left,),) = await cursor.fetchall()
        return Reclaimed(int(freed), quarantined, int(left))

    async def take_up_stranded(self, limit: int) -> int:
        """Free up to `limit` tasks whose worker's row was deleted by hand: their number."""
        return await self._execute(_QUERIES["take_up_stranded"], {"limit": limit})

    async def wake_waiting(self, task_ids: Sequence[int]) -> None:
        await self._execute(_JOURNAL["wake_waiting"], {"tasks": list(task_ids)})

    async def wake_all_waiting(self) -> None:
        await self._execute(_JOURNAL["wake_all_waiting"], {})

    async def program_hash(self, program_id: int) -> str:
        return str((await self._fetch(_SWEEP["program_hash"], {"program": program_id}))[0][0])

    async def program_bytes(self, program_id: int) -> bytes:
        return bytes((await self._fetch(_SWEEP["program_bytes"], {"program": program_id}))[0][0])

    async def _execute(self, statement: str, parameters: dict[str, Any]) -> int:
        async with self._session.use() as connection:
            cursor = await connection.execute(statement, parameters, prepare=True)
            return cursor.rowcount

    async def _fetch(self, statement: str, parameters: dict[str, Any]) -> list[TupleRow]:
        async with self._session.use() as connection:
            cursor = await connection.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()


def _claimed_task(row: Sequence[Any]) -> ClaimedTask:
    id_, name, data, created_at, program_id, lease, wait_index, wait_until, events = row
    return ClaimedTask(id_, name, data, created_at, program_id, lease, events or 0, wait_index, wait_until)
