"""Alerts for Prometheus: understood by promtool, each raised by its trouble and by no other, each in the runbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.documents import anchors, blocks, sections
from tests.engine.database import Database
from tests.ops.metric_names import METRICS, SERIES, series_in

ROOT = Path(__file__).parents[2]
RULES = ROOT / "ops" / "prometheus-rules.yml"
TROUBLES = ROOT / "ops" / "prometheus-rules-test.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"

ALERTS = dict(re.findall(r"- alert: (\w+)\n((?: {8}.*\n)+)", RULES.read_text() + "\n"))
ENTRIES = dict(sections(RUNBOOK, 3))
PARTS = ("**Means.**", "**Why.**", "**Look.**", "**Do.**", "**Over when.**")

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not on the PATH (Debian: apt install prometheus)"
)
each_alert = pytest.mark.parametrize("alert", ALERTS)


def _promtool(*arguments: str | Path) -> None:
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_prometheus_understands_the_rules() -> None:
    _promtool("check", "rules", RULES)


@needs_promtool
def test_each_trouble_raises_its_own_alert_and_no_other() -> None:
    _promtool("test", "rules", TROUBLES)


@each_alert
def test_there_is_a_trouble_that_raises_it(alert: str) -> None:
    assert f'alertname="{alert}"' in TROUBLES.read_text()


@each_alert
def test_it_asks_for_series_that_exist(alert: str) -> None:
    assert series_in(ALERTS[alert].partition("labels:")[0]) <= SERIES


def test_the_troubles_are_made_of_series_that_exist() -> None:
    assert series_in(TROUBLES.read_text()) <= SERIES | METRICS


@each_alert
def test_it_says_how_bad_it_is_what_it_is_and_where_to_read_on(alert: str) -> None:
    text = ALERTS[alert]
    assert re.search(r"severity: (critical|warning|info)\b", text)
    assert "summary:" in text
    assert "description:" in text
    file, _, anchor = re.search(r"runbook_url: (\S+)", text)[1].partition("#")  # type: ignore[index]
    assert (ROOT / file) == RUNBOOK
    assert anchor in anchors(RUNBOOK)
    assert anchor == alert.lower()


@each_alert
def test_the_runbook_says_what_it_means_why_where_to_look_what_to_do_and_when_it_is_over(alert: str) -> None:
    entry = ENTRIES[alert]
    missing = [part for part in PARTS if part not in entry]
    assert not missing


def test_the_runbook_has_no_entry_for_an_alert_that_does_not_exist() -> None:
    assert {title for title in ENTRIES if title.startswith("Durable")} == set(ALERTS)


def test_the_sql_of_the_runbook_runs(database_url: str) -> None:
    statements = blocks(RUNBOOK, "sql")
    assert statements
    with closing(Database(database_url)) as database:
        for statement in statements:
            database.query(statement.replace("%", "%%"))
