"""Launching, notifying and looking at tasks from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable.cli.tasks import MAX_LIMIT
from durable.model import CRASH_LOG_INDEX, FAILURE_LOG_INDEX
from tests.cli.conftest import Durable, end_of
from tests.client.databases import Worker, component, core_module, needy_component, until_somebody_listens

Sql = psycopg.Connection[TupleRow]


def until_launched(sql: Sql) -> int:
    """The id of the task that somebody launches."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = sql.execute("SELECT id FROM durable.task").fetchone()
        if row is not None:
            return int(row[0])
        time.sleep(0.02)
    raise AssertionError("nobody launches a task")


def test_launch_prints_exactly_the_id_and_the_program_can_be_launched_by_name_and_hash(
    durable: Durable, tmp_path: Path, sql: Sql
) -> None:
    first = durable.process("launch", "my first task", component(tmp_path), "--data", '{"a": [1.10]}')
    assert (first.code, first.out, first.err) == (0, "launched new task with id 1\n", "")
    assert durable("launch", "second", "hello").out == "launched new task with id 2\n"
    hash = durable("program", "list", "-o", "jsonl").out
    assert durable("launch", "third", json.loads(hash)["hash"]).out == "launched new task with id 3\n"

    assert sql.execute("SELECT name, data::text, state::text FROM durable.task ORDER BY id").fetchall() == [
        ("my first task", '{"a": [1.10]}', "ready"),
        ("second", "null", "ready"),
        ("third", "null", "ready"),
    ]


def test_what_launch_and_wait_say_can_be_read_by_a_program(durable: Durable, worker: Worker) -> None:
    worker.store_program()
    worker.register()
    task_id = json.loads(durable("launch", "t", "stored", "-o", "json").out)["id"]
    worker.end(task_id)
    assert json.loads(durable("wait", task_id, "-o", "json").out) == {"id": task_id, "state": "complete"}


def test_data_can_be_in_a_file(durable: Durable, worker: Worker, sql: Sql, tmp_path: Path) -> None:
    worker.store_program()
    file = tmp_path / "data.json"
    long = "x" * 200_000  # more than one argument can hold
    file.write_text(json.dumps({"long": long}))

    task_id = json.loads(durable.process("launch", "t", "stored", "--data", f"@{file}", "-o", "json").out)["id"]
    assert durable.process("notify", task_id, "event", f"@{file}").code == 0

    assert sql.execute("SELECT data->>'long' FROM durable.task").fetchone() == (long,)
    assert sql.execute("SELECT data->>'long' FROM durable.notification").fetchone() == (long,)
    file.write_bytes(b'"\xff"')
    for missing, said in [(tmp_path / "nothing", "No such file"), (file, "is not UTF-8 text"), (tmp_path, "directory")]:
        done = durable("launch", "t", "stored", "--data", f"@{missing}")
        assert (done.code, done.out) == (2, "")
        assert str(missing) in done.err and said in done.err
    file.write_text("{")
    assert "provided task data was not valid json" in durable("launch", "t", "stored", "--data", f"@{file}").err


def test_bad_input_is_refused_in_the_words_of_the_contract(durable: Durable, tmp_path: Path, sql: Sql) -> None:
    durable.environ["DURABLE_MAX_TASK_DATA_BYTES"] = "100"
    for arguments, said in [
        (("launch", "", component(tmp_path)), "the task name must not be an empty string"),
        (("launch", "t", component(tmp_path), "--data", "{"), "provided task data was not valid json"),
        (("launch", "t", component(tmp_path), "--data", f'"{"x" * 99}"'), "max_task_data_bytes allows 100"),
        (("launch", "t", core_module(tmp_path)), "expected a WASM component but got a WASM module instead"),
        (("launch", "t", needy_component(tmp_path)), "does not provide: acme:gate/door@1.0.0"),
        (("launch", "t", "no-such-program"), "no file and no stored program 'no-such-program'"),
        (("notify", 4711, "e"), "no task with id 4711"),
        (("logs", 2**70), f"no task with id {2**70}"),
    ]:
        done = durable(*arguments)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert said in done.err
        assert len(done.err.splitlines()) <= 2
    assert sql.execute("SELECT count(*) FROM durable.task").fetchone() == (0,)


def test_tail_prints_the_log_as_it_is_until_the_task_ends(durable: Durable, worker: Worker) -> None:
    worker.store_program()
    worker.register()
    tailing = durable.start("launch", "--tail", "t", "stored")
    task_id = until_launched(worker.sql)
    worker.print(task_id, 0, "Hello, ")
    worker.print(task_id, 3, "wörld!\nbye")
    worker.end(task_id)

    done = end_of(tailing)
    assert (done.code, done.out, done.err) == (0, f"launched new task with id {task_id}\nHello, wörld!\nbye", "")


