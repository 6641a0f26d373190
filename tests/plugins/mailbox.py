"""A mail server that keeps what it gets, and can be told not to answer."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mailbox(socketserver.ThreadingTCPServer):
    """As much of SMTP as smtplib needs. Recipients called `nobody` are refused."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Session)
        self.messages: list[EmailMessage] = []
        #: While it is not set, messages are taken and kept, and whoever sent them is left without an answer.
        self.answers = threading.Event()
        self.answers.set()
        #: The message that comes with this number gets no answer; those after it do.
        self.silent_at = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.messages]


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self._say(220)
        for line in self.rfile:
            match line[:4].upper():
                case b"RCPT" if b"nobody" in line:
                    self._say(550, "no such mailbox")
                case b"DATA":
                    self._say(354)
                    self._take()
                case b"QUIT":
                    return self._say(221)
                case _:
                    self._say(250)
        return None

    def _take(self) -> None:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        message = message_from_bytes(b"".join(lines), policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.messages.append(message)
        if len(self.server.messages) == self.server.silent_at:
            self.rfile.read()  # until the sender is gone
            return
        self.server.answers.wait(60)
        self._say(250)

    def _say(self, code: int, text: str = "ok") -> None:
        try:
            self.wfile.write(f"{code} {text}\r\n".encode())
        except OSError:
            pass  # the sender was killed


@contextmanager
def open_mailbox(port: int = 0) -> Iterator[Mailbox]:
    with Mailbox(port) as mailbox:
        thread = threading.Thread(target=mailbox.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield mailbox
        finally:
            mailbox.answers.set()
            mailbox.shutdown()
            thread.join()
