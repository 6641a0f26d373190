"""Values of WIT types as a plugin's Python sees them, and as JSON in a journal.

The Python shapes are those of durable.wasm.values; a plugin may write some of them more freely: a record as a mapping,
a case without a payload as its name. `encode` checks as it goes, so that a plugin's mistake is told by name, before
anything is recorded; `decode` gives the one form that a first run and every replay hand to the guest.
"""

from __future__ import annotations

import base64
import keyword
import math
import operator
import struct
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wasmtime import component as wc

from durable.wasm.values import Case, Err, Ok

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How values of one type cross: `present` an argument, `encode` a result to what json.dumps takes, `decode` it.

    `encode` raises TypeError or ValueError for a value that is not of the type. Handles pass through all three, which
    is why a type that contains one is not `recordable`.
    """

    present: Convert
    encode: Convert
    decode: Convert
    recordable: bool = True


def _same(value: Any) -> Any:
    return value


def _refuse(value: Any, wanted: str) -> TypeError:
    return TypeError(f"{type(value).__name__} {repr(value)[:80]} where WIT has {wanted}")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _refuse(value, "a bool")
    return value


def _integer(name: str, bits: int, signed: bool) -> Shape:
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def encode(value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise _refuse(value, name)
        number = operator.index(value)
        if not least <= number <= most:
            raise ValueError(f"{number} is out of the range of {name}")
        return number

    return Shape(_same, encode, _same)


def _float(form: str, name: str) -> Shape:
    packing = struct.Struct(form)

    def encode(value: Any) -> float | str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _refuse(value, name)
        try:
            (number,) = packing.unpack(packing.pack(value))
        except OverflowError:
            raise ValueError(f"{value} is out of the range of {name}") from None
        # JSON has neither infinities nor NaN, and jsonb no negative zero.
        special = not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0)
        return repr(number) if special else float(number)

    return Shape(_same, encode, float)


def _encode_string(value: Any) -> Any:
    if not isinstance(value, str):
        raise _refuse(value, "a string")
    encoded = value.encode()  # raises for a surrogate, which is no character
    # jsonb refuses U+0000 in a string.
    return {"base64": base64.b64encode(encoded).decode()} if "\0" in value else value


def _decode_string(value: Any) -> str:
    return value if isinstance(value, str) else base64.b64decode(value["base64"]).decode()


def _encode_character(value: Any) -> Any:
    if not isinstance(value, str) or len(value) != 1:
        raise _refuse(value, "a char")
    return _encode_string(value)


def _encode_bytes(value: Any) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _refuse(value, "list<u8>, which is bytes")
    return base64.b64encode(value).decode()


def _nothing(value: Any) -> None:
    if value is not None:
        raise _refuse(value, "nothing")


def _object(value: Any) -> Any:
    if value is None:
        raise _refuse(value, "a resource")
    return value


_NAMED: dict[type, Shape] = {
    **{
        ty: _integer(ty.__name__.lower(), bits, signed)
        for signed, types in ((True, (wc.S8, wc.S16, wc.S32, wc.S64)), (False, (wc.U8, wc.U16, wc.U32, wc.U64)))
        for bits, ty in zip((8, 16, 32, 64), types, strict=True)
    },
    wc.F32: _float("<f", "f32"),
    wc.F64: _float("<d", "f64"),
    wc.Bool: Shape(_same, _boolean, _same),
    wc.Char: Shape(_same, _encode_character, _decode_string),
    wc.String: Shape(_same, _encode_string, _decode_string),
}
_BYTES = Shape(_same, _encode_bytes, base64.b64decode)
_NOTHING = Shape(_same, _nothing, _same)
_HANDLE = Shape(_same, _object, _same, recordable=False)


def _list(element: Shape) -> Shape:
    def encode(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise _refuse(value, "a list")
        return [element.encode(item) for item in value]

    def each(convert: Convert) -> Convert:
        return lambda values: [convert(item) for item in values]

    return Shape(each(element.present), encode, each(element.decode), element.recordable)


def _tuple(elements: Sequence[Shape]) -> Shape:
    def encode(value: Any) -> list[Any]:
        if not isinstance(value, tuple | list) or len(value) != len(elements):
            raise _refuse(value, f"a tuple of {len(elements)}")
        return [one.encode(item) for one, item in zip(elements, value, strict=True)]

    def each(converts: Sequence[Convert]) -> Convert:
        return lambda values: tuple(convert(item) for convert, item in zip(converts, values, strict=True))

    return Shape(
        each([one.present for one in elements]), encode, each([one.decode for one in elements]), _all(elements)
    )


def _record(fields: Sequence[tuple[str, Shape]]) -> Shape:
    names, shapes = [name for name, _ in fields], [shape for _, shape in fields]
    attributes = [_attribute(name) for name in names]
    # Not typing.NamedTuple: the fields are known only now. A field that Python cannot have as an attribute gets _N.
    row: Any = namedtuple("record", attributes, rename=True)  # type: ignore[misc]

    def encode(value: Any) -> dict[str, Any]:
        if isinstance(value, Mapping):
            given = {_attribute(str(key)): item for key, item in value.items()}
            if set(given) != set(attributes):
                raise _refuse(value, f"a record of {', '.join(names)}")
            value = [given[attribute] for attribute in attributes]
        if not isinstance(value, tuple | list) or len(value) != len(names):
            raise _refuse(value, f"a record of {', '.join(names)}")
        return {name: shape.encode(item) for name, shape, item in zip(names, shapes, value, strict=True)}

    def present(value: Any) -> Any:
        return row(*[shape.present(item) for shape, item in zip(shapes, value, strict=True)])

    def decode(value: Any) -> tuple[Any, ...]:
        return tuple(shape.decode(value[name]) for name, shape in fields)

    return Shape(present, encode, decode, _all(shapes))


def _attribute(name: str) -> str:
    name = name.replace("-", "_")
    return name + "_" if keyword.iskeyword(name) else name


def _option(payload: Shape) -> Shape:
    def optional(convert: Convert) -> Convert:
        return lambda value: None if value is None else convert(value)

    return Shape(optional(payload.present), optional(payload.encode), optional(payload.decode), payload.recordable)


def _result(ok: Shape, err: Shape) -> Shape:
    def present(value: Ok | Err) -> Ok | Err:
        return Ok(ok.present(value.value)) if isinstance(value, Ok) else Err(err.present(value.value))

    def encode(value: Any) -> dict[str, Any]:
        match value:
            case Ok():
                return {"Ok": ok.encode(value.value)}
            case Err():
                return {"Err": err.encode(value.value)}
        raise _refuse(value, "a result, which is Ok(…) or Err(…)")

    def decode(value: Any) -> Ok | Err:
        return Ok(ok.decode(value["Ok"])) if "Ok" in value else Err(err.decode(value["Err"]))

    return Shape(present, encode, decode, ok.recordable and err.recordable)


def _variant(cases: Mapping[str, Shape]) -> Shape:
    def present(value: Case) -> Case:
        return Case(value.name, cases[value.name].present(value.value))

    def encode(value: Any) -> dict[str, Any]:
        case = Case(value) if isinstance(value, str) else value
        if not isinstance(case, Case) or case.name not in cases:
            raise _refuse(value, f"one of the cases {', '.join(cases)}")
        return {case.name: cases[case.name].encode(case.value)}

    def decode(value: Any) -> Case:
        [(name, payload)] = value.items()
        return Case(name, cases[name].decode(payload))

    return Shape(present, encode, decode, _all(list(cases.values())))


def _enum(names: Sequence[str]) -> Shape:
    def checked(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise _refuse(value, f"one of {', '.join(names)}")
        return str(value)

    return Shape(_same, checked, checked)


def _flags(names: Sequence[str]) -> Shape:
    def encode(value: Any) -> list[str]:
        if isinstance(value, str) or not isinstance(value, Iterable) or not set(given := list(value)) <= set(names):
            raise _refuse(value, f"some of {', '.join(names)}")
        return [name for name in names if name in given]

    return Shape(_same, encode, frozenset)


def _all(shapes: Sequence[Shape]) -> bool:
    return all(shape.recordable for shape in shapes)


def shape_of(ty: wc.ValType | None) -> Shape:
    """The shape of a type; of None, the type of a function without a result.

    Raises TypeError for a type whose values have no shape in Python.
    """
    match ty:
        case None:
            return _NOTHING
        case wc.ListType():
            return _BYTES if isinstance(ty.element, wc.U8) else _list(shape_of(ty.element))
        case wc.TupleType():
            return _tuple([shape_of(element) for element in ty.elements])
        case wc.RecordType():
            return _record([(name, shape_of(field)) for name, field in ty.fields])
        case wc.OptionType():
            if isinstance(ty.payload, wc.OptionType):
                raise TypeError("an option of an option: both would be None")
            return _option(shape_of(ty.payload))
        case wc.ResultType():
            return _result(shape_of(ty.ok), shape_of(ty.err))
        case wc.VariantType():
            return _variant({name: shape_of(payload) for name, payload in ty.cases})
        case wc.EnumType():
            return _enum(ty.names)
        case wc.FlagsType():
            return _flags(ty.names)
        case wc.OwnType() | wc.BorrowType():
            return _HANDLE
    if type(ty) in _NAMED:
        return _NAMED[type(ty)]
    raise TypeError(f"{type(ty).__name__.removesuffix('Type').lower()} is a type that no plugin can have")
