-- Writing and reading journals for the worker that holds the leases.

-- name: append
-- The journal entries of many tasks in one statement. Every part is written only while its lease holds: `locked` waits
-- for whoever has the row and reads it as it is then, `held` compares, and everything else joins `held`.
-- Rows are locked in the order of their ids, together with the tasks that are notified, so that two appends, or an
-- append and a notification, never wait for each other in a circle.
-- What becomes of a task travels with its part (NULL: nothing), so that the update joins rows of which the planner knows
-- that there is one per task; joined as a list of its own it made the statement quadratic in the batch.
WITH part AS (
    SELECT * FROM unnest(
        %(task)b::bigint[], %(lease)b::bigint[], %(change_state)b::text[], %(change_wakeup)b::bigint[],
        %(change_wakes)b::bool[], %(change_wait_index)b::int[], %(change_wait_until)b::bigint[]
    ) AS p (id, lease, new_state, wakeup_at, wakes_on_notification, wait_index, wait_until)
), locked AS MATERIALIZED (
    SELECT t.id, t.lease, t.state, t.running_on FROM durable.task AS t
    WHERE t.id = ANY (%(task)b::bigint[])
    ORDER BY t.id FOR NO KEY UPDATE
), held AS MATERIALIZED (
    SELECT id, part.new_state, part.wakeup_at, part.wakes_on_notification, part.wait_index, part.wait_until
    FROM locked JOIN part USING (id, lease)
    WHERE locked.state = 'active' AND locked.running_on = %(worker)s
), event AS (
    INSERT INTO durable.event (task_id, index, label, value)
    SELECT e.task_id, e.index, e.label, e.value::jsonb
    FROM ROWS FROM (
        unnest(%(event_task)b::bigint[], %(event_index)b::int[], %(event_label)b::text[]),
        -- all values in one JSON array: each stays the text it was, and nothing has to be quoted
        json_array_elements(%(event_values)s::json)
    ) AS e (task_id, index, label, value)
    JOIN held ON held.id = e.task_id
), log AS (
    INSERT INTO durable.log (task_id, index, message)
    SELECT l.task_id, l.index, l.message
    FROM unnest(%(log_task)b::bigint[], %(log_index)b::int[], %(log_message)b::text[]) AS l (task_id, index, message)
    JOIN held ON held.id = l.task_id
    -- a task that was released from quarantine has printed some of it before
    ON CONFLICT (task_id, index) DO UPDATE SET message = excluded.message
), taken AS (
    DELETE FROM durable.notification AS n
    USING unnest(%(taken_task)b::bigint[], %(taken_id)b::bigint[]) AS k (task_id, id)
    JOIN held ON held.id = k.task_id
    WHERE n.task_id = k.task_id AND n.id = k.id
), stranger AS MATERIALIZED (
    -- Receivers outside of the batch: held until the commit against a deletion, and against nothing else. Those of the
    -- batch are locked already; a row that `changed` below has touched first could not be locked here any more.
    SELECT t.id FROM durable.task AS t
    WHERE t.id = ANY (%(sent_target)b::bigint[]) AND NOT t.id = ANY (%(task)b::bigint[])
    ORDER BY t.id FOR KEY SHARE
), receiver AS (
    SELECT id FROM stranger UNION ALL SELECT id FROM locked   -- one that was deleted meanwhile hears nothing
), sent AS (
    INSERT INTO durable.notification (task_id, event, data)
    SELECT s.target, s.event, s.data::jsonb
    FROM unnest(%(sent_task)b::bigint[], %(sent_target)b::bigint[], %(sent_event)b::text[], %(sent_data)b::text[])
        WITH ORDINALITY AS s (task_id, target, event, data, position)
    JOIN held ON held.id = s.task_id
    JOIN receiver ON receiver.id = s.target
    ORDER BY s.position
), changed AS (
    UPDATE durable.task AS t
    SET state = held.new_state::durable.task_state,
        running_on = CASE WHEN held.new_state = 'active' THEN t.running_on END,
        completed_at = CASE WHEN held.new_state IN ('complete', 'failed') THEN durable.now() END,
        wakeup_at = 'epoch'::timestamptz + held.wakeup_at * interval '1 microsecond',
        wakes_on_notification = held.wakes_on_notification,
        wait_index = held.wait_index,
        wait_until = 'epoch'::timestamptz + held.wait_until * interval '1 microsecond'
    FROM held
    WHERE t.id = held.id AND held.new_state IS NOT NULL
)
SELECT id FROM held;

