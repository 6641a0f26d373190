"""A network between the workers and PostgreSQL that can be cut, slowed, gone deaf, refuse, and lose hints.

Deaf is what a broken network is to TCP: connections are accepted, what is sent into them is taken, nothing arrives.
Once it hears again everything that was held back arrives late, in order, also what a client sent that has closed
since: the statement of a worker whose lease is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

T = TypeVar("T")

#: A message of the server: one byte that says what, four for the length with themselves.
_HEAD = 5
_NOTIFICATION = b"A"
#: By this part of its first message the connection that listens for hints is known.
_LISTENER = b"durable listener"


class Proxy:
    """Runs on a thread of its own; all methods are for other threads.

    `carried` counts what passed, `hints_lost` the NOTIFY messages that did not, `refused` the connections.
    """

    def __init__(self, database_url: str) -> None:
        self.lead_to(database_url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[_Link] = set()
        self._hears = asyncio.Event()
        self._hears.set()
        #: Seconds that each message waits before it is passed on.
        self.delay = 0.0
        self.loses_hints = False
        self.refuses = False
        self.hints_lost = 0
        self.refused = 0
        self.carried = 0

    def start(self) -> None:
        self._thread.start()
        self._server = self._do(self._listen)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        self.hear()
        self.cut()
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lead_to(self, database_url: str) -> None:
        """Connect new clients to the server of this URL, which names the folder of its socket."""
        query = parse_qs(urlsplit(database_url).query)
        self._socket = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"

    def url(self, database_url: str) -> str:
        """The same database, through this network."""
        parts = urlsplit(database_url)
        return f"postgresql://{parts.username}@127.0.0.1:{self.port}{parts.path}?sslmode=disable&gssencmode=disable"

    def cut(self) -> int:
        """Break all connections, both ends at once. How many there were."""

        async def cut() -> int:
            links = list(self._links)
            for link in links:
                link.cut()
            return len(links)

        return self._do(cut)

    def go_mute(self) -> None:
        """What is sent on the connections of now arrives, and is done; the answers do not come, until `hear`."""

        async def go_mute() -> None:
            for link in self._links:
                link.pause_answers()

        self._do(go_mute)

    def go_deaf(self) -> None:
        async def go_deaf() -> None:
            self._hears.clear()
            for link in self._links:
                link.pause()

        self._do(go_deaf)

    def hear(self) -> None:
        """Deliver what was held back."""

        async def hear() -> None:
            self._hears.set()
            for link in self._links:
                link.resume()

        self._do(hear)

    # -- on the loop -------------------------------------------------------------------------------------------------
    def _do(self, work: Callable[[], asyncio.Future[T] | asyncio._CoroutineLike[T]]) -> T:
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(30)  # type: ignore[arg-type]

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: _End(self, None), "127.0.0.1", 0, backlog=500)

    async def _close(self) -> None:
        self._server.close()
        await asyncio.sleep(0)  # the connections that were cut are closed in the next round

    def accepted(self, client: _End) -> None:
        if self.refuses:
            self.refused += 1
            client.transport.abort()
            return
        link = _Link(client)
        client.link = link
        self._links.add(link)
        client.transport.pause_reading()
        link.opening = self._loop.create_task(self._open(link))

    async def _open(self, link: _Link) -> None:
        await self._hears.wait()
        try:
            await self._loop.create_unix_connection(lambda: _End(self, link), self._socket)
        except OSError:  # PostgreSQL is away
            link.cut()
            return
        if link.client.transport.is_closing():
            link.cut()
        link.client.transport.resume_reading()

    def closed(self, link: _Link) -> None:
        self._links.discard(link)

    @property
    def is_deaf(self) -> bool:
        return not self._hears.is_set()


class _Link:
    """A connection of a client, and the one to PostgreSQL that belongs to it."""

    def __init__(self, client: _End) -> None:
        self.client = client
        self.server: _End | None = None
        self.opening: asyncio.Task[None] | None = None
        self.hints: _HintFilter | None = None

    def peer_of(self, end: _End) -> _End | None:
        return self.server if end is self.client else self.client

    def ends(self) -> Iterator[_End]:
        yield self.client
        if self.server is not None:
            yield self.server

    def cut(self) -> None:
        for end in self.ends():
            end.transport.abort()

    def pause(self) -> None:
        for end in self.ends():
            end.transport.pause_reading()

    def pause_answers(self) -> None:
        if self.server is not None:
            self.server.transport.pause_reading()

    def resume(self) -> None:
        if self.server is not None:
            for end in self.ends():
                end.transport.resume_reading()


class _End(asyncio.Protocol):
    """One of the two sockets of a link: what it receives goes out at the other one."""

    transport: asyncio.Transport

    def __init__(self, proxy: Proxy, link: _Link | None) -> None:
        self._proxy = proxy
        self.link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.link is None:
            self._proxy.accepted(self)
        else:
            self.link.server = self
            if self._proxy.is_deaf:  # since the connection was begun
                transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        assert self.link is not None
        if self.link.hints is None:
            self.link.hints = _HintFilter(is_listener=_LISTENER in data)
        if self is self.link.server:
            data = self._without_hints(data, self.link.hints)
        if self._proxy.delay:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(self._proxy.delay, self._pass_on_late, data)
        else:
            self._pass_on(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.link is not None:
            self._proxy.closed(self.link)
            peer = self.link.peer_of(self)
            if peer is not None and not peer.transport.is_closing():
                peer.transport.close()

    def _without_hints(self, data: bytes, hints: _HintFilter) -> bytes:
        if not hints.is_listener:
            return data
        data, lost = hints.take(data, self._proxy.loses_hints)
        self._proxy.hints_lost += lost
        return data

    def _pass_on(self, data: bytes) -> None:
        assert self.link is not None
        peer = self.link.peer_of(self)
        if peer is not None and data:
            self._proxy.carried += len(data)
            peer.transport.write(data)

    def _pass_on_late(self, data: bytes) -> None:
        self._pass_on(data)
        if not self._proxy.is_deaf and not self.transport.is_closing():
            self.transport.resume_reading()


class _HintFilter:
    """Takes a stream of the server's messages apart, if it is that of a listener, and leaves notifications out."""

    def __init__(self, *, is_listener: bool) -> None:
        self.is_listener = is_listener
        self._rest = b""

    def take(self, data: bytes, loses: bool) -> tuple[bytes, int]:
        """The whole messages so far that may pass, and the number of those that may not."""
        data, passed, lost = self._rest + data, [], 0
        while len(data) >= _HEAD and len(data) > (length := int.from_bytes(data[1:_HEAD], "big")):
            message, data = data[: length + 1], data[length + 1 :]
            if loses and message[:1] == _NOTIFICATION:
                lost += 1
            else:
                passed.append(message)
        self._rest = data
        return b"".join(passed), lost


@contextmanager
def proxied(database_url: str) -> Iterator[Proxy]:
    """A network in front of the database."""
    proxy = Proxy(database_url)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
