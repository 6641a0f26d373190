-- What the exporter of metrics asks now and then, of tables that may hold millions of ended tasks. Each statement reads
-- an index that is small, or stops at a bound.

-- name: ready
-- How many tasks are ready, and since when the one is that has been for the longest. A worker takes them by id, so the
-- lowest ids are those that matter, should there be more than the bound.
SELECT count(*), extract(epoch FROM min(since))::float8
FROM (
    SELECT coalesce(ready_at, created_at) AS since FROM durable.task WHERE state = 'ready' ORDER BY id LIMIT %(bound)s
) AS few;

-- name: active
-- There are no more than workers have room for.
SELECT count(*) FROM durable.task WHERE running_on IS NOT NULL AND state = 'active';

-- name: suspended
-- Those that wait for a notification, and those that only sleep, each from an index of its own.
SELECT (
    SELECT count(*) FROM (
        SELECT FROM durable.task WHERE state = 'suspended' AND wakes_on_notification LIMIT %(bound)s
    ) AS waiting
) + (
    SELECT count(*) FROM (
        SELECT FROM durable.task
        WHERE state = 'suspended' AND wakeup_at IS NOT NULL AND NOT wakes_on_notification LIMIT %(bound)s
    ) AS sleeping
);

-- name: complete
-- Mostly there are more than the bound, of which it then reads no more.
SELECT count(*) FROM (
    SELECT FROM durable.task WHERE completed_at IS NOT NULL AND state = 'complete' LIMIT %(bound)s
) AS few;

-- name: set_apart
-- failed, paused, cancelled and quarantined, from an index of their own.
SELECT count(*) FROM (
    SELECT FROM durable.task
    WHERE state IN ('failed', 'paused', 'cancelled', 'quarantined') AND state = %(state)s::durable.task_state
    LIMIT %(bound)s
) AS few;

-- name: estimate
-- What the planner believes, from the statistics that autovacuum keeps and the present size of the table. Reads no row.
EXPLAIN (FORMAT json) SELECT FROM durable.task WHERE state = %(state)s::durable.task_state;

-- name: launched
-- The last id that was given out. It grows with each launch, also with one that is rolled back, and is never set back.
SELECT coalesce(pg_sequence_last_value('durable.task_id_seq'), 0);
