-- A database that `durable simulate` made for itself: its clock, and what is read of it to judge a run.

-- name: prepare
-- Time stands still until the simulation moves it; nothing but the simulation touches a table. In `effect` tasks leave
-- a row for each thing they did by SQL, without any key that would keep a second one out.
CREATE SCHEMA simulation;
CREATE TABLE simulation.clock (now timestamptz NOT NULL);
CREATE TABLE simulation.effect (task_id bigint NOT NULL, index integer NOT NULL, lease bigint NOT NULL);
INSERT INTO simulation.clock VALUES ('2030-01-01 00:00:00+00');
CREATE OR REPLACE FUNCTION durable.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT now FROM simulation.clock';
ALTER TABLE durable.task SET (autovacuum_enabled = false);
ALTER TABLE durable.event SET (autovacuum_enabled = false);
ALTER TABLE durable.notification SET (autovacuum_enabled = false);
ALTER TABLE durable.log SET (autovacuum_enabled = false);
ALTER TABLE durable.worker SET (autovacuum_enabled = false);
ALTER TABLE durable.guest_transaction SET (autovacuum_enabled = false);
ALTER TABLE simulation.clock SET (fillfactor = 10, autovacuum_enabled = false);
ALTER TABLE simulation.effect SET (autovacuum_enabled = false);

-- name: forget
-- Before each run: the same seed has to find the same ids, the same plans, the same order of rows.
TRUNCATE durable.task, durable.event, durable.notification, durable.log, durable.worker, durable.wasm,
    durable.guest_transaction, simulation.effect, simulation.clock RESTART IDENTITY CASCADE;

-- name: begin_time
-- The one row of the clock.
INSERT INTO simulation.clock VALUES ('epoch'::timestamptz + %(now)s * interval '1 microsecond');

-- name: set_time
-- Database time from here on.
UPDATE simulation.clock SET now = 'epoch'::timestamptz + %(now)s * interval '1 microsecond';

-- name: blocked
-- Which of these sessions wait for a lock that another one holds.
SELECT DISTINCT pid FROM pg_catalog.pg_locks
WHERE NOT granted AND pid = ANY (%(pids)s::int[]) AND locktype NOT IN ('extend', 'page', 'spectoken');

-- name: at_work
-- Which of these sessions do not wait for their client: they have more to say, or to undo.
SELECT session.pid
FROM unnest(%(pids)s::int[]) AS session (pid)
CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(session.pid) AS activity
WHERE activity.wait_event IS DISTINCT FROM 'ClientRead';

-- name: alive
-- Which of these sessions the server still has.
SELECT session.pid
FROM unnest(%(pids)s::int[]) AS session (pid)
CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(session.pid);

-- name: end_idle
-- What idle_in_transaction_session_timeout does in real time: these sessions are stopped within a transaction.
SELECT pid, pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pid = ANY (%(pids)s::int[]) AND state LIKE 'idle in transaction%%'
  AND (application_name = 'durable guest') = %(guests)s::bool;

-- name: new_program
-- A program that is not a component: its tasks are played by the simulation itself.
INSERT INTO durable.wasm (hash, wasm, name) VALUES (sha256('simulated'), 'simulated', 'simulated') RETURNING id;

-- name: store_program
-- A component that somebody wants to see simulated.
INSERT INTO durable.wasm (hash, wasm, name) VALUES (sha256(%(wasm)s::bytea), %(wasm)s::bytea, %(name)s) RETURNING id;

-- name: launch
-- As any client may do it.
INSERT INTO durable.task (name, wasm, data) VALUES (%(name)s, %(program)s, %(data)s::text::jsonb) RETURNING id;

-- name: notify
-- As any client may do it, several at once in their order. No row: the task is not there, or has ended.
INSERT INTO durable.notification (task_id, event, data)
SELECT task.id, %(event)s::text, message.data::jsonb
FROM unnest(%(data)s::text[]) WITH ORDINALITY AS message (data, position)
JOIN durable.task AS task ON task.id = %(task)s AND task.state NOT IN ('complete', 'failed', 'cancelled')
ORDER BY message.position
RETURNING id;

-- name: data_of
-- The data of a task as its workflow gets it.
SELECT data::text FROM durable.task WHERE id = %(task)s;

-- name: lease_of
-- Under which lease a task runs now; no row when it does not.
SELECT lease FROM durable.task WHERE id = %(task)s AND state = 'active';

-- name: add_effect
-- What a task does by SQL; it adds its values.
INSERT INTO simulation.effect (task_id, index, lease) VALUES;

-- name: snapshot
-- Everything that can be judged, at one moment.
SELECT json_build_object(
    'tasks', (SELECT coalesce(json_agg(json_build_array(
            id, state, running_on, lease, deaths, (extract(epoch FROM wakeup_at) * 1000000)::bigint, wait_index,
            (extract(epoch FROM wait_until) * 1000000)::bigint, completed_at IS NOT NULL) ORDER BY id), '[]')
            FROM durable.task),
    'events', (SELECT coalesce(json_agg(json_build_array(
            task_id, index, label, value::text, (extract(epoch FROM created_at) * 1000000)::bigint)
            ORDER BY task_id, index), '[]') FROM durable.event),
    'logs', (SELECT coalesce(json_agg(json_build_array(task_id, index, message) ORDER BY task_id, index), '[]')
            FROM durable.log),
    'notifications', (SELECT coalesce(json_agg(json_build_array(task_id, data::text) ORDER BY id), '[]')
            FROM durable.notification),
    'effects', (SELECT coalesce(json_agg(json_build_array(task_id, index, lease) ORDER BY task_id, index), '[]')
            FROM simulation.effect),
    'workers', (SELECT coalesce(json_agg(json_build_array(
            id, (extract(epoch FROM heartbeat_at) * 1000000)::bigint) ORDER BY id), '[]') FROM durable.worker),
    'at', (extract(epoch FROM durable.now()) * 1000000)::bigint,
    'open_transactions', (SELECT count(*) FROM durable.guest_transaction)
);
