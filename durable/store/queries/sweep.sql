-- Retention.

-- name: delete_ended_tasks
-- Ended tasks go with their journal, log and notifications, a bounded batch at a time. So does what a workflow's own SQL
-- left in guest_transaction, by calling guest_begin for an event that is there: it would keep that event for ever.
-- An array and not IN: for a list of unknown length a generic plan would read the whole table.
WITH ended AS MATERIALIZED (
    SELECT id FROM durable.task
    WHERE completed_at < durable.now() - make_interval(secs => %(age)s) AND state IN ('complete', 'failed', 'cancelled')
    ORDER BY completed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), left_over AS (
    DELETE FROM durable.guest_transaction WHERE task_id IN (SELECT id FROM ended)
)
DELETE FROM durable.task WHERE id = ANY (ARRAY(SELECT id FROM ended));

-- name: delete_unused_programs
-- Programs that no task uses any more. A launch renews last_used, and so locks the row, before it refers to it. The
-- first entry of an index tells whether there is a task; NOT EXISTS would be planned as a scan of all of them.
DELETE FROM durable.wasm AS w WHERE w.id IN (
    SELECT u.id FROM durable.wasm AS u
    WHERE u.last_used < durable.now() - make_interval(secs => %(ttl)s)
      AND (SELECT min(t.wasm) FROM durable.task AS t WHERE t.wasm >= u.id) IS DISTINCT FROM u.id
    ORDER BY u.last_used LIMIT 100 FOR UPDATE SKIP LOCKED
);

-- name: program_hash
-- Enough to find a compiled program in the cache.
SELECT encode(hash, 'hex') FROM durable.wasm WHERE id = %(program)s;

-- name: program_bytes
-- Only needed to compile.
SELECT wasm FROM durable.wasm WHERE id = %(program)s;
