"""A guest that calls any function of the host with any arguments, as a script tells it.

The script is the task's data: commands in hexadecimal. Each names a function and its flat arguments, which may be taken
from the result of an earlier command or from memory, so that a script can use handles that it was given. Nothing checks
anything: what the canonical ABI makes of it is what a hostile program can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import wasmtime
from wasmtime import component as wc

from durable.wasm.inspect import RUN_INTERFACE
from durable.wasm.world import World, world_bytes
from tests.hostile import encoding as e

MAX_ARGUMENTS = 16
MEMORY_PAGES = 300  # so that there are 16 MiB to point at; only pages that are touched cost memory
#: Where scripts may put what they like; below lie the interpreter's own variables, above grows the heap.
SCRATCH, SCRATCH_END = 0x4000, 0x10000
_ARGUMENTS, _RESULTS, _ANSWER = 0x100, 0x400, 0x40


@dataclass(frozen=True, eq=False)
class Import:
    """A function of the host, or the drop of a resource. `core` are the flat parameters; `result` the flat result.

    `given` is the resource type of the handle that it answers with, `taken` are those of its parameters.
    """

    interface: str
    name: str
    core: tuple[str, ...]
    result: str | None
    has_pointer: bool  # the last parameter says where the result goes
    parameters: tuple[wc.ValType, ...] = ()
    given: object = None
    taken: tuple[object, ...] = ()
    is_drop: bool = False


@dataclass(frozen=True)
class Literal:
    """The number itself."""

    value: int


@dataclass(frozen=True)
class Result:
    """The flat result of an earlier command."""

    command: int


@dataclass(frozen=True)
class Word:
    """The 32 bits at an address, for instance a handle that a result holds."""

    address: int


Argument = Literal | Result | Word
Command = tuple[int, list[Argument]]
#: A command that stores the low 32 bits of its second argument at its first.
STORE = -1


#: Where the payload of a script lies.
PAYLOAD = SCRATCH_END + 8


def script(commands: list[Command], payload: str = "") -> str:
    """The task data that tells the puppet to do this. `payload` is ASCII, at PAYLOAD in its memory."""
    told = "".join(_hex(number & 0xFFFFFFFF, 8) + _arguments(arguments) for number, arguments in commands)
    return _hex(len(payload), 8) + payload + told


def _arguments(arguments: list[Argument]) -> str:
    padded = [*arguments, *[Literal(0)] * (MAX_ARGUMENTS - len(arguments))]
    return "".join(map(_argument, padded[:MAX_ARGUMENTS]))


def _argument(argument: Argument) -> str:
    match argument:
        case Literal(value):
            return "0" + _hex(value & (2**64 - 1), 16)
        case Result(command):
            return "1" + _hex(command, 16)
        case Word(address):
            return "2" + _hex(address, 16)


def _hex(number: int, digits: int) -> str:
    # '0' and the letters behind '9': one subtraction decodes a digit.
    return "".join(chr(ord("0") + int(digit, 16)) for digit in f"{number:0{digits}x}")


# -- flat types ------------------------------------------------------------------------------------------------------
def flat(ty: wc.ValType) -> list[str]:
    """How the canonical ABI hands a value over, when there is room."""
    match ty:
        case wc.S64() | wc.U64():
            return ["i64"]
        case wc.F32():
            return ["f32"]
        case wc.F64():
            return ["f64"]
        case wc.String() | wc.ListType():
            return ["i32", "i32"]
        case wc.TupleType():
            return [part for element in ty.elements for part in flat(element)]
        case wc.RecordType():
            return [part for _, field in ty.fields for part in flat(field)]
        case wc.OptionType():
            return ["i32", *flat(ty.payload)]
        case wc.ResultType():
            return _flat_variant([ty.ok, ty.err])
        case wc.VariantType():
            return _flat_variant([payload for _, payload in ty.cases])
    return ["i32"]  # small numbers, bool, char, enum, flags up to 32, handles


def _flat_variant(payloads: list[wc.ValType | None]) -> list[str]:
    joined: list[str] = []
    for payload in payloads:
        for at, part in enumerate([] if payload is None else flat(payload)):
            if at == len(joined):
                joined.append(part)
            elif joined[at] != part:
                joined[at] = "i32" if {joined[at], part} == {"i32", "f32"} else "i64"
    return ["i32", *joined]


def _import(interface: str, name: str, ty: wc.FuncType) -> Import:
    parameters = tuple(parameter for _, parameter in ty.params)
    core = [part for parameter in parameters for part in flat(parameter)]
    if len(core) > MAX_ARGUMENTS:
        core = ["i32"]
    result = [] if ty.result is None else flat(ty.result)
    has_pointer = len(result) > 1
    if has_pointer:
        core.append("i32")
    taken = tuple(one.ty for one in parameters if isinstance(one, wc.OwnType | wc.BorrowType))
    single = result[0] if len(result) == 1 else None
    return Import(interface, name, tuple(core), single, has_pointer, parameters, _given(ty.result), taken)


def _given(ty: wc.ValType | None) -> object:
    if isinstance(ty, wc.ResultType):
        ty = ty.ok
    elif isinstance(ty, wc.OptionType):
        ty = ty.payload
    return ty.ty if isinstance(ty, wc.OwnType) else None


def imports(world: World) -> list[Import]:
    """Everything that the host offers: the functions of each interface, and behind them the drops of its resources."""
    offered = []
    for interface in world.interfaces.values():
        offered += [_import(interface.name, name, ty) for name, ty in interface.functions.items()]
        for name, number in interface.resources.items():
            resource = world._resource_types[number]
            offered.append(Import(interface.name, name, ("i32",), None, False, taken=(resource,), is_drop=True))
    return offered


# -- the component ---------------------------------------------------------------------------------------------------
def puppet(world: World) -> bytes:
    """The component."""
    host, offered = world_bytes(), imports(world)
    numbers = {name: number for number, name in enumerate(world.interfaces)}
    first_type = e.counted(host, e.TYPE) + e.counted(host, e.ALIAS)
    functions = [one for one in offered if not one.is_drop]
    drops = [one for one in offered if one.is_drop]
    run_type = first_type + len(drops)
    run = 1 + len(offered)  # behind realloc and everything lowered
    return b"".join(
        [
            host,
            e.section(e.CORE_MODULE, bytes(wasmtime.wat2wasm(_LIBC))),
            e.section(e.CORE_INSTANCE, e.vector([e.instantiate(0)])),
            e.section(e.ALIAS, e.vector([
                e.core_alias(e.CORE_MEMORY, 0, "memory"), e.core_alias(e.CORE_FUNC, 0, "realloc"),
                *[e.alias(e.FUNC, numbers[one.interface], one.name) for one in functions],
                *[e.alias(e.TYPE_SORT, numbers[one.interface], one.name) for one in drops],
            ])),
            e.section(e.CANON, e.vector(list(_lowered(offered, first_type)))),
            e.section(e.CORE_MODULE, bytes(wasmtime.wat2wasm(_program(offered)))),
            e.section(e.CORE_INSTANCE, e.vector([
                e.core_exports({f"f{number}": number + 1 for number in range(len(offered))}),
                e.instantiate(1, host=1, libc=0),
            ])),
            e.section(e.TYPE, e.vector([b"\x6a\x00\x00", b"\x40\x00\x00" + e.leb(run_type)])),
            e.section(e.ALIAS, e.vector([e.core_alias(e.CORE_FUNC, 2, "run")])),
            e.section(e.CANON, e.vector([e.lift(run, run_type + 1)])),
            e.section(e.INSTANCE, e.vector([
                b"\x01" + e.vector([b"\x00" + e.name("run") + e.FUNC + e.leb(len(functions))])
            ])),
            e.section(e.EXPORT, e.vector([
                b"\x00" + e.name(RUN_INTERFACE) + e.INSTANCE_SORT + e.leb(len(numbers)) + b"\x00"
            ])),
        ]
    )  # fmt: skip


def _lowered(offered: list[Import], first_type: int) -> Iterator[bytes]:
    function = resource = 0
    for one in offered:
        if not one.is_drop:
            yield e.lower(function)
            function += 1
        else:
            yield e.drop(first_type + resource)
            resource += 1


def _program(offered: list[Import]) -> str:
    imported = "\n".join(
        f'(import "host" "f{number}" (func $f{number} {_core(one)}))' for number, one in enumerate(offered)
    )
    stubs = "\n".join(_stub(number, one) for number, one in enumerate(offered))
    names = " ".join(f"$s{number}" for number in range(len(offered)))
    data = next(number for number, one in enumerate(offered) if one.name == "task-data")
    return _PROGRAM.format(
        pages=MEMORY_PAGES, imported=imported, stubs=stubs, names=names, count=len(offered), data=data,
        arguments=_ARGUMENTS, results=_RESULTS, answer=_ANSWER, width=8 + 17 * MAX_ARGUMENTS,
        limit=(SCRATCH - _RESULTS) // 8,
    )  # fmt: skip


def _core(one: Import) -> str:
    return f"(param {' '.join(one.core)})" + (f" (result {one.result})" if one.result else "")


def _stub(number: int, one: Import) -> str:
    """Call it with the arguments that were decoded; the result as an i64."""
    loads = " ".join(f"({part}.load (i32.const {_ARGUMENTS + 8 * at}))" for at, part in enumerate(one.core))
    call = f"(call $f{number} {loads})"
    body = {
        None: f"{call} (i64.const 0)",
        "i32": f"(i64.extend_i32_u {call})",
        "i64": call,
        "f32": f"(i64.extend_i32_u (i32.reinterpret_f32 {call}))",
        "f64": f"(i64.reinterpret_f64 {call})",
    }[one.result]
    return f"(func $s{number} (type $stub) {body})"


_LIBC = f"""(module
    (memory (export "memory") {MEMORY_PAGES})
    (global $next (mut i32) (i32.const {SCRATCH_END}))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
        (global.set $next (i32.add (local.get $at) (local.get $size)))
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
            (then (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1)
                    (i32.div_u (i32.sub (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                        (i32.const 65536)))))
                (then unreachable))))
        (local.get $at)))"""

_PROGRAM = """(module
    (type $stub (func (result i64)))
    {imported}
    (import "libc" "memory" (memory {pages}))
    (table {count} funcref)
    (elem (i32.const 0) {names})
    {stubs}
    (func $hex (param $at i32) (param $digits i32) (result i64)
        (local $number i64)
        (loop $next
            (local.set $number (i64.or (i64.shl (local.get $number) (i64.const 4))
                (i64.sub (i64.load8_u (local.get $at)) (i64.const 48))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $digits (i32.sub (local.get $digits) (i32.const 1)))
            (br_if $next (local.get $digits)))
        (local.get $number))
    (func $argument (param $at i32) (result i64)
        (local $value i64) (local $kind i32)
        (local.set $value (call $hex (i32.add (local.get $at) (i32.const 1)) (i32.const 16)))
        (local.set $kind (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $kind) (i32.const 49)) (then (return
            (i64.load (i32.add (i32.const {results}) (i32.shl (i32.wrap_i64 (local.get $value)) (i32.const 3)))))))
        (if (i32.eq (local.get $kind) (i32.const 50)) (then (return
            (i64.load32_u (i32.wrap_i64 (local.get $value))))))
        (local.get $value))
    (func (export "run") (result i32)
        (local $at i32) (local $end i32) (local $number i32) (local $command i32) (local $i i32)
        (call $f{data} (i32.const {answer}))
        (local.set $at (i32.load (i32.const {answer})))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const {answer_size}))))
        (local.set $at (i32.add (i32.add (local.get $at) (i32.const 8))
            (i32.wrap_i64 (call $hex (local.get $at) (i32.const 8)))))
        (block $over (loop $next
            (br_if $over (i32.ge_u (local.get $at) (local.get $end)))
            (br_if $over (i32.ge_u (local.get $command) (i32.const {limit})))
            (local.set $number (i32.wrap_i64 (call $hex (local.get $at) (i32.const 8))))
            (local.set $i (i32.const 0))
            (loop $arguments
                (i64.store
                    (i32.add (i32.const {arguments}) (i32.shl (local.get $i) (i32.const 3)))
                    (call $argument (i32.add (i32.add (local.get $at) (i32.const 8))
                        (i32.mul (local.get $i) (i32.const 17)))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $arguments (i32.lt_u (local.get $i) (i32.const 16))))
            (if (i32.eq (local.get $number) (i32.const -1))
                (then (i32.store (i32.load (i32.const {arguments})) (i32.load (i32.const {second}))))
                (else (i64.store
                    (i32.add (i32.const {results}) (i32.shl (local.get $command) (i32.const 3)))
                    (call_indirect (type $stub) (local.get $number)))))
            (local.set $command (i32.add (local.get $command) (i32.const 1)))
            (local.set $at (i32.add (local.get $at) (i32.const {width})))
            (br $next)))
        (i32.const 0)))""".replace("{answer_size}", str(_ANSWER + 4)).replace("{second}", str(_ARGUMENTS + 8))
