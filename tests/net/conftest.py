from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from tests.net.clients import Sender
from tests.net.servers import Behaviour, Server, serving


class Serve(Protocol):
    def __call__(self, behave: Behaviour, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server: ...


NewSender = Callable[..., Sender]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers on loopback that behave as the test says."""
    with ExitStack() as servers:
        yield lambda behave, context=None, host="127.0.0.1": servers.enter_context(serving(behave, context, host))


@pytest.fixture
def new_sender() -> Iterator[NewSender]:
    """Makes clients for the test; the arguments are those of `Sender`."""
    with ExitStack() as senders:

        def new(**settings: Any) -> Sender:
            sender = Sender(**settings)
            senders.callback(sender.client.close)
            return sender

        yield new


@pytest.fixture
def sender(new_sender: NewSender) -> Sender:
    """A client that may reach loopback, and resolves no names."""
    return new_sender(allow="127.0.0.0/8, ::1")
