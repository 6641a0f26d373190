"""HTTP requests of a guest: within transactions only, after everything before them is durable, under a good lease."""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from wasmtime import component as wc

from durable.execution.http import GuestHttp
from durable.execution.tail import lost_lease
from durable.host.http import HttpError2, HttpRequest2
from durable.journal.faults import Fenced, JournalUnavailable
from durable.net import errors
from durable.net.client import Client
from durable.net.errors import NotPermitted
from durable.net.message import Header, Request, Response
from durable.wasm import ffi
from durable.wasm.codec import codec_of
from durable.wasm.resources import Resources
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok
from tests.host.stage import Stage, host

HTTP = "durable:core/http."
NEW, FETCH, FETCH2 = f"{HTTP}[static]http-request2.new", f"{HTTP}fetch", f"{HTTP}fetch2"
ENTER, EXIT = "durable:core/core.transaction-enter", "durable:core/core.transaction-exit"
NUMBER = "wasi:random/random.get-random-u64"
URL = "https://api.example/charge"


class Outside:
    """Instead of a client: what would have been sent, and what comes back."""

    def __init__(self, stage: Stage, answer: Response | Exception | None = None) -> None:
        self.stage = stage
        self.answer = answer or Response(200, [("x", b"1")], b"\x00\xff")
        self.sent: list[Request] = []
        self.durable_before: list[int] = []
        self.permitted: list[bool] = []
        self.trusted = True
        stage.run.http = GuestHttp(cast(Client, self), lambda: self.trusted)

    async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
        self.permitted.append(permitted())
        if not permitted():
            raise NotPermitted
        self.sent.append(request)
        self.durable_before.append(sum(len(part.events) for part in self.stage._written.parts))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def in_transaction(stage: Stage, function: str, *arguments: Any) -> Any:
    await stage.call(ENTER, "t", False)
    answer = await stage.call(function, *arguments)
    await stage.call(EXIT, '"done"')
    return answer


async def new_request(stage: Stage, method: str = "POST", url: str = URL) -> HttpRequest2:
    made = await stage.call(NEW, method, url)
    assert isinstance(made, Ok), made
    assert isinstance(made.value, HttpRequest2)
    return made.value


def fetch2(
    stage: Stage, *, headers: list[Header] | None = None, timeout: int | None = None, body: bytes | None = None
) -> Any:
    async def scenario() -> Any:
        request = await new_request(stage)
        if headers is not None:
            assert await stage.call(f"{HTTP}[method]http-request2.set-headers", request, headers) == Ok()
        if timeout is not None:
            await stage.call(f"{HTTP}[method]http-request2.set-timeout", request, timeout)
        if body is not None:
            await stage.call(f"{HTTP}[method]http-request2.set-body", request, body)
        return await in_transaction(stage, FETCH2, request)

    return asyncio.run(scenario())


# -- transactions and the journal ------------------------------------------------------------------------------------
@pytest.mark.parametrize("function", [FETCH, FETCH2])
def test_a_request_outside_a_transaction_stops_the_guest(function: str) -> None:
    stage = Stage()
    outside = Outside(stage)

    async def scenario() -> None:
        request: Any = await new_request(stage) if function == FETCH2 else ("GET", URL, [], None, None)
        await stage.call(function, request)

    with pytest.raises(GuestTrap, match="can only be sent within a transaction"):
        asyncio.run(scenario())
    assert outside.sent == []


def test_a_request_records_nothing_but_its_transaction() -> None:
    stage = Stage()
    outside = Outside(stage)
    assert fetch2(stage) == Ok((200, [("x", b"1")], b"\x00\xff"))
    assert stage.recorded == [("t", '"done"')]
    assert len(outside.sent) == 1


def test_everything_before_a_request_is_durable_before_it_is_sent() -> None:
    """Output commit: a number that a server has seen can never be drawn again."""
    stage = Stage()
    outside = Outside(stage)

    async def scenario() -> None:
        await stage.call(NUMBER)
        await stage.call(NUMBER)
        assert stage._written.parts == []
        await in_transaction(stage, FETCH, ("GET", URL, [], None, None))
        await in_transaction(stage, FETCH, ("GET", URL, [], None, None))

    asyncio.run(scenario())
    assert outside.durable_before == [2, 3]


