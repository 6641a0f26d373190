"""The pinned wasmtime is the one that our declarations of its C API were written for."""

from __future__ import annotations

import ctypes
import importlib.metadata
import time
from typing import Any, cast

import pytest
import wasmtime
from wasmtime import _bindings

from durable.wasm import ffi
from durable.wasm.engine import EpochTicker, engine_fingerprint, new_engine

DECLARED: dict[str, Any] = {
    name: value for name, value in vars(ffi).items() if type(value).__name__ == "_FuncPtr" and name != "_library"
}
GENERATED = cast(Any, _bindings)


def _sizes(types: Any) -> list[int]:
    return [ctypes.sizeof(ty) for ty in types]


def test_the_version_is_pinned_exactly() -> None:
    [requirement] = [line for line in importlib.metadata.requires("durable") or [] if line.startswith("wasmtime")]
    assert requirement == f"wasmtime=={importlib.metadata.version('wasmtime')}"


def test_there_are_declarations_to_check() -> None:
    assert len(DECLARED) > 25


@pytest.mark.parametrize("name", DECLARED)
def test_a_declaration_has_the_shape_of_the_header(name: str) -> None:
    ours = DECLARED[name]
    header = getattr(GENERATED, f"_{ours.__name__}")  # made from wasmtime's headers by its build
    assert _sizes(ours.argtypes) == _sizes(header.argtypes)
    if name != "context_epoch_yield":  # the header promises an error there, the library returns none
        assert _result_size(ours) == _result_size(header)


def _result_size(function: Any) -> int:
    return 0 if function.restype is None else ctypes.sizeof(function.restype)


def test_callbacks_have_the_shape_of_the_header() -> None:
    for ours, theirs in (
        (ffi.HostCallback, GENERATED.wasmtime_component_func_async_callback_t),
        (ffi.Destructor, GENERATED.wasmtime_component_resource_destructor_t),
    ):
        assert _sizes(cast(Any, ours)._argtypes_) == _sizes(theirs._argtypes_)
    assert ctypes.sizeof(GENERATED.wasmtime_async_continuation_t) == 24


def test_values_lie_in_memory_as_the_codecs_expect() -> None:
    assert (ffi.VALUE_SIZE, ffi.PAYLOAD) == (32, 8)
    assert (ffi.ENTRY_SIZE, ffi.ENTRY_VALUE) == (48, 16)
    assert (ffi.VARIANT_VALUE, ffi.RESULT_VALUE) == (16, 8)
    assert (ffi.FUNC_SIZE, ffi.INSTANCE_SIZE) == (32, 16)
    assert ctypes.sizeof(GENERATED.wasm_name_t) == 16  # of a flag, and of the name of an enum's case
    assert GENERATED.wasmtime_component_val_t.kind.offset == 0


def test_every_kind_of_value_has_its_own_tag() -> None:
    numbers = ["S8", "U8", "S16", "U16", "S32", "U32", "S64", "U64", "F32", "F64"]
    compounds = ["LIST", "RECORD", "TUPLE", "VARIANT", "ENUM", "OPTION", "RESULT", "FLAGS", "RESOURCE"]
    names = ["BOOL", *numbers, "CHAR", "STRING", *compounds]
    assert [ffi.kind(name) for name in names] == list(range(len(names)))


# -- behaviour -------------------------------------------------------------------------------------------------------
def test_an_error_gives_its_message_once_and_is_freed() -> None:
    error = ffi.error_new("what went wrong: é".encode())
    assert ffi.take_error(error) == "what went wrong: é"


def test_raising_an_error_keeps_its_message() -> None:
    with pytest.raises(wasmtime.WasmtimeError, match="no way"):
        ffi.raise_error(ffi.error_new(b"no way"))
    ffi.raise_error(None)


def test_a_value_moves_to_the_heap_and_leaves_nothing_behind() -> None:
    box = ctypes.create_string_buffer(ffi.VALUE_SIZE)
    ffi.byte_vec_new(ctypes.addressof(box) + ffi.PAYLOAD, 5, b"hello")
    box[0] = bytes((ffi.kind("STRING"),))
    moved = ffi.val_new(ctypes.addressof(box))
    assert box.raw[0] == ffi.kind("BOOL"), "the box still owns the text, which would be freed twice"
    data = ctypes.c_void_p.from_address(moved + ffi.PAYLOAD + 8).value
    assert data is not None
    assert ctypes.string_at(data, 5) == b"hello"
    ffi.val_delete(moved)


@pytest.mark.parametrize("name", ["vallist", "valtuple", "valrecord", "valflags"])
def test_a_new_vector_is_a_size_and_an_address(name: str) -> None:
    vector = (ctypes.c_uint64 * 2)()
    getattr(ffi, f"{name}_new_uninit")(ctypes.addressof(vector), 3)
    assert vector[0] == 3
    assert vector[1] != 0


def test_a_continuation_is_done_when_its_byte_is_one() -> None:
    is_done = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)(ffi.STRLEN)
    flag = ctypes.create_string_buffer(2)
    assert is_done(ffi.DONE) is True
    assert is_done(ctypes.addressof(flag)) is False
    flag[0] = b"\1"
    assert is_done(ctypes.addressof(flag)) is True


def test_a_host_resource_keeps_its_number() -> None:
    resource = ffi.resource_host_new(True, 4_000_000_000, 7)
    assert ffi.resource_host_rep(resource) == 4_000_000_000
    ffi.resource_host_delete(resource)


def test_a_store_has_a_context_of_its_own() -> None:
    engine = new_engine()
    stores = [ffi.store_new(ffi.pointer_of(engine), None, None) for _ in range(3)]
    assert len({ffi.store_context(store) for store in stores}) == 3
    for store in stores:
        ffi.store_delete(store)


# -- the engine ------------------------------------------------------------------------------------------------------
def test_the_fingerprint_names_the_version_and_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprint = engine_fingerprint()
    assert fingerprint == engine_fingerprint()
    monkeypatch.setattr("durable.wasm.engine.version", lambda _: "50.0.2")
    assert engine_fingerprint() != fingerprint


def test_the_epoch_advances_only_while_a_fiber_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    monkeypatch.setattr(ffi, "engine_increment_epoch", ticks.append)
    ticker = EpochTicker(new_engine(), 0.001)
    for _ in range(2):
        ticker.fiber_started()
        ticker.fiber_started()
        ticker.fiber_ended()
        _wait_for_ticks(ticks, len(ticks) + 3)
        ticker.fiber_ended()
        ticked = len(ticks)
        time.sleep(0.03)
        assert len(ticks) <= ticked + 1  # one may have been on its way
    ticker.stop()


def _wait_for_ticks(ticks: list[int], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(ticks) < count:
        assert time.monotonic() < deadline, "the epoch stands still"
        time.sleep(0.001)
