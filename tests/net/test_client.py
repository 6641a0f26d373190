"""Requests arrive as the guest made them, and responses as the server sent them."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from random import Random

import pytest

from durable.net.coding import SUPPORTED
from durable.net.errors import (
    InvalidHeaderName,
    InvalidHeaderValue,
    InvalidMethod,
    NotPermitted,
    RequestFailed,
    RequestTooLarge,
)
from durable.net.idle import MAX_IDLE_SECONDS
from durable.net.message import MAX_HEADER_BYTES, Request, check_headers, check_length, check_method
from durable.net.target import Target
from tests.net.clients import Sender, always
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Behaviour, Received, chunked, response, saying, saying_and_closing

BINARY = Random(3).randbytes(300_000)


# -- methods and bodies ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "x~1"]
)
def test_a_method_is_sent_as_it_is(serve: Serve, sender: Sender, method: str) -> None:
    server = serve(saying(response(b"hello")))
    assert sender.send(server.url("/path?query"), method).body == b"hello"
    assert (server.requests[0].method, server.requests[0].path) == (method, "/path?query")


def test_a_response_to_head_has_no_body(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response(b"", length=1000)))
    for _ in range(2):
        answer = sender.send(server.url(), "HEAD")
        assert (answer.status, answer.body, answer.values("content-length")) == (200, b"", [b"1000"])
    assert server.connections == 1


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_that_has_no_body_is_complete_without_one(serve: Serve, sender: Sender, status: int) -> None:
    server = serve(saying(f"HTTP/1.1 {status} No Body\r\nX: 1\r\n\r\n".encode()))
    for _ in range(2):
        assert sender.send(server.url()).status == status
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)), BINARY], ids=len)
def test_a_body_arrives_as_it_is(serve: Serve, sender: Sender, method: str, body: bytes) -> None:
    server = serve(saying(response()))
    sender.send(server.url(), method, [], body)
    assert server.requests[0].body == body
    assert server.requests[0].values("content-length") == [str(len(body)).encode()]
    assert server.requests[0].values("transfer-encoding") == []


def test_without_a_body_there_is_a_length_only_where_servers_want_one(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    for method in ("GET", "DELETE", "POST", "PUT", "PATCH"):
        sender.send(server.url(), method)
    assert [request.values("content-length") for request in server.requests] == [[], [], [b"0"], [b"0"], [b"0"]]


@pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)), BINARY], ids=len)
def test_a_response_arrives_as_it_is(serve: Serve, sender: Sender, body: bytes) -> None:
    parts = [body[i : i + 7000] for i in range(0, len(body), 7000)]
    to_the_end = b"HTTP/1.0 200 OK\r\n\r\n" + body
    for behaviour in (saying(response(body)), saying(chunked(*parts)), saying_and_closing(to_the_end)):
        assert sender.send(serve(behaviour).url()).body == body


@pytest.mark.parametrize("status", [200, 201, 299, 300, 400, 404, 418, 500, 503, 599, 999])
def test_every_status_is_an_answer(serve: Serve, sender: Sender, status: int) -> None:
    assert sender.send(serve(saying(response(b"", status))).url()).status == status


def test_informational_responses_come_before_the_answer(serve: Serve, sender: Sender) -> None:
    early = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    )
    server = serve(saying(early + response(b"hello", headers=[("X", "1")])))
    for _ in range(2):
        answer = sender.send(server.url())
        assert (answer.status, answer.body, answer.values("link")) == (200, b"hello", [])
    assert server.connections == 1


def test_a_request_body_has_a_limit(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response()))
    sender = new_sender(allow="127.0.0.1", max_body=1000)
    sender.send(server.url(), "POST", [], bytes(1000))
    with pytest.raises(RequestTooLarge, match="the request body has 1001 bytes; max_http_body allows 1000"):
        sender.send(server.url(), "POST", [], bytes(1001))
    assert len(server.requests) == 1


# -- headers ---------------------------------------------------------------------------------------------------------
def test_headers_arrive_in_order_and_repeated_ones_stay_apart(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    headers = [("X-A", b"1"), ("x-b", b"2"), ("X-A", b"3, 4"), ("X-Empty", b""), ("X-Bytes", b"\xff\x80 \t!")]
    sender.send(server.url(), headers=headers)
    assert server.requests[0].headers[-5:] == headers


def test_headers_of_a_response_come_in_order_with_names_in_lower_case(serve: Serve, sender: Sender) -> None:
    own = [("X-A", "1"), ("Set-Cookie", "a=1"), ("x-a", "2"), ("SET-COOKIE", "b=2; path=/"), ("X-Bytes", "\xff\x80")]
    answer = sender.send(serve(saying(response(b"", headers=own))).url())
    assert answer.headers == [
        ("content-length", b"0"), ("x-a", b"1"), ("set-cookie", b"a=1"), ("x-a", b"2"), ("set-cookie", b"b=2; path=/"),
        ("x-bytes", b"\xff\x80"),
    ]  # fmt: skip


def test_a_folded_header_is_one_line(serve: Serve, sender: Sender) -> None:
    answer = sender.send(serve(saying(b"HTTP/1.1 200 OK\r\nX: a\r\n  b\r\n\tc\r\nContent-Length: 0\r\n\r\n")).url())
    assert answer.values("x") == [b"a b c"]


def test_what_the_guest_does_not_say_is_said_for_it(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    sender.send(server.url())
    headers = dict(server.requests[0].headers)
    assert headers["host"] == f"127.0.0.1:{server.port}".encode()
    assert headers["accept"] == b"*/*"
    assert headers["accept-encoding"] == ", ".join(SUPPORTED).encode()
    assert headers["user-agent"].startswith(b"durable/")


def test_what_the_guest_says_is_not_said_again(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    own = [
        ("HOST", b"virtual.example"), ("Accept", b"text/html"), ("Accept-Encoding", b"br"), ("User-Agent", b"mine"),
        ("Authorization", b"Bearer x"),
    ]  # fmt: skip
    sender.send(server.url().replace("http://", "http://me:secret@"), headers=own)
    assert server.requests[0].headers == own


def test_user_and_password_of_the_url_are_sent_as_a_header(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    sender.send(server.url().replace("http://", "http://me:s%20t@"))
    assert server.requests[0].values("authorization") == [b"Basic bWU6cyB0"]


def test_a_guest_has_no_say_in_the_connection(serve: Serve, sender: Sender) -> None:
    """Another task's request follows on the same connection."""
    server = serve(saying(response()))
    own = [
        ("Connection", b"close"), ("Keep-Alive", b"timeout=1"), ("Transfer-Encoding", b"chunked"), ("TE", b"trailers"),
        ("Content-Length", b"4"), ("Upgrade", b"websocket"), ("Expect", b"100-continue"), ("Trailer", b"x"),
        ("Proxy-Authorization", b"x"), ("Proxy-Connection", b"close"), ("X-Own", b"1"),
    ]  # fmt: skip
    sender.send(server.url(), "POST", own, b"body")
    sender.send(server.url())
    names = [name for name, _ in server.requests[0].headers]
    assert names == ["host", "accept-encoding", "accept", "user-agent", "content-length", "X-Own"]
    assert (server.connections, server.requests[0].body) == (1, b"body")


