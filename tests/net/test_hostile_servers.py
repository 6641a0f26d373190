"""Whatever a server does, a request ends in time, in little memory, with an answer or an error of one of the kinds."""

from __future__ import annotations

import gzip
import logging
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable
from random import Random

import pytest

from durable.net.errors import ConnectFailed, HttpError, RequestFailed, ResponseTooLarge, TimedOut
from tests.net.clients import Sender
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Behaviour, Received, response, saying, saying_and_closing

FOREVER = 60.0


def trickling(first: bytes, drop: bytes = b"x", pause: float = 0.02) -> Behaviour:
    """Says something, and then a little more now and then, for ever."""

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(first)
        while True:
            time.sleep(pause)
            connection.sendall(drop)

    return behave


def hanging(first: bytes = b"") -> Behaviour:
    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(first)
        connection.recv(1)
        return False

    return behave


def resetting(first: bytes = b"") -> Behaviour:
    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(first)
        time.sleep(0.05)  # else the reset overtakes what was sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


# -- time ------------------------------------------------------------------------------------------------------------
HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW: list[tuple[str, Callable[[], Behaviour]]] = [
    ("says nothing", hanging),
    ("stops in the status line", lambda: hanging(b"HTTP/1.1 2")),
    ("stops in the headers", lambda: hanging(HEAD + b"X: 1\r\n")),
    ("stops after the headers", lambda: hanging(HEAD + b"Content-Length: 5\r\n\r\n")),
    ("stops in the body", lambda: hanging(response(b"hel", length=5))),
    ("stops in a chunk", lambda: hanging(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")),
    ("never ends the chunks", lambda: hanging(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")),
    ("keeps an unframed body open", lambda: hanging(HEAD + b"\r\nhello")),
    ("trickles the status line", lambda: trickling(b"HTTP/1.1 200 ")),
    ("trickles a header", lambda: trickling(HEAD + b"X: ")),
    ("trickles headers", lambda: trickling(HEAD, b"X: 1\r\n", 0.1)),
    ("trickles the body", lambda: trickling(response(b"", length=100_000))),
    ("trickles an unframed body", lambda: trickling(HEAD + b"\r\n")),
    ("trickles chunks", lambda: trickling(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")),
    ("trickles a chunk size", lambda: trickling(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0")),
    ("trickles trailers", lambda: trickling(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: 1\r\n", 0.1)),
    ("trickles early hints", lambda: trickling(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.1)),
    ("trickles continues", lambda: trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.1)),
    ("redirects for ever, slowly", lambda: slowly_redirecting),
]


def slowly_redirecting(request: Received, connection: socket.socket) -> bool:
    time.sleep(0.2)
    connection.sendall(response(b"", 302, [("Location", "/" + "x" * len(request.path))]))
    return True


@pytest.mark.parametrize("behave", [make for _, make in SLOW], ids=[name for name, _ in SLOW])
def test_the_time_is_over_when_it_is_over(serve: Serve, sender: Sender, behave: Callable[[], Behaviour]) -> None:
    server = serve(behave())
    started = time.monotonic()
    with pytest.raises(TimedOut, match=r"^http://127\.0\.0\.1:\d+: no complete response within 0\.5 s$"):
        sender.send(server.url(), timeout=0.5)
    assert 0.49 < time.monotonic() - started < 3.0


def test_a_server_that_does_not_read_is_left_in_time(new_sender: NewSender) -> None:
    sender = new_sender(allow="127.0.0.1", max_body=50_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            sender.send(f"http://127.0.0.1:{listener.getsockname()[1]}/", "POST", [], bytes(30_000_000), timeout=0.5)
    assert time.monotonic() - started < 3.0


def test_a_resolver_that_hangs_is_left_in_time(new_sender: NewSender) -> None:
    released = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        released.wait(FOREVER)
        return ["127.0.0.1"]

    sender = new_sender(resolve=resolve)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        sender.send("http://slow.example/", timeout=0.3)
    assert time.monotonic() - started < 3.0
    released.set()


def test_a_server_that_does_not_accept_is_left_in_time(new_sender: NewSender) -> None:
    timeouts = []

    def never(address: object, port: int, timeout: float) -> socket.socket:
        timeouts.append(timeout)
        time.sleep(timeout)
        raise TimeoutError("timed out")

    sender = new_sender(names={"three.example": ["93.184.216.34", "93.184.216.35", "93.184.216.36"]}, open_socket=never)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        sender.send("http://three.example/", timeout=0.6)
    assert time.monotonic() - started < 3.0
    # A third each of what is left, which on a busy machine is less than what there was.
    assert len(timeouts) == 3
    assert all(0 < timeout < 0.25 for timeout in timeouts)


def test_a_connection_may_not_take_all_of_a_long_timeout(
    new_sender: NewSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable.net.exchange.CONNECT_SECONDS", 0.3)

    def never(address: object, port: int, timeout: float) -> socket.socket:
        time.sleep(timeout)
        raise TimeoutError("timed out")

    with pytest.raises(ConnectFailed, match=r"no connection to http://93\.184\.216\.34 within 0\.3 s"):
        new_sender(open_socket=never).send("http://93.184.216.34/", timeout=20.0)


@pytest.mark.parametrize("timeout", [0.0, 1e-9])
def test_no_time_is_enough_for_nothing(serve: Serve, sender: Sender, timeout: float) -> None:
    server = serve(saying(response()))
    with pytest.raises(TimedOut):
        sender.send(server.url(), timeout=timeout)
    assert server.requests == []


# -- broken connections ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200", HEAD, HEAD + b"X: 1\r\n", HEAD + b"X: 1\r\nY", response(b"hel", length=5)],
)
@pytest.mark.parametrize("end", [resetting, saying_and_closing])
def test_a_connection_that_breaks_is_an_error(
    serve: Serve, sender: Sender, end: Callable[[bytes], Behaviour], first: bytes
) -> None:
    with pytest.raises(RequestFailed):
        sender.send(serve(end(first)).url())


def test_nothing_is_tried_again(serve: Serve, sender: Sender) -> None:
    for behave in (resetting(), saying_and_closing(b""), saying(response(b"", 503, [("Retry-After", "0")]))):
        server = serve(behave)
        try:
            assert sender.send(server.url()).status == 503
        except RequestFailed:
            pass
        assert (server.connections, len(server.requests)) == (1, 1)


def test_nobody_who_listens_is_no_connection(sender: Sender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="Connection refused"):
        sender.send(f"http://127.0.0.1:{port}/")


# -- lies and nonsense -----------------------------------------------------------------------------------------------
NONSENSE = [
    b"\r\n\r\n", b"hello", b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail.example ESMTP\r\n", b"HTTP/1.1\r\n\r\n",
    b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 99 Low\r\n\r\n", b"HTTP/1.1 1000 High\r\n\r\n",
    b"HTTP/1.1 -200 OK\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x28", b"\x00" * 1000,
    HEAD + b"no colon\r\nContent-Length: 0\r\n\r\n", HEAD + b": empty\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X Y: 1\r\nContent-Length: 0\r\n\r\n", HEAD + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n", HEAD + b" X: folded\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X\xe4: 1\r\nContent-Length: 0\r\n\r\n", HEAD + b"X : 1\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"Content-Length: x\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n", HEAD + b"Content-Length: +1\r\n\r\n1",
    HEAD + b"Content-Length: 1_0\r\n\r\n0123456789", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    HEAD + b"Content-Length: 1, 2\r\n\r\n12", HEAD + b"Content-Length: 0x1\r\n\r\n1", HEAD + b"Content-Length:\r\n\r\n",
    HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n1", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: identity\r\n\r\nhello", HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nhello", HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense",
    HEAD + b"X: 1\r\n" * 101 + b"\r\n", HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
    HEAD + (b"X: " + b"x" * 60_000 + b"\r\n") * 5 + b"Content-Length: 0\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("answer", NONSENSE, ids=lambda answer: repr(answer)[:60])
def test_nonsense_is_an_error(serve: Serve, sender: Sender, answer: bytes) -> None:
    with pytest.raises(RequestFailed) as failed:
        sender.send(serve(saying_and_closing(answer)).url(), timeout=5.0)
    assert len(str(failed.value)) < 400


def head_of(values: Iterable[int]) -> bytes:
    """An answer with a header for each number, whose value has so many bytes, and one more for the length."""
    return HEAD + b"".join(b"X: " + b"x" * size + b"\r\n" for size in values) + b"Content-Length: 0\r\n\r\n"


#: Names and values of all headers together, in bytes.
ROOM = 262_144 - len("Content-Length0")


@pytest.mark.parametrize(
    ("most", "too_much"),
    [([1] * 98, [1] * 99), ([65_531], [65_532]), ([*[50_000] * 5, ROOM - 250_006], [*[50_000] * 5, ROOM - 250_005])],
    ids=["99 headers", "65536 bytes in a line", "262144 bytes"],
)
def test_the_headers_of_a_response_have_limits(
    serve: Serve, sender: Sender, most: list[int], too_much: list[int]
) -> None:
    answer = sender.send(serve(saying_and_closing(head_of(most))).url())
    assert [len(value) for value in answer.values("x")] == most
    with pytest.raises(RequestFailed):
        sender.send(serve(saying_and_closing(head_of(too_much))).url())


@pytest.mark.parametrize("lines", [b"Content-Length: 5\r\nContent-Length: 5\r\n", b"Content-Length: 5, 5\r\n"])
def test_the_same_length_twice_is_a_length(serve: Serve, sender: Sender, lines: bytes) -> None:
    assert sender.send(serve(saying(HEAD + lines + b"\r\nhello")).url()).body == b"hello"


def test_a_length_that_is_too_small_cuts_the_body(serve: Serve, sender: Sender) -> None:
    assert sender.send(serve(saying(response(b"hello and more", length=5))).url()).body == b"hello"


def test_random_nonsense_is_an_error_or_an_answer(serve: Serve, new_sender: NewSender) -> None:
    """2,000 answers: cut, flipped, spliced and made up."""
    seed = int(time.time())
    random = Random(seed)
    samples = [
        *NONSENSE[:-4],
        response(b"hello", headers=[("X", "1"), ("Location", "/x")]),
        response(gzip.compress(b"hello" * 100), headers=[("Content-Encoding", "gzip")]),
        HEAD + b"Transfer-Encoding: chunked\r\nX: 1\r\n\r\n5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nT: 1\r\n\r\n",
        response(b"", 302, [("Location", "http://[::1")]),
    ]

    def mutated() -> bytes:
        data = bytearray(random.choice(samples))
        for _ in range(random.randrange(4)):
            at = random.randrange(len(data) + 1)
            match random.randrange(4):
                case 0:
                    data[at : at + 1] = random.randbytes(1)
                case 1:
                    del data[at : at + random.randrange(20)]
                case 2:
                    data[at:at] = random.choice(samples)[: random.randrange(40)]
                case 3:
                    data[at:at] = random.choice(
                        [b"\r\n", b"\r", b"\n", b"\0", b": ", b"HTTP/1.1 200 OK\r\n", b"-", b"\xff"]
                    )
        return bytes(data)

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(mutated())
        return False

    server = serve(behave)
    sender = new_sender(allow="127.0.0.1", max_body=10_000)
    answers = 0
    for number in range(2000):
        try:
            sender.send(server.url(), timeout=5.0)
            answers += 1
        except HttpError:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}, number {number}") from error
    assert 20 < answers < 1980, f"seed {seed}: too little of one kind"


# -- sizes -----------------------------------------------------------------------------------------------------------
def flooding(head: bytes, size: int = 100_000_000) -> Behaviour:
    """100 MB, however they are framed."""

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(head)
        piece = bytes(100_000)
        if b"chunked" in head:
            piece = b"186a0\r\n" + piece + b"\r\n"
        for _ in range(size // 100_000):
            connection.sendall(piece)
        return False

    return behave


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 100000000\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        HEAD + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 100,
    ],
)
def test_100_megabytes_are_cut_off(serve: Serve, new_sender: NewSender, head: bytes) -> None:
    server, sender = serve(flooding(head)), new_sender(allow="127.0.0.1", max_body=500_000)
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(RequestFailed):
            sender.send(server.url())
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("framed", [True, False])
def test_a_body_may_have_max_http_body_and_not_one_byte_more(serve: Serve, new_sender: NewSender, framed: bool) -> None:
    sender = new_sender(allow="127.0.0.1", max_body=1000)
    answer = response if framed else lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body
    assert len(sender.send(serve(saying_and_closing(answer(bytes(1000)))).url()).body) == 1000
    with pytest.raises(ResponseTooLarge, match=r"the response body is larger than max_http_body \(1000 bytes\)"):
        sender.send(serve(saying_and_closing(answer(bytes(1001)))).url())


def test_a_gzip_bomb_is_an_error(serve: Serve, new_sender: NewSender) -> None:
    bomb = response(gzip.compress(bytes(100_000_000)), headers=[("Content-Encoding", "gzip")])
    with pytest.raises(ResponseTooLarge, match=r"decoded, is larger than max_http_body \(1000000 bytes\)"):
        new_sender(allow="127.0.0.1").send(serve(saying(bomb)).url())


# -- secrets ---------------------------------------------------------------------------------------------------------
def test_no_error_and_no_log_shows_a_secret(
    serve: Serve, sender: Sender, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cr3tCanary"
    headers = [("Authorization", f"Bearer {secret}".encode()), ("Cookie", secret.encode())]
    said = []
    for answer in [
        *NONSENSE,
        response(b"", 302, [("Location", "file:///")]),
        response(b"", 302, [("Location", "http://10.0.0.1")]),
    ]:
        url = serve(saying_and_closing(answer)).url(f"/?token={secret}").replace("http://", f"http://me:{secret}@")
        with pytest.raises(HttpError) as failed:
            sender.send(url, "POST", headers, secret.encode(), timeout=5.0)
        said.append(str(failed.value))
    assert secret not in "".join(said) + caplog.text + "".join(capfd.readouterr())
    assert {record.name for record in caplog.records} <= {"asyncio"}
