from __future__ import annotations

from collections.abc import Iterator

import pytest
import wasmtime

from durable.wasm.engine import EpochTicker, new_engine
from tests.wasm.calls import CALLS, FUNCTIONS
from tests.wasm.echo import Echoes
from tests.wasm.machine import Machine


@pytest.fixture(scope="session")
def engine() -> wasmtime.Engine:
    return new_engine(2000)


@pytest.fixture(scope="session")
def ticker(engine: wasmtime.Engine) -> Iterator[EpochTicker]:
    """Ticks every 5 ms while a guest is alive."""
    ticker = EpochTicker(engine, 0.005)
    yield ticker
    ticker.stop()


@pytest.fixture(scope="session")
def echoes(engine: wasmtime.Engine, ticker: EpochTicker) -> Echoes:
    return Echoes(engine, ticker)


@pytest.fixture(scope="session")
def machine(engine: wasmtime.Engine, ticker: EpochTicker) -> Machine:
    """Runs guests of the interface in `tests/wasm/calls.py`."""
    return Machine(engine, ticker, CALLS, FUNCTIONS)