@pytest.mark.parametrize(
    "method", ["", " ", "GET ", "GE T", "GET\r\nX: 1", "GÉT", "GET/1", "(", "x" * 101, "CONNECT", "connect"]
)
def test_an_invalid_method_is_refused(method: str) -> None:
    with pytest.raises(InvalidMethod):
        check_method(method)


def test_a_method_may_have_100_characters() -> None:
    check_method("x" * 100)


@pytest.mark.parametrize("name", ["", " ", "X A", "X:", ":authority", "X\r\n", "X\0", "Ü", "X\x7f", "a" * 10 + "\n"])
def test_an_invalid_header_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidHeaderName):
        check_headers([("x", b"1"), (name, b"1")])


@pytest.mark.parametrize("value", [b"\r\n", b"a\r\nX: 1", b"\n", b"a\rb", b"\0", b"\x01", b"\x7f", b"a\n b"])
def test_an_invalid_header_value_is_refused_and_not_shown(value: bytes) -> None:
    with pytest.raises(InvalidHeaderValue, match="the value of header 'authorization' has characters") as refused:
        check_headers([("authorization", b"s3cr3t" + value)])
    assert "s3cr3t" not in str(refused.value)


def test_headers_that_contradict_the_request_are_refused() -> None:
    with pytest.raises(InvalidHeaderValue, match="more than one host"):
        check_headers([("Host", b"a"), ("host", b"b")])
    for wrong in (b"3", b"5", b"4, 4", b"x", b"-4", b""):
        with pytest.raises(InvalidHeaderValue, match="content-length is not the length of the body"):
            check_length([("Content-Length", wrong)], b"body")
    check_length([("Content-Length", b"4")], b"body")
    check_length([("Content-Length", b"0")], None)


def test_headers_have_a_limit() -> None:
    check_headers([("x", bytes(0)), ("y", b"a" * (MAX_HEADER_BYTES - 2))])
    with pytest.raises(InvalidHeaderValue, match="larger than 262144 bytes"):
        check_headers([("x", b"a"), ("y", b"a" * (MAX_HEADER_BYTES - 2))])