def test_nothing_is_sent_when_the_journal_cannot_be_written() -> None:
    stage = Stage()
    outside = Outside(stage)
    stage.run.tail.break_off(JournalUnavailable("the database is away"))
    with pytest.raises(JournalUnavailable, match="the database is away"):
        fetch2(stage)
    assert (outside.sent, outside.permitted) == ([], [])


def test_nothing_is_sent_under_a_lease_that_is_not_trusted_and_the_task_is_put_back() -> None:
    stage = Stage()
    outside = Outside(stage)
    outside.trusted = False
    with pytest.raises(JournalUnavailable, match="lease could not be renewed"):
        fetch2(stage)
    assert outside.sent == []
    assert stage.recorded == []


def test_permission_ends_with_the_lease() -> None:
    stage = Stage()
    answers: list[bool] = []

    class Breaking(Outside):
        async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
            answers.append(permitted())
            stage.run.tail.break_off(lost_lease())
            answers.append(permitted())
            raise NotPermitted

    Breaking(stage)
    with pytest.raises((JournalUnavailable, Fenced)):
        fetch2(stage)
    assert answers == [True, False]


# -- what is sent ----------------------------------------------------------------------------------------------------
def test_fetch_sends_what_the_record_says() -> None:
    stage = Stage()
    outside = Outside(stage)
    headers = [("X-A", b"1"), ("x-a", b"\xff")]
    record = ("PUT", URL + "?q=1", headers, b"\x00\xff", 1_500_000_000)
    assert asyncio.run(in_transaction(stage, FETCH, record)) == Ok((200, [("x", b"1")], b"\x00\xff"))
    [request] = outside.sent
    assert (request.method, request.target.url, request.headers) == ("PUT", URL + "?q=1", headers)
    assert (request.body, request.timeout) == (b"\x00\xff", 1.5)


def test_fetch2_sends_what_was_set_last() -> None:
    stage = Stage()
    outside = Outside(stage)

    async def scenario() -> None:
        request = await new_request(stage, "GET", "http://first.example/")
        resource = f"{HTTP}[method]http-request2."
        for number in (b"1", b"2"):
            assert await stage.call(resource + "set-method", request, "PATCH") == Ok()
            assert await stage.call(resource + "set-url", request, URL) == Ok()
            assert await stage.call(resource + "set-headers", request, [("X", number), ("X", number)]) == Ok()
            assert await stage.call(resource + "set-timeout", request, 2_000_000_000) is None
            assert await stage.call(resource + "set-body", request, number) is None
        await in_transaction(stage, FETCH2, request)

    asyncio.run(scenario())
    [request] = outside.sent
    assert (request.method, request.target.url, request.headers) == ("PATCH", URL, [("X", b"2"), ("X", b"2")])
    assert (request.body, request.timeout) == (b"2", 2.0)


def test_what_is_not_set_is_not_sent() -> None:
    stage = Stage(max_http_timeout=12.0)
    outside = Outside(stage)
    fetch2(stage)
    [request] = outside.sent
    assert (list(request.headers), request.body, request.timeout) == ([], None, 12.0)


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [
        (None, 60.0),
        (0, 0.0),
        (1, 1e-9),
        (59_000_000_000, 59.0),
        (60_000_000_000, 60.0),
        (60_000_000_001, 60.0),
        (2**64 - 1, 60.0),
    ],
)
def test_a_timeout_is_at_most_the_longest_there_is(nanoseconds: int | None, seconds: float) -> None:
    for record in (True, False):
        stage = Stage()
        outside = Outside(stage)
        if record:
            asyncio.run(in_transaction(stage, FETCH, ("GET", URL, [], None, nanoseconds)))
        else:
            fetch2(stage, timeout=nanoseconds)
        assert outside.sent[0].timeout == pytest.approx(seconds)


