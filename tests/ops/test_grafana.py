"""The dashboard: as Grafana wants it, of queries that Prometheus understands and metrics that exist.

Grafana's own types check it, too, where they are installed: `npm install @grafana/schema@11 typescript@5` in a folder
that DURABLE_TEST_GRAFANA_SCHEMA names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ops.metric_names import METRICS, SERIES, series_in

OPS = Path(__file__).parents[2] / "ops"
DASHBOARD: dict[str, Any] = json.loads((OPS / "grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
SCHEMA = os.environ.get("DURABLE_TEST_GRAFANA_SCHEMA")

# Enums of TypeScript are not their values; JSON has only values.
_TYPES = """
import type {{ Dashboard }} from '@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts';
import type {{ Options as timeseries }} from
    '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';
import type {{ Options as stat }} from
    '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts';
type Plain<T> = T extends string ? `${{T}}` | T : T extends (infer U)[] ? Plain<U>[]
    : T extends object ? {{ [K in keyof T]: Plain<T[K]> }} : T;
export const dashboard: Plain<Dashboard> = {dashboard};
{options}
"""

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))


def _expressions(panel: dict[str, Any]) -> Iterator[str]:
    for target in panel["targets"]:
        yield target["expr"]


def _as_promql(expression: str) -> str:
    """With values in the place of Grafana's variables."""
    values = {"$__rate_interval": "1m", "$job": "durable", "$instance": ".*"}
    return re.sub(r"\$\w+", lambda match: values[match[0]], expression)


def test_it_can_be_imported_and_asks_which_prometheus() -> None:
    assert DASHBOARD["uid"] == "durable"
    assert DASHBOARD["schemaVersion"] >= 36  # the first with data sources by uid
    assert DASHBOARD.get("id") is None
    assert [one["type"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "query", "query"]
    for one in (*PANELS, *(target for panel in PANELS for target in panel["targets"])):
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@each_panel
def test_a_panel_has_a_title_a_description_and_queries_with_names(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    references = [target["refId"] for target in panel["targets"]]
    assert references == [chr(ord("A") + number) for number in range(len(references))]
    if panel["type"] == "timeseries":
        assert all(target["legendFormat"] for target in panel["targets"])


@each_panel
def test_a_panel_asks_for_series_that_exist_and_by_variables_that_exist(panel: dict[str, Any]) -> None:
    for expression in _expressions(panel):
        assert series_in(expression), expression
        assert series_in(expression) <= SERIES
        assert set(re.findall(r"\$(\w+)", expression)) <= {*VARIABLES, "__rate_interval"}


def test_every_metric_is_shown() -> None:
    shown = {name for panel in PANELS for expression in _expressions(panel) for name in series_in(expression)}
    unseen = {one for one in METRICS if not any(name.startswith(one) for name in shown)}
    assert unseen == {"durable_program_cache_disk_size_bytes"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not on the PATH (Debian: apt install prometheus)")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{panel['id']}:{number}", "expr": _as_promql(expression)}
        for panel in PANELS
        for number, expression in enumerate(_expressions(panel))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


@pytest.mark.skipif(SCHEMA is None, reason="DURABLE_TEST_GRAFANA_SCHEMA names no folder with Grafana's types")
def test_grafanas_own_types_fit(tmp_path: Path) -> None:
    options = "\n".join(
        f"export const options{panel['id']}: Plain<{panel['type']}> = {json.dumps(panel['options'])};"
        for panel in PANELS
    )
    (tmp_path / "node_modules").symlink_to(Path(str(SCHEMA)) / "node_modules")
    program = tmp_path / "dashboard.ts"
    program.write_text(_TYPES.format(dashboard=json.dumps(DASHBOARD), options=options))
    flags = ["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    tsc = Path(str(SCHEMA)) / "node_modules" / ".bin" / "tsc"
    checked = subprocess.run([tsc, *flags, program], cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert checked.returncode == 0, checked.stdout
