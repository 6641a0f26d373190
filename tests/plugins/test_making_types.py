"""`python -m durable.plugins`: what the author of a plugin runs, with WIT and Python at hand and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.plugins import Plugin
from durable.plugins.__main__ import main
from durable.plugins.types import add_types
from durable.wasm.world import host_world
from tests.plugins.conftest import PLUGIN
from tests.plugins.interfaces import engine

WIT = """
package acme:shop@1.0.0;

interface types { record item { name: string, price: u32 } }

interface cart {
  use types.{item};
  resource lock { constructor(); }
  add: func(item: item, lock: borrow<lock>) -> result<u32, string>;
}

interface clearance {
  use cart.{lock};
  sell: func(lock: lock);
}

world ignored { import elsewhere: func(); export sell: func(); }
"""


def interfaces(types: bytes) -> dict[str, dict[str, str]]:
    plugin = Plugin()
    plugin.types = types  # type: ignore[misc]
    return {one.name: one.signatures for one in add_types(host_world(engine()), engine(), plugin)}


def test_all_interfaces_of_a_package_are_provided(tmp_path: Path) -> None:
    wit, out = tmp_path / "shop.wit", tmp_path / "shop.wasm"
    wit.write_text(WIT)
    assert main([str(wit), str(out)]) == 0
    assert interfaces(out.read_bytes()) == {
        "acme:shop/cart@1.0.0": {
            "lock": "resource",
            "[constructor]lock": "func() -> own<acme:shop/cart.lock>",
            "add": "func(record {name: string, price: u32}, borrow<acme:shop/cart.lock>) -> result<u32, string>",
        },
        "acme:shop/clearance@1.0.0": {"lock": "resource", "sell": "func(own<acme:shop/cart.lock>)"},
    }


def test_a_folder_may_have_what_it_depends_on_in_deps(tmp_path: Path) -> None:
    (tmp_path / "wit" / "deps" / "units").mkdir(parents=True)
    (tmp_path / "wit" / "deps" / "units" / "units.wit").write_text(
        "package acme:units; interface money { record amount { cents: u64 } }"
    )
    (tmp_path / "wit" / "till.wit").write_text(
        "package acme:till; interface till { use acme:units/money.{amount}; pay: func(amount: amount); }"
    )
    assert main([str(tmp_path / "wit"), str(tmp_path / "till.wasm")]) == 0
    assert interfaces((tmp_path / "till.wasm").read_bytes()) == {"acme:till/till": {"pay": "func(record {cents: u64})"}}


def test_the_types_of_the_example_are_made_of_its_wit(tmp_path: Path) -> None:
    assert main([str(PLUGIN / "wit"), str(tmp_path / "mail.wasm")]) == 0
    assert (tmp_path / "mail.wasm").read_bytes() == (PLUGIN / "acme_mail" / "mail.wasm").read_bytes()


@pytest.mark.parametrize(
    ("wit", "said"),
    [
        ("package a:b;\ninterface x {\n  f: func() -> strin;\n}", "bad.wit:3:16"),
        ("package a:b;\ninterface x {", "bad.wit:2:14"),
        ("package a:b;\nworld w {}", "package a:b has no interface"),
        ("package a:b;\ninterface x { use c:d/e.{f}; }", "c:d"),
    ],
)
def test_a_mistake_in_the_wit_is_told_with_its_place(
    wit: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wit").write_text(wit)
    assert main([str(tmp_path / "bad.wit"), str(tmp_path / "out.wasm")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out.wasm").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "none.wit"), str(tmp_path / "out.wasm")])
    assert "none.wit" in capsys.readouterr().err
