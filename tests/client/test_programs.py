"""Storing, finding and removing programs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable import Client, DurableError, InvalidComponent, UnknownProgram
from durable.operations import programs
from durable.operations.programs import ProgramSource
from tests.client.databases import Worker, component, core_module, idle_component, needy_component

Sql = psycopg.Connection[TupleRow]


def test_a_file_is_stored_once_and_found_by_its_name_its_hash_and_its_beginning(
    client: Client, tmp_path: Path, sql: Sql
) -> None:
    file = component(tmp_path)
    stored = client.program(file)

    assert stored.hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (stored.name, stored.size) == ("hello", len(file.read_bytes()))
    for source in (str(file), file.read_bytes(), "hello", stored.hash, stored.hash[:8], stored.hash.upper()):
        assert client.program(source).id == stored.id
    assert client.programs() == [stored]
    assert sql.execute("SELECT count(*) FROM durable.wasm").fetchone() == (1,)


def test_a_name_means_the_program_that_was_stored_last_under_it(client: Client, tmp_path: Path) -> None:
    old = client.program(component(tmp_path, note="old"))
    new = client.program(component(tmp_path, note="new"))

    assert client.program("hello").id == new.id != old.id


def test_a_name_that_is_given_replaces_the_one_that_the_program_had(client: Client, tmp_path: Path) -> None:
    file = component(tmp_path)
    client.program(file)

    assert client.program(file, "greeter").name == "greeter"
    assert client.program(file).name == "greeter"
    assert client.program("greeter", "welcomer").name == "welcomer"


def test_the_last_use_is_noted_but_not_at_every_launch(client: Client, tmp_path: Path, sql: Sql) -> None:
    first = client.program(component(tmp_path))
    assert client.program("hello").last_used == first.last_used

    sql.execute("UPDATE durable.wasm SET last_used = last_used - interval '2 hours'")
    assert client.program("hello").last_used > first.last_used


def test_two_clients_that_store_the_same_component_get_the_same_program(url: str, tmp_path: Path) -> None:
    wasm = component(tmp_path).read_bytes()
    with Client(url) as client, ThreadPoolExecutor(4) as threads:
        ids = {program.id for program in threads.map(client.program, [wasm] * 8)}

    assert len(ids) == 1


def test_what_cannot_run_is_not_stored_and_it_is_said_why(client: Client, tmp_path: Path, sql: Sql) -> None:
    text = tmp_path / "text.wasm"
    text.write_text("hello")
    refused: list[tuple[ProgramSource, str]] = [
        (text, "not a WebAssembly component"),
        (b"", "not a WebAssembly component"),
        (core_module(tmp_path), "expected a WASM component but got a WASM module instead"),
        (b"\0asm\x0d\0\x01\0garbage", "not a valid WebAssembly component"),
        (needy_component(tmp_path), "acme:gate/door@1.0.0"),
        (idle_component(tmp_path), "does not export wasi:cli/run"),
        (tmp_path / "nothing.wasm", "cannot read"),
        (tmp_path, "cannot read"),
    ]
    for source, said in refused:
        with pytest.raises(InvalidComponent, match=said):
            client.program(source)
    assert sql.execute("SELECT count(*) FROM durable.wasm").fetchone() == (0,)


def test_a_component_may_have_256_mib(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.MAX_COMPONENT_BYTES == 256 << 20
    wasm = component(tmp_path).read_bytes()
    monkeypatch.setattr(programs, "MAX_COMPONENT_BYTES", len(wasm) - 1)
    with pytest.raises(InvalidComponent, match="the component is larger than"):
        client.program(wasm)
    monkeypatch.setattr(programs, "MAX_COMPONENT_BYTES", len(wasm))
    client.program(wasm)


def test_an_unknown_program_is_an_error_that_says_what_was_looked_for(client: Client) -> None:
    for source in ("nothing.wasm", "no such name", "abcdef12", "a\0b", "", "x" * 5000):
        with pytest.raises(UnknownProgram, match="no file and no stored program"):
            client.program(source)


def test_a_beginning_that_two_hashes_share_is_not_guessed_at(client: Client, sql: Sql) -> None:
    for end in ("01", "02"):
        sql.execute("INSERT INTO durable.wasm (hash, wasm) VALUES (decode(%s, 'hex'), '')", ["ab" * 31 + end])

    with pytest.raises(UnknownProgram, match="more than one"):
        client.program("ab" * 20)
    assert client.program("ab" * 31 + "02").hash.endswith("02")


def test_a_program_is_removed_only_when_no_task_uses_it(client: Client, worker: Worker, sql: Sql) -> None:
    worker.store_program()
    client.launch("t", "stored")

    with pytest.raises(DurableError, match="is used by 1 task"):
        client.remove_program("stored")

    sql.execute("DELETE FROM durable.task")
    gone = client.remove_program("stored")
    assert client.programs() == []
    with pytest.raises(UnknownProgram):
        client.remove_program(gone)


def test_launching_a_stored_program_does_not_load_wasmtime(url: str, worker: Worker) -> None:
    worker.store_program()
    code = "import sys, durable; durable.Client(sys.argv[1]).launch('t', 'stored'); print('wasmtime' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_a_pure_module_does_not_load_psycopg() -> None:
    code = "import sys, durable, durable.model; print('psycopg' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
