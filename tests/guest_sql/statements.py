"""Statements that a clumsy or a hostile workflow may send within its transaction, and sequences of them.

`{n}` in a statement is a number that is there once in a sequence: what it writes is told apart by it.
"""

from __future__ import annotations

import random

#: What writes. Each leaves one row in the table outside, if its transaction commits.
EFFECTS = (
    "INSERT INTO app.effect VALUES ({task}, {n})",
    "INSERT INTO app.effect VALUES ({task}, {n}) RETURNING n",
    "WITH written AS (INSERT INTO app.effect VALUES ({task}, {n}) RETURNING n) SELECT * FROM written",
    "SELECT app.write({task}, {n})",
    "DO $$ BEGIN INSERT INTO app.effect VALUES ({task}, {n}); END $$",
    "DO $$ BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN INSERT INTO app.effect VALUES ({task}, {n}); END $$",
    "INSERT INTO app.later VALUES ({task}, {n})",  # by a deferred trigger, when the transaction commits
)

#: What ends the transaction, or tries to.
ENDS = (
    "COMMIT",
    "COMMIT AND CHAIN",
    "/* x */ commit -- y",
    "END",
    "ROLLBACK",
    "ROLLBACK AND CHAIN",
    "ABORT AND CHAIN",
    "PREPARE TRANSACTION 'of {task}'",
    "DO $$ BEGIN COMMIT; END $$",
    "DO $$ BEGIN ROLLBACK; END $$",
    "DO $$ BEGIN INSERT INTO app.effect VALUES ({task}, {n}); COMMIT; END $$",
    "CALL app.write_and_commit({task}, {n})",
    "INSERT INTO app.effect VALUES ({task}, {n}); COMMIT",
    "ROLLBACK; INSERT INTO app.effect VALUES ({task}, {n}); COMMIT",
    "COMMIT PREPARED 'of {task}'",
    "ROLLBACK PREPARED 'of {task}'",
    "BEGIN",
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "COPY app.effect FROM STDIN",
    "COPY app.effect TO STDOUT",
)

SAVEPOINTS = (
    "SAVEPOINT a",
    "SAVEPOINT a",
    "SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO a",
    "ROLLBACK TRANSACTION TO SAVEPOINT b",
    "RELEASE a",
    "RELEASE b",
)

#: What fails, so that nothing but a rollback to a savepoint helps.
FAILURES = (
    "SELECT 1 / 0",
    "nonsense",
    "INSERT INTO app.effect VALUES ({task}, NULL)",
    "SELECT * FROM app.none",
    "DO $$ BEGIN RAISE 'no'; END $$",
    "SELECT 1 / (50 - x) FROM generate_series(1, 1000) AS x",  # after it has sent some rows
    "ROLLBACK TO nowhere",
    "CREATE DATABASE none",
    "DISCARD ALL",
    "VACUUM app.effect",
    "INSERT INTO app.refused VALUES ({n})",  # by a deferred trigger, when the transaction commits
    "INSERT INTO app.child VALUES ({n})",  # by a deferred foreign key
)

#: What changes the transaction or the session.
SETTINGS = (
    "SET CONSTRAINTS ALL IMMEDIATE",
    "SET CONSTRAINTS ALL DEFERRED",
    "SET TRANSACTION READ ONLY",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "BEGIN READ ONLY",
    "SET default_transaction_read_only = on",
    "SET default_transaction_isolation = 'serializable'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET statement_timeout = '1ms'",
    "SET statement_timeout = 0",
    "SET lock_timeout = '1ms'",
    "SET idle_in_transaction_session_timeout = 0",
    "SET transaction_timeout = '1h'",
    "SET search_path = app",
    "SET search_path = hijack, pg_catalog",
    "SET search_path = ''",
    "SET ROLE nobody_of_test",
    "SET SESSION AUTHORIZATION DEFAULT",
    "RESET ALL",
    "RESET ROLE",
    "SET client_encoding = 'LATIN1'",
    "SET application_name = 'mine'",
    "SET \"app.own\" = 'mine'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET DateStyle = 'German'",
    "SET bytea_output = 'escape'",
    "SET standard_conforming_strings = off",
    "SET synchronous_commit = off",
    "SET work_mem = '64kB'",
    "SET plan_cache_mode = 'force_generic_plan'",
    "SET session_replication_role = replica",
    "SELECT set_config('search_path', 'hijack, pg_catalog', false)",
)

