"""Values of any component type sent through a guest: the host gives a list of them, the guest hands it back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import wasmtime
from hypothesis import strategies as st

from durable.wasm.engine import EpochTicker
from durable.wasm.fiber import GuestLimits
from durable.wasm.linker import HostFunction
from durable.wasm.program import Program
from durable.wasm.values import Case, Err, Ok
from tests.wasm.guests import HostCall, HostInterface
from tests.wasm.machine import Machine

Values = st.SearchStrategy[Any]


@dataclass
class Declarations:
    """Types that WIT wants to have a name: each is declared and exported."""

    lines: list[str] = field(default_factory=list)

    def name(self, definition: str) -> str:
        number = len(self.lines)
        self.lines.append(
            f'(type $defined{number} {definition}) (export "t{number}" (type $t{number} (eq $defined{number})))'
        )
        return f"$t{number}"


class EchoType:
    """A component type: how it is written in WAT, and values of it in Python."""

    def wat(self, declarations: Declarations) -> str:
        raise NotImplementedError

    def values(self) -> Values:
        raise NotImplementedError


@dataclass(frozen=True)
class Scalar(EchoType):
    name: str

    def wat(self, declarations: Declarations) -> str:
        return self.name

    def values(self) -> Values:
        return _SCALARS[self.name]


def integers(bits: int, signed: bool) -> Values:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.sampled_from([least, least + 1, most - 1, most]) | st.integers(least, most)


_CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
)

_SCALARS: dict[str, Values] = {
    **{f"u{bits}": integers(bits, signed=False) for bits in (8, 16, 32, 64)},
    **{f"s{bits}": integers(bits, signed=True) for bits in (8, 16, 32, 64)},
    "f32": st.floats(width=32, allow_nan=False),
    "f64": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "char": _CHARACTERS,
    "string": st.text(_CHARACTERS, max_size=20),
}
SCALARS = [Scalar(name) for name in _SCALARS]


@dataclass(frozen=True)
class ListOf(EchoType):
    element: EchoType

    def wat(self, declarations: Declarations) -> str:
        return f"(list {self.element.wat(declarations)})"

    def values(self) -> Values:
        if self.element == Scalar("u8"):
            return st.binary(max_size=20)
        return st.lists(self.element.values(), max_size=4)


@dataclass(frozen=True)
class TupleOf(EchoType):
    elements: tuple[EchoType, ...]

    def wat(self, declarations: Declarations) -> str:
        return f"(tuple {' '.join(element.wat(declarations) for element in self.elements)})"

    def values(self) -> Values:
        return st.tuples(*[element.values() for element in self.elements])


@dataclass(frozen=True)
class RecordOf(EchoType):
    fields: tuple[EchoType, ...]

    def wat(self, declarations: Declarations) -> str:
        fields = " ".join(f'(field "f{i}" {one.wat(declarations)})' for i, one in enumerate(self.fields))
        return declarations.name(f"(record {fields})")

    def values(self) -> Values:
        return st.tuples(*[one.values() for one in self.fields])


@dataclass(frozen=True)
class OptionOf(EchoType):
    payload: EchoType

    def wat(self, declarations: Declarations) -> str:
        return f"(option {self.payload.wat(declarations)})"

    def values(self) -> Values:
        return st.none() | self.payload.values()


@dataclass(frozen=True)
class ResultOf(EchoType):
    ok: EchoType | None
    err: EchoType | None

    def wat(self, declarations: Declarations) -> str:
        ok = "" if self.ok is None else self.ok.wat(declarations)
        err = "" if self.err is None else f"(error {self.err.wat(declarations)})"
        return f"(result {ok} {err})"

    def values(self) -> Values:
        return st.builds(Ok, _payload(self.ok)) | st.builds(Err, _payload(self.err))


@dataclass(frozen=True)
class VariantOf(EchoType):
    cases: tuple[EchoType | None, ...]

    def wat(self, declarations: Declarations) -> str:
        cases = " ".join(
            f'(case "c{i}" {"" if payload is None else payload.wat(declarations)})'
            for i, payload in enumerate(self.cases)
        )
        return declarations.name(f"(variant {cases})")

    def values(self) -> Values:
        return st.one_of(*[st.builds(Case, st.just(f"c{i}"), _payload(one)) for i, one in enumerate(self.cases)])


@dataclass(frozen=True)
class EnumOf(EchoType):
    size: int

    def wat(self, declarations: Declarations) -> str:
        return declarations.name("(enum " + " ".join(f'"e{i}"' for i in range(self.size)) + ")")

    def values(self) -> Values:
        return st.sampled_from([f"e{i}" for i in range(self.size)])


@dataclass(frozen=True)
class FlagsOf(EchoType):
    size: int

    def wat(self, declarations: Declarations) -> str:
        return declarations.name("(flags " + " ".join(f'"b{i}"' for i in range(self.size)) + ")")

    def values(self) -> Values:
        return st.frozensets(st.sampled_from([f"b{i}" for i in range(self.size)]))


def _payload(ty: EchoType | None) -> Values:
    return st.none() if ty is None else ty.values()


def _compound(inner: st.SearchStrategy[EchoType]) -> st.SearchStrategy[EchoType]:
    some = st.lists(inner, min_size=1, max_size=4).map(tuple)
    optional = st.none() | inner
    return st.one_of(
        st.builds(ListOf, inner),
        st.builds(TupleOf, some),
        st.builds(RecordOf, some),
        # An option within an option has no Python shape: both say None.
        st.builds(OptionOf, inner.filter(lambda ty: not isinstance(ty, OptionOf))),
        st.builds(ResultOf, optional, optional),
        st.builds(VariantOf, st.lists(optional, min_size=1, max_size=4).map(tuple)),
    )


#: Component types of all kinds, nested.
TYPES: st.SearchStrategy[EchoType] = st.recursive(
    st.sampled_from(SCALARS) | st.builds(EnumOf, st.integers(1, 300)) | st.builds(FlagsOf, st.integers(1, 32)),
    _compound,
    max_leaves=8,
)


class Echo:
    """A guest that takes a list of values of one type from the host and gives it back."""

    def __init__(self, engine: wasmtime.Engine, ticker: EpochTicker, ty: EchoType) -> None:
        declarations = Declarations()
        listed = f"(list {ty.wat(declarations)})"
        interface = HostInterface(
            "test:echo/echo",
            [
                HostCall("get", f"(func (result {listed}))", "(param i32)"),
                HostCall("put", f'(func (param "values" {listed}))', "(param i32 i32)"),
            ],
            types="\n".join(declarations.lines),
        )
        self._given: Sequence[Any] = ()
        self.returned: list[Any] = []
        functions: dict[str, HostFunction] = {
            "get": lambda _: self._given,
            "put": lambda _, values: self.returned.append(values),
        }
        self._machine = Machine(engine, ticker, interface, functions)
        self._program: Program = self._machine.program(_BODY)

    def make(self, count: int) -> Any:
        """What comes from the guest when it makes a list of so many values itself, each of zeros."""
        self.returned = []
        made = f"(call $put (i32.const {_ZEROS}) (i32.const {count}))"
        program = self._machine.program(f'(func (export "run") (result i32) {made} (i32.const 0))', pages=_PAGES)
        asyncio.run(self._machine.run(program, limits=GuestLimits(memory=_PAGES << 16, cpu=60)))
        [returned] = self.returned
        return returned

    def send(self, values: Sequence[Any]) -> Any:
        """What comes back for these values. Raises what the host's own conversion raises."""
        self._given, self.returned = values, []
        asyncio.run(self._machine.run(self._program, limits=GuestLimits(memory=_PAGES << 16, cpu=60)))
        [returned] = self.returned
        return returned


#: Pages of memory: room for values of 24 bytes, as many as one call hands over.
_PAGES, _ZEROS = 256, 1 << 16
_BODY = """
    (func (export "run") (result i32)
        (call $get (i32.const 8))
        (call $put (i32.load (i32.const 8)) (i32.load (i32.const 12)))
        (i32.const 0))
"""


class Echoes:
    """One guest per type, since making one takes longer than using it."""

    def __init__(self, engine: wasmtime.Engine, ticker: EpochTicker) -> None:
        self._engine = engine
        self._ticker = ticker
        self._known: dict[EchoType, Echo] = {}

    def of(self, ty: EchoType) -> Echo:
        if ty not in self._known:
            self._known[ty] = Echo(self._engine, self._ticker, ty)
        return self._known[ty]
