"""One compilation per program and host; a file that cannot be trusted is compiled again; no folder costs only time."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc

from durable.wasm import cache as cache_module
from durable.wasm.cache import ComponentCache
from durable.wasm.inspect import find_run
from tests.wasm.guests import importing

WASM = importing("")
HASH = hashlib.sha256(WASM).hexdigest()


class Compiler:
    """Compiles, and counts how often it is asked to."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self.calls = 0

    def __call__(self) -> wc.Component:
        self.calls += 1
        return wc.Component(self._engine, WASM)


@pytest.fixture
def compiler(engine: wasmtime.Engine) -> Compiler:
    return Compiler(engine)


@pytest.fixture
def cache(engine: wasmtime.Engine, tmp_path: Path) -> ComponentCache:
    return ComponentCache(engine, tmp_path / "cache")


def cached_file(tmp_path: Path) -> Path:
    [path] = (tmp_path / "cache").glob("*/*.cwasm")
    return path


def is_usable(component: wc.Component) -> bool:
    return find_run(component) is not None


def test_a_program_is_compiled_once_and_loaded_from_then_on(
    engine: wasmtime.Engine, cache: ComponentCache, compiler: Compiler, tmp_path: Path
) -> None:
    assert cache.find(HASH) is None
    assert is_usable(cache.load(HASH, compiler))
    another_process = ComponentCache(engine, tmp_path / "cache")
    for _ in range(3):
        assert is_usable(another_process.load(HASH, compiler))
    assert compiler.calls == 1
    assert (cache.hits, cache.misses) == (0, 1)
    assert (another_process.hits, another_process.misses) == (3, 0)
    found = cache.find(HASH)
    assert found is not None
    assert is_usable(found)


def test_programs_do_not_get_in_each_others_way(cache: ComponentCache, compiler: Compiler) -> None:
    cache.load(HASH, compiler)
    cache.load("0" * 64, compiler)
    assert compiler.calls == 2


