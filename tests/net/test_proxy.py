"""With a proxy everything goes through it, and what can be checked without an address is checked here."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from durable.net.errors import ConnectFailed, EgressRefused, RequestFailed
from tests.net.clients import NoNetwork
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Behaviour, Received, Server, response, saying
from tests.net.test_tls import server_context, trusting


def tunnelling_to(server: Server) -> Behaviour:
    """A proxy that connects everybody to one server."""

    def behave(request: Received, client: socket.socket) -> bool:
        if request.method != "CONNECT":
            client.sendall(response(b"by proxy"))
            return True
        with socket.create_connection(("127.0.0.1", server.port)) as upstream:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            forward = threading.Thread(target=pump, args=(client, upstream), daemon=True)
            forward.start()
            pump(upstream, client)
            forward.join(5)
        return False

    return behave


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_an_http_request_is_handed_to_the_proxy(serve: Serve, new_sender: NewSender) -> None:
    proxy = serve(saying(response(b"by proxy")))
    sender = new_sender(proxy=f"http://me:s%20t@127.0.0.1:{proxy.port}")
    for _ in range(2):
        assert sender.send("http://me:own@public.example:81/path?query").body == b"by proxy"
    assert (proxy.requests[0].method, proxy.requests[0].path) == ("GET", "http://public.example:81/path?query")
    assert proxy.requests[0].values("proxy-authorization") == [b"Basic bWU6cyB0"]
    assert proxy.requests[0].values("authorization") == [b"Basic bWU6b3du"]
    assert proxy.requests[0].values("host") == [b"public.example:81"]
    assert (sender.lookups, proxy.connections) == ([], 1)


def test_an_https_request_goes_through_a_tunnel_with_the_name_verified(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")), server_context("named"))
    proxy = serve(tunnelling_to(server))
    sender = new_sender(proxy=f"http://me:secret@127.0.0.1:{proxy.port}", new_context=trusting)
    for _ in range(2):
        assert sender.send("https://api.example/", headers=[("Authorization", b"Bearer x")]).body == b"hello"
    [connect] = proxy.requests
    assert (connect.method, connect.path) == ("CONNECT", "api.example:443")
    assert connect.values("proxy-authorization") == [b"Basic bWU6c2VjcmV0"]
    assert connect.values("authorization") == []
    assert server.requests[0].values("proxy-authorization") == []
    assert server.server_names == ["api.example"]
    with pytest.raises(ConnectFailed, match="mismatch"):
        sender.send("https://other.example/")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1/"),
        ({}, "http://2130706433/"),
        ({}, "https://10.0.0.1/"),
        ({}, "http://[::1]/"),
        ({}, "http://localhost/"),
        ({}, "http://db.localhost:5432/"),
        ({}, "https://localhost./"),
        ({"deny": "*.example"}, "https://public.example/"),
        ({"deny": "*"}, "http://public.example/"),
    ],
)
def test_what_can_be_refused_without_an_address_is_refused(
    new_sender: NewSender, settings: dict[str, str], url: str
) -> None:
    network = NoNetwork()
    with pytest.raises(EgressRefused):
        new_sender(proxy="http://10.0.0.9:3128", open_socket=network, **settings).send(url)
    assert network.attempts == []


def test_what_is_allowed_reaches_the_proxy_which_needs_no_permission(new_sender: NewSender) -> None:
    network = NoNetwork()
    sender = new_sender(proxy="http://proxy.corp:3128", names={"proxy.corp": ["10.0.0.9"]}, open_socket=network)
    with pytest.raises(ConnectFailed, match=r"no connection to the proxy http://proxy\.corp:3128: Connection refused"):
        sender.send("https://public.example/")
    assert (network.attempts, sender.lookups) == ([("10.0.0.9", 3128)], ["proxy.corp"])


def test_a_proxy_that_says_no_is_no_connection(serve: Serve, new_sender: NewSender) -> None:
    proxy = serve(saying(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(ConnectFailed, match="Tunnel connection failed: 407"):
        new_sender(proxy=f"http://127.0.0.1:{proxy.port}").send("https://public.example/")


def test_a_redirect_through_a_proxy_is_checked_too(serve: Serve, new_sender: NewSender) -> None:
    proxy = serve(saying(response(b"", 302, [("Location", "http://169.254.169.254/")])))
    with pytest.raises(RequestFailed, match="metadata"):
        new_sender(proxy=f"http://127.0.0.1:{proxy.port}").send("http://public.example/")
    assert len(proxy.requests) == 1
