"""`python -m benchmarks.plans [--finished N]`: how PostgreSQL carries out every hot statement beside N finished tasks.

Prints EXPLAIN (ANALYZE, BUFFERS) of each, as auto_explain saw it: the statement as the worker prepares it, once with
the plan for the values at hand and once with the generic one that PostgreSQL may choose after five executions. Exit
status 1 when one scans a large table from end to end, or reads more buffers than its limit.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from benchmarks.finished import add_finished_tasks
from benchmarks.hot_statements import HOT_STATEMENTS, Hot, set_the_stage
from benchmarks.stage import new_stage
from tests.engine.database import Database

_LARGE = {"task", "event", "log", "notification"}
_SETTINGS = """
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_analyze = on;
    SET auto_explain.log_buffers = on;
    SET auto_explain.log_timing = off;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one execution did. `scanned` are the large tables it read from end to end."""

    milliseconds: float
    buffers: int
    read: int
    scanned: Sequence[str]
    text: str

    def problems(self, hot: Hot) -> Iterator[str]:
        for table in self.scanned:
            if table != hot.scans:
                yield f"sequential scan of {table}"
        if self.buffers > hot.buffers:
            yield f"{self.buffers} buffers, more than {hot.buffers}"


def explain(connection: psycopg.Connection[TupleRow], hot: Hot, mode: str) -> Plan:
    """Execute the statement in a transaction that is rolled back; what auto_explain says about it."""
    told: list[str] = []
    handler = lambda notice: told.append(notice.message_primary or "")  # noqa: E731
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        connection.add_notice_handler(handler)
        connection.execute(hot.statement, hot.parameters, prepare=True)
        connection.execute("SHOW plan_cache_mode")  # a SELECT ends, and is explained, when the next statement comes
        connection.remove_notice_handler(handler)
    _, _, found = next(text for text in told if "plan:" in text).partition("plan:")
    return _plan(json.loads(found), next(text for text in told if "plan:" in text))


def _plan(found: Mapping[str, Any], said: str) -> Plan:
    duration = float(said.split("duration: ")[1].split(" ms")[0])
    nodes = list(_nodes(found["Plan"]))
    top = found["Plan"]
    return Plan(
        milliseconds=duration,
        buffers=_blocks(top, "Hit") + _blocks(top, "Read"),
        read=_blocks(top, "Read"),
        scanned=[node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan" and _is_large(node)],
        text="\n".join(_described(found["Plan"])),
    )


def _blocks(plan: Mapping[str, Any], kind: str) -> int:
    """With those of the nodes below: a WITH that writes may run after the node above it, which does not count it."""
    return max(int(plan.get(f"Shared {kind} Blocks", 0)), sum(_blocks(child, kind) for child in plan.get("Plans", ())))


def _is_large(node: Mapping[str, Any]) -> bool:
    return node["Relation Name"] in _LARGE


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _described(plan: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    named = [plan[key] for key in ("Index Name", "Relation Name", "CTE Name", "Subplan Name") if key in plan]
    on = f" on {' of '.join(dict.fromkeys(named))}" if named else ""
    buffers = _blocks(plan, "Hit") + _blocks(plan, "Read")
    yield (
        f"{'  ' * depth}{plan['Node Type']}{on}: {plan['Actual Rows']:g} rows x {plan['Actual Loops']}, "
        f"expected {plan['Plan Rows']}, {buffers} buffers, of them {_blocks(plan, 'Read')} read"
    )
    for child in plan.get("Plans", ()):
        yield from _described(child, depth + 1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--finished", metavar="N", type=int, default=10_000_000, help="finished tasks (10 million)")
    parser.add_argument("--short", action="store_true", help="a line for each statement")
    wanted = parser.parse_args()
    with new_stage(1, 1.0) as stage, stage.database() as database:
        found = list(problems(database, wanted.finished, wanted.short))
    for problem in found:
        print(f"PROBLEM {problem}")
    return 1 if found else 0


def problems(database: Database, finished: int, short: bool) -> Iterator[str]:
    """Prints the plans beside so many finished tasks; yields what is bad about them."""
    add_finished_tasks(database, finished)
    moment = set_the_stage(database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(_SETTINGS)
        for name, make in HOT_STATEMENTS.items():
            yield from _report(connection, name, make(moment), short)


def _report(connection: psycopg.Connection[TupleRow], name: str, hot: Hot, short: bool) -> Iterator[str]:
    for mode in ("force_custom_plan", "force_generic_plan"):
        explain(connection, hot, mode)
        plan = explain(connection, hot, mode)
        kind = mode.split("_")[1]
        print(f"{name:28} {kind:8} {plan.milliseconds:9.2f} ms {plan.buffers:7} buffers, {plan.read} read")
        if not short:
            print(plan.text, end="\n\n")
        yield from (f"{name} ({kind}): {problem}" for problem in plan.problems(hot))


if __name__ == "__main__":
    sys.exit(main())
