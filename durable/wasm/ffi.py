"""The part of wasmtime's C API that a fiber needs, declared on plain addresses.

The stock Python layer wraps every value in objects and keeps pending exceptions in module globals; both rule it out on
the hot path. Engine, configuration, component and type information still come from it. Everything here is checked
against the pinned wasmtime version by the tests of this package.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, cast

import wasmtime
from wasmtime import _ffi as _declared

_library: Any = _declared.dll
_address = ctypes.c_void_p
_size = ctypes.c_size_t


def _function(name: str, result: Any, *parameters: Any) -> Any:
    # Indexing makes a new function object, so that our declaration does not change the stock layer's.
    function = _library[name]
    function.restype = result
    function.argtypes = list(parameters)
    return function


#: All memory of the process as one buffer, whose index is the address: a sixth of the time of a call through ctypes. As
#: with any pointer, what is read or written at a wrong address crashes the process, or worse.
memory = memoryview((ctypes.c_char * sys.maxsize).from_address(0)).cast("B")

# -- memory layout of wasmtime_component_val_t -----------------------------------------------------------------------
_declarations = cast(Any, _declared)
VALUE_SIZE: int = ctypes.sizeof(_declarations.wasmtime_component_val_t)
PAYLOAD: int = _declarations.wasmtime_component_val_t.of.offset
ENTRY_SIZE: int = ctypes.sizeof(_declarations.wasmtime_component_valrecord_entry_t)
ENTRY_VALUE: int = _declarations.wasmtime_component_valrecord_entry_t.val.offset
VARIANT_VALUE: int = _declarations.wasmtime_component_valvariant_t.val.offset
RESULT_VALUE: int = _declarations.wasmtime_component_valresult_t.val.offset
FUNC_SIZE: int = ctypes.sizeof(_declarations.wasmtime_component_func_t)
INSTANCE_SIZE: int = ctypes.sizeof(_declarations.wasmtime_component_instance_t)


def kind(name: str) -> int:
    """The tag of a value kind, for instance `kind("STRING")`."""
    return int(getattr(_declarations, f"WASMTIME_COMPONENT_{name}").value)


# -- values ----------------------------------------------------------------------------------------------------------
byte_vec_new = _function("wasm_byte_vec_new", None, _address, _size, ctypes.c_char_p)
vallist_new_uninit = _function("wasmtime_component_vallist_new_uninit", None, _address, _size)
valrecord_new_uninit = _function("wasmtime_component_valrecord_new_uninit", None, _address, _size)
valtuple_new_uninit = _function("wasmtime_component_valtuple_new_uninit", None, _address, _size)
valflags_new_uninit = _function("wasmtime_component_valflags_new_uninit", None, _address, _size)
val_new = _function("wasmtime_component_val_new", _address, _address)
val_delete = _function("wasmtime_component_val_delete", None, _address)

# -- resources -------------------------------------------------------------------------------------------------------
resource_any_to_host = _function("wasmtime_component_resource_any_to_host", _address, _address, _address, _address)
resource_host_to_any = _function("wasmtime_component_resource_host_to_any", _address, _address, _address, _address)
resource_host_new = _function(
    "wasmtime_component_resource_host_new", _address, ctypes.c_bool, ctypes.c_uint32, ctypes.c_uint32
)
resource_host_rep = _function("wasmtime_component_resource_host_rep", ctypes.c_uint32, _address)
resource_host_delete = _function("wasmtime_component_resource_host_delete", None, _address)

# -- types -----------------------------------------------------------------------------------------------------------
func_type_is_async = _function("wasmtime_component_func_type_async", ctypes.c_bool, _address)

# -- stores, instances, calls ----------------------------------------------------------------------------------------
store_new = _function("wasmtime_store_new", _address, _address, _address, _address)
store_context = _function("wasmtime_store_context", _address, _address)
store_delete = _function("wasmtime_store_delete", None, _address)
store_limiter = _function("wasmtime_store_limiter", None, _address, *[ctypes.c_int64] * 5)
context_set_epoch_deadline = _function("wasmtime_context_set_epoch_deadline", None, _address, ctypes.c_uint64)
# The header promises an error pointer; the library returns nothing, so the register holds garbage.
context_epoch_yield = _function(
    "wasmtime_context_epoch_deadline_async_yield_and_update", None, _address, ctypes.c_uint64
)
linker_instantiate_async = _function(
    "wasmtime_component_linker_instantiate_async", _address, _address, _address, _address, _address, _address
)
instance_get_func = _function("wasmtime_component_instance_get_func", ctypes.c_bool, *[_address] * 4)
func_call_async = _function(
    "wasmtime_component_func_call_async", _address, _address, _address, _address, _size, _address, _size, _address
)
future_poll = _function("wasmtime_call_future_poll", ctypes.c_bool, _address)
future_delete = _function("wasmtime_call_future_delete", None, _address)
engine_increment_epoch = _function("wasmtime_engine_increment_epoch", None, _address)
pooling_config_new = _function("wasmtime_pooling_allocation_config_new", _address)
pooling_config_delete = _function("wasmtime_pooling_allocation_config_delete", None, _address)
pooling_strategy_set = _function("wasmtime_pooling_allocation_strategy_set", None, _address, _address)


def pooling_config_set(config: int, limit: str, value: int) -> None:
    """One limit of a pooling allocator by its name in the C API, for instance `total_stacks`."""
    _function(f"wasmtime_pooling_allocation_config_{limit}_set", None, _address, _size)(config, value)


config_async_stack_size_set = _function("wasmtime_config_async_stack_size_set", None, _address, _size)

# -- host functions --------------------------------------------------------------------------------------------------
# (env, context, type, arguments, count, results, count, error out, continuation out)
HostCallback = ctypes.CFUNCTYPE(
    None, _address, _address, _address, _address, _size, _address, _size, _address, _address
)
Destructor = ctypes.CFUNCTYPE(_size, _address, _address, ctypes.c_uint32)
linker_instance_add_func_async = _function(
    "wasmtime_component_linker_instance_add_func_async",
    _address, _address, ctypes.c_char_p, _size, HostCallback, _address, _address,
)  # fmt: skip
linker_instance_add_resource = _function(
    "wasmtime_component_linker_instance_add_resource",
    _address, _address, ctypes.c_char_p, _size, _address, Destructor, _address, _address,
)  # fmt: skip

# A continuation says whether its host call is done by a C function `bool (*)(void *)`. `strlen` serves as that
# function: of "" it is 0 and of "\1" it is 1, so a call is marked done by writing one byte, and wasmtime asks without
# coming back into Python.
STRLEN: int = cast(int, ctypes.cast(ctypes.CDLL(None).strlen, _address).value)
_done = ctypes.create_string_buffer(b"\1")
DONE: int = ctypes.addressof(_done)

# -- errors ----------------------------------------------------------------------------------------------------------
error_new = _function("wasmtime_error_new", _address, ctypes.c_char_p)
error_message = _function("wasmtime_error_message", None, _address, _address)
error_delete = _function("wasmtime_error_delete", None, _address)
byte_vec_delete = _function("wasm_byte_vec_delete", None, _address)


class _ByteVector(ctypes.Structure):
    _fields_ = (("size", _size), ("data", _address))


def take_error(error: int) -> str:
    """The message of a `wasmtime_error_t`, which is freed."""
    text = _ByteVector()
    error_message(error, ctypes.addressof(text))
    message = ctypes.string_at(text.data, text.size).decode("utf-8", "replace")
    byte_vec_delete(ctypes.addressof(text))
    error_delete(error)
    return message


def raise_error(error: int | None) -> None:
    """Raise a `WasmtimeError` when a call returned an error."""
    if error:
        raise wasmtime.WasmtimeError(take_error(error))


def pointer_of(managed: Any) -> int:
    """The address behind an object of the stock layer."""
    return cast(int, ctypes.cast(managed.ptr(), _address).value)
