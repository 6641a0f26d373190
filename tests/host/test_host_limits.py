"""Every limit holds at its value and refuses one more, counted in bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.host.streams import OutputStream
from durable.model import TaskState
from durable.runner import failed
from durable.wasm.traps import GuestLimit, GuestTrap
from durable.wasm.values import Case, Err, Ok
from tests.host.stage import Stage, journal

STDOUT, STDERR = OutputStream("stdout"), OutputStream("stderr")
ENTER, EXIT = "durable:core/core.transaction-enter", "durable:core/core.transaction-exit"
WRITE, NOTIFY = "wasi:io/streams.[method]output-stream.write", "durable:core/notify.notify"
NUMBER = "wasi:random/random.get-random-u64"


@pytest.mark.parametrize(
    "function", ["wasi:random/random.get-random-bytes", "wasi:random/insecure.get-insecure-random-bytes"]
)
def test_random_bytes_are_given_up_to_max_returned_buffer_len(function: str) -> None:
    stage = Stage(max_returned_buffer_len=1000)
    assert len(asyncio.run(stage.call(function, 1000))) == 1000
    for count in (1001, 2**64 - 1):
        with pytest.raises(
            GuestLimit, match=f"{count} random bytes were requested; max_returned_buffer_len allows 1000"
        ):
            asyncio.run(stage.call(function, count))
    assert len(stage.recorded) == 1


def test_the_limit_of_a_buffer_holds_within_a_transaction() -> None:
    stage = Stage(max_returned_buffer_len=1000)

    async def scenario() -> None:
        await stage.call(ENTER, "t", False)
        with pytest.raises(GuestLimit, match="max_returned_buffer_len"):
            await stage.call("wasi:random/random.get-random-bytes", 1001)

    asyncio.run(scenario())


async def transaction(stage: Stage, data: str) -> None:
    await stage.call(ENTER, "t", False)
    await stage.call(EXIT, data)


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
def test_an_event_may_have_max_event_bytes_of_utf8(character: str) -> None:
    data = f'"{character * 10}"'
    size = len(data.encode())
    stage = Stage(max_event_bytes=size)
    asyncio.run(transaction(stage, data))
    assert stage.recorded == [("t", data)]
    with pytest.raises(GuestLimit, match=f"has {size + 1} bytes; max_event_bytes allows {size}"):
        asyncio.run(transaction(stage, data + " "))
    assert len(stage.recorded) == 1


def test_the_size_of_an_event_is_limited_whatever_call_records_it() -> None:
    stage = Stage(max_event_bytes=10)
    with pytest.raises(GuestLimit, match="max_event_bytes"):
        asyncio.run(stage.call("wasi:random/random.get-random-bytes", 10))
    assert stage.parts == []


def test_a_journal_may_have_max_workflow_events() -> None:
    stage = Stage(max_workflow_events=3)
    for _ in range(3):
        asyncio.run(stage.call(NUMBER))
    with pytest.raises(GuestLimit, match="the journal is full: max_workflow_events is 3"):
        asyncio.run(stage.call(NUMBER))
    assert [event.index for event in stage.events] == [0, 1, 2]


def test_recorded_events_count_for_the_length_of_a_journal() -> None:
    label = "wasi:random/random.get-random-u64"
    stage = Stage(journal((label, "1"), (label, "2"), (label, "3")), max_workflow_events=3)
    assert [asyncio.run(stage.call(NUMBER)) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(GuestLimit, match="the journal is full"):
        asyncio.run(stage.call(NUMBER))


@pytest.mark.parametrize("value", ['"aé"', '"😀"', "[1]"])
def test_a_journal_may_have_max_journal_bytes_of_labels_and_values(value: str) -> None:
    size = len(b"t") + len(value.encode())
    stage = Stage(max_journal_bytes=3 * size)
    for _ in range(3):
        asyncio.run(transaction(stage, value))
    with pytest.raises(GuestLimit, match=f"the journal is full: max_journal_bytes is {3 * size}"):
        asyncio.run(transaction(stage, "1"))
    assert len(stage.recorded) == 3
    with pytest.raises(GuestLimit, match="the journal is full"):
        asyncio.run(transaction(Stage(max_journal_bytes=size - 1), value))


def test_recorded_events_count_for_the_bytes_of_a_journal() -> None:
    recorded = journal((NUMBER, "1"), (NUMBER, "2"))
    size = 2 * (len(NUMBER) + 1)
    with_room = Stage(recorded, max_journal_bytes=size + len("t") + len('"é"'.encode()))
    full = Stage(recorded, max_journal_bytes=size + len("t") + len('"é"'.encode()) - 1)
    for stage in (with_room, full):
        assert [asyncio.run(stage.call(NUMBER)) for _ in range(2)] == [1, 2]
    asyncio.run(transaction(with_room, '"é"'))
    with pytest.raises(GuestLimit, match="max_journal_bytes"):
        asyncio.run(transaction(full, '"é"'))


def test_what_is_recorded_is_replayed_however_large_it_is() -> None:
    stage = Stage(journal((NUMBER, "1"), (NUMBER, "2")), max_journal_bytes=1)
    assert [asyncio.run(stage.call(NUMBER)) for _ in range(2)] == [1, 2]
    with pytest.raises(GuestLimit, match="max_journal_bytes"):
        asyncio.run(stage.call(NUMBER))


@pytest.mark.parametrize("comes_along", [True, False])
def test_a_task_is_given_twice_max_task_data_bytes_and_a_mebibyte_of_zeros(comes_along: bool) -> None:
    """PostgreSQL prints data longer than it was written, and never so much longer: what was launched is read."""
    for size in (2 * 1000 + 1024**2, 2 * 1000 + 1024**2 + 1):
        data = f'"{"x" * (size - 2)}"'
        stage = Stage(task_data=data if comes_along else None, max_task_data_bytes=1000)
        stage.outside.large_data = data
        if size == 2 * 1000 + 1024**2:
            assert asyncio.run(stage.call("durable:core/core.task-data")) == data
        else:
            with pytest.raises(GuestLimit, match="the data of the task is too large: max_task_data_bytes is 1000"):
                asyncio.run(stage.call("durable:core/core.task-data"))


def test_a_task_may_print_max_task_log_bytes_on_both_streams_together() -> None:
    stage = Stage(max_task_log_bytes=10)
    asyncio.run(stage.call(WRITE, STDOUT, b"12345"))
    asyncio.run(stage.call(WRITE, STDERR, b"67890"))
    with pytest.raises(GuestLimit, match=r"printed more than max_task_log_bytes \(10 bytes\)"):
        asyncio.run(stage.call(WRITE, STDOUT, b"1"))
    assert stage.logs == [(0, "12345"), (1, "67890")]


def test_what_a_replay_prints_counts_for_what_a_task_may_print() -> None:
    stage = Stage(journal(("wasi:io/streams.output-stream.write", "null")), max_task_log_bytes=10)
    asyncio.run(stage.call(WRITE, STDOUT, b"12345"))
    with pytest.raises(GuestLimit, match="max_task_log_bytes"):
        asyncio.run(stage.call(WRITE, STDOUT, b"678901"))


def test_what_a_transaction_prints_counts_for_what_a_task_may_print() -> None:
    stage = Stage(max_task_log_bytes=10)

    async def scenario() -> None:
        await stage.call(ENTER, "t", False)
        await stage.call(WRITE, STDOUT, b"1234567890")
        with pytest.raises(GuestLimit, match="max_task_log_bytes"):
            await stage.call(WRITE, STDOUT, b"1")

    asyncio.run(scenario())


def test_one_call_may_print_max_log_bytes_and_the_rest_is_cut_with_a_marker() -> None:
    stage = Stage(max_log_bytes_per_transaction=10)
    asyncio.run(stage.call(WRITE, STDOUT, b"1234567890"))
    asyncio.run(stage.call(WRITE, STDOUT, b"12345678901"))
    marker = "\n[durable: 1 bytes of log text are missing here, the limit is 10]\n"
    assert stage.logs == [(0, "1234567890"), (1, "1234567890" + marker)]


def test_one_transaction_may_print_max_log_bytes_and_the_rest_is_cut_with_a_marker() -> None:
    stage = Stage(max_log_bytes_per_transaction=10)

    async def scenario() -> None:
        await stage.call(ENTER, "t", False)
        for text in ("1234", "567€", "x"):
            await stage.call(WRITE, STDOUT, text.encode())
        await stage.call(EXIT, "null")

    asyncio.run(scenario())
    assert stage.logs == [(0, "1234567€\n[durable: 1 bytes of log text are missing here, the limit is 10]\n")]


def test_zeroes_are_written_up_to_what_check_write_permits() -> None:
    stage = Stage()
    permit = asyncio.run(stage.call("wasi:io/streams.[method]output-stream.check-write", STDOUT)).value
    zeroes = "wasi:io/streams.[method]output-stream.write-zeroes"
    assert asyncio.run(stage.call(zeroes, STDOUT, permit)) == Ok()
    with pytest.raises(GuestLimit, match="check-write permits"):
        asyncio.run(stage.call(zeroes, STDOUT, permit + 1))


# -- notifications ---------------------------------------------------------------------------------------------------
def notified(data: str, event: str = "e", **config: Any) -> tuple[Any, Stage]:
    stage = Stage(**config)
    stage.outside.states = {9: TaskState.ACTIVE}
    return asyncio.run(stage.call(NOTIFY, 9, event, data)), stage


@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_a_notification_may_have_max_notification_bytes_of_utf8(character: str) -> None:
    data = f'"{character * 10}"'
    limit = len(data.encode()) + len("e")
    answer, stage = notified(data, max_notification_bytes=limit)
    assert answer == Ok()
    assert [message.data for message in stage.sent] == [data]
    answer, stage = notified(data + " ", max_notification_bytes=limit)
    assert answer == Err(Case("other", f"the notification is larger than max_notification_bytes ({limit})"))
    assert stage.sent == []


def test_the_name_of_the_event_counts_for_the_size_of_a_notification() -> None:
    assert notified("1", "é" * 10, max_notification_bytes=21)[0] == Ok()
    assert notified("1", "é" * 10, max_notification_bytes=20)[0].value.name == "other"


@pytest.mark.parametrize("data", ["", "{", "NaN", '"\\u0000"', "1e9999999999999999999999", '{"a":"\\ud800","a":1}'])
def test_a_notification_that_is_not_json_is_told_to_the_sender_and_not_sent(data: str) -> None:
    answer, stage = notified(data)
    assert isinstance(answer, Err)
    assert answer.value.name == "other"
    assert "not valid JSON" in answer.value.value
    assert stage.sent == []
    assert [label for label, _ in stage.recorded] == ["durable:core/notify.notify"]


def test_an_event_with_a_character_that_cannot_be_stored_is_told_to_the_sender() -> None:
    answer, stage = notified("1", "a\0b")
    assert answer == Err(Case("other", "the event must not contain the character U+0000"))
    assert stage.sent == []


@pytest.mark.parametrize("character", ["a", "é"])
def test_a_label_may_have_64_kib_of_utf8(character: str) -> None:
    label = character * (65_536 // len(character.encode()))
    stage = Stage()
    asyncio.run(stage.call(ENTER, label, False))
    asyncio.run(stage.call(EXIT, "1"))
    assert stage.recorded == [(label, "1")]
    # Before the body has done anything.
    with pytest.raises(GuestLimit, match="more than 65536 bytes"):
        asyncio.run(stage.call(ENTER, label + "x", False))
    with pytest.raises(GuestTrap, match=r"must not contain the character U\+0000"):
        asyncio.run(stage.call(ENTER, "a\0b", False))


def test_the_reason_of_a_failure_may_have_16_kib() -> None:
    assert failed("x" * 16_384).reason == "x" * 16_384
    assert failed("é" * 8192 + "x").reason == (
        "é" * 8192 + "\n[durable: 1 bytes of log text are missing here, the limit is 16384]\n"
    )


# -- what takes long is not begun ------------------------------------------------------------------------------------
def test_a_result_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    stage = Stage(max_event_bytes=10)

    async def exits_with(data: str) -> None:
        await stage.call(ENTER, "t", False)
        await stage.call(EXIT, data)

    with pytest.raises(GuestLimit, match="has 11 bytes; max_event_bytes allows 10"):
        asyncio.run(exits_with("no JSON at!"))


def test_random_bytes_of_which_no_event_could_tell_are_not_drawn() -> None:
    get = "wasi:random/random.get-random-bytes"
    stage = Stage(max_event_bytes=3000, max_returned_buffer_len=10_000)
    stage.run.entropy = bytes  # zeros, whose texts are the shortest
    assert asyncio.run(stage.call(get, 1000)) == bytes(1000)
    with pytest.raises(GuestLimit, match=r"max_event_bytes \(3000\) allows no event of so many"):
        asyncio.run(stage.call(get, 1001))

    async def within_a_transaction() -> bytes:
        await stage.call(ENTER, "t", False)
        drawn: bytes = await stage.call(get, 10_000)
        return drawn

    assert len(asyncio.run(within_a_transaction())) == 10_000


# -- what the host keeps for a guest ---------------------------------------------------------------------------------
SQL, HTTP = "durable:core/sql.", "durable:core/http."


def test_the_sql_values_of_a_guest_may_be_as_large_as_its_memory() -> None:
    stage = Stage(guest_memory_limit=1 << 20)

    async def scenario() -> None:
        text = "x" * (1 << 18)
        held = [await stage.call(f"{SQL}[static]value.text", text) for _ in range(4)]
        with pytest.raises(GuestLimit, match=r"larger than guest_memory_limit \(1048576 bytes\) together"):
            await stage.call(f"{SQL}[method]value.clone", held[0])
        held.pop()
        held.append(await stage.call(f"{SQL}[static]value.text", text))

    asyncio.run(scenario())


def test_the_http_requests_of_a_guest_count_as_well_whatever_is_set_when() -> None:
    stage = Stage(guest_memory_limit=1 << 20)

    async def scenario() -> None:
        request = (await stage.call(f"{HTTP}[static]http-request2.new", "POST", "http://a/")).value
        other = (await stage.call(f"{HTTP}[static]http-request2.new", "POST", "http://a/")).value
        await stage.call(f"{HTTP}[method]http-request2.set-body", request, bytes(1_000_000))
        await stage.call(f"{HTTP}[method]http-request2.set-headers", other, [("x", b"")] * 10)
        with pytest.raises(GuestLimit, match="guest_memory_limit"):
            await stage.call(f"{HTTP}[method]http-request2.set-headers", other, [("x", b"")] * 1000)

    asyncio.run(scenario())
