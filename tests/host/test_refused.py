"""What a workflow must not have is refused by each interface in its own words, and never crashes the host."""

from __future__ import annotations

import asyncio
import ctypes
from typing import Any

import pytest
from wasmtime import component as wc

from durable.execution.outcome import Exit
from durable.host.refused import refused_functions
from durable.wasm import ffi
from durable.wasm.codec import codec_of
from durable.wasm.signatures import base_name
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok
from tests.host.stage import Stage, host


def functions_to_refuse() -> list[tuple[str, wc.FuncType]]:
    world, _ = host()
    refused = refused_functions(world)
    return [
        (f"{base_name(name)}.{function}", ty)
        for name, interface in world.interfaces.items()
        if base_name(name) in refused
        for function, ty in interface.functions.items()
    ]


FUNCTIONS = functions_to_refuse()


def test_files_sockets_and_the_http_of_wasi_are_refused() -> None:
    interfaces = {name.partition(".")[0] for name, _ in FUNCTIONS}
    assert {"wasi:filesystem/types", "wasi:sockets/tcp", "wasi:sockets/udp", "wasi:http/types"} <= interfaces


def answer_of(function: str, arguments: int) -> Any:
    """What a guest gets, or the GuestTrap that stops it."""
    stage = Stage()
    try:
        return asyncio.run(stage.call(function, *[None] * arguments))
    except GuestTrap as trap:
        return trap
    finally:
        assert stage.parts == []


@pytest.mark.parametrize(("function", "ty"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_every_call_says_no_or_stops_the_guest_with_advice(function: str, ty: wc.FuncType) -> None:
    answer = answer_of(function, len(ty.params))
    if isinstance(answer, GuestTrap):
        assert function.partition(".")[0] in str(answer)
        assert "workflow" in str(answer) or "not available" in str(answer)
    elif function != "wasi:sockets/instance-network.instance-network":
        assert isinstance(answer, Err)
        assert_fits(answer, ty.result)


def assert_fits(answer: Any, ty: wc.ValType | None) -> None:
    """The answer can be handed to a guest, and is still the same there."""
    assert ty is not None
    world, _ = host()
    codec, box = codec_of(ty, world.resource_id), ctypes.create_string_buffer(ffi.VALUE_SIZE)
    codec.lower(None, ctypes.addressof(box), answer)
    assert codec.lift(None, ctypes.addressof(box)) == answer
    ffi.val_delete(ctypes.addressof(box))


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("wasi:filesystem/types.[method]descriptor.stat", Err("unsupported")),
        ("wasi:filesystem/types.[method]descriptor.open-at", Err("unsupported")),
        ("wasi:sockets/tcp-create-socket.create-tcp-socket", Err("not-supported")),
        ("wasi:sockets/udp-create-socket.create-udp-socket", Err("not-supported")),
        ("wasi:sockets/tcp.[method]tcp-socket.start-connect", Err("not-supported")),
        ("wasi:sockets/ip-name-lookup.resolve-addresses", Err("not-supported")),
        ("wasi:http/outgoing-handler.handle", Err(Case("HTTP-request-denied"))),
    ],
)
def test_the_codes_are_those_of_the_interfaces(function: str, answer: Any) -> None:
    [arguments] = [len(ty.params) for name, ty in FUNCTIONS if name == function]
    assert answer_of(function, arguments) == answer


def test_a_network_can_be_named_since_there_is_no_way_to_refuse_that() -> None:
    assert answer_of("wasi:sockets/instance-network.instance-network", 0) is not None


# -- exit ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "argument", "succeeded", "status"),
    [
        ("wasi:cli/exit.exit", Ok(), True, 0),
        ("wasi:cli/exit.exit", Err(), False, 1),
        ("wasi:cli/exit.exit-with-code", 0, True, 0),
        ("wasi:cli/exit.exit-with-code", 3, False, 3),
        ("wasi:cli/exit.exit-with-code", 255, False, 255),
    ],
)
def test_exit_ends_the_run_with_its_status(function: str, argument: Any, succeeded: bool, status: int) -> None:
    stage = Stage()
    with pytest.raises(Exit) as caught:
        asyncio.run(stage.call(function, argument))
    assert (caught.value.succeeded, caught.value.status) == (succeeded, status)
    assert stage.parts == []
