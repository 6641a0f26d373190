"""Draws dashboard.png: the panels of ops/grafana.json in their grid, with what a running Prometheus answers.

Not a screenshot of Grafana, but the same queries at the same places; it needs matplotlib, and nothing else does:

    python docs/images/dashboard.py http://127.0.0.1:9090 MINUTES
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

HERE = Path(__file__).parent
DASHBOARD = json.loads((HERE.parents[1] / "ops" / "grafana.json").read_text())
VALUES = {"$__rate_interval": "1m", "$job": "durable", "$instance": ".*"}
COLOURS = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#b877d9", "#ffcb7d", "#96d98d"]
BACKGROUND, PANEL, TEXT, GRID = "#111217", "#181b1f", "#ccccdc", "#2c3235"
COLUMN, ROW = 0.62, 0.27  # inches
STEP = 5

Series = tuple[str, list[float], list[float]]


def ask(prometheus: str, expression: str, legend: str, minutes: float) -> list[Series]:
    query = re.sub(r"\$\w+", lambda match: VALUES[match[0]], expression)
    span = {"start": time.time() - minutes * 60, "end": time.time(), "step": STEP}
    with urlopen(f"{prometheus}/api/v1/query_range?{urlencode({'query': query, **span})}") as answer:
        found = json.load(answer)["data"]["result"]
    return [
        (
            re.sub(r"\{\{(\w+)\}\}", lambda match: one["metric"].get(match[1], ""), legend),  # noqa: B023
            [float(at) for at, _ in one["values"]],
            [float(value) for _, value in one["values"]],
        )
        for one in found
    ]


def shown(value: float, unit: str) -> str:
    if unit == "s":
        small, long = 0 < abs(value) < 1, value >= 120
        return f"{value * 1000:.3g} ms" if small else f"{value / 60:.3g} min" if long else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**30:.3g} GiB"
    return f"{value:.3g}{'/s' if unit == 'ops' else ''}" if value < 1000 else f"{value:,.0f}"


def draw_stat(axes: Axes, panel: dict[str, Any], series: list[Series], unit: str) -> None:
    last = series[0][2][-1] if series else math.nan
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    colour = [step["color"] for step in steps if step["value"] is None or last >= step["value"] or math.isnan(last)][-1]
    if math.isnan(last):
        text = panel["fieldConfig"]["defaults"]["noValue"]
    else:
        text = series[0][0] if panel["options"]["textMode"] == "name" else shown(last, unit)
    colour = {"green": COLOURS[0], "orange": COLOURS[3], "red": COLOURS[4], "blue": COLOURS[2]}[colour]
    axes.text(0.5, 0.42, text, transform=axes.transAxes, ha="center", va="center", fontsize=22, color=colour)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_lines(axes: Axes, panel: dict[str, Any], series: list[Series], unit: str) -> None:
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    times = sorted({at for _, ats, _ in series for at in ats})
    below = dict.fromkeys(times, 0.0)
    for number, (name, ats, values) in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        x = [at / 86400 for at in ats]  # matplotlib counts in days
        if stacked:
            bottom = [below[at] for at in ats]
            values = [value + under for value, under in zip(values, bottom, strict=True)]
            below |= dict(zip(ats, values, strict=True))
            axes.fill_between(x, bottom, values, color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, values, color=colour, linewidth=1.0, label=name)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M"))
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(maxticks=4))
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit))
    axes.yaxis.set_major_locator(plt.MaxNLocator(4))
    axes.grid(color=GRID, linewidth=0.5)
    axes.tick_params(colors=TEXT, labelsize=6, length=0)
    if series:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=3, fontsize=6, frameon=False, labelcolor=TEXT)


def main(prometheus: str, minutes: float) -> None:
    panels = DASHBOARD["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(24 * COLUMN, rows * ROW), facecolor=BACKGROUND)
    for panel in panels:
        at = panel["gridPos"]
        x, width, top, height = at["x"] / 24, at["w"] / 24, 1 - at["y"] / rows, at["h"] / rows
        if panel["type"] == "row":
            figure.text(x + 0.005, top - height / 2, panel["title"], color=TEXT, fontsize=9, va="center", weight="bold")
            continue
        figure.add_artist(
            plt.Rectangle((x + 0.002, top - height + 0.001), width - 0.004, height - 0.002, color=PANEL, zorder=-1)
        )
        figure.text(x + 0.008, top - 0.35 / rows, panel["title"], color=TEXT, fontsize=8, va="top")
        stat = panel["type"] == "stat"
        axes = figure.add_axes(
            (x + 0.035, top - height * 0.77, width - 0.045, height * 0.6)
            if not stat
            else (x + 0.01, top - height * 0.95, width - 0.02, height * 0.8),
            facecolor=PANEL,
        )
        for spine in axes.spines.values():
            spine.set_visible(False)
        series = [
            one
            for target in panel["targets"]
            for one in ask(prometheus, target["expr"], target["legendFormat"], minutes)
        ]
        unit = panel["fieldConfig"]["defaults"]["unit"]
        (draw_stat if stat else draw_lines)(axes, panel, series, unit)
    picture = BytesIO()
    figure.savefig(picture, dpi=100, facecolor=BACKGROUND)
    Image.open(picture).convert("RGB").quantize(64).save(HERE / "dashboard.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
