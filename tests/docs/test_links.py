"""What the documents refer to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, anchors, links, name_of, prose

# Paths of this repository in backticks, such as `durable/wasm/` or `tests/docs/test_links.py::test_a`.
_MENTIONED = re.compile(
    r"`((?:durable|workers|tests|docs|examples|guest-rust|benchmarks)/[\w./-]*(?:::\w+)?|::\w+)`", re.ASCII
)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


@every_document
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), (
            f"{link}: there is no such heading, only {sorted(anchors(target))}"
        )


@every_document
def test_files_and_tests_that_are_mentioned_exist(document: Path) -> None:
    file = ""
    for mentioned in _MENTIONED.findall(prose(document)):
        path, _, test = mentioned.partition("::")
        file = path or file
        assert (ROOT / file).exists(), f"{mentioned} does not exist"
        if test:
            assert re.search(rf"^ *(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), (
                f"no {test} in {file}"
            )


@every_document
def test_no_document_names_a_folder_of_somebodys_machine(document: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:root|work|tmp|home/\w+)/", document.read_text())


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = {ROOT / "README.md"}
    while waiting:
        document = waiting.pop()
        reached.add(document)
        targets = {
            (document.parent / link.partition("#")[0]).resolve() for link in links(document) if "://" not in link
        }
        folders = {file for target in targets if target.is_dir() for file in target.glob("*.md")}
        waiting |= {target for target in targets | folders if target.suffix == ".md"} - reached
    assert set(DOCUMENTS) <= reached


def test_decisions_are_numbered_without_a_gap_and_say_their_number() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    for number, decision in enumerate(decisions, 1):
        assert decision.name.startswith(f"{number:04}-")
        assert decision.read_text().startswith(f"# {number:04}: ")
