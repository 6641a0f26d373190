-- Workers, claims and leases.

-- name: register_worker
-- A worker begins to live with its row, and its heartbeat counts from here.
INSERT INTO durable.worker (host, boot, pid, pid_started, supervisor, supervisor_started, version)
VALUES (%(host)s, %(boot)s, %(pid)s, %(pid_started)s, %(supervisor)s, %(supervisor_started)s, %(version)s)
RETURNING id, secret;

-- name: heartbeat
-- One row renews all leases of the worker. No row: the worker was presumed dead and its tasks are others'. What else it
-- tells is the worker's place among those that claim.
WITH fleet AS (
    SELECT count(*) FILTER (WHERE id < %(worker)s) AS position, count(*) AS number FROM durable.worker
    WHERE NOT draining AND heartbeat_at >= durable.now() - make_interval(secs => %(timeout)s)
)
UPDATE durable.worker SET heartbeat_at = durable.now() FROM fleet WHERE id = %(worker)s
RETURNING extract(epoch FROM durable.now())::float8, fleet.position, fleet.number;

-- name: announce_drain
-- For people: this worker claims no more.
UPDATE durable.worker SET draining = true WHERE id = %(worker)s;

-- name: lock_worker
-- Waits for a claim of this worker that the server is still at, though its connection was given up.
SELECT id FROM durable.worker WHERE id = %(worker)s FOR UPDATE;

-- name: unregister_worker
-- After a drain, and under the lock: it has no tasks any more. If it has, against expectation, its row stays, so that the
-- end of its heartbeat frees them; without the row nobody would ever find them.
DELETE FROM durable.worker AS w
WHERE w.id = %(worker)s
  AND NOT EXISTS (SELECT 1 FROM durable.task AS t WHERE t.running_on = w.id AND t.state = 'active');

