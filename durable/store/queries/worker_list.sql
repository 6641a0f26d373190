-- Who runs tasks, for people.

-- name: list
-- The columns of durable.model.WorkerInfo, in its order. A worker whose heartbeat is older than the timeout is dead,
-- whether or not somebody has taken its row away yet.
SELECT id, host, pid, version, started_at, heartbeat_at,
       heartbeat_at > durable.now() - make_interval(secs => %(heartbeat_timeout)s::float8)
FROM durable.worker ORDER BY id;

-- name: count_alive
-- How many could run a task now.
SELECT count(*) FROM durable.worker
WHERE heartbeat_at > durable.now() - make_interval(secs => %(heartbeat_timeout)s::float8);
