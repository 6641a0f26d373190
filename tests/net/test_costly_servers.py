"""What a server sends is read in a time that grows with its size, and not faster: the worker has other tasks."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from durable.net import chunks
from durable.net.errors import RequestFailed, TimedOut
from tests.net.clients import Sender
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Behaviour, Received, chunked, response, saying

#: Read by something quadratic, the answers below take minutes.
AT_MOST = 30.0


def test_blanks_in_headers_are_read_at_once(serve: Serve, sender: Sender) -> None:
    value = "a" + " " * 60_000 + "b"
    server = serve(saying(response(b"hello", headers=[("X", value)] * 4)))
    started = time.monotonic()
    assert sender.send(server.url(), timeout=AT_MOST).values("x") == [value.encode()] * 4
    assert time.monotonic() - started < AT_MOST


def test_parameters_of_a_content_type_are_read_at_once(serve: Serve, sender: Sender) -> None:
    lines = ['multipart/mixed; boundary=b; a="', *[";" * 60_000] * 4]
    server = serve(saying(response(b"hello", headers=[("Content-Type", "\r\n ".join(lines))])))
    started = time.monotonic()
    assert sender.send(server.url(), timeout=AT_MOST).values("content-type") == [" ".join(lines).encode()]
    assert time.monotonic() - started < AT_MOST


def flooding(first: bytes, then: bytes) -> Behaviour:
    """Says something, and then something else for ever, as fast as it is read."""

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(first)
        while True:
            connection.sendall(then * 1000)

    return behave


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "more than 20 informational responses"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "more than 20 informational responses"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", "too many chunks for so few bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;x\r\nx\r\n", "too many chunks for so few bytes"),
    ],
)
def test_a_flood_of_next_to_nothing_is_an_error_long_before_the_time_is_over(
    serve: Serve, new_sender: NewSender, first: bytes, then: bytes, reason: str
) -> None:
    sender = new_sender(allow="127.0.0.1", max_body=4_194_304)
    with pytest.raises(RequestFailed, match=reason):
        sender.send(serve(flooding(first, then)).url(), timeout=60.0)


def test_many_small_chunks_are_a_response(serve: Serve, new_sender: NewSender) -> None:
    line = b"2024-01-01 00:00:00 a line of some log.\n"
    sender = new_sender(allow="127.0.0.1", max_body=4_194_304)
    assert sender.send(serve(saying(chunked(*[line] * 100_000))).url(), timeout=60.0).body == line * 100_000


def test_a_server_that_stops_within_its_chunks_holds_up_nobody_else(serve: Serve, sender: Sender) -> None:
    begun, released = threading.Event(), threading.Event()

    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n5\r\nhel")
        begun.set()
        released.wait(30)
        connection.sendall(b"lo\r\n0\r\n\r\n")
        return True

    stopping, other = serve(behave), serve(saying(chunked(b"other")))
    answers: list[bytes] = []
    waiting = threading.Thread(target=lambda: answers.append(sender.send(stopping.url(), timeout=60.0).body))
    waiting.start()
    try:
        assert begun.wait(10)
        assert sender.send(other.url()).body == b"other"
    finally:
        released.set()
        waiting.join()
    assert answers == [b"xhello"]


def test_a_response_that_waits_for_others_to_be_decoded_has_no_more_time_than_its_request(
    serve: Serve, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding, decoded = threading.Event(), threading.Event()

    def slowly(buffered: bytes, body: bytearray) -> int:
        if b"costly" in buffered:
            decoding.set()
            decoded.wait(30)
        return take_whole(buffered, body)

    take_whole = chunks._take_whole
    monkeypatch.setattr(chunks, "_take_whole", slowly)
    costly, other = serve(saying(chunked(b"costly"))), serve(saying(chunked(b"other")))
    answers: list[bytes] = []
    first = threading.Thread(target=lambda: answers.append(sender.send(costly.url(), timeout=60.0).body))
    first.start()
    try:
        assert decoding.wait(10)
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            sender.send(other.url(), timeout=0.3)
    finally:
        decoded.set()
        first.join()
    assert answers == [b"costly"]
    assert sender.send(other.url()).body == b"other"


def test_chunks_that_come_one_by_one_are_a_response(serve: Serve, sender: Sender) -> None:
    def behave(request: Received, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(200):
            time.sleep(0.002)
            connection.sendall(b"28\r\n%40d\r\n" % number)
        connection.sendall(b"0\r\n\r\n")
        return True

    server = serve(behave)
    for _ in range(2):
        assert sender.send(server.url(), timeout=60.0).body == b"".join(b"%40d" % number for number in range(200))
    assert server.connections == 1
