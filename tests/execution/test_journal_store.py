"""Parts in a real database: all of a part or nothing, only under its lease, and no task at the cost of another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psycopg
import pytest

from durable.journal.faults import DatabaseImpaired, JournalUnavailable, Unstorable
from durable.journal.part import JournalPart, Message, TaskChange
from durable.model import Event, TaskState
from durable.store import journal as journal_module
from durable.store.journal import JournalReader, JournalStore
from durable.store.leases import LeaseStore
from tests.execution.tables import Tables
from tests.execution.writing import append, part, session
from tests.impaired import SAYS, impaired


def everything(task: int, other: int, notification: int, lease: int = 1) -> JournalPart:
    """A part that does all that a part can do."""
    return JournalPart(
        task,
        lease,
        events=[Event(0, "a", '{"n": 1}'), Event(1, "b", "null")],
        logs=[(1, "printed\n")],
        sent=[Message(other, "hello", '"x"')],
        taken=[notification],
        change=TaskChange(TaskState.COMPLETE),
    )


# -- what is written -------------------------------------------------------------------------------------------------
def test_everything_in_a_part_is_written(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task, other = tables.task(worker), tables.task()
    notification = tables.notify(task, "taken")
    tables.notify(task, "left")
    assert append(journal_url, worker, everything(task, other, notification)) == {task}
    assert tables.events(task) == [(0, "a", '{"n": 1}'), (1, "b", "null")]
    assert tables.logs(task) == [(1, "printed\n")]
    assert tables.inbox(other) == [("hello", '"x"')]
    assert tables.inbox(task) == [("left", "null")]
    assert tables.state(task) == "complete"
    assert tables.value("SELECT running_on IS NULL AND completed_at IS NOT NULL FROM durable.task WHERE id = %s", task)


def test_parts_of_many_tasks_are_written_to_their_own_journals(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    tasks = [tables.task(worker) for _ in range(30)]
    parts = [part(task, events=count) for count, task in enumerate(tasks)]
    random.Random(1).shuffle(parts)
    assert append(journal_url, worker, *parts) == set(tasks)
    for count, task in enumerate(tasks):
        assert tables.events(task) == [(index, f"label {index}", str(index)) for index in range(count)]


VALUES = [
    "1.10", "18446744073709551615", "-9223372036854775809", "1e-400", "null", "true", '""', '"é😀\\u001f\\\\ \\""',
    "[1, [2, {}]]", '{"a": {"b": "]"}}', '"],["',
]  # fmt: skip


def test_values_are_stored_as_they_are(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    append(journal_url, worker, JournalPart(task, 1, [Event(i, "v", value) for i, value in enumerate(VALUES)]))
    stored = tables.rows("SELECT value::text FROM durable.event WHERE task_id = %s ORDER BY index", task)
    expected = [tables.value("SELECT %s::jsonb::text", value) for value in VALUES]
    assert [row[0] for row in stored] == expected
    assert expected[:3] == VALUES[:3]


def test_labels_and_texts_may_hold_what_sql_is_made_of(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task, nasty = tables.task(worker), "'; DROP TABLE x; -- {} \\ % %s \"é😀\n"
    append(
        journal_url,
        worker,
        JournalPart(task, 1, [Event(0, nasty, "1")], logs=[(0, nasty)], sent=[Message(task, nasty, "[]")]),
    )
    assert tables.events(task) == [(0, nasty, "1")]
    assert tables.logs(task) == [(0, nasty)]
    assert tables.inbox(task) == [(nasty, "[]")]


def test_messages_arrive_in_the_order_in_which_they_were_sent(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task, receiver = tables.task(worker), tables.task()
    messages = [Message(receiver, f"message {n:03}", str(n)) for n in range(100)]
    append(journal_url, worker, JournalPart(task, 1, sent=messages))
    assert tables.inbox(receiver) == [(message.event, message.data) for message in messages]


def test_a_message_to_nobody_is_dropped_and_the_rest_is_written(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    sending = JournalPart(task, 1, [Event(0, "a", "1")], sent=[Message(2**62, "e", "1"), Message(task, "e", "2")])
    assert append(journal_url, worker, sending) == {task}
    assert tables.inbox(task) == [("e", "2")]
    assert len(tables.events(task)) == 1


def test_a_suspended_task_has_its_times_to_the_microsecond(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    wakeup, until = 1_767_225_600_123_457, 4_102_444_800_999_999
    change = TaskChange(
        TaskState.SUSPENDED, wakeup_at=wakeup, wakes_on_notification=False, wait_index=4, wait_until=until
    )
    append(journal_url, worker, part(task, change=change))
    [row] = tables.rows(
        "SELECT state::text, running_on, wakeup_at, wakes_on_notification, wait_index, wait_until, completed_at "
        "FROM durable.task WHERE id = %s",
        task,
    )
    assert row == ("suspended", None, _moment(wakeup), False, 4, _moment(until), None)


def _moment(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def test_noting_a_deadline_leaves_the_task_running(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    append(journal_url, worker, part(task, change=TaskChange(TaskState.ACTIVE, wait_index=2, wait_until=5)))
    [row] = tables.rows("SELECT state::text, running_on, wait_index, lease FROM durable.task WHERE id = %s", task)
    assert row == ("active", worker, 2, 1)
    assert append(journal_url, worker, part(task, events=1)) == {task}


def test_log_text_of_an_earlier_run_is_replaced(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    for text in ("first", "second"):
        append(journal_url, worker, JournalPart(task, 1, logs=[(2147483646, text)]))
    assert tables.logs(task) == [(2147483646, "second")]


# -- the fence -------------------------------------------------------------------------------------------------------
STATES = [state for state in TaskState if state is not TaskState.ACTIVE]


def fenced_task(tables: Tables, worker: int, why: str) -> int:
    """A task that the worker may not write for any more, under lease 1."""
    if why == "another lease":
        return tables.task(worker, lease=2)
    if why == "an earlier lease":
        return tables.task(worker, lease=0)
    if why == "another worker":
        return tables.task(tables.worker())
    if why == "no worker":
        return tables.task(None)
    return tables.task(worker, state=why)


@pytest.mark.parametrize("why", ["another lease", "an earlier lease", "another worker", "no worker", *STATES])
def test_nothing_is_written_without_the_lease_and_the_others_of_the_batch_are(
    journal_url: str, tables: Tables, why: str
) -> None:
    worker = tables.worker()
    healthy, receiver, fenced = tables.task(worker), tables.task(), fenced_task(tables, worker, why)
    notification = tables.notify(fenced)
    before = tables.trace(fenced), tables.inbox(receiver)
    held = append(journal_url, worker, everything(fenced, receiver, notification), part(healthy, events=2))
    assert held == {healthy}
    assert (tables.trace(fenced), tables.inbox(receiver)) == before
    assert len(tables.events(healthy)) == 2


def test_a_task_that_is_no_more_is_not_held(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    healthy = tables.task(worker)
    assert append(journal_url, worker, part(2**62, events=1), part(healthy, events=1)) == {healthy}


def test_a_write_that_waits_while_the_task_changes_hands_is_fenced(journal_url: str, tables: Tables) -> None:
    """The zombie has sent its statement before the task was taken back, and gets the row's lock after."""
    zombie, owner = tables.worker(), tables.worker()
    task, healthy = tables.task(zombie), tables.task(zombie)

    async def main() -> set[int]:
        async with session(journal_url) as connection:
            with psycopg.connect(journal_url) as taking:
                taking.execute(
                    "UPDATE durable.task SET running_on = %s, lease = lease + 1 WHERE id = %s", (owner, task)
                )
                writing = asyncio.create_task(
                    JournalStore(connection, zombie).append(
                        [part(task, events=3, change=TaskChange(TaskState.FAILED)), part(healthy, events=1)]
                    )
                )
                await until_a_lock_is_waited_for(tables)
                assert not writing.done()
                taking.commit()
            return await writing

    assert asyncio.run(main()) == {healthy}
    assert tables.events(task) == []
    assert tables.state(task) == "active"
    assert append(journal_url, owner, part(task, lease=2, events=1)) == {task}, "the owner's journal is spoiled"


