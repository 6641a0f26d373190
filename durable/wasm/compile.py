"""Compilation with limits: heavy components in a child process, which can be stopped and whose memory is bounded.

`python -m durable.wasm.compile MEMORY` is that process: it reads a component from stdin and writes machine code to
stdout. A thread cannot be stopped, and a component of a few hundred KiB can be made to take hours and all memory.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import wasmtime
from wasmtime import component as wc

from durable.errors import InvalidComponent
from durable.wasm.engine import new_engine
from durable.wasm.inspect import check_header, compile_component
from durable.wasm.traps import HostExhausted
from durable.wasm.weight import is_light

_PR_SET_PDEATHSIG = 1  # prctl(2)
_REFUSED = 65  # EX_DATAERR: the reason is on stderr


class CompilerKilled(HostExhausted):
    """Somebody killed the compiler process: as a rule the system, for want of memory.

    The program may be blameless, or need more than this host has.
    """


@dataclass(frozen=True, slots=True)
class CompileLimits:
    """Seconds of one compilation, and bytes of memory of the process that does it."""

    timeout: float
    memory: int


def compile_within(engine: wasmtime.Engine, wasm: bytes, limits: CompileLimits) -> wc.Component:
    """Compile to machine code. Blocking: call it in a thread.

    Raises InvalidComponent with wasmtime's reason, or for a component that goes over a limit; HostExhausted when the
    system refuses what compiling takes, CompilerKilled when it is killed.
    """
    check_header(wasm)
    if is_light(wasm):
        return compile_component(engine, wasm)
    try:
        return wc.Component.deserialize(engine, _in_child(wasm, limits))
    except wasmtime.WasmtimeError as error:
        raise HostExhausted(f"the program cannot be loaded now: {error}") from None


def _in_child(wasm: bytes, limits: CompileLimits) -> bytes:
    command = [sys.executable, "-m", "durable.wasm.compile", str(limits.memory)]
    try:
        done = subprocess.run(command, input=wasm, capture_output=True, timeout=limits.timeout, check=False)
    except OSError as error:
        raise HostExhausted(f"the compiler process cannot be started now: {error}") from None
    except subprocess.TimeoutExpired:
        raise InvalidComponent(
            f"compiling the program takes longer than compile_timeout ({limits.timeout:g} s)"
        ) from None
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == _REFUSED:
        raise InvalidComponent(said)
    if done.returncode == -signal.SIGKILL:  # a compiler that meets its own limit aborts
        raise CompilerKilled("the compiler process was killed, as the system does when it has no memory left")
    if done.returncode < 0 or "memory" in said.lower():
        raise InvalidComponent(
            f"compiling the program needs more memory than compile_memory_limit ({limits.memory} bytes), "
            f"or crashes the compiler: exit status {done.returncode} {said[-200:]}".rstrip()
        )
    if done.returncode:
        # Not the program's fault, as far as anybody knows: an installation that is being replaced, for instance.
        raise HostExhausted(f"the compiler process failed: {said[-1000:]}")
    return done.stdout


def main() -> int:
    memory = int(sys.argv[1])
    _die_with_the_worker()
    _die_before_others()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        component = compile_component(new_engine(), sys.stdin.buffer.read())
    except InvalidComponent as error:
        print(error, file=sys.stderr)
        return _REFUSED
    sys.stdout.buffer.write(bytes(component.serialize()))
    return 0


def _die_with_the_worker() -> None:
    # Its time limit lives in the worker, and would be gone with it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_before_others() -> None:
    """Compiling can be tried again: a system without memory must not choose the worker or PostgreSQL in its place."""
    with suppress(OSError):  # proc(5); nowhere else than on Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    sys.exit(main())
