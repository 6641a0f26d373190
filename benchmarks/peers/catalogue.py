"""Who takes part, under which settings."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers.contestant import Contestant
from benchmarks.peers.ours import Durable
from benchmarks.peers.peer import Peer

_PGQUEUER_LEFT = "SELECT count(*) FROM pgqueuer"

CONTESTANTS: Sequence[Contestant] = (
    Durable(),
    Peer("pgqueuer", "pgqueuer", ("python", "with_pgqueuer.py", "work", "10"), {"noop": 12_000}, _PGQUEUER_LEFT),
    Peer(
        "pgqueuer, batch 100", "pgqueuer", ("python", "with_pgqueuer.py", "work", "100"), {"noop": 20_000},
        _PGQUEUER_LEFT,
    ),
    Peer(
        "procrastinate", "procrastinate",
        ("procrastinate", "--log-level=warning", "--app=with_procrastinate.app", "worker", "--concurrency=32"),
        {"noop": 2_000}, "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    ),
    Peer(
        "DBOS", "dbos", ("python", "with_dbos.py", "work"), {"noop": 2_000, "steps": 300},
        "SELECT count(*) FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING')",
    ),
    Peer(
        "absurd", "absurd", ("python", "with_absurd.py", "work"), {"noop": 2_000, "steps": 300},
        "SELECT count(*) FROM absurd.t_bench WHERE state <> 'completed'",
    ),
)  # fmt: skip

#: Those that take many launches in one call.
LAUNCHERS = [one for one in CONTESTANTS if one.name in ("durable", "pgqueuer", "procrastinate")]
