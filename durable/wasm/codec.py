"""Value codecs, made once per host function from its component type.

`lift` reads a value that the guest passed, `lower` writes one for it, both at the address of a
`wasmtime_component_val_t`. Lifting trusts the memory layout, so a codec may only meet values of exactly its type:
`durable.wasm.inspect` compares every import of a component with the host's before the component is run.
Lowering checks: a value out of range is an error of the host, never a truncated number.

Both hold the event loop for as long as they take. What is made in Python for each element counts towards the values of
one call (`Resources.hand_over`); numbers and bytes are read and written by the list, a fiftieth of the work.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from wasmtime import component as wc

from durable.wasm import ffi
from durable.wasm.values import Case, Err, Ok

Lift = Callable[[Any, int], Any]
Lower = Callable[[Any, int, Any], None]


class Codec(NamedTuple):
    """How values of one component type cross: `lift(resources, address)` and `lower(resources, address, value)`.

    `resources` is what the host keeps for the guest (`durable.wasm.resources`). `weight` is the number of values that
    one of this type counts for as the element of a list: itself and its parts, at most.
    """

    lift: Lift
    lower: Lower
    weight: int = 1


_memory = ffi.memory
_VALUE = ffi.VALUE_SIZE
_PAYLOAD = ffi.PAYLOAD
_two_words = struct.Struct("=QQ").unpack_from
_word = struct.Struct("=Q").unpack_from
_pack_word = struct.Struct("=Q").pack_into
# kind, then a payload of one or two words
_pack_one = struct.Struct("=B7xQ").pack_into
_pack_two = struct.Struct("=B7xQQ").pack_into
#: Python looks after every list; each handle takes several calls into wasmtime.
_LIST_WEIGHT, _HANDLE_WEIGHT = 2, 6
#: Elements of a list of bytes that are converted at once.
_BLOCK = 4096
#: Numbers by the kind of their values, as `struct` names them.
_NUMBERS = {
    wc.S8: ("S8", "b"),
    wc.U8: ("U8", "B"),
    wc.S16: ("S16", "h"),
    wc.U16: ("U16", "H"),
    wc.S32: ("S32", "i"),
    wc.U32: ("U32", "I"),
    wc.S64: ("S64", "q"),
    wc.U64: ("U64", "Q"),
    wc.F32: ("F32", "f"),
    wc.F64: ("F64", "d"),
    wc.Bool: ("BOOL", "?"),
}


def _scalar(kind: str, form: str) -> Codec:
    unpack = struct.Struct(f"={form}").unpack_from
    pack = struct.Struct(f"=B7x{form}").pack_into
    tag = ffi.kind(kind)

    def lift(_: Any, address: int) -> Any:
        return unpack(_memory, address + _PAYLOAD)[0]

    def lower(_: Any, address: int, value: Any) -> None:
        pack(_memory, address, tag, value)

    return Codec(lift, lower)


def _character() -> Codec:
    number = _scalar("CHAR", "I")

    def lift(resources: Any, address: int) -> str:
        return chr(number.lift(resources, address))

    def lower(resources: Any, address: int, value: str) -> None:
        value.encode()  # raises for a surrogate, at which wasmtime would abort the process
        number.lower(resources, address, ord(value))

    return Codec(lift, lower)


def _read_name(address: int) -> str:
    size, data = _two_words(_memory, address)
    return str(_memory[data : data + size], "utf-8")


def _string() -> Codec:
    tag = ffi.kind("STRING")

    def lift(_: Any, address: int) -> str:
        return _read_name(address + _PAYLOAD)

    def lower(_: Any, address: int, value: str) -> None:
        encoded = value.encode()
        ffi.byte_vec_new(address + _PAYLOAD, len(encoded), encoded)
        _memory[address] = tag

    return Codec(lift, lower)


def _bytes() -> Codec:
    """`list<u8>` as bytes: one value of 32 bytes per element in C, read and written as strided slices of blocks.

    A block fits into the cache of the processor, which makes large bodies five times as fast as in one piece.
    """
    tag = ffi.kind("LIST")
    element = bytes((ffi.kind("U8"),)) + bytes(_VALUE - 1)

    def lift(_: Any, address: int) -> bytes:
        count, data = _two_words(_memory, address + _PAYLOAD)
        end = data + count * _VALUE
        if count <= _BLOCK:
            return bytes(_memory[data:end])[_PAYLOAD::_VALUE]
        blocks = [(at, min(at + _BLOCK * _VALUE, end)) for at in range(data, end, _BLOCK * _VALUE)]
        return b"".join(bytes(_memory[start:stop])[_PAYLOAD::_VALUE] for start, stop in blocks)

    def lower(_: Any, address: int, value: bytes) -> None:
        count, value = len(value), bytes(value)  # raises before there is anything to free
        ffi.vallist_new_uninit(address + _PAYLOAD, count)
        values = bytearray(element * min(count, _BLOCK))
        at = _two_words(_memory, address + _PAYLOAD)[1]
        for start in range(0, count, _BLOCK):
            block = value[start : start + _BLOCK]
            size = len(block) * _VALUE
            values[_PAYLOAD:size:_VALUE] = block
            _memory[at : at + size] = values[:size]
            at += size
        _memory[address] = tag

    return Codec(lift, lower, _LIST_WEIGHT)


def _numbers(kind: str, form: Any) -> Codec:
    """A list of numbers: its values are taken from their places, and put there, all at once."""
    tag, width = ffi.kind("LIST"), struct.calcsize(f"={form}")
    element = bytes((ffi.kind(kind),))
    first, step = _PAYLOAD // width, _VALUE // width

    def lift(_: Any, address: int) -> list[Any]:
        count, data = _two_words(_memory, address + _PAYLOAD)
        # An empty view cannot be cast.
        return _memory[data : data + count * _VALUE].cast(form)[first::step].tolist() if count else []

    def lower(_: Any, address: int, value: Sequence[Any]) -> None:
        count = len(value)
        packed = struct.pack(f"={count}{form}", *value)  # raises before there is anything to free
        ffi.vallist_new_uninit(address + _PAYLOAD, count)
        data = _two_words(_memory, address + _PAYLOAD)[1]
        if count:
            values = _memory[data : data + count * _VALUE]
            values[::_VALUE] = element * count
            values.cast(form)[first::step] = memoryview(packed).cast(form)
        _memory[address] = tag

    return Codec(lift, lower, _LIST_WEIGHT)


def _sequence(kind: str, allocate: Any) -> tuple[Callable[[int], tuple[int, int]], Callable[[int, int], int]]:
    """Reader and writer of the (size, data) header that lists and tuples share."""
    tag = ffi.kind(kind)

    def header(address: int) -> tuple[int, int]:
        size, data = _two_words(_memory, address + _PAYLOAD)
        return size, data

    def create(address: int, count: int) -> int:
        allocate(address + _PAYLOAD, count)
        _, data = header(address)
        # Valid values before anything can fail: what is left half written is freed as if it were whole.
        _memory[data : data + count * _VALUE] = bytes(count * _VALUE)
        _memory[address] = tag
        return data

    return header, create


def _list(element: Codec) -> Codec:
    header, create = _sequence("LIST", ffi.vallist_new_uninit)
    weight = element.weight

    def lift(resources: Any, address: int) -> list[Any]:
        count, data = header(address)
        resources.hand_over(count * weight)
        return [element.lift(resources, at) for at in range(data, data + count * _VALUE, _VALUE)]

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        resources.hand_over(len(value) * weight)
        data = create(address, len(value))
        for i, item in enumerate(value):
            element.lower(resources, data + i * _VALUE, item)

    return Codec(lift, lower, _LIST_WEIGHT)


def _tuple(elements: Sequence[Codec]) -> Codec:
    header, create = _sequence("TUPLE", ffi.valtuple_new_uninit)

    def lift(resources: Any, address: int) -> tuple[Any, ...]:
        _, data = header(address)
        return tuple([one.lift(resources, data + i * _VALUE) for i, one in enumerate(elements)])

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        data = create(address, len(elements))
        for i, (one, item) in enumerate(zip(elements, value, strict=True)):
            one.lower(resources, data + i * _VALUE, item)

    return Codec(lift, lower, 1 + sum(one.weight for one in elements))


def _record(fields: Sequence[tuple[str, Codec]]) -> Codec:
    tag = ffi.kind("RECORD")
    size, value_at = ffi.ENTRY_SIZE, ffi.ENTRY_VALUE
    names = [name.encode() for name, _ in fields]
    codecs = [codec for _, codec in fields]
    blank = bytes(size) * len(fields)

    def lift(resources: Any, address: int) -> tuple[Any, ...]:
        data = _two_words(_memory, address + _PAYLOAD)[1] + value_at
        return tuple([codec.lift(resources, data + i * size) for i, codec in enumerate(codecs)])

    def lower(resources: Any, address: int, value: Sequence[Any]) -> None:
        ffi.valrecord_new_uninit(address + _PAYLOAD, len(codecs))
        data = _two_words(_memory, address + _PAYLOAD)[1]
        _memory[data : data + len(blank)] = blank
        for i, name in enumerate(names):
            ffi.byte_vec_new(data + i * size, len(name), name)
        _memory[address] = tag
        for i, (codec, item) in enumerate(zip(codecs, value, strict=True)):
            codec.lower(resources, data + i * size + value_at, item)

    return Codec(lift, lower, 1 + sum(codec.weight for codec in codecs))


#: A value that any other may be written over.
_BLANK = ctypes.create_string_buffer(_VALUE)
_BLANK_ADDRESS = ctypes.addressof(_BLANK)


def _boxed(codec: Codec | None, resources: Any, value: Any) -> int:
    """A value on the heap, as options, results and variants hold theirs; 0 where the case carries none."""
    if codec is None:
        return 0
    address = int(ffi.val_new(_BLANK_ADDRESS))
    try:
        codec.lower(resources, address, value)
    except BaseException:
        ffi.val_delete(address)
        raise
    return address


def _most(payloads: Iterable[Codec | None]) -> int:
    return max(0 if one is None else one.weight for one in payloads)


def _option(payload: Codec) -> Codec:
    tag = ffi.kind("OPTION")

    def lift(resources: Any, address: int) -> Any:
        (inner,) = _word(_memory, address + _PAYLOAD)
        return payload.lift(resources, inner) if inner else None

    def lower(resources: Any, address: int, value: Any) -> None:
        inner = 0 if value is None else _boxed(payload, resources, value)
        _pack_one(_memory, address, tag, inner)

    return Codec(lift, lower, 1 + payload.weight)


def _result(ok: Codec | None, err: Codec | None) -> Codec:
    tag = ffi.kind("RESULT")
    at = _PAYLOAD + ffi.RESULT_VALUE

    def lift(resources: Any, address: int) -> Ok | Err:
        is_ok = _memory[address + _PAYLOAD] != 0
        (inner,) = _word(_memory, address + at)
        codec = ok if is_ok else err
        value = codec.lift(resources, inner) if codec is not None and inner else None
        return Ok(value) if is_ok else Err(value)

    def lower(resources: Any, address: int, value: Ok | Err) -> None:
        is_ok = isinstance(value, Ok)
        inner = _boxed(ok if is_ok else err, resources, value.value)
        _pack_two(_memory, address, tag, is_ok, inner)

    return Codec(lift, lower, 1 + _most([ok, err]))


def _variant(cases: dict[str, Codec | None]) -> Codec:
    tag = ffi.kind("VARIANT")
    at = _PAYLOAD + ffi.VARIANT_VALUE

    def lift(resources: Any, address: int) -> Case:
        name = _read_name(address + _PAYLOAD)
        codec = cases[name]
        (inner,) = _word(_memory, address + at)
        return Case(name, codec.lift(resources, inner) if codec is not None else None)

    def lower(resources: Any, address: int, value: Case) -> None:
        name = value.name.encode()
        inner = _boxed(cases[value.name], resources, value.value)
        ffi.byte_vec_new(address + _PAYLOAD, len(name), name)
        _pack_word(_memory, address + at, inner)
        _memory[address] = tag

    return Codec(lift, lower, 1 + _most(cases.values()))


def _enum(names: Sequence[str]) -> Codec:
    tag = ffi.kind("ENUM")
    encoded = {name: name.encode() for name in names}

    def lift(_: Any, address: int) -> str:
        return _read_name(address + _PAYLOAD)

    def lower(_: Any, address: int, value: str) -> None:
        name = encoded[value]
        ffi.byte_vec_new(address + _PAYLOAD, len(name), name)
        _memory[address] = tag

    return Codec(lift, lower)


def _flags(names: Sequence[str]) -> Codec:
    tag = ffi.kind("FLAGS")
    encoded = {name: name.encode() for name in names}

    def lift(_: Any, address: int) -> frozenset[str]:
        count, data = _two_words(_memory, address + _PAYLOAD)
        return frozenset(_read_name(data + i * 16) for i in range(count))

    def lower(_: Any, address: int, value: frozenset[str]) -> None:
        chosen = [encoded[name] for name in value]
        ffi.valflags_new_uninit(address + _PAYLOAD, len(chosen))
        data = _two_words(_memory, address + _PAYLOAD)[1]
        for i, name in enumerate(chosen):
            ffi.byte_vec_new(data + i * 16, len(name), name)
        _memory[address] = tag

    return Codec(lift, lower, 1 + len(names))


def _resource(type_id: int, owned: bool) -> Codec:
    tag = ffi.kind("RESOURCE")

    def lift(resources: Any, address: int) -> Any:
        (handle,) = _word(_memory, address + _PAYLOAD)
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
        _pack_one(_memory, address, tag, handle.value or 0)

    return Codec(lift, lower, _HANDLE_WEIGHT)


_SIMPLE = {
    **{ty: _scalar(kind, form) for ty, (kind, form) in _NUMBERS.items()},
    wc.String: _string(),
    wc.Char: _character(),
}
#: Lists by their elements.
_LISTS = {**{ty: _numbers(kind, form) for ty, (kind, form) in _NUMBERS.items()}, wc.U8: _bytes()}


def codec_of(ty: wc.ValType, resource_id: Callable[[wc.ResourceType], int]) -> Codec:
    """The codec of a component type. Raises TypeError for types that no host function here uses (streams, futures)."""

    def of(inner: wc.ValType) -> Codec:
        return codec_of(inner, resource_id)

    def of_optional(inner: wc.ValType | None) -> Codec | None:
        return None if inner is None else of(inner)

    if type(ty) in _SIMPLE:
        return _SIMPLE[type(ty)]
    match ty:
        case wc.ListType():
            return _LISTS.get(type(ty.element)) or _list(of(ty.element))
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
