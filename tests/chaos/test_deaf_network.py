"""A worker that cannot reach PostgreSQL stops sending before its lease is over: when another has the task, it is still.

Two services share one database. One reaches it through a network that goes deaf again and again, with requests waiting
that are allowed already, for everything before them is durable. The receiver tells the services apart.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.oracle import judge
from tests.chaos.proxy import proxied
from tests.chaos.witness import Post, Receiver, Witnesses, witnesses
from tests.engine.database import Database, wait_until
from tests.engine.service import running_service
from tests.proof import figure, seed

pytestmark = [pytest.mark.proof(minutes=1), pytest.mark.timeout(600)]

CUTS = figure(1, 20)
#: A worker believes in its lease for nine tenths of it; the last one is for a request that was allowed just before.
LEASE = 3.0
#: One request at a time, each of which takes so long: what waits for its turn lasts for longer than the lease.
PAUSE = 0.2
TASKS = 120
#: Seconds for which nothing may come any more.
AND_THEN = 0.7
NEAR, FAR = "x-near", "x-far"

_SETTINGS = {
    "heartbeat_timeout": f"{LEASE}", "heartbeat_interval": "0.3", "poll_interval": "0.2", "egress_allow": "127.0.0.1",
    "max_http_requests": "1", "max_tasks": f"{TASKS // 2}",
}  # fmt: skip


def test_no_request_is_sent_under_a_lease_that_is_over(database: Database, cache_folder: Path, tmp_path: Path) -> None:
    chance = random.Random(seed())
    receiver = Receiver(pause=PAUSE, sender_headers=(NEAR, FAR))
    in_time = 0
    with (
        witnesses(database, chance, receiver) as scene,
        proxied(database.url) as proxy,
        closing(Database(proxy.url(database.url))) as far,
        running_service(
            far, cache_folder, tmp_path / "far.log", workers=1,
            http_idempotency_header=FAR, **_SETTINGS,
        ),
        running_service(
            database, cache_folder, tmp_path / "near.log", workers=1, http_idempotency_header=NEAR, **_SETTINGS
        ),
    ):  # fmt: skip
        for _ in range(CUTS):
            _load(scene, receiver)
            time.sleep(chance.uniform(0, 0.5))
            proxy.go_deaf()
            deaf = time.monotonic()
            wait_until(lambda: database.value("SELECT count(*) FROM durable.worker") == 1, "the end of the leases")
            time.sleep(AND_THEN)
            sent = [post.at - deaf for post in _of(FAR, receiver, since=deaf)]
            proxy.hear()
            late = [at for at in sent if at > LEASE]
            assert not late, f"sent {late} s after the last heartbeat, at the earliest"
            in_time += len(sent)
        receiver.pause = 0.0
        wait_until(lambda: _all_told_and_ended(scene), "the end of all tasks", 120)
        print(f"{CUTS} times deaf, {in_time} requests under a lease that held, none after; {judge(scene)}")
    assert in_time >= CUTS, "too few requests were waiting when the network went deaf"


def _load(scene: Witnesses, receiver: Receiver) -> None:
    """Enough tasks for both; returns when the far service has sent something of them."""
    since = time.monotonic()
    scene.crowd.launch(max(0, TASKS - scene.unfinished()))

    def sends() -> bool:
        scene.crowd.tell(0.5)
        return bool(_of(FAR, receiver, since))

    wait_until(sends, "a request of the far service", 60)


def _of(sender: str, receiver: Receiver, since: float) -> list[Post]:
    return [post for post in receiver.seen() if post.sender == sender and post.at >= since]


def _all_told_and_ended(scene: Witnesses) -> bool:
    scene.crowd.tell(0)
    return scene.crowd.has_told_all() and not scene.unfinished()
