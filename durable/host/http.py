"""`durable:core/http`: requests within transactions, sent at least once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from durable.execution.run import Run
from durable.execution.transaction import Transaction
from durable.net import errors
from durable.net.message import Header, Request, Response, check_headers, check_length, check_method
from durable.net.target import Target
from durable.wasm.linker import HostFunction
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok

#: Bytes of the objects that Python makes of a header.
_PER_HEADER = 150
#: `record http-request {method, url, headers, body, timeout}`; the timeout in nanoseconds.
RequestRecord = tuple[str, str, list[Header], bytes | None, int | None]
#: `record http-response {status, headers, body}`
ResponseRecord = tuple[int, list[Header], bytes]


@dataclass(slots=True, weakref_slot=True, eq=False)
class HttpRequest2:
    """`resource http-request2`. Every part is checked when it is set: raises InvalidRequest."""

    method: str
    target: Target
    headers: list[Header] = field(default_factory=list, repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: int | None = None

    @classmethod
    def new(cls, method: str, url: str) -> HttpRequest2:
        check_method(method)
        return cls(method, Target.parse(url))

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        headers = sum(len(name) + len(value) + _PER_HEADER for name, value in self.headers)
        return len(self.target.path) + headers + len(self.body or b"")

    def set_method(self, method: str) -> None:
        check_method(method)
        self.method = method

    def set_url(self, url: str) -> None:
        self.target = Target.parse(url)

    def set_headers(self, headers: list[Header]) -> None:
        check_headers(headers)
        self.headers = headers


@dataclass(frozen=True, slots=True)
class HttpError2:
    """`resource http-error2`: exactly one of the four kinds is true."""

    kind: str
    message: str


async def fetch(run: Run, request: RequestRecord) -> Ok | Err:
    transaction = _open_transaction(run)
    method, url, headers, body, timeout = request
    try:
        draft = HttpRequest2.new(method, url)
        draft.set_headers(headers)
        draft.body, draft.timeout = body, timeout
        return Ok(await _send(run, transaction, draft))
    except errors.HttpError as error:
        return Err(_variant(error))


async def fetch2(run: Run, request: HttpRequest2) -> Ok | Err:
    transaction = _open_transaction(run)
    try:
        return Ok(await _send(run, transaction, request))
    except errors.HttpError as error:
        return Err(_resource(error))


def set_timeout(run: Run, request: HttpRequest2, timeout: int) -> None:
    request.timeout = timeout


def set_body(run: Run, request: HttpRequest2, body: bytes) -> None:
    request.body = body
    run.held.keep(request)


def _open_transaction(run: Run) -> Transaction:
    if run.transaction is None:
        raise GuestTrap("an HTTP request can only be sent within a transaction, which records its result")
    return run.transaction


async def _send(run: Run, transaction: Transaction, draft: HttpRequest2) -> ResponseRecord:
    assert run.http is not None
    check_length(draft.headers, draft.body)
    longest = run.config.max_http_timeout
    timeout = longest if draft.timeout is None else min(draft.timeout / 1e9, longest)
    headers = [*draft.headers, *_idempotency_key(run, transaction, draft)]
    request = Request(draft.method, draft.target, headers, draft.body, timeout)
    response: Response = await run.http.send(request, run.tail)
    return response.status, response.headers, response.body


def _idempotency_key(run: Run, transaction: Transaction, draft: HttpRequest2) -> list[Header]:
    """The same key whenever the transaction runs again: task, index of its event, and which of its requests it is.

    The time at which the task was created tells tasks of a database apart from those of an earlier one.
    """
    name = run.config.http_idempotency_header
    if name is None:
        return []
    transaction.requests += 1
    if any(given.lower() == name.lower() for given, _ in draft.headers):
        return []
    created = int(run.task.created_at.timestamp() * 1_000_000)
    key = f"durable-{run.task.id}-{run.cursor.index}-{transaction.requests}-{created:x}"
    return [(name, key.encode())]


# -- errors ----------------------------------------------------------------------------------------------------------
def _resource(error: errors.HttpError) -> HttpError2:
    match error:
        case errors.InvalidRequest():
            kind = "builder"
        case errors.TimedOut():
            kind = "timeout"
        case errors.ConnectFailed():
            kind = "connect"
        case _:
            kind = "request"
    return HttpError2(kind, str(error))


def _variant(error: errors.HttpError) -> Case:
    match error:
        case errors.TimedOut():
            return Case("timeout")
        case errors.InvalidMethod():
            return Case("invalid-method")
        case errors.InvalidUrl():
            return Case("invalid-url", str(error))
        case errors.InvalidHeaderName():
            return Case("invalid-header-name")
        case errors.InvalidHeaderValue():
            return Case("invalid-header-value")
    return Case("other", str(error))


def _fallible(call: Callable[..., HttpRequest2 | None]) -> HostFunction:
    """A host function that makes or changes a request, and answers with an `http-error2` for what the call refuses."""

    def function(run: Run, *arguments: Any) -> Ok | Err:
        try:
            answer = call(*arguments)
        except errors.HttpError as error:
            return Err(_resource(error))
        run.held.keep(arguments[0] if answer is None else answer)
        return Ok(answer)

    return function


FUNCTIONS: dict[str, dict[str, HostFunction]] = {
    "durable:core/http": {
        "fetch": fetch,
        "fetch2": fetch2,
        "[static]http-request2.new": _fallible(HttpRequest2.new),
        "[method]http-request2.set-method": _fallible(HttpRequest2.set_method),
        "[method]http-request2.set-url": _fallible(HttpRequest2.set_url),
        "[method]http-request2.set-headers": _fallible(HttpRequest2.set_headers),
        "[method]http-request2.set-timeout": set_timeout,
        "[method]http-request2.set-body": set_body,
        "[method]http-error2.message": lambda run, error: error.message,
        "[method]http-error2.is-timeout": lambda run, error: error.kind == "timeout",
        "[method]http-error2.is-builder": lambda run, error: error.kind == "builder",
        "[method]http-error2.is-request": lambda run, error: error.kind == "request",
        "[method]http-error2.is-connect": lambda run, error: error.kind == "connect",
    }
}
