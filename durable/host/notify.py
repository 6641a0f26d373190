"""`durable:core/notify`: messages between tasks, each taken exactly once, in the order in which they were committed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from durable import metrics
from durable.execution.outcome import Suspend
from durable.execution.run import Run
from durable.host.datetimes import Datetime, parse_rfc3339, rfc3339
from durable.host.pollables import microseconds
from durable.journal import labels
from durable.journal.json_text import check_json, members
from durable.journal.part import Message, TaskChange
from durable.model import Notification, TaskState
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok

#: `record event {created-at, event, data}`
EventRecord = tuple[Datetime, str, str]

_FAR = 2**62  # nanoseconds; a timeout beyond it (year 2116) is no different from one at it


async def notification_blocking(run: Run) -> EventRecord:
    _refuse_in_transaction(run)
    await run.prepare()
    value = run.replay(labels.NOTIFICATION)
    if value is None:
        notification = await _receive(run, _wait_for_ever)
        assert notification is not None
        value = _take(run, labels.NOTIFICATION, notification)
    return _decode(value)


async def notification_blocking_timeout(run: Run, timeout_ns: int) -> EventRecord | None:
    _refuse_in_transaction(run)
    await run.prepare()
    value = run.replay(labels.NOTIFICATION_TIMEOUT)
    if value is None:
        notification = await _receive(run, _deadline(run, timeout_ns))
        if notification is None:
            run.append(labels.NOTIFICATION_TIMEOUT, "null")
            return None
        value = _take(run, labels.NOTIFICATION_TIMEOUT, notification)
    return None if value == "null" else _decode(value)


async def notify(run: Run, task: int, event: str, data: str) -> Ok | Err:
    _refuse_in_transaction(run)
    await run.prepare()
    value = run.replay(labels.NOTIFY)
    if value is not None:
        return _decode_answer(value)
    answer = _check_message(run, event, data) or await _check_target(run, task)
    run.append(labels.NOTIFY, _encode_answer(answer))
    if isinstance(answer, Ok):
        # In the same part as its event: the message is sent if and only if the event is recorded.
        run.tail.send(Message(task, event, data))
    return answer


# -- waiting ---------------------------------------------------------------------------------------------------------
#: The change that a waiting task is suspended with; its wakeup_at is the deadline.
Wait = Callable[[TaskState], TaskChange]


def _wait_for_ever(state: TaskState) -> TaskChange:
    return TaskChange(state, wakes_on_notification=True)


def _deadline(run: Run, timeout_ns: int) -> Wait:
    """The timeout counts from the first time the call was reached, which an earlier run may have noted."""
    index, until = run.cursor.index, run.task.wait_until
    if run.task.wait_index != index or until is None:
        until = microseconds(min(run.clock.now() + timeout_ns, _FAR))
    return lambda state: TaskChange(
        state, wakeup_at=until, wakes_on_notification=True, wait_index=index, wait_until=until
    )


async def _receive(run: Run, wait: Wait) -> Notification | None:
    """The next notification, or None at the deadline. Raises Suspend when waiting takes longer than it should."""
    loop = asyncio.get_running_loop()
    patience_ends = loop.time() + run.config.suspend_timeout
    deadline = wait(TaskState.SUSPENDED).wakeup_at
    noted = deadline is None
    while True:
        notification = await run.inbox.take()
        if notification is not None:
            return notification
        remaining = float("inf") if deadline is None else run.clock.seconds_until(deadline * 1000)
        if remaining <= 0:
            return None
        if not noted:
            run.tail.change(wait(TaskState.ACTIVE))
            noted = True
        patience = patience_ends - loop.time()
        if patience <= 0:
            raise Suspend(wait(TaskState.SUSPENDED))
        await run.inbox.wait(min(remaining, patience))


def _take(run: Run, label: str, notification: Notification) -> str:
    value = _encode(notification)
    run.append(label, value)
    metrics.notification_delivery.observe(run.clock.now() / 1e9 - notification.created_at.timestamp())
    run.tail.take(notification.id)
    return value


# -- values ----------------------------------------------------------------------------------------------------------
def _encode(notification: Notification) -> str:
    created_at, event = json.dumps(rfc3339(notification.created_at)), json.dumps(notification.event)
    return f'{{"data": {notification.data}, "event": {event}, "created_at": {created_at}}}'


def _decode(value: str) -> EventRecord:
    parts = members(value)
    return parse_rfc3339(json.loads(parts["created_at"])), json.loads(parts["event"]), parts["data"]


_NOT_FOUND = Err(Case("task-not-found"))
_TASK_DEAD = Err(Case("task-dead"))


def _encode_answer(answer: Ok | Err) -> str:
    if isinstance(answer, Ok):
        return '{"Ok": null}'
    error = {"error": answer.value.name}
    if answer.value.name == "other":
        error["message"] = answer.value.value
    return json.dumps({"Err": error})


def _decode_answer(text: str) -> Ok | Err:
    value = json.loads(text)
    if "Ok" in value:
        return Ok()
    error = value["Err"]
    return Err(Case(error["error"], error.get("message")))


# -- checks ----------------------------------------------------------------------------------------------------------
def _refuse_in_transaction(run: Run) -> None:
    if run.transaction is not None:
        raise GuestTrap(f"notifications cannot be used within a transaction ({run.transaction.label!r} is open)")


def _check_message(run: Run, event: str, data: str) -> Err | None:
    limit = run.config.max_notification_bytes
    if len(data.encode()) + len(event.encode()) > limit:
        return Err(Case("other", f"the notification is larger than max_notification_bytes ({limit})"))
    if "\0" in event:
        return Err(Case("other", "the event must not contain the character U+0000"))
    try:
        check_json(data)
    except ValueError as error:
        return Err(Case("other", f"the data is not valid JSON: {error}"))
    return None


async def _check_target(run: Run, task: int) -> Ok | Err:
    state = await run.reader.task_state(task)
    if state is None:
        return _NOT_FOUND
    return _TASK_DEAD if state.is_final else Ok()


FUNCTIONS = {
    "durable:core/notify": {
        "notification-blocking": notification_blocking,
        "notification-blocking-timeout": notification_blocking_timeout,
        "notify": notify,
    }
}