# -- codings ---------------------------------------------------------------------------------------------------------
def test_a_coded_response_is_decoded(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response(gzip.compress(b"hello"), headers=[("Content-Encoding", "gzip"), ("X", "1")])))
    answer = sender.send(server.url())
    assert (answer.body, answer.headers) == (b"hello", [("x", b"1")])


@pytest.mark.parametrize(
    "own", [("Accept-Encoding", b"gzip"), ("accept-encoding", b"identity"), ("Range", b"bytes=0-9")]
)
def test_a_guest_that_asked_for_codings_itself_gets_what_came(
    serve: Serve, sender: Sender, own: tuple[str, bytes]
) -> None:
    body = gzip.compress(b"hello")
    server = serve(saying(response(body, headers=[("Content-Encoding", "gzip")])))
    answer = sender.send(server.url(), headers=[own])
    assert (answer.body, answer.values("content-encoding")) == (body, [b"gzip"])
    assert len(server.requests[0].values("accept-encoding")) == (own[0].lower() == "accept-encoding")


# -- redirects -------------------------------------------------------------------------------------------------------
def test_ten_redirects_are_followed_and_not_one_more(serve: Serve, sender: Sender) -> None:
    hops = [response(b"gone", 302, [("Location", f"/{n}")]) for n in range(1, 11)]
    server = serve(saying(*hops, response(b"here")))
    assert sender.send(server.url("/0")).body == b"here"
    assert [request.path for request in server.requests] == [f"/{n}" for n in range(11)]
    server = serve(saying(*hops, response(b"", 302, [("Location", "/11")])))
    with pytest.raises(RequestFailed, match="more than 10 redirects"):
        sender.send(server.url("/0"))
    assert len(server.requests) == 11


def test_a_redirect_carries_the_request_to_another_server(serve: Serve, sender: Sender) -> None:
    there = serve(saying(response(b"there")))
    here = serve(saying(response(b"", 307, [("Location", there.url("/there?x"))])))
    answer = sender.send(here.url(), "POST", [("Authorization", b"Bearer x"), ("X-Own", b"1")], b"body")
    assert answer.body == b"there"
    [request] = there.requests
    assert (request.method, request.path, request.body) == ("POST", "/there?x", b"body")
    assert request.values("authorization") == []
    assert request.values("x-own") == [b"1"]
    assert request.values("host") == [f"127.0.0.1:{there.port}".encode()]


def test_the_body_of_a_redirect_matters_to_nobody(serve: Serve, new_sender: NewSender) -> None:
    sender = new_sender(allow="127.0.0.1", max_body=1000)
    too_large = response(bytes(5000), 302, [("Location", "/next"), ("Content-Encoding", "gzip")])
    server = serve(saying(too_large, response(b"here")))
    assert sender.send(server.url()).body == b"here"


# -- connections -----------------------------------------------------------------------------------------------------
def test_connections_are_kept_and_used_again(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response(b"hello")))
    for _ in range(20):
        sender.send(server.url())
    assert (server.connections, len(server.requests)) == (1, 20)


@pytest.mark.parametrize(
    "answer",
    [
        response(b"hello", headers=[("Connection", "close")]),
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        response(b"hello") + b"and something nobody asked for",
    ],
)
def test_a_connection_that_is_not_clean_is_not_kept(serve: Serve, sender: Sender, answer: bytes) -> None:
    server = serve(saying(answer))
    for _ in range(3):
        assert sender.send(server.url()).body == b"hello"
    assert server.connections == 3


def test_a_connection_that_the_server_has_closed_is_replaced(serve: Serve, sender: Sender) -> None:
    server = serve(saying_and_closing(response(b"hello")))
    for _ in range(3):
        assert sender.send(server.url()).body == b"hello"
        time.sleep(0.05)
    assert server.connections == 3