-- name: wake_notified
-- A task that was suspended in this transaction may have been notified after it last looked. This statement has a
-- snapshot of its own, taken while the row is locked, so it sees what the sender's trigger could not act on.
UPDATE durable.task AS t SET state = 'ready', wakeup_at = NULL
WHERE t.id = ANY (%(task)s::bigint[]) AND t.state = 'suspended' AND t.wakes_on_notification
  AND EXISTS (SELECT 1 FROM durable.notification AS n WHERE n.task_id = t.id);

-- name: wake_waiting
-- Tasks that were hinted at: one whose notification committed while it was being suspended is still asleep.
UPDATE durable.task SET state = 'ready', wakeup_at = NULL
WHERE id IN (
    SELECT t.id FROM durable.task AS t
    WHERE t.id = ANY (%(tasks)s::bigint[]) AND t.state = 'suspended' AND t.wakes_on_notification
      AND EXISTS (SELECT 1 FROM durable.notification AS n WHERE n.task_id = t.id)
    ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED
);

-- name: wake_all_waiting
-- The same without a hint, for the sweep: hints may all be lost.
UPDATE durable.task SET state = 'ready', wakeup_at = NULL
WHERE id IN (
    SELECT t.id FROM durable.task AS t
    WHERE t.id IN (SELECT DISTINCT n.task_id FROM durable.notification AS n)
      AND t.state = 'suspended' AND t.wakes_on_notification
    ORDER BY t.id LIMIT 1000 FOR NO KEY UPDATE OF t SKIP LOCKED
);

-- name: task_data
-- The data of one task, which its claim left where it is: NULL when its text has more bytes than the limit. What cannot be
-- within it is found out before the text is made: a jsonb of small numbers takes four times as much as its text, and none
-- takes five times as much.
SELECT CASE WHEN pg_column_size(data) / 5 <= %(limit)s THEN
    CASE WHEN pg_column_size(data #> '{}') / 5 <= %(limit)s THEN
        CASE WHEN octet_length(data::text) <= %(limit)s THEN data::text END
    END
END
FROM durable.task WHERE id = %(task)s;

-- name: events
-- One page of each of several journals: its first event, and as many more as the bytes have room for. They are counted as
-- they are stored, which takes no look at the values themselves.
SELECT r.position, e.index, e.label, e.value::text
FROM unnest(%(tasks)s::bigint[], %(firsts)s::int[]) WITH ORDINALITY AS r (task_id, first, position)
CROSS JOIN LATERAL (
    SELECT index, label, value, pg_column_size(value) AS size,
        sum(pg_column_size(value)) OVER (ORDER BY index ROWS UNBOUNDED PRECEDING) AS up_to_here
    FROM durable.event WHERE task_id = r.task_id AND index >= r.first ORDER BY index LIMIT %(limit)s
) AS e
WHERE e.up_to_here - e.size < %(bytes)s::bigint
ORDER BY r.position, e.index;

-- name: pending_notifications
-- What each of several tasks can take now, the oldest first; in pages like those of the journals.
SELECT r.position, n.id, n.created_at, n.event, n.data::text
FROM unnest(%(tasks)s::bigint[]) WITH ORDINALITY AS r (task_id, position)
CROSS JOIN LATERAL (
    SELECT id, created_at, event, data, pg_column_size(data) AS size,
        sum(pg_column_size(data)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS up_to_here
    FROM durable.notification WHERE task_id = r.task_id ORDER BY id LIMIT 200
) AS n
WHERE n.up_to_here - n.size < %(bytes)s::bigint
ORDER BY r.position, n.id;

-- name: notified_tasks
-- Which of the waiting tasks have something to look at: the poll behind NOTIFY.
SELECT DISTINCT task_id FROM durable.notification WHERE task_id = ANY (%(tasks)s::bigint[]);

-- name: task_states
-- Whether tasks can still be notified.
SELECT r.position, t.state
FROM unnest(%(tasks)s::bigint[]) WITH ORDINALITY AS r (task_id, position) JOIN durable.task AS t ON t.id = r.task_id;
