"""The address that was checked is the address that is connected to, on every hop."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from durable.egress import Address
from durable.net.errors import ConnectFailed, EgressRefused, RequestFailed
from durable.net.sockets import open_socket
from tests.net.clients import NoNetwork
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Server, response, saying

PUBLIC, OTHER_PUBLIC = "93.184.216.34", "93.184.216.35"


class Redirected:
    """Instead of the internet: every public address is a server on loopback; notes what was dialled."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.dialled: list[str] = []
        self.refusing: set[str] = set()

    def __call__(self, address: Address, port: int, timeout: float) -> socket.socket:
        self.dialled.append(str(address))
        if str(address) in self.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        return open_socket(type(address)("127.0.0.1"), self.server.port, timeout)


class Rebinding:
    """A resolver that gives another answer each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0)


def test_a_name_is_resolved_once_for_a_connection(serve: Serve, new_sender: NewSender) -> None:
    network = Redirected(serve(saying(response(b"hello"))))
    resolver = Rebinding([PUBLIC], ["127.0.0.1"])
    sender = new_sender(resolve=resolver, open_socket=network)
    assert sender.send("http://rebinding.example/").body == b"hello"
    assert (resolver.asked, network.dialled) == (1, [PUBLIC])


def test_a_name_that_has_come_to_mean_something_else_is_checked_again(serve: Serve, new_sender: NewSender) -> None:
    network = Redirected(serve(saying(response(b"hello", headers=[("Connection", "close")]))))
    sender = new_sender(resolve=Rebinding([PUBLIC], ["127.0.0.1"]), open_socket=network)
    sender.send("http://rebinding.example/")
    with pytest.raises(EgressRefused, match=r"127\.0\.0\.1 is a loopback address"):
        sender.send("http://rebinding.example/")
    assert network.dialled == [PUBLIC]


def test_a_kept_connection_is_not_resolved_again(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")))
    network = Redirected(server)
    sender = new_sender(resolve=Rebinding([PUBLIC], ["127.0.0.1"]), open_socket=network)
    for _ in range(3):
        assert sender.send("http://rebinding.example/").body == b"hello"
    assert (server.connections, len(server.requests), network.dialled) == (1, 3, [PUBLIC])


def test_a_kept_connection_is_for_its_own_origin_only(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")))
    sender = new_sender(names={"a.example": [PUBLIC], "b.example": [PUBLIC]}, open_socket=Redirected(server))
    for url in ("http://a.example/", "http://b.example/", "http://a.example:81/", "http://a.example./"):
        try:
            sender.send(url)
        except ConnectFailed:  # of a.example., which nobody resolves here
            assert url == "http://a.example./"
    assert server.connections == 3
    assert [request.values("host") for request in server.requests] == [
        [b"a.example"],
        [b"b.example"],
        [b"a.example:81"],
    ]


def test_the_next_address_is_tried_when_one_does_not_answer(serve: Serve, new_sender: NewSender) -> None:
    network = Redirected(serve(saying(response(b"hello"))))
    network.refusing = {PUBLIC}
    sender = new_sender(names={"two.example": [PUBLIC, OTHER_PUBLIC]}, open_socket=network)
    assert sender.send("http://two.example/").body == b"hello"
    assert network.dialled == [PUBLIC, OTHER_PUBLIC]


def test_without_any_address_that_answers_there_is_no_connection(new_sender: NewSender) -> None:
    network = NoNetwork()
    sender = new_sender(names={"two.example": [PUBLIC, OTHER_PUBLIC], "none.example": []}, open_socket=network)
    with pytest.raises(ConnectFailed, match=r"no connection to http://two\.example: Connection refused"):
        sender.send("http://two.example/")
    assert network.attempts == [(PUBLIC, 80), (OTHER_PUBLIC, 80)]
    with pytest.raises(ConnectFailed, match="has no address"):
        sender.send("http://none.example/")
    with pytest.raises(ConnectFailed, match=r"unknown\.example cannot be resolved: Name or service not known"):
        sender.send("http://unknown.example/")


INSIDE = [
    "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://localhost/",
    "//10.0.0.1/", "http://2130706433/", "http://[::ffff:10.0.0.1]/", "https://private.example/", "http://user@127.1:8080/",
]  # fmt: skip


@pytest.mark.parametrize("location", INSIDE)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere_inside(serve: Serve, new_sender: NewSender, location: str, status: int) -> None:
    server = serve(saying(response(b"", status, [("Location", location)])))
    network = Redirected(server)
    names = {"public.example": [PUBLIC], "localhost": ["127.0.0.1"], "private.example": ["10.0.0.1"]}
    sender = new_sender(names=names, open_socket=network)
    with pytest.raises(EgressRefused):
        sender.send("http://public.example/")
    assert (len(server.requests), network.dialled) == (1, [PUBLIC])


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://a b/", "http://1.2.3.4.5/"])
def test_a_redirect_to_something_else_than_http_is_an_error(serve: Serve, new_sender: NewSender, location: str) -> None:
    server = serve(saying(response(b"", 302, [("Location", location)])))
    sender = new_sender(names={"public.example": [PUBLIC]}, open_socket=Redirected(server))
    with pytest.raises(RequestFailed, match=r"http://public\.example redirects to an invalid URL"):
        sender.send("http://public.example/")
    assert len(server.requests) == 1


def test_a_redirect_from_inside_may_lead_outside(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"", 302, [("Location", "http://public.example/there")]), response(b"there")))
    network = Redirected(server)
    sender = new_sender(allow="10.0.0.1", names={"public.example": [PUBLIC]}, open_socket=network)
    assert sender.send("http://10.0.0.1/").body == b"there"
    assert network.dialled == ["10.0.0.1", PUBLIC]