def test_tail_says_why_a_task_failed_and_exits_with_1(durable: Durable, worker: Worker) -> None:
    worker.store_program()
    worker.register()
    tailing = durable.start("launch", "-f", "t", "stored")
    task_id = until_launched(worker.sql)
    worker.print(task_id, 0, "no newline")
    worker.print(task_id, FAILURE_LOG_INDEX, "it broke\n  0: backtrace")
    worker.end(task_id, "failed")

    done = end_of(tailing)
    assert done.code == 1
    assert done.out == f"launched new task with id {task_id}\nno newline"
    assert done.err == f"\nit broke\n  0: backtrace\nerror: task {task_id} failed\n"


def test_launch_without_a_worker_says_so_and_goes_on_waiting(durable: Durable, worker: Worker) -> None:
    worker.store_program()
    waiting = durable.start("launch", "--wait", "t", "stored")
    task_id = until_launched(worker.sql)
    assert waiting.stderr is not None
    assert "run" in (hint := waiting.stderr.readline().decode())
    assert "`durable supervise`" in hint
    worker.print(task_id, FAILURE_LOG_INDEX, "it broke\n  0: backtrace")
    worker.end(task_id, "quarantined")

    done = end_of(waiting)
    assert done.code == 1
    assert done.err.splitlines()[0] == f"error: task {task_id} quarantined: it broke"


def test_logs_print_the_text_in_order_and_follow_until_the_end(durable: Durable, worker: Worker) -> None:
    task_id = worker.task("active")
    worker.register()
    for index, text in [(CRASH_LOG_INDEX, "task panicked"), (FAILURE_LOG_INDEX, "it broke"), (7, "b"), (2, "a\n")]:
        worker.print(task_id, index, text)
    assert durable("logs", task_id).out == "a\nb\nit broke\ntask panicked\n"
    assert durable("logs", task_id).code == 0

    following = durable.start("logs", task_id, "--tail")
    time.sleep(0.5)
    worker.print(task_id, 8, "c\n")
    worker.end(task_id, "failed")

    done = end_of(following)
    assert (done.code, done.out) == (1, "a\nbc\nit broke\ntask panicked\n")


def test_logs_as_json_have_the_time_of_each_text(durable: Durable, worker: Worker) -> None:
    task_id = worker.task("active")
    worker.register()
    worker.print(task_id, 2, "a line\n")
    following = durable.start("logs", task_id, "--tail", "-o", "jsonl")
    assert following.stdout is not None
    first = json.loads(following.stdout.readline())  # while the task goes on
    worker.print(task_id, FAILURE_LOG_INDEX, "it broke")
    worker.end(task_id, "failed")

    done = end_of(following)
    assert (done.code, first["index"], first["message"]) == (1, 2, "a line\n")
    assert datetime.fromisoformat(first["created_at"]) <= datetime.now(UTC)
    all_of_it = json.loads(durable("logs", task_id, "-o", "json").out)
    assert all_of_it == [first, json.loads(done.out)]
    assert all_of_it[1]["message"] == "it broke"


def test_following_a_task_that_has_failed_already_does_not_hang(durable: Durable, worker: Worker) -> None:
    task_id = worker.task("failed")
    worker.print(task_id, FAILURE_LOG_INDEX, "it broke")

    done = durable.process("logs", "-f", task_id)

    assert (done.code, done.out, done.err) == (1, "it broke\n", f"error: task {task_id} failed\n")


def test_wait_prints_the_state_and_its_exit_code_says_how_it_went(durable: Durable, worker: Worker) -> None:
    worker.register()
    assert (durable("wait", worker.task("complete")).code, durable("wait", worker.task("complete")).out) == (
        0,
        "complete\n",
    )
    done = durable("wait", worker.task("cancelled"))
    assert (done.code, done.out) == (1, "cancelled\n")
    done = durable("wait", worker.task("suspended"), "--timeout", "300ms")
    assert (done.code, done.out) == (124, "")
    assert "is still suspended" in done.err
    assert durable("wait", 1, "--timeout", "soon").code == 2