def test_a_connection_is_not_kept_for_longer_than_servers_do(
    serve: Serve, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_IDLE_SECONDS < 5
    server = serve(saying(response(b"hello")))
    sender.send(server.url())
    monkeypatch.setattr("durable.net.idle.MAX_IDLE_SECONDS", 0.0)
    sender.send(server.url())
    assert server.connections == 2


def test_ipv6(serve: Serve, sender: Sender) -> None:
    try:
        server = serve(saying(response(b"hello")), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert sender.send(server.url()).body == b"hello"
    assert server.requests[0].values("host") == [f"[::1]:{server.port}".encode()]


def test_a_server_that_answers_before_it_has_the_body_is_heard(serve: Serve, new_sender: NewSender) -> None:
    def refuse(connection: socket.socket) -> None:
        with connection:
            connection.recv(1000)
            connection.sendall(response(b"too much", 413, [("Connection", "close")]))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                time.sleep(0.01)

    sender = new_sender(allow="127.0.0.1", max_body=20_000_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: refuse(listener.accept()[0]), daemon=True).start()
        answer = sender.send(f"http://127.0.0.1:{listener.getsockname()[1]}/", "POST", [], bytes(3_000_000))
    assert (answer.status, answer.body) == (413, b"too much")


# -- many at once ----------------------------------------------------------------------------------------------------
def slow(seconds: float, busy: list[int]) -> Behaviour:
    lock = threading.Lock()

    def behave(request: Received, connection: socket.socket) -> bool:
        with lock:
            busy[0] += 1
            busy[1] = max(busy)
        time.sleep(seconds)
        with lock:
            busy[0] -= 1
        connection.sendall(response(request.path.encode()))
        return True

    return behave


async def send_many(sender: Sender, urls: list[str], timeout: float = 10.0) -> list[bytes]:
    requests = [Request("GET", Target.parse(url), [], None, timeout) for url in urls]
    return [one.body for one in await asyncio.gather(*[sender.client.send(one, always) for one in requests])]


def test_two_hundred_slow_requests_at_once_with_few_threads(serve: Serve, new_sender: NewSender) -> None:
    busy = [0, 0]
    server = serve(slow(0.3, busy))
    sender = new_sender(allow="127.0.0.1", max_requests=64)
    bodies = asyncio.run(send_many(sender, [server.url(f"/{n}") for n in range(200)]))
    assert bodies == [f"/{n}".encode() for n in range(200)]
    assert 30 < busy[1] <= 64
    own = [thread for thread in threading.enumerate() if thread.name.startswith("durable-http")]
    assert len(own) <= 64


def test_waiting_for_a_thread_is_not_part_of_the_timeout(serve: Serve, new_sender: NewSender) -> None:
    server = serve(slow(0.4, [0, 0]))
    sender = new_sender(allow="127.0.0.1", max_requests=1)
    assert len(asyncio.run(send_many(sender, [server.url(f"/{n}") for n in range(4)], timeout=1.0))) == 4


def test_a_request_that_is_cancelled_while_it_waits_is_never_sent(serve: Serve, new_sender: NewSender) -> None:
    server = serve(slow(0.3, [0, 0]))
    sender = new_sender(allow="127.0.0.1", max_requests=1)

    async def scenario() -> None:
        first = asyncio.ensure_future(sender.client.send(Request("GET", Target.parse(server.url("/1"))), always))
        second = asyncio.ensure_future(sender.client.send(Request("GET", Target.parse(server.url("/2"))), always))
        await asyncio.sleep(0.1)
        second.cancel()
        await asyncio.wait([second])
        assert (await first).body == b"/1"

    asyncio.run(scenario())
    sender.send(server.url("/3"))
    assert [request.path for request in server.requests] == ["/1", "/3"]


def test_a_request_that_is_cancelled_under_way_ends_in_the_background(serve: Serve, new_sender: NewSender) -> None:
    server = serve(slow(1.0, [0, 0]))
    sender = new_sender(allow="127.0.0.1")

    async def scenario() -> float:
        sending = asyncio.ensure_future(sender.client.send(Request("GET", Target.parse(server.url("/1"))), always))
        await asyncio.sleep(0.1)
        started = time.monotonic()
        sending.cancel()
        await asyncio.wait([sending])
        return time.monotonic() - started

    assert asyncio.run(scenario()) < 0.5
    assert sender.send(server.url("/2")).body == b"/2"


# -- permission ------------------------------------------------------------------------------------------------------
def test_nothing_is_sent_without_permission(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    with pytest.raises(NotPermitted):
        sender.send(server.url(), permitted=lambda: False)
    assert server.connections == 0


def test_permission_is_asked_for_again_once_there_is_a_connection(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    answers = [True, False]
    with pytest.raises(NotPermitted):
        sender.send(server.url(), permitted=lambda: answers.pop(0))
    assert server.requests == []


def test_permission_is_asked_for_at_each_redirect(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response(b"", 302, [("Location", "/next")])))
    answers = [True, True, False]
    with pytest.raises(NotPermitted):
        sender.send(server.url(), permitted=lambda: answers.pop(0))
    assert len(server.requests) == 1


def test_a_closed_client_sends_nothing(serve: Serve, sender: Sender) -> None:
    server = serve(saying(response()))
    sender.send(server.url())
    sender.client.close()
    sender.client.close()
    with pytest.raises(RequestFailed, match="cannot send requests"):
        sender.send(server.url())
    assert len(server.requests) == 1
