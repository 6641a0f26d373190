"""Value codecs, made once per host function from its component type.

`lift` reads a value that the guest passed, `lower` writes one for it, both at the address of a
`wasmtime_component_val_t`. Lifting trusts the memory layout, so a codec may only meet values of exactly its type:
`durable.wasm.inspect` compares every import of a component with the host's before the component is run.
Lowering checks: a value out of range is an error of the host, never a truncated number.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wasmtime import component as wc

from durable.wasm import ffi
from durable.wasm.values import Case, Err, Ok

Lift = Callable[[Any, int], Any]
Lower = Callable[[Any, int, Any], None]


class Codec(NamedTuple):
    """How values of one component type cross: `lift(resources, address)` and `lower(resources, address, value)`.

    `resources` is the resource table of the fiber (`durable.wasm.resources`).
    """

    lift: Lift
    lower: Lower


_string_at = ctypes.string_at
_memmove = ctypes.memmove
_VALUE = ffi.VALUE_SIZE
_PAYLOAD = ffi.PAYLOAD
_two_words = struct.Struct("<QQ").unpack
_word = struct.Struct("<Q").unpack
_pack_word = struct.Struct("<Q").pack
# kind, then a payload of one or two words
_pack_one = struct.Struct("<B7xQ").pack
_pack_two = struct.Struct("<B7xQQ").pack
_pack_name = struct.Struct("<B7xQQQ").pack
_EMPTY = bytes(_VALUE)
#: Elements of a list of bytes that are converted at once.
_BLOCK = 4096


def _scalar(kind: str, form: str) -> Codec:
    packer = struct.Struct(f"<B7x{form}")
    size = packer.size
    unpack = struct.Struct(f"<{form}").unpack
    width = struct.calcsize(f"<{form}")
    tag = ffi.kind(kind)
    pack = packer.pack

    def lift(_: Any, address: int) -> Any:
        return unpack(_string_at(address + _PAYLOAD, width))[0]

    def lower(_: Any, address: int, value: Any) -> None:
        _memmove(address, pack(tag, value), size)

    return Codec(lift, lower)


_SCALARS: dict[type, Codec] = {
    wc.S8: _scalar("S8", "b"),
    wc.U8: _scalar("U8", "B"),
    wc.S16: _scalar("S16", "h"),
    wc.U16: _scalar("U16", "H"),
    wc.S32: _scalar("S32", "i"),
    wc.U32: _scalar("U32", "I"),
    wc.S64: _scalar("S64", "q"),
    wc.U64: _scalar("U64", "Q"),
    wc.F32: _scalar("F32", "f"),
    wc.F64: _scalar("F64", "d"),
    wc.Bool: _scalar("BOOL", "?"),
}


def _character() -> Codec:
    number = _scalar("CHAR", "I")

    def lift(resources: Any, address: int) -> str:
        return chr(number.lift(resources, address))

    def lower(resources: Any, address: int, value: str) -> None:
        value.encode()  # raises for a surrogate, at which wasmtime would abort the process
        number.lower(resources, address, ord(value))

    return Codec(lift, lower)


def _read_name(address: int) -> str:
    size, data = _two_words(_string_at(address, 16))
    return _string_at(data, size).decode() if size else ""


def _string() -> Codec:
    tag = ffi.kind("STRING")

    def lift(_: Any, address: int) -> str:
        return _read_name(address + _PAYLOAD)

    def lower(_: Any, address: int, value: str) -> None:
        encoded = value.encode()
        ffi.byte_vec_new(address + _PAYLOAD, len(encoded), encoded)
        _memmove(address, bytes((tag,)), 1)

    return Codec(lift, lower)


def _bytes() -> Codec:
    """`list<u8>` as bytes: one value of 32 bytes per element in C, read and written as strided slices of blocks.

    A block fits into the cache of the processor, which makes large bodies five times as fast as in one piece.
    """
    tag = ffi.kind("LIST")
    element = bytes((ffi.kind("U8"),)) + bytes(_VALUE - 1)

    def lift(_: Any, address: int) -> bytes:
        count, data = _two_words(_string_at(address + _PAYLOAD, 16))
        if count <= _BLOCK:
            return _string_at(data, count * _VALUE)[_PAYLOAD::_VALUE] if count else b""
        blocks = [(start, min(_BLOCK, count - start)) for start in range(0, count, _BLOCK)]
        return b"".join(_string_at(data + start * _VALUE, size * _VALUE)[_PAYLOAD::_VALUE] for start, size in blocks)

    def lower(_: Any, address: int, value: bytes) -> None:
        count = len(value)
        ffi.vallist_new_uninit(address + _PAYLOAD, count)
        if count:
            values = bytearray(element * min(count, _BLOCK))
            data = _two_words(_string_at(address + _PAYLOAD, 16))[1]
            for start in range(0, count, _BLOCK):
                block = value[start : start + _BLOCK]
                values[_PAYLOAD : len(block) * _VALUE : _VALUE] = block
                _memmove(data + start * _VALUE, bytes(values), len(block) * _VALUE)
        _memmove(address, bytes((tag,)), 1)

    return Codec(lift, lower)


def _sequence(kind: str, allocate: Any) -> tuple[Callable[[int], tuple[int, int]], Callable[[int, int], int]]:
    """Reader and writer of the (size, data) header that lists and tuples share."""
    tag = ffi.kind(kind)

    def header(address: int) -> tuple[int, int]:
        size, data = _two_words(_string_at(address + _PAYLOAD, 16))
        return size, data

    def create(address: int, count: int) -> int:
        allocate(address + _PAYLOAD, count)
        _, data = header(address)
        # Valid values before anything can fail: what is left half written is freed as if it were whole.
        _memmove(data, _EMPTY * count, _VALUE * count)
        _memmove(address, bytes((tag,)), 1)
        return data

    return header, create


def _list(element: Codec) -> Codec:
    header, create = _sequence("LIST", ffi.vallist_new_uninit)

    def lift(resources: Any, address: int) -> list[Any]:
        count, data = header(address)
        return [element.lift(resources, data + i * _VALUE) for i in range(count)]

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        data = create(address, len(value))
        for i, item in enumerate(value):
            element.lower(resources, data + i * _VALUE, item)

    return Codec(lift, lower)


def _tuple(elements: Sequence[Codec]) -> Codec:
    header, create = _sequence("TUPLE", ffi.valtuple_new_uninit)

    def lift(resources: Any, address: int) -> tuple[Any, ...]:
        _, data = header(address)
        return tuple(one.lift(resources, data + i * _VALUE) for i, one in enumerate(elements))

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        data = create(address, len(elements))
        for i, (one, item) in enumerate(zip(elements, value, strict=True)):
            one.lower(resources, data + i * _VALUE, item)

    return Codec(lift, lower)


def _record(fields: Sequence[tuple[str, Codec]]) -> Codec:
    tag = ffi.kind("RECORD")
    size, value_at = ffi.ENTRY_SIZE, ffi.ENTRY_VALUE
    names = [name.encode() for name, _ in fields]
    codecs = [codec for _, codec in fields]
    blank = bytes(size) * len(fields)

    def lift(resources: Any, address: int) -> tuple[Any, ...]:
        data = _two_words(_string_at(address + _PAYLOAD, 16))[1]
        return tuple(codec.lift(resources, data + i * size + value_at) for i, codec in enumerate(codecs))

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        ffi.valrecord_new_uninit(address + _PAYLOAD, len(codecs))
        data = _two_words(_string_at(address + _PAYLOAD, 16))[1]
        _memmove(data, blank, len(blank))
        for i, name in enumerate(names):
            ffi.byte_vec_new(data + i * size, len(name), name)
        _memmove(address, bytes((tag,)), 1)
        for i, (codec, item) in enumerate(zip(codecs, value, strict=True)):
            codec.lower(resources, data + i * size + value_at, item)

    return Codec(lift, lower)


def _boxed(codec: Codec | None, resources: Any, value: Any) -> int:
    """A value on the heap, as options, results and variants hold theirs; 0 where the case carries none."""
    if codec is None:
        return 0
    box = ctypes.create_string_buffer(_EMPTY, _VALUE)
    address = ctypes.addressof(box)
    codec.lower(resources, address, value)
    return int(ffi.val_new(address))  # moves the value out of the box


def _option(payload: Codec) -> Codec:
    tag = ffi.kind("OPTION")

    def lift(resources: Any, address: int) -> Any:
        (inner,) = _word(_string_at(address + _PAYLOAD, 8))
        return payload.lift(resources, inner) if inner else None

    def lower(resources: Any, address: int, value: Any) -> None:
        inner = 0 if value is None else _boxed(payload, resources, value)
        _memmove(address, _pack_one(tag, inner), 16)

    return Codec(lift, lower)


def _result(ok: Codec | None, err: Codec | None) -> Codec:
    tag = ffi.kind("RESULT")
    at = _PAYLOAD + ffi.RESULT_VALUE

    def lift(resources: Any, address: int) -> Ok | Err:
        is_ok = _string_at(address + _PAYLOAD, 1) != b"\0"
        (inner,) = _word(_string_at(address + at, 8))
        codec = ok if is_ok else err
        value = codec.lift(resources, inner) if codec is not None and inner else None
        return Ok(value) if is_ok else Err(value)

    def lower(resources: Any, address: int, value: Ok | Err) -> None:
        is_ok = isinstance(value, Ok)
        inner = _boxed(ok if is_ok else err, resources, value.value)
        _memmove(address, _pack_two(tag, is_ok, inner), 24)

    return Codec(lift, lower)


def _variant(cases: dict[str, Codec | None]) -> Codec:
    tag = ffi.kind("VARIANT")
    at = _PAYLOAD + ffi.VARIANT_VALUE

    def lift(resources: Any, address: int) -> Case:
        name = _read_name(address + _PAYLOAD)
        codec = cases[name]
        (inner,) = _word(_string_at(address + at, 8))
        return Case(name, codec.lift(resources, inner) if codec is not None else None)

    def lower(resources: Any, address: int, value: Case) -> None:
        name = value.name.encode()
        inner = _boxed(cases[value.name], resources, value.value)
        ffi.byte_vec_new(address + _PAYLOAD, len(name), name)
        _memmove(address + at, _pack_word(inner), 8)
        _memmove(address, bytes((tag,)), 1)

    return Codec(lift, lower)


def _enum(names: Sequence[str]) -> Codec:
    tag = ffi.kind("ENUM")
    encoded = {name: name.encode() for name in names}

    def lift(_: Any, address: int) -> str:
        return _read_name(address + _PAYLOAD)

    def lower(_: Any, address: int, value: str) -> None:
        name = encoded[value]
        ffi.byte_vec_new(address + _PAYLOAD, len(name), name)
        _memmove(address, bytes((tag,)), 1)

    return Codec(lift, lower)


def _flags(names: Sequence[str]) -> Codec:
    tag = ffi.kind("FLAGS")
    encoded = {name: name.encode() for name in names}

    def lift(_: Any, address: int) -> frozenset[str]:
        count, data = _two_words(_string_at(address + _PAYLOAD, 16))
        return frozenset(_read_name(data + i * 16) for i in range(count))

    def lower(_: Any, address: int, value: frozenset[str]) -> None:
        chosen = [encoded[name] for name in value]
        ffi.valflags_new_uninit(address + _PAYLOAD, len(chosen))
        data = _two_words(_string_at(address + _PAYLOAD, 16))[1]
        for i, name in enumerate(chosen):
            ffi.byte_vec_new(data + i * 16, len(name), name)
        _memmove(address, bytes((tag,)), 1)

    return Codec(lift, lower)


def _resource(type_id: int, owned: bool) -> Codec:
    tag = ffi.kind("RESOURCE")

    def lift(resources: Any, address: int) -> Any:
        (handle,) = _word(_string_at(address + _PAYLOAD, 8))
        host = ctypes.c_void_p()
        # Also a borrow has to be taken out of the handle, or the call ends with "borrow handles still remain".
        ffi.raise_error(ffi.resource_any_to_host(resources.context, handle, ctypes.addressof(host)))
        rep = ffi.resource_host_rep(host.value)
        ffi.resource_host_delete(host.value)
        return resources.take(rep) if owned else resources.get(rep)

    def lower(resources: Any, address: int, value: Any) -> None:
        host = ffi.resource_host_new(True, resources.add(value), type_id)
        handle = ctypes.c_void_p()
        error = ffi.resource_host_to_any(resources.context, host, ctypes.addressof(handle))
        ffi.resource_host_delete(host)
        ffi.raise_error(error)
        _memmove(address, _pack_one(tag, handle.value or 0), 16)

    return Codec(lift, lower)


_STRING, _BYTES, _CHARACTER = _string(), _bytes(), _character()


def codec_of(ty: wc.ValType, resource_id: Callable[[wc.ResourceType], int]) -> Codec:
    """The codec of a component type. Raises TypeError for types that no host function here uses (streams, futures)."""

    def of(inner: wc.ValType) -> Codec:
        return codec_of(inner, resource_id)

    def of_optional(inner: wc.ValType | None) -> Codec | None:
        return None if inner is None else of(inner)

    if type(ty) in _SCALARS:
        return _SCALARS[type(ty)]
    match ty:
        case wc.String():
            return _STRING
        case wc.Char():
            return _CHARACTER
        case wc.ListType():
            return _BYTES if isinstance(ty.element, wc.U8) else _list(of(ty.element))
        case wc.TupleType():
            return _tuple([of(element) for element in ty.elements])
        case wc.RecordType():
            return _record([(name, of(field)) for name, field in ty.fields])
        case wc.OptionType():
            return _option(of(ty.payload))
        case wc.ResultType():
            return _result(of_optional(ty.ok), of_optional(ty.err))
        case wc.VariantType():
            return _variant({name: of_optional(payload) for name, payload in ty.cases})
        case wc.EnumType():
            return _enum(ty.names)
        case wc.FlagsType():
            return _flags(ty.names)
        case wc.OwnType():
            return _resource(resource_id(ty.ty), owned=True)
        case wc.BorrowType():
            return _resource(resource_id(ty.ty), owned=False)
        case _:
            raise TypeError(f"no codec for {ty}")