@pytest.mark.parametrize("command", [("wait",), ("logs", "-f"), ("logs", "-f", "-o", "jsonl")])
def test_an_interrupted_wait_exits_with_130_and_says_that_the_task_goes_on(
    durable: Durable, worker: Worker, command: tuple[str, ...]
) -> None:
    worker.register()
    task_id = worker.task("active")
    waiting = durable.start(*command, task_id)
    until_somebody_listens(worker.sql)
    waiting.send_signal(signal.SIGINT)

    done = end_of(waiting)
    assert done.code == 130
    assert done.err == (
        f"task {task_id} goes on: `durable logs -f {task_id}` follows it, `durable cancel {task_id}` ends it\n"
    )


def test_notify_sends_json_and_null_by_default(durable: Durable, worker: Worker, sql: Sql) -> None:
    task_id = worker.task()

    assert durable("notify", task_id, "first").code == 0
    assert durable("notify", task_id, "second", '{"n": 1}').code == 0
    assert "provided notification data was not valid json" in durable("notify", task_id, "third", "{").err
    assert "takes no more notifications" in durable("notify", worker.task("failed"), "late").err

    rows = sql.execute("SELECT event, data::text FROM durable.notification ORDER BY id").fetchall()
    assert rows == [("first", "null"), ("second", '{"n": 1}')]


@pytest.mark.parametrize("closed", [[1], [2], [0, 1, 2]])
def test_a_command_whose_streams_are_closed_does_its_work_and_says_so(
    durable: Durable, worker: Worker, sql: Sql, closed: list[int]
) -> None:
    task_id = worker.task()

    def close_streams() -> None:
        for stream in closed:
            os.close(stream)

    for command in (["notify", str(task_id), "once"], ["list"], ["show", str(task_id)]):
        python = [sys.executable, "-m", "durable", *command]
        assert subprocess.run(python, env=durable.environ, preexec_fn=close_streams, check=False).returncode == 0
    assert sql.execute("SELECT count(*) FROM durable.notification").fetchone() == (1,)


def test_list_prints_tasks_as_a_table_or_as_json(durable: Durable, worker: Worker) -> None:
    for state, name in [("failed", "order-1"), ("ready", "order-2"), ("failed", "tricky\x1b[31m\nname")]:
        worker.task(state, name)

    table = durable("list").out.splitlines()
    assert table[0].split() == ["id", "name", "state", "program", "created_at"]
    assert [line.split()[0] for line in table[1:]] == ["3", "2", "1"]
    assert "\x1b" not in "".join(table)
    assert len({line.index("order") for line in table if "order" in line}) == 1

    rows = json.loads(durable("-o", "json", "list", "--state", "failed").out)
    assert [row["name"] for row in rows] == ["tricky\x1b[31m\nname", "order-1"]
    assert len(durable("list", "--limit", MAX_LIMIT).out.splitlines()) == len(table)
    lines = durable("list", "--name", "order-*", "--limit", "1", "-o", "jsonl")
    assert [json.loads(line)["id"] for line in lines.out.splitlines()] == [2]
    assert "there are more" in lines.err
    assert json.loads(durable("list", "--state", "paused", "-o", "json").out) == []


def test_show_prints_all_of_a_task_with_the_reason_of_its_failure(durable: Durable, worker: Worker) -> None:
    task_id = worker.task("failed")
    worker.print(task_id, FAILURE_LOG_INDEX, "it broke\n")

    assert "reason        it broke" in durable("show", task_id).out.splitlines()
    shown = json.loads(durable("show", task_id, "-o", "json").out)
    assert (shown["id"], shown["state"], shown["data"], shown["reason"]) == (task_id, "failed", None, "it broke")


def test_show_keeps_the_lines_of_a_backtrace_and_says_where_the_last_words_are(
    durable: Durable, worker: Worker
) -> None:
    task_id = worker.task("failed")
    worker.print(task_id, FAILURE_LOG_INDEX, "wasm trap\n    0: first\x1b[31m\n    1: second\n")

    done = durable("show", task_id)

    assert done.out.splitlines()[-3:] == [
        "reason        wasm trap",
        "                  0: first\\x1b[31m",
        "                  1: second",
    ]
    assert f"`durable logs {task_id}`" in done.err
    assert durable("show", worker.task("complete")).err == ""


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("state = 'ready'", "`durable workers`"),
        ("state = 'suspended'", "`durable notify 1 EVENT`"),
        ("state = 'suspended', wakeup_at = durable.now() + interval '1 hour'", None),
        ("state = 'paused'", "`durable resume 1`"),
        ("state = 'quarantined', completed_at = durable.now()", "`durable resume 1`"),
        ("state = 'complete', completed_at = durable.now()", None),
    ],
    ids=["ready", "waits for a notification", "waits for a timer", "paused", "quarantined", "complete"],
)
def test_show_says_what_a_task_waits_for_and_what_can_be_done(
    durable: Durable, worker: Worker, sql: Sql, columns: str, said: str | None
) -> None:
    assert worker.task() == 1
    sql.execute(f"UPDATE durable.task SET running_on = NULL, {columns}")

    err = durable("show", 1).err

    assert err == "" if said is None else said in err
    assert durable("show", 1, "-o", "json").err == ""


