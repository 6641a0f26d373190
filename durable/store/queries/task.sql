-- Tasks, as a client launches and sees them. What workers do with tasks is in claim.sql and its neighbours.

-- name: launch
-- The row of the program is locked, so that the clean-up of unused programs cannot delete it between the look and the
-- insert; a foreign key violation would abort the transaction of the application that launches. No row: no program.
WITH program AS (SELECT id FROM durable.wasm WHERE id = %(program_id)s::bigint FOR KEY SHARE)
INSERT INTO durable.task (name, wasm, data)
SELECT %(name)s::text, program.id, %(data)s::text::jsonb FROM program
RETURNING id;

-- name: launch_many
-- One statement however many tasks. The defaults of an INSERT are evaluated after the ORDER BY of its SELECT, so ids
-- ascend in the order given. Names and data are JSON arrays: half the work for the client of two arrays of text.
WITH program AS (SELECT id FROM durable.wasm WHERE id = %(program_id)s::bigint FOR KEY SHARE)
INSERT INTO durable.task (name, wasm, data)
SELECT new.name, program.id, new.data::jsonb
FROM ROWS FROM (json_array_elements_text(%(names)s::json), json_array_elements(%(data)s::json))
    WITH ORDINALITY AS new (name, data, position), program
ORDER BY new.position
RETURNING id;

-- name: get
-- The columns of durable.model.Task, in its order.
SELECT task.id, task.name, task.state::text, program.name, encode(program.hash, 'hex'), task.data::text,
       task.running_on, task.created_at, task.completed_at, task.wakeup_at, task.lease
FROM durable.task JOIN durable.wasm AS program ON program.id = task.wasm
WHERE task.id = %(task_id)s::bigint;

-- name: list
-- The newest first, since these are what somebody looks for.
SELECT task.id, task.name, task.state::text, program.name, encode(program.hash, 'hex'), task.data::text,
       task.running_on, task.created_at, task.completed_at, task.wakeup_at, task.lease
FROM durable.task JOIN durable.wasm AS program ON program.id = task.wasm
WHERE (%(state)s::text IS NULL OR task.state = %(state)s::text::durable.task_state)
  AND (%(name_pattern)s::text IS NULL OR task.name LIKE %(name_pattern)s::text)
ORDER BY task.id DESC
LIMIT %(limit)s::bigint;

-- name: state
-- All that a wait needs to know; it is asked once per poll, so it reads one small row.
SELECT state::text FROM durable.task WHERE id = %(task_id)s::bigint;

-- name: resume
-- A task that was put aside gets another chance, with a clean record; the log row that said why goes. One row that tells
-- the state it was in; whether something was done follows from that. No row: no such task.
WITH found AS MATERIALIZED (
    SELECT id, state FROM durable.task WHERE id = %(task_id)s::bigint FOR NO KEY UPDATE
), resumed AS (
    UPDATE durable.task AS t SET state = 'ready', deaths = 0, deaths_at = 0, completed_at = NULL, wakeup_at = NULL
    FROM found WHERE t.id = found.id AND found.state IN ('quarantined', 'paused')
    RETURNING t.id
), forgotten AS (
    DELETE FROM durable.log AS l USING resumed WHERE l.task_id = resumed.id AND l.index >= %(reason_index)s::integer
)
SELECT state::text FROM found;

-- name: cancel
-- Ends a task wherever it is. A worker that runs it can commit nothing from here on; the hint lets it drop the guest soon.
-- The row tells the state that the task was in. No row: no such task.
WITH found AS MATERIALIZED (
    SELECT id, state FROM durable.task WHERE id = %(task_id)s::bigint FOR NO KEY UPDATE
), cancelled AS (
    UPDATE durable.task AS t
    SET state = 'cancelled', completed_at = durable.now(), running_on = NULL, wakeup_at = NULL
    FROM found WHERE t.id = found.id AND found.state NOT IN ('complete', 'failed', 'cancelled')
)
SELECT state::text,
       CASE WHEN state = 'active' THEN pg_notify('durable:task', json_build_object('id', id, 'running_on', NULL)::text) END
FROM found;

-- name: pause
-- Takes a task out of the running, with all that it has recorded. Deadlines go on: what was due meanwhile is due when the
-- task is resumed. The rest as for `cancel`.
WITH found AS MATERIALIZED (
    SELECT id, state FROM durable.task WHERE id = %(task_id)s::bigint FOR NO KEY UPDATE
), paused AS (
    UPDATE durable.task AS t SET state = 'paused', running_on = NULL, wakeup_at = NULL
    FROM found WHERE t.id = found.id AND found.state IN ('ready', 'active', 'suspended')
)
SELECT state::text,
       CASE WHEN state = 'active' THEN pg_notify('durable:task', json_build_object('id', id, 'running_on', NULL)::text) END
FROM found;