def test_the_folder_belongs_to_its_user_alone(cache: ComponentCache, compiler: Compiler, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        cache.load(HASH, compiler)
    finally:
        os.umask(old)
    assert cached_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert cached_file(tmp_path).stat().st_mode & 0o077 == 0


# -- many at once ----------------------------------------------------------------------------------------------------
def test_threads_that_ask_at_once_wait_for_one_compilation(
    engine: wasmtime.Engine, compiler: Compiler, tmp_path: Path
) -> None:
    together = threading.Barrier(8)

    def slow() -> wc.Component:
        time.sleep(0.1)  # long enough for all the others to arrive
        return compiler()

    def ask(_: int) -> wc.Component:
        cache = ComponentCache(engine, tmp_path / "cache")
        together.wait()
        return cache.load(HASH, slow)

    with ThreadPoolExecutor(8) as threads:
        assert all(is_usable(component) for component in threads.map(ask, range(8)))
    assert compiler.calls == 1


ASKING_PROCESS = """
import sys, time
from pathlib import Path
from wasmtime import component as wc
from durable.wasm.cache import ComponentCache
from durable.wasm.engine import new_engine
from durable.wasm.inspect import find_run
from tests.wasm.test_cache import HASH, WASM

folder = Path(sys.argv[1])
engine = new_engine()

def compile_():
    with open(folder / "compiled", "a") as record:
        record.write("x")
    time.sleep(0.1)
    return wc.Component(engine, WASM)

print("ready", flush=True)
sys.stdin.readline()
assert find_run(ComponentCache(engine, folder / "cache").load(HASH, compile_)) is not None
"""


def start_process(program: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


ROOT = Path(__file__).parent.parent.parent


def test_processes_that_ask_at_once_wait_for_one_compilation(tmp_path: Path) -> None:
    processes = [start_process(ASKING_PROCESS, tmp_path) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert (tmp_path / "compiled").read_text() == "x"


def test_a_process_that_dies_while_it_compiles_holds_up_nobody(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path
) -> None:
    dying = ASKING_PROCESS.replace("time.sleep(0.1)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    process = start_process(dying, tmp_path)
    process.communicate("go\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "compiled").exists()
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 1


# -- files that cannot be trusted ------------------------------------------------------------------------------------
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "one bit": lambda content: content[:1000] + bytes((content[1000] ^ 1,)) + content[1001:],
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "zeroes": lambda content: bytes(len(content)),
    "longer": lambda content: content + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_again_and_replaced(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.load(HASH, compiler)
    path = cached_file(tmp_path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert cache.find(HASH) is None
    assert "damaged" in caplog.text
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2


def store(content: bytes, path: Path) -> Path:
    """Put content there under a name that vouches for it."""
    path.unlink()
    path = path.with_name(f"{HASH}-{hashlib.sha256(content).hexdigest()}.cwasm")
    path.write_bytes(content)
    return path


def test_content_that_is_no_machine_code_is_compiled_again(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path
) -> None:
    cache.load(HASH, compiler)
    for content in (b"\x7fELF" + bytes(100), b"", WASM, bytes(range(256)) * 100):
        path = store(content, cached_file(tmp_path))
        assert is_usable(cache.load(HASH, compiler))
        assert not path.exists()
    assert compiler.calls == 5


def test_machine_code_of_another_configuration_is_refused_and_compiled_again(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path
) -> None:
    cache.load(HASH, compiler)
    config = wasmtime.Config()
    config.consume_fuel = True
    foreign = bytes(wc.Component(wasmtime.Engine(config), WASM).serialize())
    store(foreign, cached_file(tmp_path))
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2


def test_another_version_or_kind_of_cpu_has_a_folder_of_its_own(
    engine: wasmtime.Engine, cache: ComponentCache, compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.load(HASH, compiler)
    monkeypatch.setattr(cache_module, "engine_fingerprint", lambda: "f" * 64)
    other = ComponentCache(engine, tmp_path / "cache")
    assert other.find(HASH) is None
    other.load(HASH, compiler)
    assert compiler.calls == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_folder_that_others_could_write_to_is_not_used(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache.load(HASH, compiler)
    folder = cached_file(tmp_path).parent
    folder.chmod(mode)
    assert cache.find(HASH) is None
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2
    assert "writable by others" in caplog.text
    folder.chmod(0o755)
    assert cache.find(HASH) is not None, "others may look"


def test_a_folder_of_another_user_is_not_used(
    cache: ComponentCache, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.load(HASH, compiler)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache.find(HASH) is None
    assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2


# -- no folder, no space ---------------------------------------------------------------------------------------------
def test_a_folder_that_is_a_file_costs_only_time(
    engine: wasmtime.Engine, compiler: Compiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("in the way")
    cache = ComponentCache(engine, tmp_path / "cache")
    for _ in range(2):
        assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2
    assert "going on without" in caplog.text


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get)
def test_a_file_system_without_locks_keeps_programs_all_the_same(
    cache: ComponentCache, compiler: Compiler, code: int, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", refuse)
    for program in (HASH, "0" * 64, HASH):
        assert is_usable(cache.load(program, compiler))
    assert compiler.calls == 2
    assert [record.getMessage().count("cannot lock") for record in caplog.records] == [1], "it is said once"


@contextmanager
def full_disk() -> Iterator[None]:
    """Every file of this process ends at 1,000 bytes: a write beyond is an OSError, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_only_time_and_leaves_no_half_file(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with full_disk():
        for _ in range(2):
            assert is_usable(cache.load(HASH, compiler))
    assert compiler.calls == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert [path.suffix for path in (tmp_path / "cache").glob("*/*")] == [".lock"]
    cache.load(HASH, compiler)
    assert cache.find(HASH) is not None, "there is space again"


def test_an_error_of_the_compilation_is_passed_on_and_nothing_is_kept(
    cache: ComponentCache, compiler: Compiler, tmp_path: Path
) -> None:
    def broken() -> wc.Component:
        raise ValueError("no component")

    with pytest.raises(ValueError, match="no component"):
        cache.load(HASH, broken)
    assert cache.find(HASH) is None
    assert is_usable(cache.load(HASH, compiler))
