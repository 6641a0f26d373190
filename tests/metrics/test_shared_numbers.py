"""Numbers in files that processes leave to their successors, whoever dies when."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from durable import metrics
from durable.metrics import files
from durable.metrics.cells import CELL_BYTES, Cells
from durable.metrics.instruments import About, Counter, CounterFamily, Histogram
from tests.metrics.scrapes import Scrape, assert_went_forward, complaints
from workers.exporter_database import DatabaseWatch
from workers.exporter_metrics import ServiceMetrics

ROOT = Path(__file__).parents[2]
ABOUT = About("x", "x")

#: Counts as fast as it can: first an event, then its flush, then a request.
COUNTING = """
import sys
from pathlib import Path
from durable import metrics
metrics.share(Path(sys.argv[1]), sys.argv[2])
metrics.worker_tasks.set(1)
for number in range(10**9):
    if number == 100:
        print("counts", flush=True)
    metrics.events_appended.inc()
    metrics.flush_seconds.observe(number % 7 / 100)
    metrics.http_requests["2xx"].inc()
"""


def start_counting(folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that counts; returns once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, folder, name], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counts\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def show(folder: Path) -> Scrape:
    registry = CollectorRegistry()
    registry.register(ServiceMetrics(folder, folder, DatabaseWatch("")))
    return Scrape.of(generate_latest(registry).decode())


def test_a_successor_goes_on_with_the_counters_and_begins_with_gauges_of_0(tmp_path: Path) -> None:
    code = COUNTING.replace("10**9", "10").replace("set(1)", "inc()")
    for generation in (1, 2, 3):
        subprocess.run([sys.executable, "-c", code, tmp_path, "worker-1"], check=True, cwd=ROOT, capture_output=True)
        [left] = files.read_all(tmp_path, len(metrics.cells))
        assert left.values[metrics.events_appended.place] == 10 * generation
        assert left.values[metrics.worker_tasks.place] == 1


def test_what_was_counted_before_the_move_is_not_counted_twice(tmp_path: Path) -> None:
    cells = Cells()
    counter = Counter(cells, ABOUT)
    counter.inc(1000)
    cells.move_to(files.open_for(tmp_path, "worker-1", len(cells)))
    counter.inc()
    assert cells.read() == [1]


def test_two_processes_of_one_name_never_write_to_one_file(tmp_path: Path) -> None:
    both = [start_counting(tmp_path, "worker-1") for _ in range(2)]
    try:
        assert {path.name for path in tmp_path.iterdir()} == {"worker-1.0.cells", "worker-1.1.cells"}
        assert show(tmp_path).value("durable_worker_tasks", worker="1") == 2
    finally:
        for process in both:
            end(process)


def test_a_worker_that_is_gone_has_no_gauges_and_keeps_its_counts(tmp_path: Path) -> None:
    process = start_counting(tmp_path, "worker-1")
    assert show(tmp_path).value("durable_worker_tasks", worker="1") == 1
    end(process)
    left = show(tmp_path)
    assert not left.has("durable_worker_tasks", worker="1")
    assert left.value("durable_events_appended_total") > 0
    assert show(tmp_path).growing() == left.growing()


def test_kills_in_the_middle_of_writes_break_no_scrape_and_turn_back_no_counter(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    workers = {name: start_counting(tmp_path, name) for name in ("worker-1", "worker-2", "worker-3")}
    before = show(tmp_path)
    try:
        for _ in range(25):
            name = chance.choice(list(workers))
            workers[name].send_signal(signal.SIGKILL)
            for _ in range(10):
                after = show(tmp_path)
                assert_went_forward(before, after)
                before = after
            workers[name].communicate()
            workers[name] = start_counting(tmp_path, name)
    finally:
        for process in workers.values():
            end(process)
    assert complaints(before.text) == ""
    assert len(list(tmp_path.iterdir())) == 3, "a file for each name, however many processes there were"
    left = show(tmp_path)
    events, requests = (
        left.value("durable_events_appended_total"),
        left.value("durable_http_requests_total", outcome="2xx"),
    )
    assert events - 28 <= requests <= events, "each of the 28 deaths came between an event and its request at most once"


def test_a_file_that_is_being_made_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "worker-1.0.cells").touch()
    (tmp_path / "worker-2.0.cells").write_bytes(b"\0" * 3 * CELL_BYTES)
    assert [process.name for process in files.read_all(tmp_path, 2)] == ["worker-2"]
    assert not files.read_all(tmp_path, 2)[0].is_alive, "its pid is not written yet"


def test_a_folder_that_cannot_be_used_costs_the_metrics_and_not_the_process(tmp_path: Path) -> None:
    process = start_counting(tmp_path / "none", "worker-1")
    time.sleep(0.1)
    assert process.poll() is None
    end(process)


def test_a_full_disk_costs_the_metrics_and_not_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.open_for(tmp_path, "worker-1", 10)


def test_a_label_has_no_other_values_than_those_it_was_made_with() -> None:
    family = CounterFamily(Cells(), ABOUT, "outcome", ("good", "bad"))
    family["good"].inc()
    with pytest.raises(KeyError):
        family["task 17"]


def test_an_observation_counts_where_it_fits_first_and_never_takes_from_the_sum() -> None:
    cells = Cells()
    histogram = Histogram(cells, ABOUT, (1.0, 2.0))
    histogram.observe_all([0.5, 1.0, 1.5, 99.0, -3.0])
    assert cells.read() == [102.0, 3.0, 1.0, 1.0]
