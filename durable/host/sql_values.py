"""The resources `type-info` and `value` of `durable:core/sql`."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from durable.execution.run import Run
from durable.execution.transaction import Transaction
from durable.journal.log_text import UNSTORABLE
from durable.store.pg_types import SHAPES, PgType, UnreadableValue, decode, encode, known_types
from durable.wasm.linker import HostFunction
from durable.wasm.traps import GuestLimit, GuestTrap
from durable.wasm.values import Case, Err, Ok

_KNOWN = known_types()
_MAX_PREFIX = {"v4": 32, "v6": 128}
#: PostgreSQL's own names have 63 bytes, and a schema's may stand before it.
MAX_TYPE_NAME = 200
#: What JSON of another form raises; OverflowError for a number like 1e999. An error of base64 is a ValueError.
_MALFORMED = (ValueError, TypeError, KeyError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type. One that was made inside a transaction may only be used inside of it."""

    type: PgType
    owner: Transaction | None


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Value:
    """A value in PostgreSQL's binary form, None for NULL."""

    type: PgType
    data: bytes | None
    owner: Transaction | None

    @property
    def size(self) -> int:
        return len(self.data or b"")


def new_value(run: Run, ty: PgType, data: bytes | None) -> Value:
    """A value of the open transaction, if there is one. Raises GuestLimit when the guest holds too much."""
    return run.held.keep(Value(ty, data, run.transaction))


def check_owner(run: Run, resource: TypeInfo | Value) -> None:
    """Raise GuestTrap for a resource of a transaction that is over."""
    if resource.owner is not None and resource.owner is not run.transaction:
        raise GuestTrap("a type-info or value was used outside of the transaction that made it; serialize it instead")


def _check_size(run: Run, value: Value) -> None:
    most = run.config.max_returned_buffer_len
    if value.size > most:
        raise GuestLimit(f"an SQL value of {value.size} bytes was asked for; max_returned_buffer_len allows {most}")


# -- type-info -------------------------------------------------------------------------------------------------------
def type_name(run: Run, info: TypeInfo) -> str:
    return info.type.name


def type_equal(run: Run, info: TypeInfo, other: TypeInfo) -> bool:
    return info.type.oid == other.type.oid


def type_compatible(run: Run, info: TypeInfo, other: TypeInfo) -> bool:
    """Whether a value of the other type reads as one of this: the same type, or one of the same shape."""
    same_shape = info.type.shape is not None and info.type.shape == other.type.shape
    return info.type.oid == other.type.oid or (same_shape and info.type.is_array == other.type.is_array)


def type_clone(run: Run, info: TypeInfo) -> TypeInfo:
    return TypeInfo(info.type, info.owner)


def type_serialize(run: Run, info: TypeInfo) -> Ok | Err:
    return Ok(json.dumps(asdict(info.type)))


async def type_deserialize(run: Run, text: str) -> Ok | Err:
    """A coroutine, as `value_deserialize`, because JSON is parsed recursively."""
    try:
        return Ok(TypeInfo(_type_of_json(_parsed(run, text)), run.transaction))
    except _MALFORMED as error:
        return Err(f"not a serialized type-info: {error}")


def _parsed(run: Run, text: str) -> Any:
    """Raises ValueError for what is larger than any event, which serialized values are made for."""
    if len(text) > run.config.max_event_bytes:
        raise ValueError(f"it has {len(text)} characters; max_event_bytes allows {run.config.max_event_bytes}")
    return json.loads(text)


def _type_of_json(value: Any) -> PgType:
    ty = PgType(int(value["oid"]), str(value["name"]), value["shape"], bool(value["is_array"]), int(value["element"]))
    if ty.shape is not None and ty.shape not in SHAPES:
        raise ValueError(f"unknown shape {ty.shape!r}")
    if len(ty.name) > MAX_TYPE_NAME:
        raise ValueError(f"a name has {MAX_TYPE_NAME} characters at most")
    if UNSTORABLE.search(ty.name):
        raise ValueError(f"no type has the name {ty.name!r}")
    if not 0 <= ty.oid < 2**32 or not 0 <= ty.element < 2**32:
        raise ValueError("an OID is out of range")
    return ty


# -- value -----------------------------------------------------------------------------------------------------------
def value_is_null(run: Run, value: Value) -> bool:
    return value.data is None


