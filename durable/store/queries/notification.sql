-- Messages to tasks, as a client sends them.

-- name: send
-- One statement, so that it is right inside and outside of a transaction. The lock makes the state that is looked at
-- the state at commit: a task that is just ending is waited for. No row: no such task. A row whose state is a final one:
-- nothing was sent.
WITH receiver AS MATERIALIZED (
    SELECT id, state FROM durable.task WHERE id = %(task_id)s::bigint FOR NO KEY UPDATE
), sent AS (
    INSERT INTO durable.notification (task_id, event, data)
    SELECT id, %(event)s::text, %(data)s::text::jsonb FROM receiver
    WHERE state NOT IN ('complete', 'failed', 'cancelled', 'quarantined')
)
SELECT state::text FROM receiver;