-- name: claim
-- Takes ready tasks and suspended ones that are due, as many as the worker has room for. Answers always with at least
-- one row, which tells the time and the seconds until the next timer. MATERIALIZED: without it the planner may lock,
-- and claim, more rows than the limit. Programs that this worker lacks a plugin for are left to others.
-- `seen` is the row as the snapshot has it. A task that another worker claimed and let go of between the snapshot and the
-- lock has a greater lease than that, and perhaps events that this snapshot does not show: it is left for the next claim.
-- Small data is brought along. All else is left where it is until its own run asks for it (`task_data`): a hundred tasks
-- with large data would be too much for the memory of the worker, or for the time that a claim may take, and so nobody
-- would ever get any of them. The text of a jsonb can be ten thousand times as long as what is stored of it, by compression
-- and by exponents, up to one that cannot be made at all, and an error here would be every task's: hence three steps, each
-- of which bounds the work of the next one. `#> '{}'` is the jsonb itself, not compressed.
WITH due AS MATERIALIZED (
    SELECT id, lease, wakeup_at AS since, true AS was_due
    FROM durable.task WHERE state = 'suspended' AND wakeup_at <= durable.now()
        AND NOT wasm = ANY (%(lacking)s::bigint[])
    ORDER BY wakeup_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), ready AS MATERIALIZED (
    SELECT id, lease, coalesce(ready_at, created_at) AS since, false AS was_due
    FROM durable.task WHERE state = 'ready' AND NOT wasm = ANY (%(lacking)s::bigint[])
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE durable.task AS t SET state = 'active', running_on = %(worker)s, lease = t.lease + 1, wakeup_at = NULL
    FROM (TABLE due UNION ALL TABLE ready LIMIT %(limit)s) AS chosen JOIN durable.task AS seen USING (id, lease)
    WHERE t.id = chosen.id
    RETURNING t.id, t.name,
        CASE WHEN pg_column_size(t.data) <= %(bytes)s::int / 4 THEN
            CASE WHEN pg_column_size(t.data #> '{}') <= %(bytes)s::int THEN
                CASE WHEN octet_length(t.data::text) <= %(bytes)s::int THEN t.data::text END
            END
        END AS data, t.created_at, t.wasm, t.lease, t.wait_index,
        (extract(epoch FROM t.wait_until) * 1000000)::bigint AS wait_until,
        (SELECT e.index + 1 FROM durable.event AS e WHERE e.task_id = t.id ORDER BY e.index DESC LIMIT 1) AS events,
        chosen.was_due, extract(epoch FROM durable.now() - chosen.since)::float8 AS waited
), moment AS (
    SELECT extract(epoch FROM durable.now())::float8 AS now,
        extract(epoch FROM (
            SELECT min(wakeup_at) FROM durable.task WHERE state = 'suspended' AND wakeup_at > durable.now()
        ) - durable.now())::float8 AS next_timer
)
SELECT moment.now, moment.next_timer, claimed.* FROM moment LEFT JOIN claimed ON true ORDER BY claimed.id;

-- name: release
-- Hand tasks back after their last code stopped. Only while their leases hold.
WITH part AS (
    SELECT * FROM unnest(%(task)s::bigint[], %(lease)s::bigint[]) AS p (id, lease)
), held AS MATERIALIZED (
    SELECT t.id FROM durable.task AS t JOIN part USING (id, lease)
    WHERE t.state = 'active' AND t.running_on = %(worker)s
    ORDER BY t.id FOR NO KEY UPDATE OF t
)
UPDATE durable.task AS t SET state = 'ready', running_on = NULL FROM held WHERE t.id = held.id;

-- name: lost
-- Which of these leases do not hold any more: the task was cancelled, paused, or is another worker's.
SELECT p.id, p.lease FROM unnest(%(task)s::bigint[], %(lease)s::bigint[]) AS p (id, lease)
WHERE NOT EXISTS (
    SELECT FROM durable.task AS t
    WHERE t.id = p.id AND t.lease = p.lease AND t.state = 'active' AND t.running_on = %(worker)s
);

-- name: release_unclaimed
-- Hand back what this worker has by the database and does not know of: a claim was committed, and its answer got lost.
-- Nobody else can help these tasks, because the worker lives and its heartbeat renews their leases.
UPDATE durable.task SET state = 'ready', running_on = NULL WHERE id IN (
    SELECT t.id FROM durable.task AS t
    WHERE t.running_on = %(worker)s AND t.state = 'active'
      AND NOT EXISTS (
          SELECT FROM unnest(%(task)s::bigint[], %(lease)s::bigint[]) AS known (id, lease)
          WHERE known.id = t.id AND known.lease = t.lease
      )
    ORDER BY t.id FOR NO KEY UPDATE OF t SKIP LOCKED
);

-- name: take_up_stranded
-- Tasks of nobody, for somebody deleted the row of their worker and its id went with it (ON DELETE SET NULL). Should that
-- worker live, it can write nothing for them any more, and finds out at its next heartbeat.
UPDATE durable.task SET state = 'ready' WHERE id = ANY (ARRAY(
    SELECT id FROM durable.task WHERE state = 'active' AND running_on IS NULL
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
));

-- name: dead_workers
-- Workers whose lease is over, and workers of this host whose process is known to be gone.
SELECT id, boot, pid, pid_started, supervisor, supervisor_started,
    heartbeat_at < durable.now() - make_interval(secs => %(timeout)s) AS expired
FROM durable.worker
WHERE id <> %(worker)s
  AND (heartbeat_at < durable.now() - make_interval(secs => %(timeout)s) OR (boot = %(boot)s AND boot <> ''));

-- name: reclaim
-- Take the tasks of dead workers back, a bounded batch at a time, and delete a worker once it has none left. A task
-- whose row is locked just now is left for the next time. The heartbeat is looked at again, under the lock: a worker
-- that was presumed dead because of its heartbeat may have come back.
-- A culprit is a task, by id and lease, that the worker was computing for when it died. One that brings this about for
-- the last time it may, with no event more in its journal than the first time, is quarantined.
WITH dead AS MATERIALIZED (
    SELECT id FROM durable.worker
    WHERE id = ANY (%(known_dead)s::bigint[])
       OR (id = ANY (%(presumed_dead)s::bigint[])
           AND heartbeat_at < durable.now() - make_interval(secs => %(timeout)s))
    ORDER BY id FOR UPDATE SKIP LOCKED
), orphan AS MATERIALIZED (
    SELECT t.id, t.lease FROM durable.task AS t JOIN dead ON t.running_on = dead.id
    WHERE t.state = 'active'
    ORDER BY t.id LIMIT %(limit)s FOR NO KEY UPDATE OF t SKIP LOCKED
), culprit AS MATERIALIZED (
    SELECT t.id, s.cause, length.events,
           CASE WHEN length.events > t.deaths_at THEN 1 ELSE t.deaths + 1 END AS deaths
    FROM unnest(%(culprit_task)s::bigint[], %(culprit_lease)s::bigint[], %(culprit_cause)s::text[])
        AS s (id, lease, cause)
    JOIN orphan USING (id, lease) JOIN durable.task AS t USING (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(e.index) + 1, 0) AS events FROM durable.event AS e WHERE e.task_id = t.id
    ) AS length
), freed AS (
    UPDATE durable.task AS t SET running_on = NULL,
        state = CASE WHEN c.deaths >= %(max_deaths)s::int THEN 'quarantined' ELSE 'ready' END::durable.task_state,
        deaths = coalesce(c.deaths, t.deaths), deaths_at = coalesce(c.events, t.deaths_at)
    FROM orphan LEFT JOIN culprit AS c USING (id) WHERE t.id = orphan.id
    RETURNING t.id, t.state
), told AS (
    INSERT INTO durable.log (task_id, index, message)
    SELECT c.id, %(reason_index)s, format(
        'the worker died %%s times in a row while it ran this task, without progress since event %%s; the last one %%s',
        c.deaths, c.events, c.cause)
    FROM culprit AS c JOIN freed USING (id) WHERE freed.state = 'quarantined'
    ON CONFLICT (task_id, index) DO UPDATE SET message = excluded.message
)
SELECT (SELECT count(*) FROM freed) AS reclaimed,
       (SELECT coalesce(array_agg(id), '{}') FROM freed WHERE state = 'quarantined') AS quarantined,
       (SELECT coalesce(array_agg(id), '{}') FROM dead) AS dead;

-- name: forget_dead_workers
-- A dead worker's row goes once it has no task left. Tells how many are left, those among them that were locked.
WITH forgotten AS (
    DELETE FROM durable.worker AS w
    WHERE w.id = ANY (%(dead)s::bigint[])
      AND NOT EXISTS (SELECT 1 FROM durable.task AS t WHERE t.running_on = w.id AND t.state = 'active')
    RETURNING w.id
)
SELECT (SELECT count(*) FROM durable.worker WHERE id = ANY (%(dead)s::bigint[] || %(known_dead)s::bigint[]))
    - (SELECT count(*) FROM forgotten);