def value_type_info(run: Run, value: Value) -> TypeInfo:
    return TypeInfo(value.type, value.owner)


def value_clone(run: Run, value: Value) -> Value:
    return run.held.keep(Value(value.type, value.data, value.owner))


def value_serialize(run: Run, value: Value) -> Ok | Err:
    _check_size(run, value)
    data = None if value.data is None else base64.b64encode(value.data).decode()
    return Ok(json.dumps({"type": asdict(value.type), "data": data}))


async def value_deserialize(run: Run, text: str) -> Ok | Err:
    try:
        fields = _parsed(run, text)
        data = None if fields["data"] is None else base64.b64decode(fields["data"], validate=True)
        return Ok(new_value(run, _type_of_json(fields["type"]), data))
    except _MALFORMED as error:
        return Err(f"not a serialized value: {error}")


def value_null(run: Run, info: TypeInfo) -> Value:
    check_owner(run, info)
    return new_value(run, info.type, None)


def enum_value(run: Run, value: str, info: TypeInfo) -> Value:
    check_owner(run, info)
    return new_value(run, info.type, value.encode())


def enum_array(run: Run, values: list[str], info: TypeInfo) -> Value:
    """`info` is the type of the array."""
    check_owner(run, info)
    if info.type.shape != "text" or not info.type.is_array:
        raise GuestTrap(f"enum-array needs the type of an array of an enum, and not {info.type.name}")
    return new_value(run, info.type, _encoded(info.type, values))


def _encoded(ty: PgType, value: Any) -> bytes:
    try:
        return encode(ty, value)
    except (struct.error, ValueError, AssertionError) as error:
        raise GuestTrap(f"not a value of type {ty.name}: {error}") from None


# -- one set of functions per shape ----------------------------------------------------------------------------------
def _type_of(ty: PgType) -> HostFunction:
    return lambda run: TypeInfo(ty, run.transaction)


def _reader(shape: str, is_array: bool) -> HostFunction:
    def read(run: Run, value: Value) -> Any:
        check_owner(run, value)
        if value.data is None or value.type.shape != shape or value.type.is_array != is_array:
            return None
        _check_size(run, value)
        try:
            return decode(value.type, value.data)
        except (UnreadableValue, struct.error, ValueError):
            return None

    return read


def _maker(ty: PgType) -> HostFunction:
    return lambda run, value: new_value(run, ty, _encoded(ty, value))


def _inet_maker(ty: PgType) -> HostFunction:
    def make(run: Run, value: Any) -> Ok | Err:
        for network in value if ty.is_array else [value]:
            problem = _inet_problem(network)
            if problem:
                return Err(problem)
        return Ok(new_value(run, ty, _encoded(ty, value)))

    return make


def _inet_problem(network: Case) -> str | None:
    prefix, most = network.value[1], _MAX_PREFIX[network.name]
    return f"the prefix {prefix} of an IP{network.name} network is beyond {most}" if prefix > most else None


def _shape_functions() -> dict[str, HostFunction]:
    functions: dict[str, HostFunction] = {}
    for shape_name, shape in SHAPES.items():
        for suffix, oid in (("", shape.oid), ("-array", shape.array_oid)):
            ty = _KNOWN[oid]
            make: Callable[[PgType], HostFunction] = _inet_maker if shape_name == "inet" else _maker
            read_name = "json" if shape_name == "jsonb" else shape_name
            functions[f"[static]type-info.{shape_name}{suffix}"] = _type_of(ty)
            functions[f"[static]value.{shape_name}{suffix}"] = make(ty)
            functions[f"[method]value.as-{read_name}{suffix}"] = _reader(shape_name, ty.is_array)
    return functions


FUNCTIONS: dict[str, HostFunction] = {
    "[method]type-info.name": type_name,
    "[method]type-info.equal": type_equal,
    "[method]type-info.compatible": type_compatible,
    "[method]type-info.clone": type_clone,
    "[method]type-info.serialize": type_serialize,
    "[static]type-info.deserialize": type_deserialize,
    "[method]value.is-null": value_is_null,
    "[method]value.type-info": value_type_info,
    "[method]value.clone": value_clone,
    "[method]value.serialize": value_serialize,
    "[static]value.deserialize": value_deserialize,
    "[static]value.null": value_null,
    "[static]value.enum-value": enum_value,
    "[static]value.enum-array": enum_array,
    **_shape_functions(),
}
