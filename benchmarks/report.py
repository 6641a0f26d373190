"""Figures as an aligned table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.figures import Figure


@dataclass(frozen=True, slots=True)
class Report:
    """What a run brought. `figures` is by benchmark; `failures` says why a benchmark brought none."""

    conditions: Mapping[str, str]
    figures: Mapping[str, Sequence[Figure]]
    failures: Mapping[str, str]

    def table(self) -> str:
        """The conditions, then a line per figure: median, extremes, unit."""
        about = _aligned([[name, value] for name, value in self.conditions.items()], "<<")
        rows = [["", "median", "least", "most", "unit"]]
        for benchmark, figures in self.figures.items():
            rows.append([benchmark, "", "", "", ""])
            rows += [[f"  {one.name}", *map(_number, _spread(one)), one.unit] for one in figures]
        failed = [f"{benchmark}: FAILED: {reason}" for benchmark, reason in self.failures.items()]
        return "\n".join([*about, "", *_aligned(rows, "<>>><"), *failed])

    def write_json(self, file: Path) -> None:
        figures = [
            {"benchmark": benchmark, **asdict(one), "median": one.median}
            for benchmark, measured in self.figures.items()
            for one in measured
        ]
        content = {"conditions": self.conditions, "figures": figures, "failures": self.failures}
        file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _spread(one: Figure) -> tuple[float, float, float]:
    return one.median, min(one.values), max(one.values)


def _number(value: float) -> str:
    """Three significant digits: the machine does not repeat itself more exactly than that."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]], directions: str) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{way}{width}}" for cell, way, width in zip(row, directions, widths, strict=True)).rstrip()
        for row in rows
    ]
