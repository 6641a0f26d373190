"""The command line of a set of benchmarks: run them, print what they found."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from benchmarks.figures import Figure
from benchmarks.machine import conditions
from benchmarks.report import Report
from benchmarks.stage import Stage, new_stage

Benchmark: TypeAlias = Callable[[Stage], Iterator[Figure]]
Benchmarks: TypeAlias = Mapping[str, Benchmark]


def command(
    module: str, benchmarks: Benchmarks, long: Benchmarks | None = None, more: Mapping[str, str] | None = None
) -> int:
    """Exit status 0 when every benchmark brought its figures, else 1. Those of `long` run only when they are named.

    `more` are conditions beside those of the machine.
    """
    every = {**benchmarks, **(long or {})}
    wanted = _arguments(module, benchmarks, every)
    _forget_settings()
    started = time.monotonic()
    with new_stage(wanted.rounds, wanted.scale) as stage:
        with stage.database() as database:
            about = conditions(stage.folder, database) | dict(more or {})
        report = _run(stage, {name: every[name] for name in wanted.names or benchmarks}, about)
    print(report.table())
    print(f"\n{time.monotonic() - started:.0f} s in all")
    if wanted.json:
        report.write_json(wanted.json)
    return 1 if report.failures else 0


def _arguments(module: str, usual: Benchmarks, every: Benchmarks) -> argparse.Namespace:
    described = "\n".join(f"  {name:<15} {_summary(every[name], name in usual)}" for name in every)
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=f"Measure on this machine. Without a NAME all that are not long of\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="which to run")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--scale", metavar="X", type=float, default=1.0, help="amount of work; 0.1 to try a change (1)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in every]:
        parser.error(f"no benchmark is called {unknown[0]!r}")
    return arguments


def _summary(benchmark: Benchmark, usual: bool) -> str:
    return (benchmark.__doc__ or "").partition("\n")[0] + ("" if usual else " (long)")


def _forget_settings() -> None:
    """What is measured are the defaults: neither variables of this user nor a file of this host may change them."""
    for name in os.environ:
        if name.startswith(("DURABLE_", "PG")) or name == "DATABASE_URL":
            del os.environ[name]
    os.environ["DURABLE_CONFIG"] = os.devnull
    os.environ["DURABLE_METRICS_ADDR"] = "off"  # another service of this host may have the usual port


def _run(stage: Stage, benchmarks: Benchmarks, about: dict[str, str]) -> Report:
    figures: dict[str, list[Figure]] = {}
    failures: dict[str, str] = {}
    for name, benchmark in benchmarks.items():
        print(f"{name} … ", end="", file=sys.stderr, flush=True)
        started = time.monotonic()
        figures[name] = []
        try:
            for one in benchmark(stage):
                figures[name].append(one)
        except Exception as error:
            # One that fails must not hide what the others find.
            traceback.print_exc()
            failures[name] = _last_line(error)
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return Report(about, figures, failures)


def _last_line(error: Exception) -> str:
    """Of an error that quotes the log of the service, this is the end of the log."""
    lines: Sequence[str] = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1]
