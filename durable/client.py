"""What an application imports to launch tasks, to notify them, to wait for them and to look at them.

    with durable.Client("postgresql://…") as client:
        program = client.program("hello.wasm")
        task_id = client.launch("my first task", program, {"greeting": "hello"})
        print(client.wait(task_id, timeout=60).state)

`AsyncClient` is the same with `await` and `async for`. Methods that take a `connection` run inside the
transaction that this connection is in and commit nothing: a task launched there exists if and only if the
application's own rows do. All errors are DurableErrors (durable.errors); an error of psycopg is their
`__cause__`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from durable.drivers.asynchronous import AsyncDriver, AsyncPooled
from durable.drivers.blocking import Connections, Driver, Pooled
from durable.errors import ConfigError
from durable.model import Event, LogLine, Program, Task, TaskState, WorkerInfo
from durable.operations import programs, reading, tasks, waiting
from durable.operations.data import Json
from durable.operations.programs import Plugins, ProgramSource

__all__ = ["AsyncClient", "Client", "Json", "ProgramSource"]

DEFAULT_POOL_SIZE = 4
MAX_NOTIFICATION_BYTES = 1024**2
MAX_TASK_DATA_BYTES = 16 * 1024**2
HEARTBEAT_TIMEOUT = 30.0


class Client:
    """The client for threads. It may be shared by threads, and must not be used after a fork.

    `database` is a URL, for which the client makes a pool that it closes with itself, or a `ConnectionPool`
    of the application, which stays open. Nothing is connected before the first use. Each `wait` and
    `follow_logs` holds a connection of its own to listen, up to four; further ones look once a second.
    `plugins` are those of the workers, if they are not the installed ones: a program is checked against them.
    """

    def __init__(
        self,
        database: str | ConnectionPool[Any] | Connections,
        *,
        max_notification_bytes: int = MAX_NOTIFICATION_BYTES,
        max_task_data_bytes: int = MAX_TASK_DATA_BYTES,
        plugins: Plugins = None,
    ) -> None:
        _require(database)
        self._driver = Driver(_connections(database))
        self._max_notification_bytes = max_notification_bytes
        self._max_task_data_bytes = max_task_data_bytes
        self._plugins = plugins

    def close(self) -> None:
        """Close the pool that the client made."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def program(
        self, source: ProgramSource, name: str | None = None, *, connection: Connection[Any] | None = None
    ) -> Program:
        """The stored program that `source` means: a path, a component's bytes, a name, a hash or its beginning.

        A component that is not stored yet is checked, which takes the time of a compilation, and stored;
        under `name`, or the name of its file. Raises InvalidComponent, UnknownProgram.
        """
        return self._driver.run(programs.program(source, name, self._plugins), connection)

    def programs(self, *, connection: Connection[Any] | None = None) -> list[Program]:
        """All stored programs, the newest first."""
        return self._driver.run(programs.programs(), connection)

    def remove_program(self, source: Program | str, *, connection: Connection[Any] | None = None) -> Program:
        """Delete a program that no task uses. Raises UnknownProgram, and DurableError when a task uses it."""
        return self._driver.run(programs.remove_program(source), connection)

    def launch(
        self,
        name: str,
        program: ProgramSource,
        data: object = None,
        *,
        connection: Connection[Any] | None = None,
    ) -> int:
        """Launch a task and return its id.

        `data` is any object that json.dumps takes, or a `Json` with JSON text; the task reads it as JSON.
        Raises InvalidTask, and what `program` raises.
        """
        limit = self._max_task_data_bytes
        return self._driver.run(tasks.launch(name, program, data, limit, self._plugins), connection)

    def launch_many(
        self,
        program: ProgramSource,
        new_tasks: Iterable[tuple[str, object]],
        *,
        connection: Connection[Any] | None = None,
    ) -> list[int]:
        """Launch tasks, each a (name, data), with one statement: all or none. Returns their ids in order."""
        limit = self._max_task_data_bytes
        return self._driver.run(tasks.launch_many(program, new_tasks, limit, self._plugins), connection)

    def notify(
        self, task_id: int, event: str, data: object = None, *, connection: Connection[Any] | None = None
    ) -> None:
        """Send a notification; the task gets those of one sender in order, each once.

        In a transaction of the caller it is sent at commit; until then it holds nobody up.
        Raises UnknownTask, TaskEnded, InvalidTask.
        """
        self._driver.run(tasks.notify(task_id, event, data, self._max_notification_bytes), connection)

    def task(self, task_id: int, *, connection: Connection[Any] | None = None) -> Task:
        """The task as it is now. Raises UnknownTask."""
        return self._driver.run(tasks.get(task_id), connection)

    def tasks(
        self,
        *,
        state: TaskState | str | None = None,
        name_glob: str | None = None,
        limit: int | None = 100,
        connection: Connection[Any] | None = None,
    ) -> list[Task]:
        """The newest tasks, at most `limit`. In `name_glob`, * stands for any text and ? for one character."""
        return self._driver.run(tasks.tasks(state, name_glob, limit), connection)

    def wait(self, task_id: int, timeout: float | None = None, *, raise_on_failure: bool = False) -> Task:
        """Wait until the task has ended, and return it.

        A database that is away for less than a minute is waited for. Raises WaitTimeout after `timeout`
        seconds, UnknownTask, and with `raise_on_failure` TaskFailed when the task ended in a state other than
        complete.
        """
        return self._driver.run(waiting.wait(task_id, timeout, raise_on_failure))

    def events(self, task_id: int, *, connection: Connection[Any] | None = None) -> list[Event]:
        """The journal of the task. Raises UnknownTask."""
        return self._driver.collect(reading.events(task_id), connection)

    def logs(self, task_id: int, *, connection: Connection[Any] | None = None) -> list[LogLine]:
        """What the task printed until now; last why it failed (FAILURE_LOG_INDEX). Raises UnknownTask."""
        return self._driver.collect(reading.logs(task_id), connection)

    def follow_logs(self, task_id: int) -> Iterator[LogLine]:
        """What the task printed and prints, in order, as it is committed, until the task has ended.

        Raises UnknownTask, also when the task is deleted meanwhile.
        """
        return self._driver.stream(reading.follow_logs(task_id))

    def cancel(self, task_id: int, *, connection: Connection[Any] | None = None) -> None:
        """End a task wherever it is: it commits nothing from then on, and its state is `cancelled`.

        Raises UnknownTask, and TaskEnded when it has ended before.
        """
        self._driver.run(tasks.cancel(task_id), connection)

    def pause(self, task_id: int, *, connection: Connection[Any] | None = None) -> None:
        """Stop a task where it stands, until `resume`: it commits nothing from then on. Deadlines go on.

        Raises UnknownTask, and TaskEnded when it has ended or is quarantined.
        """
        self._driver.run(tasks.pause(task_id), connection)

    def resume(self, task_id: int, *, connection: Connection[Any] | None = None) -> None:
        """Let a quarantined or paused task go on: it is run again from the top, replaying its journal.

        Raises UnknownTask, and NotResumable when it is in another state.
        """
        self._driver.run(tasks.resume(task_id), connection)

    def workers(
        self, *, heartbeat_timeout: float = HEARTBEAT_TIMEOUT, connection: Connection[Any] | None = None
    ) -> list[WorkerInfo]:
        """All registered workers. Dead are those that were silent for `heartbeat_timeout` seconds."""
        return self._driver.run(tasks.workers(heartbeat_timeout), connection)


