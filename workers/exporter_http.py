"""A small HTTP server for machines that look after this one: a few pages, GET and HEAD, no login."""

from __future__ import annotations

import gzip
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.exposition import gzip_accepted

from durable.address import Address

_log = logging.getLogger("durable.exporter")

#: Requests answered at the same time; a further connection is closed at once.
MAX_REQUESTS = 16
#: Seconds that a client may take for its request.
SLOWEST_CLIENT = 10.0
#: Seconds until a port that was taken is tried again.
TRY_AGAIN = 5.0

_PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = _PLAIN

    @classmethod
    def plain(cls, status: HTTPStatus, text: str) -> Answer:
        return cls(status, f"{text}\n".encode())


#: What a page answers; it is given the request's Accept header.
Page = Callable[[str], Answer]


def serve(address: Address, pages: Mapping[str, Page]) -> None:
    """Answer requests for ever. While the address cannot be had, say so once and try again."""
    said = False
    while True:
        try:
            server = _Server(address, pages)
        except OSError as error:
            if not said:
                _log.warning("cannot serve metrics at metrics_addr %s: %s; trying again", address, error.strerror)
            said = True
            time.sleep(TRY_AGAIN)
        else:
            _log.info("metrics are served at http://%s/metrics", server.bound)
            server.serve_forever()


class _Server(ThreadingMixIn, TCPServer):
    """Not http.server.HTTPServer, which asks a name server for the name of its own address. Raises OSError."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, address: Address, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._places = BoundedSemaphore(MAX_REQUESTS)
        self.address_family, *_, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        super().__init__(target[:2], _Handler)  # type: ignore[arg-type]

    @property
    def bound(self) -> Address:
        host, port, *_ = self.server_address
        return Address(str(host), int(port))

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # out of threads, for which a place must not be lost
            self._places.release()
            self.shutdown_request(request)
            _log.warning("a request is not answered: %s", error)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a request could not be answered", exc_info=True)  # the client has gone, as a rule


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "durable", ""
    timeout = SLOWEST_CLIENT

    def do_GET(self) -> None:
        page = self.server.pages.get(urlsplit(self.path).path)
        self._send(_not_found(self.server.pages) if page is None else _answer(page, self.headers.get("Accept", "")))

    do_HEAD = do_GET

    def _refuse(self) -> None:
        self._send(Answer.plain(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered"))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse

    def _send(self, answer: Answer) -> None:
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if gzip_accepted(self.headers.get("Accept-Encoding", "")):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


def _answer(page: Page, accept: str) -> Answer:
    try:
        return page(accept)
    except Exception:
        _log.exception("a page could not be made")
        return Answer.plain(
            HTTPStatus.INTERNAL_SERVER_ERROR, "the page could not be made; the log of the service says why"
        )


def _not_found(pages: Mapping[str, Page]) -> Answer:
    return Answer.plain(HTTPStatus.NOT_FOUND, f"there are only {', '.join(pages)}")
