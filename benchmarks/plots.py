"""`make plots`: the pictures of docs/performance.md, from the figures beside them. Needs matplotlib, and no durable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

_FOLDER = Path(__file__).parent.parent / "docs" / "performance"
_OURS, _OTHERS, _BOUND = "#1f6f54", "#9aa5b1", "#d9822b"
_ENGINES = ("durable", "pgqueuer", "pgqueuer, batch 100", "procrastinate", "DBOS", "absurd")


def main() -> None:
    """Draw what there are figures for."""
    plain = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    matplotlib.rcParams |= {"svg.hashsalt": "durable", **plain}
    peers, own, growth = (_figures(name) for name in ("peers", "bench", "growth"))
    _peers(peers)
    _replay(own)
    _growth(growth)


def _figures(name: str) -> Mapping[str, Sequence[float]]:
    """The values of each figure of a run, by its name."""
    content = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return {one["name"]: one["values"] for one in content["figures"]}


def _peers(figures: Mapping[str, Sequence[float]]) -> None:
    figure, axes = pyplot.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
    _bars(axes[0], figures, "no-op, ", "tasks/s", "no-op tasks, two processes")
    _bars(axes[1], figures, "recorded steps, ", "steps/s", "recorded steps, two processes")
    _bars(axes[2], figures, "launch → start, ", "ms, p50 to p99", "launch → start on idle workers", ", p50", ", p99")
    _save(figure, "peers")


def _bars(
    axis: Any, figures: Mapping[str, Sequence[float]], prefix: str, unit: str, title: str, suffix: str = "",
    reach: str | None = None,
) -> None:  # fmt: skip
    there = [name for name in reversed(_ENGINES) if f"{prefix}{name}{suffix}" in figures]
    values = [_median(figures[f"{prefix}{name}{suffix}"]) for name in there]
    axis.barh(there, values, color=[_OURS if name == "durable" else _OTHERS for name in there])
    if reach is None:
        ends = [figures[f"{prefix}{name}"] for name in there]
        axis.hlines(there, [min(one) for one in ends], [max(one) for one in ends], color="black", linewidth=1)
    else:
        axis.hlines(there, values, [_median(figures[f"{prefix}{name}{reach}"]) for name in there], color="black")
    axis.set_xscale("log")
    axis.set_xlabel(f"{unit} (logarithmic)")
    axis.set_title(title, fontsize=9)


def _replay(figures: Mapping[str, Sequence[float]]) -> None:
    measured = {
        int(name.split()[2].replace(",", "")): values
        for name, values in figures.items()
        if name.startswith("replay of ") and not name.startswith("replay of 0")
    }
    figure, axis = pyplot.subplots(figsize=(5, 2.8), layout="constrained")
    lengths = sorted(measured)
    axis.loglog(lengths, [_median(measured[length]) for length in lengths], "o-", color=_OURS, label="median")
    axis.fill_between(
        lengths, [min(measured[length]) for length in lengths], [max(measured[length]) for length in lengths],
        color=_OURS, alpha=0.2, label="extremes",
    )  # fmt: skip
    axis.set_xlabel("events in the journal")
    axis.set_ylabel("ms from ready to the end")
    axis.legend(frameon=False)
    _save(figure, "replay")


def _growth(figures: Mapping[str, Sequence[float]]) -> None:
    prefix = "10-event workflows beside "
    measured = [(name.removeprefix(prefix), values) for name, values in figures.items() if name.startswith(prefix)]
    figure, axis = pyplot.subplots(figsize=(5, 2.4), layout="constrained")
    names = [name.removesuffix(" finished tasks") for name, _ in measured]
    axis.bar(names, [_median(values) for _, values in measured], color=_OURS, width=0.5)
    axis.vlines(names, [min(v) for _, v in measured], [max(v) for _, v in measured], color="black", linewidth=1)
    axis.set_xlabel("finished tasks in the database, with three events each")
    axis.set_ylabel("workflows/s of ten events")
    _save(figure, "growth")


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _save(figure: Any, name: str) -> None:
    figure.savefig(_FOLDER / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    main()