def test_events_print_index_label_and_value(durable: Durable, worker: Worker) -> None:
    task_id = worker.task()
    worker.record(task_id, 0, "wasi:clocks/wall-clock.now", {"seconds": 2**63 + 1, "nanoseconds": 5})
    worker.record(task_id, 1, "my step", {"type": "value", "data": 1})

    table = durable("events", task_id).out.splitlines()
    assert table[0].split() == ["index", "label", "value"]
    assert table[2] == '1      my step                     {"data": 1, "type": "value"}'
    rows = [json.loads(line) for line in durable("events", task_id, "-o", "jsonl").out.splitlines()]
    assert rows[0] == {
        "index": 0,
        "label": "wasi:clocks/wall-clock.now",
        "value": {"seconds": 2**63 + 1, "nanoseconds": 5},
    }


def test_programs_are_added_listed_and_removed(durable: Durable, tmp_path: Path, worker: Worker) -> None:
    added = durable("program", "add", component(tmp_path), "--name", "greeter")
    assert added.code == 0
    hash = added.out.strip()
    (row,) = json.loads(durable("program", "list", "-o", "json").out)
    assert (row["hash"], row["name"]) == (hash, "greeter")
    assert durable("program", "list").out.splitlines()[1].split()[:2] == [hash[:12], "greeter"]

    unnamed = durable("program", "add", component(tmp_path), "--name", "")
    assert (unnamed.code, unnamed.err) == (1, "error: the program name must not be an empty string\n")
    assert json.loads(durable("program", "list", "-o", "json").out)[0]["name"] == "greeter"

    refused = durable("program", "add", needy_component(tmp_path))
    assert (refused.code, refused.out) == (1, "")
    assert "acme:gate/door@1.0.0" in refused.err
    assert durable("program", "rm", hash[:10]).out == f"removed {hash}\n"
    assert durable("program", "rm", hash).code == 1
    worker.task()
    assert "is used by 1 task" in durable("program", "rm", "stored").err


def test_workers_are_printed_as_a_table_or_as_json(durable: Durable, worker: Worker, sql: Sql) -> None:
    assert len(durable("workers").out.splitlines()) == 1
    first, second = worker.register(), worker.register()
    sql.execute("UPDATE durable.worker SET heartbeat_at = durable.now() - interval '21 s' WHERE id = %s", [first])
    sql.execute("UPDATE durable.task SET running_on = %s WHERE id = %s", [second, worker.task("active")])
    durable.environ["DURABLE_HEARTBEAT_TIMEOUT"] = "20s"
    durable.environ["DURABLE_HEARTBEAT_INTERVAL"] = "5s"

    table = [line.split() for line in durable("workers").out.splitlines()]
    assert table[0] == ["id", "host", "pid", "version", "started_at", "heartbeat_age", "state", "active_tasks"]
    assert [row[:4] + row[6:] for row in table[1:]] == [
        [str(first), "here", "7", "0", "dead", "0"],
        [str(second), "here", "7", "0", "running", "1"],
    ]
    assert [float(row[5].removesuffix("s")) >= 21 for row in table[1:]] == [True, False]

    rows = json.loads(durable("workers", "-o", "json").out)
    assert rows == [
        json.loads(line) | {"heartbeat_age": row["heartbeat_age"]}
        for row, line in zip(rows, durable("-o", "jsonl", "workers").out.splitlines(), strict=True)
    ]
    assert [(row["id"], row["pid"], row["alive"], row["active_tasks"]) for row in rows] == [
        (first, 7, False, 0),
        (second, 7, True, 1),
    ]
    assert 21 <= rows[0]["heartbeat_age"] < 60


def test_a_worker_that_drains_says_so(durable: Durable, worker: Worker, sql: Sql) -> None:
    sql.execute("UPDATE durable.worker SET draining = true WHERE id = %s", [worker.register()])
    assert [row["state"] for row in json.loads(durable("workers", "-o", "json").out)] == ["draining"]