async def until_a_lock_is_waited_for(tables: Tables) -> None:
    async with asyncio.timeout(20):
        while not tables.value(  # noqa: ASYNC110  only the server knows
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0.005)


# -- all or nothing --------------------------------------------------------------------------------------------------
REFUSED = {
    "an index that is taken": lambda task: [Event(0, "a", "1")],
    "an index twice": lambda task: [Event(5, "a", "1"), Event(5, "b", "2")],
    "a value that jsonb refuses": lambda task: [Event(1, "a", '"\\u0000"')],
    "a label that text refuses": lambda task: [Event(1, "a\0b", "1")],
    "half a character": lambda task: [Event(1, "a\ud800b", "1")],
    "an index beyond an integer": lambda task: [Event(2**31, "a", "1")],
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_value_that_the_database_refuses_is_told_and_nothing_of_the_batch_is_written(
    journal_url: str, tables: Tables, why: str
) -> None:
    worker = tables.worker()
    guilty, innocent, receiver = tables.task(worker), tables.task(worker), tables.task()
    append(journal_url, worker, part(guilty, events=1))
    notification = tables.notify(innocent)
    before = [tables.trace(task) for task in (guilty, innocent, receiver)]
    with pytest.raises(Unstorable, match="the database refuses what the workflow recorded"):
        append(
            journal_url,
            worker,
            JournalPart(guilty, 1, REFUSED[why](guilty)),
            everything(innocent, receiver, notification),
        )
    assert [tables.trace(task) for task in (guilty, innocent, receiver)] == before
    assert append(journal_url, worker, everything(innocent, receiver, notification)) == {innocent}


def test_what_was_taken_comes_back_when_its_event_could_not_be_written(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task, receiver = tables.task(worker), tables.task()
    notification = tables.notify(task, "kept")
    failing = everything(task, receiver, notification)
    failing.events.append(failing.events[0])
    with pytest.raises(Unstorable):
        append(journal_url, worker, failing)
    assert tables.inbox(task) == [("kept", "null")]
    assert tables.inbox(receiver) == []


# -- when the database cannot write ----------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["53100", "53200", "58030"])
def test_a_server_out_of_room_or_order_is_told_apart_and_nothing_is_written(
    journal_url: str, tables: Tables, state: str
) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    with impaired(journal_url, "INSERT ON durable.event", state), pytest.raises(DatabaseImpaired, match=SAYS):
        append(journal_url, worker, part(task, events=2))
    assert tables.events(task) == []
    assert append(journal_url, worker, part(task, events=2)) == {task}


def test_a_fault_of_one_page_is_not_one_of_the_whole_server(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    with impaired(journal_url, "INSERT ON durable.event", "XX001"), pytest.raises(JournalUnavailable) as raised:
        append(journal_url, worker, part(task, events=1))
    assert not isinstance(raised.value, DatabaseImpaired)


# -- when the database is away ---------------------------------------------------------------------------------------
def test_a_connection_that_breaks_in_the_middle_leaves_it_unknown_and_the_next_write_has_a_new_one(
    journal_url: str, tables: Tables
) -> None:
    worker = tables.worker()
    task, other = tables.task(worker), tables.task(worker)

    async def main() -> None:
        async with session(journal_url) as connection:
            store = JournalStore(connection, worker)
            with psycopg.connect(journal_url) as locking:
                locking.execute("SELECT FROM durable.task WHERE id = %s FOR UPDATE", (task,))
                writing = asyncio.create_task(store.append([part(task, events=1)]))
                await until_a_lock_is_waited_for(tables)
                tables.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                with pytest.raises(JournalUnavailable):
                    await writing
            assert await store.append([part(other, events=1)]) == {other}

    asyncio.run(main())
    assert tables.events(task) == []


def test_a_row_that_stays_locked_is_given_up_in_time(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)

    async def main() -> None:
        async with session(journal_url, timeout=2.0) as connection:
            store = JournalStore(connection, worker)
            with psycopg.connect(journal_url) as locking:
                locking.execute("SELECT FROM durable.task WHERE id = %s FOR UPDATE", (task,))
                async with asyncio.timeout(10):
                    with pytest.raises(JournalUnavailable):
                        await store.append([part(task, events=1)])
            assert await store.append([part(task, events=1)]) == {task}

    asyncio.run(main())


def test_no_server_is_not_an_empty_journal() -> None:
    async def main() -> None:
        async with session("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1") as connection:
            reader, store = JournalReader(connection), JournalStore(connection, 1)
            attempts: list[Callable[[], Awaitable[object]]] = [
                lambda: reader.events(1, 0),
                lambda: reader.notifications(1),
                lambda: reader.task_state(1),
                lambda: reader.notified([1]),
                lambda: store.append([part(1, events=1)]),
            ]
            for attempt in attempts:
                with pytest.raises(JournalUnavailable):
                    await attempt()

    asyncio.run(main())


# -- notifications and suspension ------------------------------------------------------------------------------------
WAITS = TaskChange(TaskState.SUSPENDED, wakes_on_notification=True)
SLEEPS = TaskChange(TaskState.SUSPENDED, wakeup_at=4_102_444_800_000_000, wakes_on_notification=False)


def test_a_message_wakes_a_task_that_waits_for_one_and_no_sleeper(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    sender, waiting, sleeping = (tables.task(worker) for _ in range(3))
    append(journal_url, worker, part(waiting, change=WAITS), part(sleeping, change=SLEEPS))
    append(journal_url, worker, JournalPart(sender, 1, sent=[Message(waiting, "e", "1"), Message(sleeping, "e", "1")]))
    assert (tables.state(waiting), tables.state(sleeping)) == ("ready", "suspended")


def test_a_task_that_is_suspended_with_a_message_in_its_inbox_is_ready_at_once(
    journal_url: str, tables: Tables
) -> None:
    worker = tables.worker()
    waiting, sleeping, alone = (tables.task(worker) for _ in range(3))
    tables.notify(waiting)
    tables.notify(sleeping)
    append(journal_url, worker, part(waiting, change=WAITS), part(sleeping, change=SLEEPS), part(alone, change=WAITS))
    assert [tables.state(task) for task in (waiting, sleeping, alone)] == ["ready", "suspended", "suspended"]


def test_a_task_that_is_suspended_in_the_batch_that_notifies_it_is_ready(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    for first in ("sender", "receiver"):
        tasks = [tables.task(worker), tables.task(worker)]
        sender, receiver = tasks if first == "sender" else reversed(tasks)
        sending = JournalPart(sender, 1, sent=[Message(receiver, "e", "1")])
        append(journal_url, worker, part(receiver, change=WAITS), sending)
        assert tables.state(receiver) == "ready"


def test_a_message_that_was_taken_in_the_batch_of_the_suspension_wakes_nobody(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    notification = tables.notify(task)
    append(journal_url, worker, JournalPart(task, 1, taken=[notification], change=WAITS))
    assert tables.state(task) == "suspended"


def test_a_message_that_commits_after_the_suspension_is_found_by_the_next_look(
    journal_url: str, tables: Tables
) -> None:
    """Neither transaction can see the other: what is left is the look that the hint leads to, and the sweep."""
    worker = tables.worker()
    hinted, swept = tables.task(worker), tables.task(worker)

    async def main() -> None:
        async with session(journal_url) as connection:
            with psycopg.connect(journal_url) as sending:
                for task in (hinted, swept):
                    sending.execute("INSERT INTO durable.notification (task_id, event) VALUES (%s, 'e')", (task,))
                await JournalStore(connection, worker).append([part(hinted, change=WAITS), part(swept, change=WAITS)])
                sending.commit()
            assert [tables.state(task) for task in (hinted, swept)] == ["suspended"] * 2
            leases = LeaseStore(connection)
            await leases.wake_waiting([hinted])
            assert [tables.state(task) for task in (hinted, swept)] == ["ready", "suspended"]
            await leases.wake_all_waiting()
            assert [tables.state(task) for task in (hinted, swept)] == ["ready"] * 2

    asyncio.run(main())


def test_a_sender_does_not_wait_for_a_receiver_that_is_being_written(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    task = tables.task(worker)
    with psycopg.connect(journal_url) as writing:
        writing.execute("SELECT FROM durable.task WHERE id = %s FOR NO KEY UPDATE", (task,))
        tables.rows("SET lock_timeout = '5s'")
        tables.notify(task)


def test_a_receiver_that_is_deleted_at_that_moment_hears_nothing_and_the_sender_goes_on(
    journal_url: str, tables: Tables
) -> None:
    worker = tables.worker()
    sender, receiver = tables.task(worker), tables.task(state="complete")

    async def main() -> set[int]:
        async with session(journal_url) as connection:
            with psycopg.connect(journal_url) as deleting:
                deleting.execute("DELETE FROM durable.task WHERE id = %s", (receiver,))
                sending = JournalPart(sender, 1, [Event(0, "notify", "1")], sent=[Message(receiver, "e", "1")])
                writing = asyncio.create_task(JournalStore(connection, worker).append([sending]))
                await until_a_lock_is_waited_for(tables)
                deleting.commit()
            return await writing

    assert asyncio.run(main()) == {sender}
    assert len(tables.events(sender)) == 1


# -- many writers ----------------------------------------------------------------------------------------------------
def test_eight_writers_over_the_same_tasks_never_wait_in_a_circle(
    journal_url: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "RETRYABLE", ())  # a deadlock must not be hidden by another attempt
    workers = [tables.worker() for _ in range(8)]
    owned = {worker: [tables.task(worker) for _ in range(4)] for worker in workers}
    everybody = [task for tasks in owned.values() for task in tasks]
    seed = random.randrange(10**6)

    async def write(number: int, worker: int) -> None:
        chance = random.Random(seed + number)
        next_index = dict.fromkeys(owned[worker], 0)
        async with session(journal_url) as connection:
            store = JournalStore(connection, worker)
            for _ in range(15):
                parts = []
                for task in chance.sample(everybody, 12):
                    sent = [Message(chance.choice(everybody), "e", "1") for _ in range(3)]
                    events = [Event(next_index.get(task, 0), "a", "1")]
                    parts.append(JournalPart(task, 1, events, sent=sent))
                held = await store.append(parts)
                assert held == {one.task_id for one in parts} & set(owned[worker]), "someone else's task"
                for task in held:
                    next_index[task] += 1
        for task, count in next_index.items():
            assert len(tables.events(task)) == count

    async def main() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*[write(number, worker) for number, worker in enumerate(workers)])

    try:
        asyncio.run(main())
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise
