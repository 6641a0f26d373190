-- What `durable doctor` asks.

-- name: server
-- The clock is that of this moment, not of the transaction: it is compared with the clock of this host.
SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_database(),
       current_user::text, extract(epoch FROM clock_timestamp())::float8, pg_is_in_recovery();

-- name: missing_privileges
-- One row per table and right that the role lacks, of those that a worker needs.
SELECT needed.relation, needed.privilege
FROM (VALUES ('durable.task', 'SELECT'), ('durable.task', 'INSERT'), ('durable.task', 'UPDATE'),
             ('durable.task', 'DELETE'), ('durable.event', 'SELECT'), ('durable.event', 'INSERT'),
             ('durable.log', 'SELECT'), ('durable.log', 'INSERT'), ('durable.notification', 'SELECT'),
             ('durable.notification', 'INSERT'), ('durable.notification', 'DELETE'), ('durable.wasm', 'SELECT'),
             ('durable.wasm', 'INSERT'), ('durable.wasm', 'UPDATE'), ('durable.wasm', 'DELETE'),
             ('durable.worker', 'SELECT'), ('durable.worker', 'INSERT'), ('durable.worker', 'UPDATE'),
             ('durable.worker', 'DELETE'), ('durable.migration', 'SELECT')) AS needed (relation, privilege)
WHERE NOT has_schema_privilege('durable', 'USAGE') OR NOT has_table_privilege(needed.relation, needed.privilege);

-- name: missing_sequence_privileges
-- Without USAGE on the sequences no row can be inserted. CASE, because the conditions of a WHERE are evaluated in any
-- order, and asking about what is not a sequence is an error.
SELECT 'durable.' || relation.relname, 'USAGE'
FROM pg_class AS relation
WHERE relation.relnamespace = to_regnamespace('durable')
  AND CASE relation.relkind WHEN 'S' THEN NOT has_sequence_privilege(relation.oid, 'USAGE') ELSE false END;

-- name: full_inboxes
-- Tasks with very many notifications that they have not taken.
SELECT task_id, count(*) FROM durable.notification GROUP BY task_id HAVING count(*) >= %(many)s
ORDER BY count(*) DESC LIMIT 3;

-- name: waiting
-- Tasks that could run now if somebody ran them.
SELECT count(*) FROM (
    SELECT FROM durable.task WHERE state = 'ready'
    UNION ALL
    SELECT FROM durable.task WHERE state = 'suspended' AND wakeup_at <= durable.now()
) AS waiting;
