-- Who runs tasks, for people.

-- name: list
-- The columns of durable.model.WorkerInfo, in its order. A worker whose heartbeat is older than the timeout is dead,
-- whether or not somebody has taken its row away yet. The age is told from here, because the clock of whoever reads it
-- may be another one.
SELECT id, host, pid, version, started_at, heartbeat_at,
       extract(epoch FROM durable.now() - heartbeat_at)::float8,
       heartbeat_at > durable.now() - make_interval(secs => %(heartbeat_timeout)s::float8),
       (SELECT count(*) FROM durable.task AS t WHERE t.running_on = w.id AND t.state = 'active'),
       draining
FROM durable.worker AS w ORDER BY id;

-- name: count_alive
-- How many could run a task now.
SELECT count(*) FROM durable.worker
WHERE heartbeat_at > durable.now() - make_interval(secs => %(heartbeat_timeout)s::float8);
