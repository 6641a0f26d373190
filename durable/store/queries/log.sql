-- What tasks printed. Rows of one task are committed in the order of their index, so a reader that remembers the last
-- index it saw misses nothing. The two highest indexes are not in this order: they hold the reason of a failure.

-- name: page
-- What was printed after an index, a page at a time.
SELECT index, message, created_at FROM durable.log
WHERE task_id = %(task_id)s::bigint AND index > %(after)s::bigint AND index < %(before)s::bigint
ORDER BY index
LIMIT %(limit)s::bigint;

-- name: reason
-- Why the task failed: at most two rows.
SELECT index, message, created_at FROM durable.log
WHERE task_id = %(task_id)s::bigint AND index >= %(from)s::bigint
ORDER BY index;
