"""The components in the tree are what their sources say: `guest-rust/build` made them, and nothing changed since."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "guest-rust" / "build"
WORKFLOWS = ["tests/workflows", "tests/workflows-chaos", "tests/workflows-http", "tests/workflows-sqlx"]
PLUGINS = ["examples/plugin-mail"]
FOLDERS = ["guest-rust", "examples", *PLUGINS, *WORKFLOWS]
COMPONENTS = sorted(path for folder in ["examples", *PLUGINS, *WORKFLOWS] for path in (ROOT / folder).glob("*.wasm"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_components_belong_to_their_sources(folder: str) -> None:
    built_of = (ROOT / folder / "SHA256SUMS").read_text()
    now = subprocess.run([BUILD, "manifest", folder], check=True, capture_output=True, text=True).stdout
    changed = {line.split("  ", 1)[1] for line in set(built_of.splitlines()) ^ set(now.splitlines())}
    assert not changed, f"changed since the components were built (run `make guests`): {sorted(changed)}"


def test_every_program_has_its_component() -> None:
    examples = {source.parents[1] for source in ROOT.glob("examples/*/src/main.rs")}
    programs = {folder.with_suffix(".wasm") for folder in examples - {ROOT / folder for folder in PLUGINS}}
    for workflows in (ROOT / folder for folder in WORKFLOWS):
        for source in [*workflows.glob("src/bin/*.rs"), *workflows.glob("src/*.wat")]:
            programs.add(workflows / source.with_suffix(".wasm").name)
    for manifest in (ROOT / folder / "Cargo.toml" for folder in PLUGINS):
        programs.add(manifest.with_name(tomllib.loads(manifest.read_text())["package"]["name"] + ".wasm"))
    assert programs == set(COMPONENTS)


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda path: path.stem)
def test_components_are_small_and_name_no_machine(component: Path) -> None:
    content = component.read_bytes()
    assert len(content) < (500_000 if _reaches_out(content) or component.stem.startswith("api-") else 200_000)
    for folder in (str(ROOT), "/home/", "/root/", "/tmp/", "/.cargo/"):
        assert folder.encode() not in content


def test_the_tool_for_plugin_authors_names_no_machine() -> None:
    content = (ROOT / "durable" / "plugins" / "plugin-types.wasm").read_bytes()
    assert len(content) < 3_000_000
    for folder in (str(ROOT), "/home/", "/root/", "/tmp/", "/.cargo/"):
        assert folder.encode() not in content


def _reaches_out(component: bytes) -> bool:
    """URLs, headers and the machinery of sqlx have their size, and so has a program that uses everything."""
    return b"durable:core/http" in component or b"durable:core/sql" in component