def test_cancel_ends_and_pause_stops_whatever_has_not_ended(durable: Durable, worker: Worker) -> None:
    def state(task_id: int) -> str:
        return str(json.loads(durable("show", task_id, "-o", "json").out)["state"])

    for before in ("ready", "active", "suspended", "paused", "quarantined"):
        task_id = worker.task(before)
        assert durable("cancel", task_id).out == f"task {task_id} is cancelled\n"
        assert state(task_id) == "cancelled"
    for before in ("complete", "failed", "cancelled"):
        task_id = worker.task(before)
        assert durable("cancel", task_id).err == f"error: task {task_id} is {before} already\n"
        assert state(task_id) == before
    for before in ("ready", "active", "suspended", "paused"):
        task_id = worker.task(before)
        assert durable("pause", task_id).out == f"task {task_id} is paused\n"
        assert state(task_id) == "paused"
    for before in ("complete", "quarantined"):
        task_id = worker.task(before)
        assert durable("pause", task_id).err == f"error: task {task_id} is {before}: there is nothing to pause\n"
    assert durable("cancel", 999).err == durable("pause", 999).err == "error: no task with id 999\n"


def test_resume_is_for_quarantined_and_paused_tasks_alone(durable: Durable, worker: Worker, sql: Sql) -> None:
    for state in ("quarantined", "paused"):
        task_id = worker.task(state)
        worker.print(task_id, FAILURE_LOG_INDEX, "it broke")
        assert durable("resume", task_id).out == f"task {task_id} is ready again\n"
        assert json.loads(durable("show", task_id, "-o", "json").out)["state"] == "ready"
        assert durable("logs", task_id).out == ""
    for state in ("ready", "active", "suspended", "complete", "failed", "cancelled"):
        task_id = worker.task(state)
        done = durable("resume", task_id)
        assert done.code == 1
        assert done.err == f"error: task {task_id} is {state}: only a quarantined or paused task can be resumed\n"
        assert json.loads(durable("show", task_id, "-o", "json").out)["state"] == state
    assert durable("resume", 999).err == "error: no task with id 999\n"


def test_what_one_task_refuses_does_not_keep_the_others_from_their_turn(durable: Durable, worker: Worker) -> None:
    first, ended, last = worker.task("quarantined"), worker.task("complete"), worker.task("quarantined")

    for command, done in [("resume", "ready again"), ("pause", "paused"), ("cancel", "cancelled")]:
        ran = durable(command, first, ended, 4711, last)
        assert ran.code == 1
        assert ran.out == f"task {first} is {done}\ntask {last} is {done}\n"
        assert [line.split()[1:3] for line in ran.err.splitlines()] == [["task", str(ended)], ["no", "task"]]
    assert durable("cancel").code == 2


def test_an_ended_task_is_launched_again_as_a_new_one(durable: Durable, worker: Worker, sql: Sql) -> None:
    failed, running, given_up = worker.task("failed", "order-7"), worker.task("active"), worker.task("quarantined")
    sql.execute("UPDATE durable.task SET data = '{\"a\": 1.10}' WHERE id = %s", [failed])
    sql.execute("UPDATE durable.wasm SET name = NULL")  # so the new one is found by its content

    ran = durable("relaunch", failed, running, given_up)

    assert ran.code == 1
    assert ran.err == f"error: task {running} is active: only an ended task can be launched again\n"
    assert ran.out.splitlines() == [
        f"launched task {failed} again, as a new task with id {given_up + 1}",
        f"launched task {given_up} again, as a new task with id {given_up + 2}",
    ]
    told = "SELECT name, data::text, wasm, state::text FROM durable.task WHERE id = %s"
    name, data, program, _ = sql.execute(told, [failed]).fetchone() or ()
    assert sql.execute(told, [given_up + 1]).fetchone() == (name, data, program, "ready")

    corrected = worker.store_program(b"corrected", "corrected")
    new = json.loads(durable("relaunch", failed, "--program", "corrected", "-o", "json").out)
    assert new["of"] == failed
    assert sql.execute(told, [new["id"]]).fetchone() == (name, data, corrected, "ready")


def test_a_reader_that_has_seen_enough_is_no_error(durable: Durable, worker: Worker) -> None:
    task_id = worker.task("complete")
    for index in range(20):
        worker.print(task_id, index, "x" * 100_000)
    reading = durable.start("logs", task_id)
    assert reading.stdout is not None
    reading.stdout.read(10)
    reading.stdout.close()

    assert reading.wait(20) == 141
    assert reading.stderr is not None
    assert reading.stderr.read() == b""
