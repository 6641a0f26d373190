"""Servers on loopback that do what a test says, however badly a real one would have to be broken to do it."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

#: Talks to the client; the connection is closed when it returns False.
Behaviour = Callable[["Received", socket.socket], bool]


@dataclass
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: list[tuple[str, bytes]]
    body: bytes

    def values(self, name: str) -> list[bytes]:
        return [value for one, value in self.headers if one.lower() == name]


def response(
    body: bytes = b"", status: int = 200, headers: Sequence[tuple[str, str]] = (), *, length: int | None = None
) -> bytes:
    """A response with a content-length, which can be a lie."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """A response in these chunks."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n" + trailer + b"\r\n"


def saying(*answers: bytes) -> Behaviour:
    """Answer with these bytes, the last of them for all further requests, and keep the connection open."""
    left = list(answers)

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])
        return True

    return behave


def saying_and_closing(answer: bytes) -> Behaviour:
    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(answer)
        return False

    return behave


@dataclass
class Server:
    """`requests` is what came, `connections` how many connections were accepted."""

    behave: Behaviour
    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[Received] = field(default_factory=list)
    server_names: list[str | None] = field(default_factory=list)
    connections: int = 0

    def start(self) -> None:
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(
            (self.host, 0), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET, backlog=500
        )
        if self.context is not None:
            self.context.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def url(self, path: str = "/") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.context else ''}://{host}:{self.port}{path}"

    def stop(self) -> None:
        # Closing alone does not wake a thread that waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            with suppress(OSError):
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                while (request := _read(connection)) is not None:
                    self.requests.append(request)
                    if not self.behave(request, connection):
                        break
        finally:
            self._open.discard(connection)
            connection.close()


def _read(connection: socket.socket) -> Received | None:
    with connection.makefile("rb", buffering=0) as stream:
        line = stream.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ")
        headers = []
        while (line := stream.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.partition(b": ")
            headers.append((name.decode(), value))
        request = Received(method, path, headers, b"")
        length = int(next(iter(request.values("content-length")), b"0"))
        while len(request.body) < length:
            piece = stream.read(length - len(request.body))
            if not piece:
                return None
            request.body += piece
        return request


@contextmanager
def serving(behave: Behaviour, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    server = Server(behave, context, host)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def after(seconds: float, answer: bytes) -> Behaviour:
    def behave(request: Received, connection: socket.socket) -> bool:
        time.sleep(seconds)
        connection.sendall(answer)
        return True

    return behave