#: What stays with the session beyond the transaction.
LEFTOVERS = (
    "LISTEN somewhere",
    "NOTIFY somewhere, 'x'",
    "CREATE TEMP TABLE IF NOT EXISTS mine AS SELECT 1 AS x",
    "CREATE TEMP TABLE event (task_id bigint, index int)",
    "CREATE TEMP TABLE effect (task bigint, n int)",
    "PREPARE mine AS SELECT 1",
    "PREPARE _pg3_0 AS SELECT true",
    "EXECUTE mine",
    "PREPARE writing AS INSERT INTO app.effect VALUES ({task}, {n})",
    "EXECUTE writing",
    "DEALLOCATE ALL",
    "DECLARE c CURSOR FOR SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT app.write({task}, {n})",
    "DECLARE d CURSOR WITH HOLD FOR SELECT 1 / (3 - x) FROM generate_series(1, 5) AS x",
    "FETCH ALL FROM c",
    "CLOSE ALL",
    "SELECT pg_advisory_lock({task})",
    "SELECT pg_advisory_xact_lock(7)",
    "SELECT nextval('app.numbers')",
    "LOCK TABLE app.effect IN ROW EXCLUSIVE MODE",
    "DISCARD PLANS",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
    "SELECT lo_create(0)",
    "SELECT x FROM generate_series(1, 3000) AS x",
    "",
    "-- nothing",
)

#: What forges the frame around the transaction.
FORGERIES = (
    "SELECT durable.guest_begin({task}, 0)",
    "SELECT durable.guest_begin({task}, 1)",
    "SELECT durable.guest_record({task}, 1, gen_random_uuid(), 0, 'forged', '1', '')",
    "SELECT * FROM durable.task",
    "SELECT secret FROM durable.worker",
    "DELETE FROM durable.guest_transaction",
    "ALTER TABLE durable.guest_transaction DISABLE TRIGGER ALL",
)

#: Several steps that chance alone seldom puts together: ways out of the transaction, and what one could do there.
PLOTS = (
    ("ROLLBACK AND CHAIN", EFFECTS[0], "COMMIT"),
    ("ROLLBACK AND CHAIN", EFFECTS[0], "COMMIT AND CHAIN"),
    ("SELECT 1 / 0", "COMMIT AND CHAIN", EFFECTS[0], "COMMIT"),
    ("ROLLBACK", "BEGIN", EFFECTS[0], "COMMIT"),
    ("COMMIT", EFFECTS[0]),
    ("PREPARE TRANSACTION 'of {task}'", "COMMIT PREPARED 'of {task}'"),
    ("SAVEPOINT a", "SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK TO a", "COMMIT"),
    ("SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK AND CHAIN", EFFECTS[0], "COMMIT"),
    ("SAVEPOINT a", "SET session_replication_role = replica", "RELEASE a", "COMMIT"),
    ("SAVEPOINT a", "COMMIT AND CHAIN", EFFECTS[0], "COMMIT"),
)

_KINDS = (
    (EFFECTS, 10), (SAVEPOINTS, 10), (FAILURES, 3), (SETTINGS, 4), (LEFTOVERS, 4), (ENDS, 4), (FORGERIES, 1),
)  # fmt: skip


def _any(chance: random.Random, forgeries: bool) -> str:
    kinds = _KINDS if forgeries else _KINDS[:-1]
    (kind,) = chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])
    return chance.choice(kind)


def sequence(chance: random.Random, task: int, forgeries: bool) -> list[str]:
    """The first one writes, so that there is something to lose and something to double; one in five has a plot."""
    statements = [chance.choice(EFFECTS), *(_any(chance, forgeries) for _ in range(chance.randint(1, 9)))]
    if chance.random() < 0.2:
        at = chance.randint(1, len(statements))
        statements[at:at] = chance.choice(PLOTS)
    return [one.replace("{task}", str(task)).replace("{n}", str(number)) for number, one in enumerate(statements)]