# -- errors ----------------------------------------------------------------------------------------------------------
KINDS = [
    (errors.InvalidMethod("m"), "builder", Case("invalid-method")),
    (errors.InvalidUrl("m"), "builder", Case("invalid-url", "m")),
    (errors.InvalidHeaderName("m"), "builder", Case("invalid-header-name")),
    (errors.InvalidHeaderValue("m"), "builder", Case("invalid-header-value")),
    (errors.RequestTooLarge("m"), "builder", Case("other", "m")),
    (errors.TimedOut("m"), "timeout", Case("timeout")),
    (errors.ConnectFailed("m"), "connect", Case("other", "m")),
    (errors.RequestFailed("m"), "request", Case("other", "m")),
    (errors.EgressRefused("m"), "request", Case("other", "m")),
    (errors.ResponseTooLarge("m"), "request", Case("other", "m")),
]


@pytest.mark.parametrize(("error", "kind", "case"), KINDS, ids=lambda value: type(value).__name__)
def test_an_error_is_of_exactly_one_kind(error: errors.HttpError, kind: str, case: Case) -> None:
    stage = Stage()
    Outside(stage, error)
    answer = fetch2(stage)
    assert answer == Err(HttpError2(kind, "m"))

    async def ask(function: str) -> Any:
        return await stage.call(f"{HTTP}[method]http-error2.{function}", answer.value)

    assert asyncio.run(ask("message")) == "m"
    for name in ("timeout", "builder", "request", "connect"):
        assert asyncio.run(ask(f"is-{name}")) is (name == kind)
    assert asyncio.run(in_transaction(stage, FETCH, ("GET", URL, [], None, None))) == Err(case)
    assert stage.recorded == [("t", '"done"'), ("t", '"done"')], "an error is an answer, and the transaction goes on"


BAD_PARTS: list[tuple[Any, str, Case]] = [
    (("G T", URL, [], None, None), "the method", Case("invalid-method")),
    (("CONNECT", URL, [], None, None), "the method CONNECT", Case("invalid-method")),
    (("GET", "/charge", [], None, None), "the URL is not absolute", Case("invalid-url", "the URL is not absolute")),
    (("GET", "ftp://api.example/", [], None, None), "the scheme", Case("invalid-url", "the scheme 'ftp'")),
    (("GET", URL, [("X Y", b"")], None, None), "'X Y' is not", Case("invalid-header-name")),
    (("GET", URL, [("X", b"a\r\nY: b")], None, None), "the value of header 'X'", Case("invalid-header-value")),
    (("GET", URL, [("Host", b"a"), ("host", b"b")], None, None), "more than one host", Case("invalid-header-value")),
    (("GET", URL, [("Content-Length", b"5")], b"body", None), "content-length is not", Case("invalid-header-value")),
]


@pytest.mark.parametrize(("record", "message", "case"), BAD_PARTS, ids=lambda value: repr(value)[:40])
def test_what_cannot_be_sent_is_refused_when_it_is_said(record: Any, message: str, case: Case) -> None:
    stage = Stage()
    outside = Outside(stage)
    answer = asyncio.run(in_transaction(stage, FETCH, record))
    assert isinstance(answer, Err)
    assert answer.value.name == case.name
    assert (answer.value.value or "").startswith(case.value or "")
    method, url, headers, body, _ = record

    async def build() -> Any:
        made = await stage.call(NEW, method, url)
        if isinstance(made, Err):
            good = await new_request(stage)
            assert await stage.call(f"{HTTP}[method]http-request2.set-method", good, method) in (Ok(), made)
            assert await stage.call(f"{HTTP}[method]http-request2.set-url", good, url) in (Ok(), made)
            return made
        if body is not None:
            await stage.call(f"{HTTP}[method]http-request2.set-body", made.value, body)
        said = await stage.call(f"{HTTP}[method]http-request2.set-headers", made.value, headers)
        return said if isinstance(said, Err) else await in_transaction(stage, FETCH2, made.value)

    refused = asyncio.run(build())
    assert isinstance(refused, Err)
    assert (refused.value.kind, message in refused.value.message) == ("builder", True)
    assert outside.sent == []


