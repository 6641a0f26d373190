"""What a plugin returns is recorded as JSON and comes back as the same value, also from jsonb; nonsense is refused."""

from __future__ import annotations

import json
import math
from typing import Any

import psycopg
import pytest
import wasmtime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import component as wc

from durable.journal.json_text import check_json
from durable.plugins.shapes import Shape, shape_of
from durable.wasm.values import Case, Err, Ok
from tests.plugins.interfaces import engine
from tests.wasm.echo import TYPES, Declarations, EchoType

_keep: list[wc.Component] = []  # types live as long as the component they were read from


def shape(wat: str, declarations: str = "") -> Shape:
    text = f'(component (import "a:b/c" (instance {declarations} (export "f" (func (result {wat}))))))'
    component = wc.Component(engine(), wasmtime.wat2wasm(text))
    _keep.append(component)
    [imported] = component.type.imports(engine()).values()
    assert isinstance(imported.ty, wc.ComponentInstanceType)
    function = imported.ty.exports(engine())["f"].ty
    assert isinstance(function, wc.FuncType)
    return shape_of(function.result)


def of(ty: EchoType) -> Shape:
    declarations = Declarations()
    wat = ty.wat(declarations)
    return shape(wat, "\n".join(declarations.lines))


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def same(one: Any, other: Any) -> bool:
    """Also for NaN, and telling 0.0 from -0.0."""
    return repr(one) == repr(other)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_value_of_every_type_comes_back_from_the_journal(data: st.DataObject) -> None:
    ty = data.draw(TYPES)
    shape = of(ty)
    for value in data.draw(st.lists(ty.values(), max_size=5)):
        recorded = text(shape.encode(value))
        check_json(recorded)
        assert shape.recordable
        assert shape.decode(json.loads(recorded)) == value
        assert shape.encode(shape.present(value)) == shape.encode(value)


HARD = [
    ("f64", [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1, 1e22]),
    ("f32", [-0.0, math.nan, 0.10000000149011612, 3.4028234663852886e38, 1.401298464324817e-45]),
    ("u64", [0, 2**64 - 1]),
    ("s64", [-(2**63), 2**63 - 1]),
    ("string", ["", "\0", "a\0b", "\ud7ff", "\U0010ffff", '"\\']),
    ("char", ["\0", "\U0010ffff"]),
    ("(list u8)", [b"", bytes(range(256))]),
    ("(option string)", [None, "", "\0"]),
    ("(result (error string))", [Ok(), Err("no")]),
    ("(tuple u8 (option bool))", [(1, None), (1, False)]),
]


@pytest.mark.parametrize(("wat", "values"), HARD, ids=[wat for wat, _ in HARD])
def test_postgresql_gives_back_what_was_recorded(database_url: str, wat: str, values: list[Any]) -> None:
    this = shape(wat)
    with psycopg.connect(database_url) as connection:
        for value in values:
            [(stored,)] = connection.execute("SELECT (%s::jsonb)::text", [text(this.encode(value))]).fetchall()
            assert same(this.decode(json.loads(stored)), value)


R = '(type $r (record (field "to" string) (field "re-ply" bool))) (export "r" (type $m (eq $r)))'
V = '(type $v (variant (case "none") (case "many" u8))) (export "v" (type $w (eq $v)))'
E = '(type $e (enum "red" "blue")) (export "e" (type $c (eq $e)))'
F = '(type $f (flags "read" "write")) (export "f2" (type $g (eq $f)))'

WRONG: list[tuple[str, str, list[Any]]] = [
    ("u8", "", [-1, 256, 1.0, "1", None, True]),
    ("s64", "", [2**63]),
    ("f32", "", [1e39, "1", None, True]),
    ("bool", "", [1, None, "true"]),
    ("char", "", ["", "ab", 1, "\ud800"]),
    ("string", "", [b"a", 1, None, "\ud800"]),
    ("(list u8)", "", ["a", [1], None, 3]),
    ("(list string)", "", ["abc", b"abc", {"a": 1}, [1], None]),
    ("(tuple u8 u8)", "", [(1,), (1, 2, 3), "ab", (1, "2")]),
    ("(result u8)", "", [1, None, Ok(256), Ok(None), Err("why")]),
    ("$m", R, [("a",), {"to": "a"}, {"to": "a", "re-ply": True, "cc": 1}, ("a", 1), "ab"]),
    ("$w", V, ["some", "many", Case("none", 1), Case("many"), Case("many", -1), None]),
    ("$c", E, ["green", None, 1]),
    ("$g", F, ["read", ["execute"], None]),
]


@pytest.mark.parametrize(
    ("wat", "declarations", "value"), [(wat, more, value) for wat, more, values in WRONG for value in values]
)
def test_a_value_of_another_type_is_refused(wat: str, declarations: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        shape(wat, declarations).encode(value)


def test_a_plugin_may_write_values_as_python_has_them() -> None:
    record = shape("$m", R)
    assert record.encode({"to": "a", "re_ply": True}) == record.encode(("a", True)) == {"to": "a", "re-ply": True}
    assert record.present(("a", True)).re_ply is True
    assert shape("$w", V).encode("none") == {"none": None}
    assert shape("$g", F).encode({"write", "read"}) == ["read", "write"]
    assert shape("(list u8)").encode(bytearray(b"abc")) == "YWJj"
    assert shape("f64").decode(json.loads("7")) == 7.0
    assert shape("(list u32)").encode(n for n in range(3)) == [0, 1, 2]


def test_a_field_that_python_reserves_gets_an_underscore() -> None:
    fields = '(type $r (record (field "from" string))) (export "r" (type $m (eq $r)))'
    assert shape("$m", fields).present(("a",)).from_ == "a"
