"""Messages are sent together with their event, and taken once each in their order."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from durable.journal.part import Message
from durable.model import Notification, TaskState
from durable.wasm.values import Case, Err, Ok
from tests.host.stage import Stage, journal

NOTIFY = "durable:core/notify.notify"
WAIT, WAIT_TIMEOUT = "durable:core/notify.notification-blocking", "durable:core/notify.notification-blocking-timeout"
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def waiting(*numbers: int) -> list[Notification]:
    return [Notification(number, MOMENT, f"event {number}", str(number)) for number in numbers]


# -- sending ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", [None, *TaskState])
def test_the_answer_to_a_sender_depends_on_the_state_of_the_receiver(state: TaskState | None) -> None:
    stage = Stage()
    if state is not None:
        stage.outside.states = {9: state}
    answer = asyncio.run(stage.call(NOTIFY, 9, "e", "1"))
    if state is None:
        assert answer == Err(Case("task-not-found"))
    elif state in (TaskState.COMPLETE, TaskState.FAILED, TaskState.CANCELLED):
        assert answer == Err(Case("task-dead"))
    else:
        assert answer == Ok()
    assert stage.sent == ([Message(9, "e", "1")] if answer == Ok() else [])


def test_a_message_is_written_together_with_its_event() -> None:
    stage = Stage()
    stage.outside.states = {9: TaskState.ACTIVE}

    async def scenario() -> None:
        await stage.call("wasi:random/random.get-random-u64")
        await stage.call(NOTIFY, 9, "e", '{"n": 1.10}')

    asyncio.run(scenario())
    [part] = stage.parts
    assert [event.label for event in part.events] == ["wasi:random/random.get-random-u64", NOTIFY]
    assert part.sent == [Message(9, "e", '{"n": 1.10}')]


def test_a_refusal_with_a_message_of_its_own_is_replayed() -> None:
    value = json.dumps({"Err": {"error": "other", "message": "é: no"}})
    stage = Stage(journal((NOTIFY, value)))
    stage.outside.closed = True
    assert asyncio.run(stage.call(NOTIFY, 9, "e", "not json")) == Err(Case("other", "é: no"))


# -- taking ----------------------------------------------------------------------------------------------------------
def test_notifications_are_taken_in_their_order_each_with_its_event() -> None:
    stage = Stage()
    stage.outside.notifications_waiting = waiting(3, 5, 9)

    async def scenario() -> None:
        for number in (3, 5, 9):
            assert (await stage.call(WAIT))[1] == f"event {number}"

    asyncio.run(scenario())
    assert stage.taken == [3, 5, 9]
    assert [label for label, _ in stage.recorded] == [WAIT] * 3


def test_before_a_notification_is_looked_for_everything_recorded_is_durable() -> None:
    """What the guest printed or drew may have been the reason why somebody sent it."""
    stage = Stage()
    stage.outside.notifications_waiting = waiting(3)

    async def scenario() -> None:
        await stage.call("wasi:random/random.get-random-u64")
        await stage.call(WAIT)

    asyncio.run(scenario())
    assert [len(part.events) for part in stage.parts] == [1, 1]


def test_a_notification_is_taken_in_the_part_that_records_it() -> None:
    stage = Stage()
    stage.outside.notifications_waiting = waiting(3, 5)

    async def scenario() -> None:
        await stage.call(WAIT)
        await stage.call(WAIT_TIMEOUT, 10**9)

    asyncio.run(scenario())
    for part in stage.parts:
        assert len(part.taken) == len(part.events)


def test_both_ways_of_waiting_take_from_one_inbox() -> None:
    stage = Stage()
    stage.outside.notifications_waiting = waiting(1, 2, 3)

    async def scenario() -> None:
        names = [(await stage.call(*call))[1] for call in ((WAIT,), (WAIT_TIMEOUT, 10**9), (WAIT,))]
        assert names == ["event 1", "event 2", "event 3"]

    asyncio.run(scenario())


@pytest.mark.parametrize("data", ["1" * 5000, "[" * 3000 + "]" * 3000, '{"a": "]}\\""}', "1.10"])
def test_a_notification_may_hold_whatever_the_database_does(data: str) -> None:
    """An application may insert what no workflow could send."""
    stage = Stage()
    stage.outside.notifications_waiting = [Notification(1, MOMENT, "e", data)]
    assert asyncio.run(stage.call(WAIT)) == ((1_767_312_000, 0), "e", data)
    replayed = Stage(journal(*stage.recorded))
    assert asyncio.run(replayed.call(WAIT)) == ((1_767_312_000, 0), "e", data)


def test_a_notification_with_nanoseconds_of_another_engine_is_replayed() -> None:
    value = '{"data": {"k": []}, "event": "e", "created_at": "2026-01-02T00:00:00.123456789+00:00"}'
    stage = Stage(journal((WAIT, value)))
    assert asyncio.run(stage.call(WAIT)) == ((1_767_312_000, 123_456_789), "e", '{"k": []}')
