"""TLS: the name of the URL is what is asked for and what is verified, whatever address was dialled."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from durable.egress import Address
from durable.net.connections import SecureConnection
from durable.net.errors import ConnectFailed, TimedOut
from durable.net.sockets import TimedTLSSocket, new_tls_context, open_socket, with_timed_sockets
from tests.net.clients import Sender
from tests.net.conftest import NewSender, Serve
from tests.net.servers import Received, response, saying
from tests.net.test_pinning import Redirected

CERTIFICATES = Path(__file__).parent / "certificates"
PUBLIC = "93.184.216.34"
NAMES = {
    name: [PUBLIC] for name in ("api.example", "other.example", "a.wild.example", "a.b.wild.example", "api.example.")
}


def server_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    return context


def trusting() -> ssl.SSLContext:
    """As a worker's, with the tests' authority instead of the system's."""
    return with_timed_sockets(ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem")))


def sender_to(new_sender: NewSender, network: Redirected) -> Sender:
    return new_sender(names=NAMES, open_socket=network, new_context=trusting)


@pytest.mark.parametrize("host", ["api.example", "API.example", "a.wild.example", "api.example."])
def test_the_name_is_sent_and_verified_and_the_checked_address_dialled(
    serve: Serve, new_sender: NewSender, host: str
) -> None:
    server = serve(saying(response(b"hello")), server_context("named"))
    network = Redirected(server)
    sender = sender_to(new_sender, network)
    for _ in range(2):
        assert sender.send(f"https://{host}/").body == b"hello"
    name = host.lower().rstrip(".")
    assert server.server_names == [name]
    assert server.requests[0].values("host") == [name.encode()]
    assert (network.dialled, server.connections) == ([PUBLIC], 1)


@pytest.mark.parametrize("host", ["other.example", "a.b.wild.example", PUBLIC])
def test_a_certificate_for_another_name_is_refused(serve: Serve, new_sender: NewSender, host: str) -> None:
    server = serve(saying(response(b"hello")), server_context("named"))
    sender = sender_to(new_sender, Redirected(server))
    with pytest.raises(ConnectFailed, match=r"the certificate is not valid: (Hostname|IP address) mismatch"):
        sender.send(f"https://{host}/", headers=[("Authorization", b"Bearer x")])
    assert server.requests == []


def test_an_address_is_verified_as_an_address(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")), server_context("addressed"))
    sender = sender_to(new_sender, Redirected(server))
    assert sender.send(f"https://{PUBLIC}/").body == b"hello"
    assert server.server_names == [None]
    with pytest.raises(ConnectFailed, match="mismatch"):
        sender.send("https://93.184.216.35/")


def test_a_certificate_of_an_unknown_authority_is_refused(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")), server_context("unknown"))
    with pytest.raises(ConnectFailed, match="the certificate is not valid: unable to get local issuer certificate"):
        sender_to(new_sender, Redirected(server)).send("https://api.example/")
    assert server.requests == []


def test_the_authorities_of_the_system_do_not_know_the_tests(serve: Serve, new_sender: NewSender) -> None:
    server = serve(saying(response(b"hello")), server_context("named"))
    sender = new_sender(names=NAMES, open_socket=Redirected(server))
    with pytest.raises(ConnectFailed, match="the certificate is not valid"):
        sender.send("https://api.example/")
    context = new_tls_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.sslsocket_class is TimedTLSSocket
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_server_that_speaks_no_tls_is_no_connection(new_sender: NewSender) -> None:
    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.recv(10_000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(ConnectFailed, match="TLS failed: WRONG_VERSION_NUMBER"):
            sender = new_sender(allow="127.0.0.1", new_context=trusting)
            sender.send(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=3.0)


def test_a_redirect_from_https_to_http_drops_the_authorization(serve: Serve, new_sender: NewSender) -> None:
    plain = serve(saying(response(b"plain")))
    location = f"http://127.0.0.1:{plain.port}/"
    secure = serve(saying(response(b"", 302, [("Location", location)])), server_context("named"))
    inside = Redirected(secure)

    def connect(address: Address, port: int, timeout: float) -> socket.socket:
        return (inside if str(address) == PUBLIC else open_socket)(address, port, timeout)

    sender = new_sender(names=NAMES, allow="127.0.0.1", new_context=trusting, open_socket=connect)
    answer = sender.send("https://api.example/", headers=[("Authorization", b"Bearer x")])
    assert answer.body == b"plain"
    assert plain.requests[0].values("authorization") == []
    assert secure.requests[0].values("authorization") == [b"Bearer x"]


def trickling(request: Received, connection: socket.socket) -> bool:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        time.sleep(0.02)
        connection.sendall(b"x")


def test_a_server_that_trickles_over_tls_is_left_in_time(serve: Serve, new_sender: NewSender) -> None:
    server = serve(trickling, server_context("named"))
    started = time.monotonic()
    with pytest.raises(TimedOut):
        sender_to(new_sender, Redirected(server)).send("https://api.example/", timeout=0.5)
    assert time.monotonic() - started < 3.0


def test_a_handshake_that_hangs_is_left_in_time(new_sender: NewSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = new_sender(allow="127.0.0.1", new_context=trusting)
        started = time.monotonic()
        with pytest.raises(TimedOut):
            sender.send(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.5)
    assert time.monotonic() - started < 3.0


@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_bodies_over_tls(serve: Serve, new_sender: NewSender, size: int) -> None:
    server = serve(saying(response(bytes(size))), server_context("named"))
    sender = sender_to(new_sender, Redirected(server))
    assert sender.send("https://api.example/", "POST", [], bytes(size)).body == bytes(size)
    assert server.requests[0].body == bytes(size)


@pytest.mark.parametrize("size", [0, 100, 8192, 16_000, 65_536, 100_000])
def test_what_a_server_says_unasked_is_no_response_to_the_next_request(
    serve: Serve, new_sender: NewSender, size: int
) -> None:
    """It comes in one piece with the end of the response, so that TLS has it when the response has been read."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()

    def behave(request: Received, connection: socket.socket) -> bool:
        if request.path == "/first":
            connection.sendall(head)
            connection.sendall(bytes(size) + response(b"for nobody"))
        else:
            connection.sendall(response(b"right"))
        return True

    server = serve(behave, server_context("named"))
    sender = sender_to(new_sender, Redirected(server))
    assert sender.send("https://api.example/first").body == bytes(size)
    assert sender.send("https://api.example/second").body == b"right"
    assert server.connections == 2


def test_a_connection_of_which_tls_holds_something_back_is_not_used_again(serve: Serve) -> None:
    server = serve(saying(response(b"hello")), server_context("addressed"))
    connection = SecureConnection(PUBLIC, 443, ssl_context=trusting())
    connection.dial = lambda timeout: Redirected(server)(ip_address(PUBLIC), 443, timeout)
    connection.limit(10.0)
    connection.connect()
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)
        connection.send_request("GET", "/", [], None)
        assert len(connection.sock.recv(10)) == 10
        assert not connection.is_connected
        while connection.sock.pending():
            connection.sock.recv(1)
        assert connection.is_connected
    finally:
        connection.close()
