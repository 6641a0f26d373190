"""What lies in `examples/` and what `make` can do is told, and as it is."""

from __future__ import annotations

import re
import subprocess

from tests.docs.documents import ROOT, links, prose

EXAMPLES = ROOT / "examples"
README = EXAMPLES / "README.md"


def test_every_example_is_in_the_list() -> None:
    listed = {(EXAMPLES / link.partition("#")[0]).resolve() for link in links(README)}
    for component in EXAMPLES.glob("*.wasm"):
        folder = component.with_suffix("")
        assert listed & {folder, folder / "README.md", folder / "src" / "main.rs"}, component.name
    for program in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*/README.md")]:
        assert listed & {program, program.parent}, program.name


def test_the_sizes_of_the_components_are_as_told() -> None:
    told = re.search(r"the components here have (\d+) to (\d+) kB", prose(README))
    assert told is not None
    for component in EXAMPLES.glob("*.wasm"):
        assert int(told[1]) <= component.stat().st_size / 1000 <= int(told[2]), component.name


def test_make_says_what_every_target_does() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    told = {word for line in said.splitlines() for word in line.partition("  ")[0].partition("make ")[2].split()}
    assert told | {"help", "clean"} >= set(targets[1].split())
    # The demo is tested for what it says of itself (test_examples_run.py); "kill nothing" was once said of it here.
    assert re.search(r"^make demo .*\bkill its worker\b", said, re.MULTILINE)