def test_a_part_that_was_refused_leaves_the_request_as_it_was() -> None:
    stage = Stage()
    outside = Outside(stage)

    async def scenario() -> None:
        request = await new_request(stage)
        resource = f"{HTTP}[method]http-request2."
        assert isinstance(await stage.call(resource + "set-method", request, ""), Err)
        assert isinstance(await stage.call(resource + "set-url", request, "nowhere"), Err)
        assert isinstance(await stage.call(resource + "set-headers", request, [("", b"")]), Err)
        await in_transaction(stage, FETCH2, request)

    asyncio.run(scenario())
    [request] = outside.sent
    assert (request.method, request.target.url, list(request.headers)) == ("POST", URL, [])


def test_requests_and_errors_can_be_printed_without_their_secrets() -> None:
    stage = Stage()

    async def scenario() -> HttpRequest2:
        request = await new_request(stage, url="https://me:s3cr3t@api.example/")
        await stage.call(f"{HTTP}[method]http-request2.set-headers", request, [("Authorization", b"s3cr3t")])
        await stage.call(f"{HTTP}[method]http-request2.set-body", request, b"s3cr3t")
        return request

    request = asyncio.run(scenario())
    assert "s3cr3t" not in repr(request)
    assert "s3cr3t" not in repr(Request("GET", request.target, request.headers, request.body))


# -- the idempotency key ---------------------------------------------------------------------------------------------
def keys(stage: Stage, *transactions: int, own: list[Header] | None = None) -> list[str]:
    """The keys of transactions with so many requests each."""
    outside = Outside(stage)

    async def scenario() -> None:
        for requests in transactions:
            await stage.call(ENTER, "t", False)
            for _ in range(requests):
                await stage.call(FETCH, ("POST", URL, own or [], None, None))
            await stage.call(EXIT, "1")

    asyncio.run(scenario())
    return [value.decode() for request in outside.sent for name, value in request.headers if name == "Idempotency-Key"]


def test_no_key_is_sent_unless_it_is_wanted() -> None:
    assert keys(Stage(), 2) == []


def test_every_request_has_a_key_of_its_own_and_the_same_on_every_attempt() -> None:
    first = keys(Stage(http_idempotency_header="Idempotency-Key"), 1, 2, 1)
    assert len(set(first)) == 4
    assert keys(Stage(http_idempotency_header="Idempotency-Key"), 1, 2, 1) == first
    stage = Stage()
    created = int(datetime(2026, 1, 1, 12, 0, 0, 250_001, UTC).timestamp() * 1_000_000)
    assert stage.task.created_at.timestamp() * 1_000_000 == pytest.approx(created)
    assert first[:3] == [f"durable-7-0-1-{created:x}", f"durable-7-1-1-{created:x}", f"durable-7-1-2-{created:x}"]


def test_a_key_of_the_guests_own_is_left_alone() -> None:
    stage = Stage(http_idempotency_header="Idempotency-Key")
    outside = Outside(stage)
    asyncio.run(in_transaction(stage, FETCH, ("POST", URL, [("idempotency-key", b"mine")], None, None)))
    assert outside.sent[0].headers == [("idempotency-key", b"mine")]


# -- the types -------------------------------------------------------------------------------------------------------
def fits(function: str, answer: Any) -> bool:
    """True when the answer can be handed to a guest."""
    world, functions = host()
    interface = next(one for name, one in world.interfaces.items() if name.startswith(HTTP[:-1]))
    assert set(functions[HTTP[:-1]]) == set(interface.functions)
    ty = interface.functions[function].result
    assert isinstance(ty, wc.ResultType)
    box = ctypes.create_string_buffer(ffi.VALUE_SIZE)
    codec = codec_of(ty, world.resource_id)
    guest = Resources(0)
    codec.lower(guest, ctypes.addressof(box), answer)
    back = codec.lift(guest, ctypes.addressof(box))
    ffi.val_delete(ctypes.addressof(box))
    return bool(back == answer)


@pytest.mark.parametrize("case", [case for _, _, case in KINDS])
def test_every_error_of_fetch_can_be_handed_to_a_guest(case: Case) -> None:
    assert fits("fetch", Err(case))


@pytest.mark.parametrize("function", ["fetch", "fetch2"])
def test_every_response_can_be_handed_to_a_guest(function: str) -> None:
    for status in (100, 200, 999):
        assert fits(function, Ok((status, [("x", b""), ("x", bytes(range(256)))], bytes(1000))))
