-- Messages to tasks, as a client sends them.

-- name: send
-- One statement, so that it is right inside and outside of a transaction. The receiver's row is not locked: the sender's
-- transaction may stay open for long, and the worker that writes for the receiver must not wait for it. So a task that
-- ends at the same moment may get a notification that it never takes. No row: no such task. A row whose state is a final
-- one: nothing was sent.
WITH receiver AS MATERIALIZED (
    SELECT id, state FROM durable.task WHERE id = %(task_id)s::bigint
), sent AS (
    INSERT INTO durable.notification (task_id, event, data)
    SELECT id, %(event)s::text, %(data)s::text::jsonb FROM receiver
    WHERE state NOT IN ('complete', 'failed', 'cancelled')
)
SELECT state::text FROM receiver;
