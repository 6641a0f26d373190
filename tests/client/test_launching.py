"""Launching tasks."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow, dict_row
from psycopg_pool import ConnectionPool

from durable import Client, InvalidTask, Json, TaskState, UnknownProgram
from durable.journal.json_text import MAX_DEPTH
from tests.client.databases import Worker

Sql = psycopg.Connection[TupleRow]


def test_a_launched_task_is_ready_and_has_what_it_was_given(client: Client, worker: Worker) -> None:
    worker.store_program(name="hello")

    task = client.task(client.launch("my first task", "hello", {"greeting": ["hello", None, "Grüße"]}))

    assert (task.name, task.state, task.program) == ("my first task", TaskState.READY, "hello")
    assert json.loads(task.data) == {"greeting": ["hello", None, "Grüße"]}


def test_a_task_without_data_reads_null(client: Client, worker: Worker) -> None:
    worker.store_program()

    assert client.task(client.launch("t", "stored")).data == "null"


def test_json_text_is_stored_to_its_last_digit(client: Client, worker: Worker) -> None:
    worker.store_program()

    task_id = client.launch("t", "stored", Json('{"price": 1.10, "big": 18446744073709551615}'))

    assert client.task(task_id).data == '{"big": 18446744073709551615, "price": 1.10}'


def test_a_thousand_tasks_are_launched_by_one_statement_and_their_ids_are_in_order(
    client: Client, worker: Worker, sql: Sql
) -> None:
    worker.store_program()

    ids = client.launch_many("stored", [(f"task {n}", {"n": n}) for n in range(1000)])

    rows = sql.execute("SELECT id, name, (data->>'n')::int FROM durable.task ORDER BY id").fetchall()
    assert [(row[0], row[1], row[2]) for row in rows] == [(ids[n], f"task {n}", n) for n in range(1000)]
    # created_at is the time of the statement.
    assert sql.execute("SELECT count(DISTINCT created_at) FROM durable.task").fetchone() == (1,)


def test_launching_no_task_at_all_is_fine(client: Client) -> None:
    assert client.launch_many("there is no such program", []) == []


def test_one_bad_task_among_many_launches_none(client: Client, worker: Worker) -> None:
    worker.store_program()

    with pytest.raises(InvalidTask):
        client.launch_many("stored", [("good", 1), ("", 2)])

    assert client.tasks() == []


def test_a_task_launched_in_a_transaction_lives_and_dies_with_it(url: str, worker: Worker, sql: Sql) -> None:
    worker.store_program()
    with Client(url) as client, psycopg.connect(url, row_factory=dict_row) as application:
        lost = client.launch("rolled back", "stored", connection=application)
        application.rollback()
        kept = client.launch("committed", "stored", connection=application)
        assert sql.execute("SELECT count(*) FROM durable.task").fetchone() == (0,)
        application.commit()

        assert [task.id for task in client.tasks()] == [kept]
        assert lost != kept


async def _launch_in_transaction(url: str) -> list[str]:
    from durable import AsyncClient

    async with AsyncClient(url) as client, await psycopg.AsyncConnection.connect(url) as application:
        await client.launch("rolled back", "stored", connection=application)
        await application.rollback()
        await client.launch_many("stored", [("committed", None)], connection=application)
        await application.commit()
        return [task.name for task in await client.tasks()]


def test_the_same_holds_for_a_coroutine(url: str, worker: Worker, loop: Any) -> None:
    worker.store_program()

    assert loop.run(_launch_in_transaction(url)) == ["committed"]


def test_a_pool_of_the_application_is_used_and_left_open(pool: ConnectionPool[Any], worker: Worker) -> None:
    worker.store_program()

    with Client(pool) as client:
        task_id = client.launch("t", "stored")
        assert client.wait is not None

    with pool.connection() as connection:
        assert connection.execute("SELECT id FROM durable.task").fetchone() == (task_id,)


def test_a_name_that_cannot_be_stored_is_refused(client: Client) -> None:
    for name, text in [
        ("", "the task name must not be an empty string"),
        ("a\0b", "the task name must not contain the character U+0000"),
        ("a\ud800b", "the task name is not valid Unicode text"),
    ]:
        with pytest.raises(InvalidTask) as refused:
            client.launch(name, "stored")
        assert str(refused.value) == text


REFUSED = [
    float("nan"),
    float("inf"),
    "a\0b",
    "a\ud800b",
    {"\0": 1},
    object(),
    Json("{"),
    Json(""),
    Json("[1, NaN]"),
    Json('"\\u0000"'),
    Json('"\\ud83d alone"'),
    Json('"\\ude00 alone"'),
    Json("1e400000"),
    Json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)),
    Json("[" * 100_000),
]
TAKEN = [
    Json('"\\ud83d\\ude00"'),
    Json('"\\\\u0000 is written, not meant"'),
    Json("[" * MAX_DEPTH + "]" * MAX_DEPTH),
    Json(" \n{ } "),
    2**200,
    1e-300,
]


def test_data_that_jsonb_would_refuse_is_refused_before_the_transaction_is_hurt(url: str, worker: Worker) -> None:
    worker.store_program()
    with Client(url) as client, psycopg.connect(url) as application:
        for data in REFUSED:
            with pytest.raises(InvalidTask) as refused:
                client.launch("t", "stored", data, connection=application)
            first, second = str(refused.value).splitlines()
            assert first == "provided task data was not valid json"
            assert second

        assert application.execute("SELECT 1").fetchone() == (1,)


def test_data_at_the_edge_of_what_jsonb_takes_is_taken(client: Client, worker: Worker) -> None:
    worker.store_program()

    for data in TAKEN:
        text = data.text if isinstance(data, Json) else json.dumps(data)
        assert json.loads(client.task(client.launch("t", "stored", data)).data) == json.loads(text)


async def _launch_at_the_limit(url: str) -> list[str]:
    from durable import AsyncClient

    async with AsyncClient(url, max_task_data_bytes=20) as client:
        ids = await client.launch_many("stored", [("t", "é" * 9)])
        with pytest.raises(InvalidTask, match="max_task_data_bytes allows 20"):
            await client.launch_many("stored", [("t", 1), ("t", "é" * 9 + "x")])
        with pytest.raises(InvalidTask, match="max_task_data_bytes allows 20"):
            await client.launch("t", "stored", "é" * 9 + "x")
        return [(await client.task(id)).data for id in ids]


def test_data_beyond_the_limit_is_refused_and_data_at_the_limit_is_launched(
    url: str, worker: Worker, loop: Any, sql: Sql
) -> None:
    worker.store_program()
    at_limit, beyond = Json('"' + "é" * 9 + '"'), Json('"' + "é" * 9 + 'x"')
    with Client(url, max_task_data_bytes=20) as client:
        assert client.task(client.launch("t", "stored", at_limit)).data == at_limit.text
        client.launch_many("stored", [("t", at_limit)])
        for refused in (
            lambda: client.launch("t", "stored", beyond),
            lambda: client.launch_many("stored", [("t", beyond)]),
        ):
            with pytest.raises(InvalidTask, match="the task data has 21 bytes; max_task_data_bytes allows 20"):
                refused()

    assert loop.run(_launch_at_the_limit(url)) == [at_limit.text]
    assert sql.execute("SELECT count(*) FROM durable.task").fetchone() == (3,)


def test_a_program_that_is_gone_is_unknown_and_hurts_no_transaction(url: str, worker: Worker, sql: Sql) -> None:
    worker.store_program()
    with Client(url) as client, psycopg.connect(url) as application:
        program = client.program("stored")
        sql.execute("DELETE FROM durable.wasm")

        with pytest.raises(UnknownProgram, match="not stored any more"):
            client.launch("t", program, connection=application)
        with pytest.raises(UnknownProgram, match="no file and no stored program"):
            client.launch("t", "stored", connection=application)

        assert application.execute("SELECT 1").fetchone() == (1,)


def test_tasks_are_found_by_state_and_name_the_newest_first(client: Client, worker: Worker) -> None:
    ids = [worker.task(state, name) for state, name in [("failed", "order-1"), ("ready", "order-2"), ("failed", "x_1")]]

    assert [task.id for task in client.tasks()] == ids[::-1]
    assert [task.id for task in client.tasks(state="failed")] == [ids[2], ids[0]]
    assert [task.id for task in client.tasks(name_glob="order-*")] == [ids[1], ids[0]]
    assert [task.id for task in client.tasks(name_glob="?_1")] == [ids[2]]
    assert [task.id for task in client.tasks(name_glob="order_1")] == []
    assert [task.id for task in client.tasks(limit=1)] == [ids[2]]
