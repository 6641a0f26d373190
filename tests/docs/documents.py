"""The documents of the project, taken apart as far as the tests need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])

_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")


@dataclass(frozen=True)
class Block:
    """Fenced code. `language` is what stands behind the opening fence, "" when nothing does."""

    language: str
    text: str


def name_of(path: Path) -> str:
    """For the ids of parametrized tests."""
    return str(path.relative_to(ROOT))


def blocks(document: Path, language: str) -> list[str]:
    """The fenced code of one language, in order."""
    found = [Block(*match.groups()) for match in _FENCE.finditer(document.read_text())]
    return [block.text for block in found if block.language == language]


def prose(document: Path) -> str:
    """The text without fenced code."""
    return _FENCE.sub("", document.read_text())


def links(document: Path) -> list[str]:
    return _LINK.findall(prose(document))


def anchors(document: Path) -> set[str]:
    """What a link may name behind its #, by the rule of GitHub."""
    titles = (title for _, title in _HEADING.findall(prose(document)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def sections(document: Path, level: int) -> Iterator[tuple[str, str]]:
    """Title and text of each section of that level, subsections included."""
    text = document.read_text()
    starts = [match for match in _HEADING.finditer(text) if len(match[1]) == level]
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        yield match[2], text[match.end() : following.start() if following else None]
