"""The wasmtime engine of one process, and the ticks that keep its guests from holding the event loop."""

from __future__ import annotations

import hashlib
import logging
import platform
import threading
from importlib.metadata import version

import wasmtime

from durable.wasm import ffi
from durable.wasm.pool import has_room, use_pool

_log = logging.getLogger("durable.wasm.engine")

#: Everything that changes the machine code, and so what a cached program may be loaded by. Part of the cache key.
_CONFIGURATION = "epoch nan-canonical relaxed-simd-deterministic v1"


def new_engine(guests: int | None = None) -> wasmtime.Engine:
    """An engine for this process. Never make one before a fork: a child that compiles with it hangs for ever.

    With a number of guests their memory comes from a pool that has room for so many at once; where the host does not
    allow that, and without a number, each guest maps its own. The machine code is the same.
    """
    if guests is not None and not has_room(guests):
        _log.info("each guest maps its own memory: there is no address space for a pool of %d", guests)
        guests = None
    return wasmtime.Engine(_config(guests))


def _config(guests: int | None) -> wasmtime.Config:
    config = wasmtime.Config()
    config.epoch_interruption = True
    # A first run and a replay on another host must compute the same bits.
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    if guests is not None:
        use_pool(config, guests)
    return config


def engine_fingerprint() -> str:
    """Names the machine code that `new_engine` produces: wasmtime version, configuration and kind of CPU."""
    parts = (version("wasmtime"), _CONFIGURATION, platform.machine(), _cpu_features())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _cpu_features() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
            return next((line for line in cpuinfo if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


class EpochTicker:
    """A thread that advances the engine's epoch while guests run: at each tick a computing guest yields.

    Idle processes are left alone: the thread sleeps while no fiber is alive.
    """

    def __init__(self, engine: wasmtime.Engine, interval: float) -> None:
        self._engine = ffi.pointer_of(engine)
        self._keep_alive = engine
        self._interval = interval
        self._fibers = 0
        self._busy = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="durable-epoch", daemon=True)
        self._thread.start()

    def fiber_started(self) -> None:
        self._fibers += 1
        if not self._busy.is_set():
            self._busy.set()

    def fiber_ended(self) -> None:
        self._fibers -= 1

    def stop(self) -> None:
        self._stopped.set()
        self._busy.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._stopped.wait(self._interval):
            if self._fibers == 0:
                self._busy.clear()
                # Just now a fiber may have started, or `stop` have come, and found the flag still set.
                if self._fibers == 0 and not self._stopped.is_set():
                    self._busy.wait()
            ffi.engine_increment_epoch(self._engine)
