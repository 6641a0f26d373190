-- The journal as a client reads it. How a worker reads it for a replay is in history.sql.

-- name: page
-- The columns of durable.model.Event, in its order, a page at a time.
SELECT index, label, value::text FROM durable.event
WHERE task_id = %(task_id)s::bigint AND index > %(after)s::bigint
ORDER BY index
LIMIT %(limit)s::bigint;
