"""PostgreSQL types as the SQL interface of guests knows them, and their binary forms.

A value is given and taken in the shape of its WIT type: numbers, str, bytes, and for times, UUIDs and networks the
tuples of `durable/wit/sql.wit`. The binary forms are those of PostgreSQL's send and receive functions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from durable.wasm.values import Case

_EPOCH = 946_684_800  # 2000-01-01 in seconds since the Unix epoch: where PostgreSQL counts from
_MICRO = 1_000_000
_size = struct.Struct("!i").unpack_from


@dataclass(frozen=True, slots=True)
class PgType:
    """A type by its OID. `shape` is that of the value codec, None for a type that guests can only see the name of."""

    oid: int
    name: str
    shape: str | None
    is_array: bool = False
    element: int = 0  # OID of an array's elements


@dataclass(frozen=True, slots=True)
class _Shape:
    oid: int
    array_oid: int
    name: str
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    form: str = ""  # of a number, as `struct` names it


class UnreadableValue(ValueError):
    """The bytes are no value of the shape: NULL within an array, an array of several dimensions, an infinite time."""


def _number(oid: int, array_oid: int, name: str, form: str) -> _Shape:
    packer = struct.Struct(f"!{form}")
    return _Shape(oid, array_oid, name, packer.pack, lambda data: packer.unpack(data)[0], form)


def _encode_instant(seconds: int, nanoseconds: int) -> bytes:
    return struct.pack("!q", (seconds - _EPOCH) * _MICRO + nanoseconds // 1000)


def _decode_instant(data: bytes) -> tuple[int, int]:
    (microseconds,) = struct.unpack("!q", data)
    if microseconds in (2**63 - 1, -(2**63)):
        raise UnreadableValue("an infinite time has no value here")
    seconds, rest = divmod(microseconds, _MICRO)
    return seconds + _EPOCH, rest * 1000


def _encode_jsonb(text: str) -> bytes:
    return b"\x01" + text.encode()


def _decode_jsonb(data: bytes) -> str:
    return (data[1:] if data[:1] == b"\x01" else data).decode()


def _encode_inet(network: Case) -> bytes:
    address, prefix = network.value
    if network.name == "v4":
        return struct.pack("!BBBB", 2, prefix, 0, 4) + struct.pack("!I", address)
    low, high = address
    return struct.pack("!BBBB", 3, prefix, 0, 16) + struct.pack("!QQ", high, low)


def _decode_inet(data: bytes) -> Case:
    if len(data) < 8:
        raise UnreadableValue("a network address has 8 bytes or more")
    family, prefix = data[0], data[1]
    if family == 2:
        return Case("v4", (int.from_bytes(data[4:8], "big"), prefix))
    high, low = struct.unpack("!QQ", data[4:20])
    return Case("v6", ((low, high), prefix))


def _shapes() -> dict[str, _Shape]:
    uuid = struct.Struct("!QQ")
    return {
        "boolean": _number(16, 1000, "bool", "?"),
        "float4": _number(700, 1021, "float4", "f"),
        "float8": _number(701, 1022, "float8", "d"),
        "int1": _number(18, 1002, '"char"', "b"),
        "int2": _number(21, 1005, "int2", "h"),
        "int4": _number(23, 1007, "int4", "i"),
        "int8": _number(20, 1016, "int8", "q"),
        "text": _Shape(25, 1009, "text", str.encode, bytes.decode),
        "bytea": _Shape(17, 1001, "bytea", bytes, bytes),
        "timestamptz": _Shape(
            1184, 1185, "timestamptz",
            lambda value: _encode_instant(value[0], value[1]),
            lambda data: (*_decode_instant(data), 0),
        ),
        "timestamp": _Shape(
            1114, 1115, "timestamp", lambda value: _encode_instant(value[0], value[1]), _decode_instant
        ),
        "uuid": _Shape(2950, 2951, "uuid", lambda value: uuid.pack(*value), lambda data: uuid.unpack(data)),
        "jsonb": _Shape(3802, 3807, "jsonb", _encode_jsonb, _decode_jsonb),
        "inet": _Shape(869, 1041, "inet", _encode_inet, _decode_inet),
    }  # fmt: skip


SHAPES = _shapes()

#: Further types that read as one of the shapes: varchar, bpchar, name; json; cidr.
_ALIASES = {
    1043: ("varchar", "text"), 1042: ("bpchar", "text"), 19: ("name", "text"), 705: ("unknown", "text"),
    114: ("json", "jsonb"), 650: ("cidr", "inet"),
}  # fmt: skip
_ARRAY_ALIASES = {
    1015: ("varchar[]", "text", 1043), 1014: ("bpchar[]", "text", 1042), 1003: ("name[]", "text", 19),
    199: ("json[]", "jsonb", 114), 651: ("cidr[]", "inet", 650),
}  # fmt: skip


def known_types() -> dict[int, PgType]:
    """The types whose OIDs are the same in every database."""
    types = {}
    for shape_name, shape in SHAPES.items():
        types[shape.oid] = PgType(shape.oid, shape.name, shape_name)
        types[shape.array_oid] = PgType(shape.array_oid, f"{shape.name}[]", shape_name, True, shape.oid)
    for oid, (name, alias) in _ALIASES.items():
        types[oid] = PgType(oid, name, alias)
    for oid, (name, alias, element) in _ARRAY_ALIASES.items():
        types[oid] = PgType(oid, name, alias, True, element)
    return types


def encode(ty: PgType, value: Any) -> bytes:
    """The binary form. Raises struct.error, UnicodeError, ValueError for a value that the type cannot hold."""
    assert ty.shape is not None
    shape = SHAPES[ty.shape]
    if not ty.is_array:
        return shape.encode(value)
    # One dimension with lower bound 1; an empty array has none.
    head = struct.pack("!iii", 1 if value else 0, 0, ty.element)
    if not value:
        return head
    head += struct.pack("!ii", len(value), 1)
    if shape.form:
        return head + _number_items(shape.form, value)
    parts = [head]
    for one in map(shape.encode, value):
        parts += (len(one).to_bytes(4, "big"), one)
    return b"".join(parts)


def _number_items(form: str, numbers: Sequence[Any]) -> bytearray:
    """Each behind its size: the numbers are packed at once and put between the sizes byte by byte."""
    packed, width = struct.pack(f"!{len(numbers)}{form}", *numbers), struct.calcsize(f"!{form}")
    items = bytearray((width.to_bytes(4, "big") + bytes(width)) * len(numbers))
    for at in range(width):
        items[4 + at :: 4 + width] = packed[at::width]
    return items


def decode(ty: PgType, data: bytes) -> Any:
    """The value of a binary form. Raises UnreadableValue, struct.error, ValueError."""
    assert ty.shape is not None
    shape = SHAPES[ty.shape]
    if not ty.is_array:
        return shape.decode(data)
    count = _length(data)
    return _numbers(data, shape.form, count) if shape.form else list(map(shape.decode, _items(data, count)))


def _length(data: bytes) -> int:
    dimensions, _, _ = struct.unpack_from("!iii", data)
    if dimensions > 1:
        raise UnreadableValue("an array of several dimensions has no value here")
    return _size(data, 12)[0] if dimensions else 0


def _numbers(data: bytes, form: str, count: int) -> list[Any]:
    """The items of an array of numbers, which all have the same size as long as none is NULL."""
    width = struct.calcsize(f"!{form}")
    if count and len(data) != 20 + (4 + width) * count:
        raise UnreadableValue("an array that contains NULL has no value here")
    packed = bytearray(width * count)
    for at in range(width):
        packed[at::width] = data[24 + at :: 4 + width]
    return list(struct.unpack(f"!{count}{form}", packed))


def _items(data: bytes, count: int) -> Iterator[bytes]:
    at = 20
    for _ in range(count):
        (size,) = _size(data, at)
        if size < 0:
            raise UnreadableValue("an array that contains NULL has no value here")
        at += 4 + size
        yield data[at - size : at]
