"""`import durable` is cheap; what it offers beyond plain values is imported when it is first asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import durable
import workers.worker
from durable import client

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("click", "psycopg", "wasmtime", "workers", "durable.client", "durable.cli", "durable.wasm")


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages a fresh process has after it ran the code."""
    code += f"\nimport sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_durable_brings_neither_psycopg_nor_wasmtime_nor_a_worker() -> None:
    assert imported_by("import durable; durable.Task; durable.TaskFailed") == set()


def test_the_client_brings_no_worker_and_the_worker_no_command_line() -> None:
    assert imported_by("import durable; durable.Client, durable.AsyncClient, durable.Json") == {
        "psycopg",
        "durable.client",
    }
    assert imported_by("from durable import Worker") >= {"workers", "wasmtime"}
    assert imported_by("from durable import Worker").isdisjoint({"click", "durable.cli", "durable.client"})


def test_what_is_offered_is_what_it_stands_for() -> None:
    assert durable.Worker is workers.worker.Worker
    assert (durable.Client, durable.AsyncClient, durable.Json) == (client.Client, client.AsyncClient, client.Json)
    assert all(getattr(durable, name) is not None for name in durable.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Wroker'"):
        durable.Wroker  # noqa: B018


def needs_of(module: Path) -> Iterator[str]:
    """What must be there for the module to be imported: its imports outside of functions and TYPE_CHECKING."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_in_durable_needs_a_worker_to_be_imported() -> None:
    modules = list((ROOT / "durable").rglob("*.py"))
    assert ROOT / "durable" / "__init__.py" in modules
    assert [module for module in modules if any(need.split(".")[0] == "workers" for need in needs_of(module))] == []
