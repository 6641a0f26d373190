-- Retention.

-- name: delete_ended_tasks
-- Ended tasks go with their journal, log and notifications, a bounded batch at a time: as many as have so many rows
-- together, and none that has more by itself. (A log has hardly more rows than the journal; neither is counted: the last
-- event says how long the journal is.) So does what a workflow's own SQL left in guest_transaction, by calling
-- guest_begin for an event that is there: it would keep that event for ever.
-- An array and not IN: for a list of unknown length a generic plan would read the whole table.
WITH ended AS MATERIALIZED (
    SELECT id FROM durable.task
    WHERE completed_at < durable.now() - make_interval(secs => %(age)s) AND state IN ('complete', 'failed', 'cancelled')
    ORDER BY completed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), sized AS MATERIALIZED (
    SELECT id, coalesce(
        (SELECT e.index FROM durable.event AS e WHERE e.task_id = ended.id ORDER BY e.index DESC LIMIT 1)
        - (SELECT e.index FROM durable.event AS e WHERE e.task_id = ended.id ORDER BY e.index LIMIT 1), 0)
        + (SELECT count(*) FROM (
            SELECT FROM durable.notification AS n WHERE n.task_id = ended.id LIMIT %(rows)s::bigint + 1
        ) AS unread) AS size
    FROM ended
), fitting AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, sum(size) OVER (ORDER BY id) AS up_to_here FROM sized WHERE size <= %(rows)s::bigint
    ) AS whole
    WHERE up_to_here <= %(rows)s::bigint
), left_over AS (
    DELETE FROM durable.guest_transaction WHERE task_id IN (SELECT id FROM fitting)
)
DELETE FROM durable.task WHERE id = ANY (ARRAY(SELECT id FROM fitting));

-- name: shorten_ended_task
-- The oldest ended task that has too many rows for one statement loses as many, and its row stays until the rest fits.
-- What is left must not pass for the whole: the journal goes from its beginning and keeps its last event, so that a
-- replay finds it broken and cannot do anything a second time, and the log says at its beginning what is missing.
WITH large AS MATERIALIZED (
    SELECT t.id, journal.first, least(journal.first + %(rows)s::bigint, journal.last) AS cut
    FROM durable.task AS t CROSS JOIN LATERAL (
        SELECT
            (SELECT e.index FROM durable.event AS e WHERE e.task_id = t.id ORDER BY e.index LIMIT 1) AS first,
            (SELECT e.index FROM durable.event AS e WHERE e.task_id = t.id ORDER BY e.index DESC LIMIT 1) AS last,
            (SELECT count(*) FROM (
                SELECT FROM durable.notification AS n WHERE n.task_id = t.id LIMIT %(rows)s::bigint + 1
            ) AS unread) AS unread
    ) AS journal
    WHERE t.completed_at < durable.now() - make_interval(secs => %(age)s)
      AND t.state IN ('complete', 'failed', 'cancelled')
      AND coalesce(journal.last - journal.first, 0) + journal.unread > %(rows)s::bigint
    ORDER BY t.completed_at LIMIT 1 FOR UPDATE OF t SKIP LOCKED
), left_over AS (
    DELETE FROM durable.guest_transaction WHERE task_id = (SELECT id FROM large)
), event AS (
    DELETE FROM durable.event WHERE task_id = (SELECT id FROM large)
        AND index >= (SELECT first FROM large) AND index < (SELECT cut FROM large)
), log AS (
    DELETE FROM durable.log WHERE task_id = (SELECT id FROM large) AND index > 0 AND index < (SELECT cut FROM large)
), told AS (
    INSERT INTO durable.log AS l (task_id, index, message)
    SELECT id, 0, E'this task is being deleted: the beginning of its journal and of its log is gone (cleanup_age)\n'
    FROM large WHERE first < cut
    ON CONFLICT (task_id, index) DO UPDATE SET message = excluded.message WHERE l.message <> excluded.message
), notification AS (
    DELETE FROM durable.notification WHERE task_id = (SELECT id FROM large) AND id = ANY (ARRAY(
        SELECT n.id FROM durable.notification AS n WHERE n.task_id = (SELECT id FROM large)
        ORDER BY n.id LIMIT %(rows)s::bigint
    ))
)
SELECT id FROM large;

-- name: delete_unused_programs
-- Programs that no task uses any more. A launch renews last_used, and so locks the row, before it refers to it. The
-- first entry of an index tells whether there is a task; NOT EXISTS would be planned as a scan of all of them.
DELETE FROM durable.wasm AS w WHERE w.id IN (
    SELECT u.id FROM durable.wasm AS u
    WHERE u.last_used < durable.now() - make_interval(secs => %(ttl)s)
      AND (SELECT min(t.wasm) FROM durable.task AS t WHERE t.wasm >= u.id) IS DISTINCT FROM u.id
    ORDER BY u.last_used LIMIT %(limit)s FOR UPDATE SKIP LOCKED
);

-- name: program_hash
-- Enough to find a compiled program in the cache.
SELECT encode(hash, 'hex') FROM durable.wasm WHERE id = %(program)s;

-- name: program_bytes
-- Only needed to compile.
SELECT wasm FROM durable.wasm WHERE id = %(program)s;