class AsyncClient:
    """The client for asyncio. It belongs to one event loop, and any number of its coroutines may use it.

    `database` is a URL, for which the client makes a pool that it closes with itself, or an
    `AsyncConnectionPool` of the application, which stays open. All waits together hold at most two
    connections of their own to listen. `plugins`: see `Client`.
    """

    def __init__(
        self,
        database: str | AsyncConnectionPool[Any],
        *,
        max_notification_bytes: int = MAX_NOTIFICATION_BYTES,
        max_task_data_bytes: int = MAX_TASK_DATA_BYTES,
        plugins: Plugins = None,
    ) -> None:
        _require(database)
        own = isinstance(database, str)
        self._driver = AsyncDriver(
            AsyncPooled.to(database, DEFAULT_POOL_SIZE) if isinstance(database, str) else AsyncPooled(database, own)
        )
        self._max_notification_bytes = max_notification_bytes
        self._max_task_data_bytes = max_task_data_bytes
        self._plugins = plugins

    async def close(self) -> None:
        """Stop listening, and close the pool that the client made."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def program(
        self,
        source: ProgramSource,
        name: str | None = None,
        *,
        connection: AsyncConnection[Any] | None = None,
    ) -> Program:
        """See `Client.program`."""
        return await self._driver.run(programs.program(source, name, self._plugins), connection)

    async def programs(self, *, connection: AsyncConnection[Any] | None = None) -> list[Program]:
        """See `Client.programs`."""
        return await self._driver.run(programs.programs(), connection)

    async def remove_program(self, source: Program | str, *, connection: AsyncConnection[Any] | None = None) -> Program:
        """See `Client.remove_program`."""
        return await self._driver.run(programs.remove_program(source), connection)

    async def launch(
        self,
        name: str,
        program: ProgramSource,
        data: object = None,
        *,
        connection: AsyncConnection[Any] | None = None,
    ) -> int:
        """See `Client.launch`."""
        limit = self._max_task_data_bytes
        return await self._driver.run(tasks.launch(name, program, data, limit, self._plugins), connection)

    async def launch_many(
        self,
        program: ProgramSource,
        new_tasks: Iterable[tuple[str, object]],
        *,
        connection: AsyncConnection[Any] | None = None,
    ) -> list[int]:
        """See `Client.launch_many`."""
        limit = self._max_task_data_bytes
        return await self._driver.run(tasks.launch_many(program, new_tasks, limit, self._plugins), connection)

    async def notify(
        self, task_id: int, event: str, data: object = None, *, connection: AsyncConnection[Any] | None = None
    ) -> None:
        """See `Client.notify`."""
        await self._driver.run(tasks.notify(task_id, event, data, self._max_notification_bytes), connection)

    async def task(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> Task:
        """See `Client.task`."""
        return await self._driver.run(tasks.get(task_id), connection)

    async def tasks(
        self,
        *,
        state: TaskState | str | None = None,
        name_glob: str | None = None,
        limit: int | None = 100,
        connection: AsyncConnection[Any] | None = None,
    ) -> list[Task]:
        """See `Client.tasks`."""
        return await self._driver.run(tasks.tasks(state, name_glob, limit), connection)

    async def wait(self, task_id: int, timeout: float | None = None, *, raise_on_failure: bool = False) -> Task:
        """See `Client.wait`."""
        return await self._driver.run(waiting.wait(task_id, timeout, raise_on_failure))

    async def events(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> list[Event]:
        """See `Client.events`."""
        return await self._driver.collect(reading.events(task_id), connection)

    async def logs(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> list[LogLine]:
        """See `Client.logs`."""
        return await self._driver.collect(reading.logs(task_id), connection)

    def follow_logs(self, task_id: int) -> AsyncIterator[LogLine]:
        """See `Client.follow_logs`."""
        return self._driver.stream(reading.follow_logs(task_id))

    async def cancel(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> None:
        """See `Client.cancel`."""
        await self._driver.run(tasks.cancel(task_id), connection)

    async def pause(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> None:
        """See `Client.pause`."""
        await self._driver.run(tasks.pause(task_id), connection)

    async def resume(self, task_id: int, *, connection: AsyncConnection[Any] | None = None) -> None:
        """See `Client.resume`."""
        await self._driver.run(tasks.resume(task_id), connection)

    async def workers(
        self, *, heartbeat_timeout: float = HEARTBEAT_TIMEOUT, connection: AsyncConnection[Any] | None = None
    ) -> list[WorkerInfo]:
        """See `Client.workers`."""
        return await self._driver.run(tasks.workers(heartbeat_timeout), connection)


def _require(database: object) -> None:
    """Raise ConfigError for what a variable that is not set gives, before it fails somewhere inside."""
    if not database:
        raise ConfigError(
            "no database was given\n"
            "write postgresql://USER@HOST:PORT/DATABASE; the embedded one: EmbeddedServer().ensure_running()"
        )


def _connections(database: str | ConnectionPool[Any] | Connections) -> Connections:
    if isinstance(database, str):
        return Pooled.to(database, DEFAULT_POOL_SIZE)
    return Pooled(database, owned=False) if isinstance(database, ConnectionPool) else database
