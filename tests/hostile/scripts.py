"""Random scripts for the puppet: arguments at the edges of their types; handles that are good, stale or invented."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass, field

from wasmtime import component as wc

from durable.store.pg_types import SHAPES
from tests.hostile.puppet import (
    PAYLOAD,
    SCRATCH,
    SCRATCH_END,
    STORE,
    Argument,
    Command,
    Import,
    Literal,
    Result,
    Word,
    flat,
)

#: What strings and lists may point at. `\xed\xa0\x80` is half of a surrogate pair, `\xff` never occurs in UTF-8.
TEXTS = [
    b'"ok"', b"{}", b'{"type":"value","data":1e400}', b'"\\ud800"', b'"\\u0000"', b"[" * 40, b"NaN", b"", b"label",
    b"\xed\xa0\x80", b"\xff\xfe", b"\xc3", b"a\0b", "grüße".encode(), b"SELECT 1", b"SELECT $1::int, 'x'",
    b"COMMIT", b"ROLLBACK", b"SELECT pg_terminate_backend(pg_backend_pid())", b"COPY durable.task TO STDOUT",
    b"SELECT 1; SELECT 2", b"SET statement_timeout = 0", b"http://127.0.0.1:1/", b"http://[::1", b"HTTP://a:99999/",
    b"POST", b"G T", b"int4",
    b"pg_catalog", b"x-name", b"a: b\r\nc: d",
]  # fmt: skip
_NUMBERS = [
    0,
    1,
    2,
    3,
    7,
    255,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    16 << 20,
    (16 << 20) + 1,
    SCRATCH,
    SCRATCH_END,
]
_WIDE = [*_NUMBERS, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**9, 1_767_323_045_000_000_000]
#: NaN with a payload, a signalling NaN, infinities, -0.0, the smallest number: their bits.
_FLOATS = [0x7FC00001, 0x7F800001, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x3F800000]
_DOUBLES = [0x7FF8000000000001, 0x7FF0000000000001, 0x7FF0000000000000, 0xFFF0000000000000, 1 << 63, 1]
_HEAP = 2 << 20  # zeros as far as anybody knows

_FAVOURED = ("durable:core/", "wasi:io/", "wasi:clocks/", "wasi:random/")


@dataclass
class Script:
    """Commands so far, and what they gave: (resource type, where its handle is)."""

    chance: random.Random
    offered: list[Import]
    commands: list[Command] = field(default_factory=list)
    payload: str = ""
    calling: str = ""
    handles: list[tuple[object, Argument]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    _texts: list[tuple[int, int]] = field(default_factory=list)
    _free: int = SCRATCH

    # -- memory -------------------------------------------------------------------------------------------------------
    def put(self, data: bytes) -> int:
        """Bytes into the scratch memory; their address."""
        at, padded = self._free, data + b"\0" * (-len(data) % 4)
        for offset in range(0, len(padded), 4):
            word = int.from_bytes(padded[offset : offset + 4], "little")
            self.commands.append((STORE, [Literal(at + offset), Literal(word)]))
        self._free += len(padded) + 4
        return at

    def text(self) -> list[Argument]:
        """Pointer and length of a string or of bytes: mostly a good one."""
        draw = self.chance.random()
        if draw < 0.04:
            return [self.word(), self.word()]
        if draw > (0.1 if self.calling.endswith("deserialize") else 0.9):
            return [Literal(PAYLOAD), Literal(len(self.payload))]
        if draw < 0.08:
            return [Literal(_HEAP), Literal(self.chance.choice([16 << 20, 1 << 20, 70_000]))]
        if not self._texts or (draw < 0.5 and len(self._texts) < 6):
            data = self.chance.choice(TEXTS)
            self._texts.append((self.put(data), len(data)))
        at, size = self.chance.choice(self._texts)
        return [Literal(at), Literal(size)]

    # -- values -------------------------------------------------------------------------------------------------------
    def word(self) -> Argument:
        return Literal(self.chance.choice([*_NUMBERS, self.chance.getrandbits(32)]))

    def raw(self, part: str) -> Argument:
        """Anything that fits."""
        match part:
            case "i64":
                return Literal(self.chance.choice([*_WIDE, self.chance.getrandbits(64)]))
            case "f32":
                return Literal(self.chance.choice(_FLOATS))
            case "f64":
                return Literal(self.chance.choice(_DOUBLES))
        return self.word()

    def value(self, ty: wc.ValType) -> list[Argument]:
        """A value of this type as a hostile but able program would make it."""
        match ty:
            case wc.String():
                return self.text()
            case wc.ListType():
                return self.text() if isinstance(ty.element, wc.U8) else self.list_of(ty.element)
            case wc.OwnType() | wc.BorrowType():
                return [self.handle(ty.ty)]
            case wc.Bool():
                return [Literal(self.chance.randrange(3))]
            case wc.RecordType():
                return [part for _, inner in ty.fields for part in self.value(inner)]
            case wc.TupleType():
                return [part for inner in ty.elements for part in self.value(inner)]
            case wc.OptionType():
                return [Literal(self.chance.randrange(2)), *self.value(ty.payload)]
            case wc.EnumType():
                wrong = self.chance.random() < 0.05
                return [Literal(len(ty.names) if wrong else self.chance.randrange(len(ty.names)))]
        return [self.raw(part) for part in flat(ty)]

    def list_of(self, element: wc.ValType) -> list[Argument]:
        """Of handles that were given, or whatever lies in memory."""
        if isinstance(element, wc.OwnType | wc.BorrowType) and self.chance.random() < 0.8:
            at, count = self._free, self.chance.randrange(4)
            self._free += 16
            for number in range(count):
                self.commands.append((STORE, [Literal(at + 4 * number), self.handle(element.ty)]))
            return [Literal(at), Literal(count)]
        return [
            Literal(self.chance.choice([SCRATCH, _HEAP, 1])),
            Literal(self.chance.choice([0, 0, 1, 2, 1000, 1 << 20])),
        ]

    def handle(self, resource: object) -> Argument:
        draw = self.chance.random()
        if not self._fitting(resource) and draw < 0.9:
            self._make(resource)
        fitting = self._fitting(resource)
        if fitting and draw < 0.95:
            return self.chance.choice(fitting)
        if self.handles and draw < 0.98:
            return self.chance.choice(self.handles)[1]  # of another type
        return self.word()

    def _fitting(self, resource: object) -> list[Argument]:
        return [where for ty, where in self.handles if ty == resource]

    def _make(self, resource: object) -> None:
        """Call a function that gives such a handle, and needs none itself."""
        makers = [one for one in self.offered if one.given == resource and not one.taken]
        if makers:
            self.call(self.chance.choice(makers))

    # -- calls --------------------------------------------------------------------------------------------------------
    def call(self, one: Import) -> None:
        """Call it. A handle that was dropped stays among the handles: the next to use it is stale."""
        self.calling = one.name
        arguments = self._arguments(one)
        pointer = self._free = (self._free + 7) & ~7
        if one.has_pointer:
            good = self.chance.random() < 0.95
            arguments[len(one.core) - 1 :] = [Literal(pointer) if good else self.word()]
            self._free += 64
        self.commands.append((self.offered.index(one), arguments))
        self.calls.append(f"{one.interface} {one.name}")
        self._remember(one, len(self.commands) - 1, pointer)

    def _arguments(self, one: Import) -> list[Argument]:
        if one.is_drop:
            return [self.handle(one.taken[0])]
        flattened = [part for ty in one.parameters for part in self.value(ty)]
        given = len(one.core) - one.has_pointer
        if len(flattened) != given or self.chance.random() < 0.04:  # too many to be flat, or just to be mean
            return [self.raw(part) for part in one.core[:given]]
        return flattened

    def _remember(self, one: Import, command: int, pointer: int) -> None:
        if one.given is not None:
            self.handles.append((one.given, Word(pointer + 4) if one.has_pointer else Result(command)))


def random_script(chance: random.Random, offered: list[Import], calls: int) -> Script:
    """So many calls, of the functions that do something more often than of those that refuse everything."""
    made = Script(chance, offered, payload=_payload(chance))
    favoured = [one for one in offered if one.interface.startswith(_FAVOURED)]
    drops = [one for one in offered if one.is_drop]
    enter = next(one for one in offered if one.name == "transaction-enter")
    if chance.random() < 0.5:
        made.call(enter)
    if chance.random() < 0.2:
        made.call(next(one for one in offered if one.name == "[static]value.deserialize"))
    while len(made.calls) < calls:
        pool = chance.choices([favoured, offered, drops, _takers(made)], [5, 3, 1, 4])[0]
        if pool:
            made.call(chance.choice(pool))
    return made


def _takers(made: Script) -> list[Import]:
    """Functions that take a handle which was given."""
    given = [ty for ty, _ in made.handles]
    return [one for one in made.offered if any(ty in given for ty in one.taken)]


def _payload(chance: random.Random) -> str:
    """JSON that is deep, or a serialized type or value that no engine wrote."""
    if chance.random() < 0.2:
        return chance.choice(["[", '{"a":']) * chance.choice([600, 20_000])
    ty: dict[str, object] = {
        "oid": chance.choice([16, 25, 0, -1, 2**32, float("inf"), "7", [], None]),
        "name": chance.choice(["int4", "", "\0"]),
        "shape": chance.choice([*SHAPES, None, [], "x"]), "is_array": chance.random() < 0.4, "element": 25,
    }  # fmt: skip
    data = chance.randbytes(chance.choice([0, 1, 3, 7, 8, 16, 19, 40]))
    if chance.random() < 0.5:  # an array of one dimension, more or less
        data = bytes([0, 0, 0, chance.randrange(3), 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, chance.randrange(4)]) + data
    value = {"type": ty, "data": chance.choice([base64.b64encode(data).decode(), None, "=", 5])}
    return json.dumps(chance.choice([ty, value, value, value])).replace("Infinity", "1e999")
