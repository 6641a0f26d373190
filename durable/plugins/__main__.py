"""`python -m durable.plugins WIT OUT`: WIT to the component of types that a plugin names in `types`.

The work is done by the reference implementation of WIT, compiled to WebAssembly (guest-rust/plugin-types), so that the
author of a plugin needs no other tool.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

import wasmtime


class InvalidWit(Exception):
    """The WIT cannot be understood; the message says where and why."""


def types_of(wit: Path) -> bytes:
    """The types of all interfaces of a WIT package: a file, or a folder with what it depends on in `deps`.

    Raises InvalidWit.
    """
    folder, name = (wit, ".") if wit.is_dir() else (wit.parent, wit.name)
    with tempfile.TemporaryDirectory() as scratch:
        out, said = Path(scratch) / "types.wasm", Path(scratch) / "said"
        wasi = wasmtime.WasiConfig()
        wasi.argv = ["plugin-types", name]
        wasi.preopen_dir(str(folder), ".", False)
        wasi.stdout_file = str(out)
        wasi.stderr_file = str(said)
        status = _run(wasi)
        if status:
            raise InvalidWit(said.read_text(errors="replace").strip() or f"the tool ended with status {status}")
        return out.read_bytes()


def _run(wasi: wasmtime.WasiConfig) -> int:
    """The exit status of the tool."""
    engine, tool = _tool()
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    start = linker.instantiate(store, tool).exports(store)["_start"]
    assert isinstance(start, wasmtime.Func)
    try:
        start(store)
    except wasmtime.ExitTrap as end:
        return end.code
    return 0


@cache
def _tool() -> tuple[wasmtime.Engine, wasmtime.Module]:
    engine = wasmtime.Engine()
    tool = resources.files("durable") / "plugins" / "plugin-types.wasm"
    return engine, wasmtime.Module(engine, tool.read_bytes())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m durable.plugins", description="Make the types of a plugin.")
    parser.add_argument("wit", type=Path, metavar="WIT", help="a WIT file, or a folder of a WIT package")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write, which the plugin names in `types`")
    chosen = parser.parse_args(arguments)
    if not chosen.wit.exists():
        parser.error(f"there is no {chosen.wit}")
    try:
        chosen.out.write_bytes(types_of(chosen.wit))
    except (InvalidWit, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
