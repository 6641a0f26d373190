"""Whatever statements a workflow sends: what they write is there if, and only if, the event of their transaction is."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from durable.execution.database import GuestDatabase
from durable.journal.faults import JournalUnavailable, Unstorable
from durable.wasm.traps import GuestTrap
from tests.execution.tables import Tables
from tests.guest_sql.guest import Guest, guest_pool, worker_with_secret
from tests.guest_sql.statements import sequence

SEQUENCES = 250


def seed() -> int:
    return int(os.environ.get("DURABLE_SEED", random.randrange(2**32)))


@dataclass
class Played:
    """What became of a transaction. `seen` is what it saw of its own effects before its end, None: it did not look."""

    how: str
    reason: str = ""
    seen: Counter[int] | None = None


async def play(guest: Guest, statements: Sequence[str], look: bool) -> Played:
    seen = None
    try:
        async with guest.transaction():
            for statement in statements:
                await guest.send(statement)
            if look:
                seen = await numbers(guest, "app.effect") + await numbers(guest, "app.later")
            await guest.commit()
    except (GuestTrap, Unstorable) as error:
        return Played("failed", str(error))
    except JournalUnavailable as error:
        return Played("put back", str(error))
    return Played("undone" if guest.recorded_without_sql else "recorded", seen=seen)


async def numbers(guest: Guest, table: str) -> Counter[int]:
    """As the workflow sees them; a transaction that has failed shows nothing."""
    answers = await guest.send(f"SELECT n FROM {table} WHERE task = {guest.task}")
    rows = [answer.value for answer in answers if answer.name == "row"]
    return Counter(int.from_bytes(columns[0][1].data) for (columns,) in rows)


def effects(tables: Tables, task: int) -> Counter[int]:
    return Counter(row[0] for row in tables.rows("SELECT n FROM app.effect WHERE task = %s", task))


def check(tables: Tables, task: int, statements: Sequence[str], played: Played) -> None:
    story = (played, statements)
    events = [index for index, _, _ in tables.events(task)]
    written = effects(tables, task)
    assert events == ([0] if played.how == "recorded" else []), story
    if played.how != "recorded":
        assert not written, story
    elif played.seen is not None:
        # What a cursor WITH HOLD writes, it writes when the transaction commits.
        held = {number for number, one in enumerate(statements) if "WITH HOLD" in one}
        assert not played.seen - written, story
        assert set(written - played.seen) <= held, story
    if played.how == "put back":
        # Trying again must be able to help: only a broken connection is not the program's own fault.
        assert any("pg_terminate_backend" in one for one in statements), story
    assert tables.value("SELECT count(*) FROM durable.guest_transaction") == 0, story
    assert tables.value("SELECT count(*) FROM pg_prepared_xacts") == 0, story


@pytest.mark.timeout(300)
@pytest.mark.parametrize("login", ["of the worker", "of its own"])
def test_effects_if_and_only_if_event(
    tables: Tables, database_url: str, own_login: str, other_role: str, login: str
) -> None:
    number = seed()
    print("DURABLE_SEED", number)
    chance = random.Random(number)
    own = login == "of its own"
    ends = asyncio.run(play_all(chance, tables, own_login if own else database_url, other_role, forgeries=own))
    print(dict(ends))
    # A run in which nearly everything fails shows nothing.
    assert min(ends["recorded"], ends["failed"], ends["undone"]) >= SEQUENCES / 20, ends


async def play_all(chance: random.Random, tables: Tables, url: str, other: str, forgeries: bool) -> Counter[str]:
    worker, secret = worker_with_secret(tables)
    ends: Counter[str] = Counter()
    async with guest_pool(url) as pool:
        database = GuestDatabase(pool, secret)
        fresh = await Guest(tables.task(worker), database).state_of_its_session()
        for _ in range(SEQUENCES):
            task = tables.task(worker)
            statements = [one.replace("nobody_of_test", other) for one in sequence(chance, task, forgeries)]
            played = await play(Guest(task, database), statements, chance.random() < 0.5)
            check(tables, task, statements, played)
            assert await Guest(task, database).state_of_its_session() ^ fresh == set(), statements
            ends[played.how] += 1
    return ends
