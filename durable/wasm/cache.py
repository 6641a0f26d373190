"""Compiled programs on disk, shared by all workers of a user on this host: one compilation per program, whoever asks.

A cached file is machine code that this process will run. So the folder belongs to this user alone, the name of a file
carries the digest of its content, and anything that does not match is compiled again. A disk that is full or missing,
or that has no locks, costs time, never a task.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import wasmtime
from wasmtime import component as wc

from durable import metrics
from durable.wasm.engine import engine_fingerprint
from durable.wasm.traps import HostExhausted, is_exhausted

_log = logging.getLogger("durable.wasm.cache")


class ComponentCache:
    """Compiles components, or loads what this or another process compiled before. Blocking: call it in a thread."""

    def __init__(self, engine: wasmtime.Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder / engine_fingerprint()[:16]
        self._goes_without_locks = False
        self.hits = 0
        self.misses = 0

    def load(self, program_hash: str, compile_: Callable[[], wc.Component]) -> wc.Component:
        """The component of a program; `compile_` is called when no usable file is there, by one process at a time.

        Raises HostExhausted, and what `compile_` raises.
        """
        component = self._read(program_hash)
        if component is None:
            with self._lock(program_hash):
                component = self._read(program_hash) or self._compile(program_hash, compile_)
        return component

    def find(self, program_hash: str) -> wc.Component | None:
        """The component if a usable file is there; never compiles."""
        return self._read(program_hash)

    def _compile(self, program_hash: str, compile_: Callable[[], wc.Component]) -> wc.Component:
        self.misses += 1
        metrics.cache_misses.inc()
        started = time.monotonic()
        component = compile_()
        metrics.compile_seconds.observe(time.monotonic() - started)
        try:
            self._write(program_hash, bytes(component.serialize()))
        except OSError as error:
            _log.warning("cannot write the program cache in %s (%s); going on without", self._folder, error.strerror)
        return component

    def _read(self, program_hash: str) -> wc.Component | None:
        try:
            for path in self._own_folder().glob(f"{program_hash}-*.cwasm"):
                component = self._read_file(path)
                if component is not None:
                    self.hits += 1
                    metrics.cache_hits.inc()
                    return component
        except OSError:
            pass
        return None

    def _read_file(self, path: Path) -> wc.Component | None:
        content = path.read_bytes()
        digest = path.stem.partition("-")[2]
        if hashlib.sha256(content).hexdigest() == digest:
            try:
                return wc.Component.deserialize(self._engine, content)
            except wasmtime.WasmtimeError as error:
                if is_exhausted(str(error)):
                    raise HostExhausted(f"the program cannot be loaded now: {error}") from None
        _log.warning("the cached program %s is damaged; compiling it again", path)
        path.unlink(missing_ok=True)
        return None

    def _write(self, program_hash: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        folder = self._own_folder()
        descriptor, temporary = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / f"{program_hash}-{digest}.cwasm")
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _own_folder(self) -> Path:
        """The folder, made if need be. Raises OSError when somebody else could write to it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._folder.stat()
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(0, "the folder is writable by others", str(self._folder))
        return self._folder

    @contextmanager
    def _lock(self, program_hash: str) -> Iterator[None]:
        """One process compiles, the others wait for its file. The kernel frees the lock of a process that dies."""
        try:
            file = open(self._own_folder() / f"{program_hash}.lock", "wb")  # noqa: SIM115
        except OSError:
            yield
            return
        with file:
            self._wait_for_turn(file)
            yield

    def _wait_for_turn(self, file: IO[bytes]) -> None:
        """Some file systems have no locks: then a program may be compiled twice at a time, and the last file stays."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if not self._goes_without_locks:
                self._goes_without_locks = True
                _log.warning("cannot lock in the program cache %s (%s); going on without", self._folder, error.strerror)
