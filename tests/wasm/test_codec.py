"""Values cross between host and guest unchanged, whatever their type; a value that does not fit never crosses."""

from __future__ import annotations

import asyncio
import math
import random
import struct
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.wasm.codec import _BLOCK
from durable.wasm.engine import EpochTicker
from durable.wasm.fiber import GuestLimits
from durable.wasm.resources import MAX_VALUES
from durable.wasm.traps import GuestLimit
from durable.wasm.values import Case, Err, Ok
from tests.wasm.echo import (
    SCALARS,
    TYPES,
    Echoes,
    EchoType,
    EnumOf,
    FlagsOf,
    ListOf,
    OptionOf,
    RecordOf,
    ResultOf,
    Scalar,
    TupleOf,
    VariantOf,
)
from tests.wasm.guests import HostCall, HostInterface
from tests.wasm.machine import MIB, Machine

U8, STRING = Scalar("u8"), Scalar("string")
#: As `struct` names them.
_NUMBERS = {
    "s8": "b", "s16": "h", "u16": "H", "s32": "i", "u32": "I", "s64": "q", "u64": "Q", "f32": "f", "f64": "d",
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ty=TYPES, data=st.data())
def test_values_of_any_type_come_back_as_they_were(echoes: Echoes, ty: EchoType, data: st.DataObject) -> None:
    values = data.draw(ListOf(ty).values())
    assert echoes.of(ty).send(values) == values


