"""Ways to break the engine on purpose: a simulation that does not find them is not worth its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable.execution import group_commit
from durable.execution.http import GuestHttp
from durable.execution.inbox import Inbox
from durable.model import Notification
from durable.store import queries
from workers.heartbeat import Heartbeat

Break = Callable[[pytest.MonkeyPatch], None]


def statement(file: str, name: str, *replacements: tuple[str, str]) -> Break:
    """The named query with something else in it."""

    def break_it(patch: pytest.MonkeyPatch) -> None:
        broken = queries.load(file)[name]
        for old, new in replacements:
            assert old in broken, f"{name} does not say {old!r} any more"
            broken = broken.replace(old, new)
        patch.setitem(queries.load(file)._queries, name, broken)

    return break_it


def requests_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """A request leaves before what it follows from is durable."""

    async def send(self: Any, request: Any, tail: Any) -> Any:
        return await self._client.send(request, lambda: True)

    patch.setattr(GuestHttp, "send", send)


def notifications_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    """A task looks for notifications before those that it took are deleted."""

    async def take(self: Any) -> Notification | None:
        if not self._seen:
            self._arrived.clear()
            self._seen.extend(await self._reader.notifications(self._tail.task_id))
        return self._seen.popleft() if self._seen else None

    patch.setattr(Inbox, "take", take)


def wake_nobody_late(patch: pytest.MonkeyPatch) -> None:
    """A notification that is committed after its task was suspended wakes nobody, neither at once nor later."""
    for name in ("wake_notified", "wake_waiting", "wake_all_waiting"):
        statement("journal", name, ("t.state = 'suspended'", "false"))(patch)


def trust_leases_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A worker that could not renew its leases goes on as if they were its own."""
    patch.setattr(Heartbeat, "_believes", property(lambda beat: 1e9, lambda beat, seconds: None), raising=False)


def take_failed_commits_for_good(patch: pytest.MonkeyPatch) -> None:
    def forget(batch: Any, error: Exception) -> None:
        for cut in batch:
            cut.tail.committed(cut.added)

    patch.setattr(group_commit, "_break", forget)


def presume_death_early(patch: pytest.MonkeyPatch) -> None:
    """After a sixth of the time without a heartbeat."""
    for name in ("dead_workers", "reclaim"):
        statement("lease", name, ("secs => %(timeout)s", "secs => %(timeout)s / 6"))(patch)


forget_claims = statement("lease", "release_unclaimed", ("t.state = 'active'", "t.state = 'active' AND false"))

WAYS: dict[str, Break] = {
    "a stale worker may write": statement(
        "journal", "append",
        ("WHERE locked.state = 'active' AND locked.running_on = %(worker)s", ""),
        ("JOIN part USING (id, lease)", "JOIN part USING (id)"),
    ),
    "a claim is no new lease": statement("lease", "claim", ("lease = t.lease + 1", "lease = t.lease")),
    "what was taken stays": statement("journal", "append", ("n.id = k.id", "false AND n.id = k.id")),
    "an orphan is not made ready": statement("lease", "reclaim", ("'ready' END", "'suspended' END")),
    "a worker that has lost a task writes": statement(
        "journal", "append", ("WHERE locked.state = 'active' AND locked.running_on = %(worker)s", "")
    ),
    "text is printed under a lease that is over": statement(
        "journal", "append", ("JOIN held ON held.id = l.task_id", "")
    ),
    "the living are presumed dead": presume_death_early,
    "timers are a minute late": statement(
        "lease", "claim", ("wakeup_at <= durable.now()\n", "wakeup_at <= durable.now() - interval '60 s'\n")
    ),
    "a failed commit is taken for a good one": take_failed_commits_for_good,
    "leases are trusted for ever": trust_leases_for_ever,
    "a request leaves too early": requests_before_the_journal,
    "a task looks for notifications too early": notifications_before_the_journal,
}  # fmt: skip
