"""Values and types that a workflow made up: they are refused in words, never an error of the host."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from durable.wasm.traps import GuestLimit, GuestTrap
from durable.wasm.values import Err, Ok
from tests.host.stage import Stage

SQL = "durable:core/sql."


def call(name: str, *arguments: Any) -> Any:
    return asyncio.run(Stage().call(f"{SQL}{name}", *arguments))


def serialized(data: bytes | None, **changes: Any) -> str:
    ty = {"oid": 869, "name": "inet", "shape": "inet", "is_array": False, "element": 0, **changes}
    return json.dumps({"type": ty, "data": None if data is None else base64.b64encode(data).decode()})


@pytest.mark.parametrize("oid", ["1e999", "-1", "4294967296", "[]", "null", '"x"'])
def test_a_type_with_an_impossible_oid_is_refused(oid: str) -> None:
    text = f'{{"oid": {oid}, "name": "n", "shape": null, "is_array": false, "element": 0}}'
    assert isinstance(call("[static]type-info.deserialize", text), Err)
    assert isinstance(call("[static]value.deserialize", f'{{"type": {text}, "data": null}}'), Err)


@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b"])
def test_a_type_with_a_name_that_is_no_text_is_refused(name: str) -> None:
    text = f'{{"oid": 25, "name": "{name}", "shape": null, "is_array": false, "element": 0}}'
    assert isinstance(call("[static]type-info.deserialize", text), Err)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "5", "[]", '"type"', '{"type": 1, "data": 5}'])
def test_what_is_no_serialized_value_is_refused_however_deep(text: str) -> None:
    assert isinstance(call("[static]type-info.deserialize", text), Err)
    assert isinstance(call("[static]value.deserialize", text), Err)


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x02\x20\x00\x04", b"\x03" + bytes(10)])
def test_bytes_that_are_no_network_read_as_nothing(data: bytes) -> None:
    value = call("[static]value.deserialize", serialized(data))
    assert isinstance(value, Ok)
    assert call("[method]value.as-inet", value.value) is None


@pytest.mark.parametrize("function", ["as-text", "serialize"])
def test_a_value_is_handed_out_up_to_max_returned_buffer_len(function: str) -> None:
    stage = Stage(max_returned_buffer_len=20)

    async def read(data: bytes) -> Any:
        text = serialized(data, oid=25, name="text", shape="text")
        value = (await stage.call(f"{SQL}[static]value.deserialize", text)).value
        return await stage.call(f"{SQL}[method]value.{function}", value)

    assert asyncio.run(read(b"x" * 20)) is not None
    with pytest.raises(GuestLimit, match="SQL value of 21 bytes was asked for; max_returned_buffer_len allows 20"):
        asyncio.run(read(b"x" * 21))


@pytest.mark.parametrize("function", ["type-info", "value"])
def test_what_is_larger_than_any_event_is_no_serialized_value(function: str) -> None:
    text = call("[method]type-info.serialize", call("[static]type-info.int4")).value
    if function == "value":
        text = serialized(b"12345678")
    stage = Stage(max_event_bytes=len(text))
    deserialize = f"{SQL}[static]{function}.deserialize"
    assert isinstance(asyncio.run(stage.call(deserialize, text)), Ok)
    answer = asyncio.run(stage.call(deserialize, text + " "))
    assert answer == Err(
        f"not a serialized {function}: it has {len(text) + 1} characters; max_event_bytes allows {len(text)}"
    )


def test_the_name_of_a_type_has_a_limit() -> None:
    def named(length: int) -> Any:
        return call("[static]value.deserialize", serialized(None, name="n" * length))

    assert isinstance(named(200), Ok)
    assert named(201) == Err("not a serialized value: a name has 200 characters at most")


@pytest.mark.parametrize("ty", ["text", "timestamptz-array", "inet-array", "uuid", "jsonb-array"])
def test_an_enum_array_needs_the_type_of_an_array_of_text(ty: str) -> None:
    with pytest.raises(GuestTrap, match="enum-array needs the type of an array of an enum"):
        call("[static]value.enum-array", ["happy"], call(f"[static]type-info.{ty}"))
