"""What the machine and PostgreSQL can do without durable: one row inserted per transaction, by pgbench."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, figure
from benchmarks.stage import Stage
from durable.embedded.binaries import binaries
from tests.engine.database import Database

_SECONDS = 2
_INSERT = "INSERT INTO yardstick (client, text) VALUES (:client_id, 'one row of an ordinary length');\n"


def yardstick(stage: Stage) -> Iterator[Figure]:
    """Single-row INSERTs per second, a commit each: 8 clients, and 1."""
    with stage.database() as database:
        database.query("CREATE TABLE yardstick (id bigserial PRIMARY KEY, client integer, text text)")
        script = stage.folder / "insert.sql"
        script.write_text(_INSERT)
        for clients in (8, 1):
            _run(stage, database, script, clients)
            rates = [_run(stage, database, script, clients) for _ in range(stage.rounds)]
            yield figure(f"single-row INSERTs, {clients} client{'s'[: clients - 1]}", "commits/s", rates)


def _run(stage: Stage, database: Database, script: Path, clients: int) -> float:
    command = [
        _pgbench(stage), "--no-vacuum", "--protocol=prepared", f"--file={script}", f"--client={clients}",
        f"--jobs={min(clients, 2)}", f"--time={_SECONDS}", database.url,
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS + 60)
    found = re.search(r"tps = ([0-9.]+)", ended.stdout)
    assert found is not None, ended.stdout
    return float(found[1])


def _pgbench(stage: Stage) -> str:
    """The one that came with the server, else that of the distribution."""
    beside = binaries(stage.folder / "binaries").folder / "pgbench"
    found = str(beside) if beside.exists() else shutil.which("pgbench")
    if found is None:
        raise FileNotFoundError("pgbench is neither beside the embedded PostgreSQL nor on the PATH")
    return found
