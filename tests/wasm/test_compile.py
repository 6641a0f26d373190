"""Programs that are made to be hard to compile: they are stopped, and a light one does not pay for that."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import InvalidComponent
from durable.wasm import compile as compilation
from durable.wasm.compile import CompileLimits, CompilerKilled, compile_within
from durable.wasm.inspect import find_run
from durable.wasm.traps import HostExhausted
from durable.wasm.weight import is_light
from tests.engine.database import wait_until
from tests.supervisor.processes import is_gone
from tests.wasm.bombs import bomb, component
from tests.wasm.killed_compiler import killed_python

MIB = 1 << 20
LIMITS = CompileLimits(timeout=60, memory=2048 * MIB)
ROOT = Path(__file__).parents[1]


def test_a_component_that_takes_too_long_is_refused_in_time(engine: wasmtime.Engine) -> None:
    started = time.monotonic()
    with pytest.raises(InvalidComponent, match=r"longer than compile_timeout \(1 s\)"):
        compile_within(engine, bomb(8000), CompileLimits(timeout=1, memory=8192 * MIB))
    assert time.monotonic() - started < 30


def test_a_component_that_takes_too_much_memory_is_refused(engine: wasmtime.Engine) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidComponent, match=r"more memory than compile_memory_limit \(268435456 bytes\)"):
        compile_within(engine, bomb(6000), CompileLimits(timeout=60, memory=256 * MIB))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 50 * 1024, "it took this process's memory"


def test_what_a_child_compiled_is_what_this_process_would_have(engine: wasmtime.Engine) -> None:
    heavy = component("(func (param i32) " + "(local.set 0 (i32.add (local.get 0) (i32.const 7)))" * 4000 + ")")
    assert not is_light(heavy)
    assert find_run(compile_within(engine, heavy, LIMITS)) is not None


def test_a_heavy_component_that_is_invalid_is_refused_with_the_compilers_reason(engine: wasmtime.Engine) -> None:
    broken = bytearray(component("(func (result i32) " + "(drop (i32.const 7777777))" * 5000 + "(i32.const 0))"))
    middle = len(broken) // 2
    broken[middle : middle + 12] = b"\xff" * 12
    with pytest.raises(InvalidComponent, match="not a valid WebAssembly component"):
        compile_within(engine, bytes(broken), LIMITS)


def test_a_light_component_is_compiled_without_a_child(
    engine: wasmtime.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "_in_child", lambda *_: pytest.fail("a child was started"))
    for name in ("workflows/noop", "workflows/six-steps", "components/rust-hello", "components/c-hello"):
        compile_within(engine, (ROOT / f"{name}.wasm").read_bytes(), LIMITS)


def test_other_threads_go_on_while_a_heavy_component_is_compiled(engine: wasmtime.Engine) -> None:
    """The event loop of a worker, and with it the heartbeat, is such a thread."""
    worst, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal worst
        while not over.is_set():
            before = time.monotonic()
            time.sleep(0.005)
            worst = max(worst, time.monotonic() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with pytest.raises(InvalidComponent):
            compile_within(engine, bomb(8000), CompileLimits(timeout=2, memory=2048 * MIB))
    finally:
        over.set()
        watcher.join()
    assert worst < 5, "heartbeats would be late"


# -- what is light ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("loops", "light"), [(800, True), (1200, False)])
def test_one_large_function_makes_a_component_heavy(loops: int, light: bool) -> None:
    assert is_light(bomb(loops)) is light


def test_many_small_functions_are_light_up_to_256_kib() -> None:
    small = component("(func (param i32) (local.set 0 (i32.add (local.get 0) (i32.const 7))))" * 1000)
    room = (256 << 10) - len(small) - 5
    padding = b"\0" + bytes((room & 0x7F | 0x80, room >> 7 & 0x7F | 0x80, room >> 14 | 0x80, 0)) + bytes(room)
    assert is_light(small + padding)  # with a section of its own, whose size has four bytes
    assert not is_light(small + padding + b"\0")


def test_a_function_of_16_kib_is_light_and_one_byte_more_is_not() -> None:
    # Each nop is a byte; locals, end and what else there is make three.
    assert is_light(component("(func " + "nop " * (16_384 - 2) + ")"))
    assert not is_light(component("(func " + "nop " * (16_384 - 1) + ")"))


def test_a_number_without_end_is_heavy() -> None:
    assert not is_light(b"\0asm\x0d\0\1\0" + b"\0" + b"\x80" * 100_000 + b"\0")


def test_a_large_function_is_found_in_a_component_within_a_component() -> None:
    body = "(local.set 0 (i32.add (local.get 0) (i32.const 7)))" * 4000
    nested = f"(component (component (component (core module (func (param i32) {body})))))"
    assert not is_light(bytes(wasmtime.wat2wasm(nested)))


@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_bytes_are_heavy_or_light_and_never_an_error(tail: bytes, cut: int) -> None:
    is_light(bomb(20)[:cut] + tail)


def test_a_compiler_that_cannot_be_started_is_no_fault_of_the_program(
    engine: wasmtime.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python-that-was-replaced"))
    with pytest.raises(HostExhausted, match="cannot be started now"):
        compile_within(engine, bomb(6000), LIMITS)


def test_a_compiler_that_somebody_kills_is_no_fault_of_the_program(
    engine: wasmtime.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(killed_python(tmp_path)))
    with pytest.raises(CompilerKilled, match="was killed"):
        compile_within(engine, bomb(6000), LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_a_compiler_dies_before_others_and_with_its_worker() -> None:
    compiling = (
        "from durable.wasm.compile import *; from tests.wasm.bombs import bomb;"
        "compile_within(new_engine(), bomb(30000), CompileLimits(600, 4 << 30))"
    )
    with subprocess.Popen([sys.executable, "-c", compiling], cwd=ROOT.parent) as worker:
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
        [child] = wait_until(lambda: children.read_text().split(), "the compiler")
        wait_until(lambda: "durable.wasm.compile" in Path(f"/proc/{child}/cmdline").read_text(), "its program")
        wait_until(lambda: int(Path(f"/proc/{child}/stat").read_text().split()[13]) > 100, "a second of compiling")
        assert int(Path(f"/proc/{child}/oom_score_adj").read_text()) == 1000, "a system without memory chooses it first"
        worker.kill()
    wait_until(lambda: is_gone(int(child)), "the end of the compiler")