@pytest.mark.parametrize("ty", SCALARS, ids=lambda ty: ty.name)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_scalar_comes_back_as_it_was(echoes: Echoes, ty: Scalar, data: st.DataObject) -> None:
    values = data.draw(ListOf(ty).values())
    assert echoes.of(ty).send(values) == values


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_integers_reach_both_their_limits(echoes: Echoes, bits: int) -> None:
    unsigned, signed = [0, 2**bits - 1], [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    assert list(echoes.of(Scalar(f"u{bits}")).send(unsigned)) == unsigned
    assert echoes.of(Scalar(f"s{bits}")).send(signed) == signed


def test_floats_keep_their_sign_their_infinities_and_not_a_number(echoes: Echoes) -> None:
    for name in ("f32", "f64"):
        values = echoes.of(Scalar(name)).send([-0.0, math.inf, -math.inf, math.nan])
        assert math.copysign(1, values[0]) == -1
        assert values[1:3] == [math.inf, -math.inf]
        assert math.isnan(values[3])


def test_strings_hold_characters_of_every_width(echoes: Echoes) -> None:
    texts = ["", "\0", "é\0€", "𐍈😀", "a" * 70_000 + "😀"]
    assert echoes.of(STRING).send(texts) == texts


def test_lists_of_bytes_are_bytes(echoes: Echoes) -> None:
    sizes = (_BLOCK - 1, _BLOCK, _BLOCK + 1, 3 * _BLOCK, 100_000)
    blobs = [b"", bytes(range(256)), *(random.Random(size).randbytes(size) for size in sizes)]
    returned = echoes.of(ListOf(U8)).send(blobs)
    assert returned == blobs
    assert all(type(blob) is bytes for blob in returned)


def test_a_large_variant_tells_all_its_cases_apart(echoes: Echoes) -> None:
    cases = [Case(f"c{i}", None if i % 2 else i) for i in range(300)]
    ty = VariantOf(tuple(None if i % 2 else Scalar("u32") for i in range(300)))
    assert echoes.of(ty).send(cases) == cases


@pytest.mark.parametrize("ty", [Scalar(name) for name in _NUMBERS], ids=repr)
def test_lists_of_numbers_keep_the_order_of_many(echoes: Echoes, ty: Scalar) -> None:
    number = struct.Struct(f"={_NUMBERS[ty.name]}")
    chance = random.Random(7)
    drawn = [number.unpack(chance.randbytes(number.size))[0] for _ in range(1000)]
    values = [0 if math.isnan(value) else value for value in drawn]
    assert echoes.of(ty).send(values) == values


# -- how much one call hands over ------------------------------------------------------------------------------------
COUNTED: list[tuple[EchoType, int]] = [
    (STRING, 1),
    (ListOf(U8), 2),
    (ListOf(STRING), 2),
    (EnumOf(2), 1),
    (OptionOf(STRING), 2),
    (TupleOf((STRING, U8)), 3),
    (RecordOf((STRING, TupleOf((U8, U8)))), 5),
    (VariantOf((None, STRING, TupleOf((U8, U8)))), 4),
    (ResultOf(None, STRING), 2),
    (FlagsOf(2), 3),
]
#: What one past the most meets, in each direction.
TOO_MUCH = rf"more than {MAX_VALUES} values in lists .* in several calls"


@pytest.mark.parametrize(("ty", "weight"), COUNTED, ids=repr)
def test_one_call_hands_over_so_many_values_at_most(echoes: Echoes, ty: EchoType, weight: int) -> None:
    echo, most = echoes.of(ty), MAX_VALUES // weight
    assert len(echo.make(most)) == most
    with pytest.raises(GuestLimit, match=TOO_MUCH):
        echo.make(most + 1)
    assert echo.returned == []


def test_one_call_is_given_so_many_values_at_most(echoes: Echoes) -> None:
    texts = ["x"] * MAX_VALUES
    assert echoes.of(STRING).send(texts) == texts
    with pytest.raises(GuestLimit, match=TOO_MUCH):
        echoes.of(STRING).send([*texts, "x"])


def test_the_values_of_lists_within_lists_count_together(echoes: Echoes) -> None:
    echo = echoes.of(ListOf(STRING))
    inner = ["x"] * (MAX_VALUES // 3 - 2)
    assert echo.send([inner] * 3) == [inner] * 3
    with pytest.raises(GuestLimit, match=TOO_MUCH):
        echo.send([inner, inner, [*inner, "x"]])


@pytest.mark.parametrize("ty", [Scalar("f32"), U8, Scalar("bool")], ids=repr)
def test_numbers_do_not_count(echoes: Echoes, ty: EchoType) -> None:
    assert list(echoes.of(ty).make(MAX_VALUES + 1)) == [0] * (MAX_VALUES + 1)


@pytest.mark.parametrize(("size", "fits"), [(128 * MIB, True), (128 * MIB + 1, False)])
def test_one_call_hands_over_128_mib_of_text_at_most(
    engine: wasmtime.Engine, ticker: EpochTicker, size: int, fits: bool
) -> None:
    text = HostInterface("test:text/text", [HostCall("put", '(func (param "text" string))', "(param i32 i32)")])
    sizes: list[int] = []
    machine = Machine(engine, ticker, text, {"put": lambda _, text: sizes.append(len(text))})
    body = f'(func (export "run") (result i32) (call $put (i32.const 0) (i32.const {size})) (i32.const 0))'
    run = machine.run(machine.program(body, pages=2049), limits=GuestLimits(memory=129 * MIB, cpu=60))
    if fits:
        asyncio.run(run)
    else:
        with pytest.raises(GuestLimit, match="too much data is being copied"):
            asyncio.run(run)
    assert sizes == [size] * fits


def test_every_call_may_hand_over_as_much_again(echoes: Echoes) -> None:
    echo = echoes.of(STRING)
    for _ in range(2):
        assert len(echo.send(["x"] * (MAX_VALUES - 1))) == MAX_VALUES - 1


# -- what does not fit -----------------------------------------------------------------------------------------------
#: None of them is a GuestTrap: it is not the guest that did wrong.
HOST_ERRORS = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, struct.error)
RECORD, PAIR = RecordOf((U8, STRING)), TupleOf((U8, U8))
UNFIT: list[tuple[EchoType, Any]] = [
    *[(Scalar(f"u{bits}"), value) for bits in (8, 16, 32, 64) for value in (-1, 2**bits, 2**bits + 44, 10**30)],
    *[(Scalar(f"s{bits}"), value) for bits in (8, 16, 32, 64) for value in (-(2 ** (bits - 1)) - 1, 2 ** (bits - 1))],
    (U8, 1.0),
    (U8, "1"),
    (U8, None),
    (Scalar("f32"), 1e39),
    (Scalar("f64"), "1"),
    (Scalar("char"), ""),
    (Scalar("char"), "ab"),
    (Scalar("char"), "\ud800"),
    (Scalar("char"), "\udfff"),
    (STRING, "\ud800"),
    (STRING, b"bytes"),
    (ListOf(U8), [256]),
    (ListOf(U8), [-1]),
    (ListOf(U8), "text"),
    (ListOf(Scalar("u16")), [1, 65536]),
    (ListOf(Scalar("s64")), [1, 2**63]),
    (ListOf(Scalar("s32")), [1, 1.0]),
    (ListOf(Scalar("f32")), [1.0, 1e39]),
    (ListOf(Scalar("f64")), [1.0, None]),
    (EnumOf(2), "e2"),
    (FlagsOf(2), frozenset({"b2"})),
    (VariantOf((U8, None)), Case("c2")),
    (VariantOf((U8, None)), Case("c0", 256)),
    (VariantOf((U8, None)), "c1"),
    (OptionOf(U8), 256),
    (ResultOf(U8, None), Ok(256)),
    (ResultOf(None, U8), Err(256)),
    (ResultOf(Scalar("u32"), Scalar("bool")), True),
    (RECORD, (1,)),
    (RECORD, (1, "a", 2)),
    (RECORD, (256, "a")),
    (PAIR, (1,)),
    (PAIR, (1, 2, 3)),
]


@pytest.mark.parametrize(("ty", "value"), UNFIT, ids=repr)
def test_a_value_that_does_not_fit_is_an_error_of_the_host_and_never_reaches_the_guest(
    echoes: Echoes, ty: EchoType, value: Any
) -> None:
    echo = echoes.of(ty)
    with pytest.raises(HOST_ERRORS):
        echo.send([value])
    assert echo.returned == []
