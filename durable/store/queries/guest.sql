-- The frame around the SQL of a workflow. A workflow may have changed search_path, so every name says where it is from.

-- name: begin
-- In one message, so without parameters: the numbers are put in. READ WRITE, whatever the login has as its default. The
-- function leaves the row that forbids an early commit and gives the number of the transaction.
BEGIN READ WRITE; SELECT durable.guest_begin({task}, {index});

-- name: regain
-- What the workflow has set must not keep its event from being recorded. Sent in one message with `record` and COMMIT.
SELECT pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true),
       pg_catalog.set_config('role', 'none', true);

-- name: record
-- When the lease is over this fails, as a division by zero, because COMMIT is already on its way behind it.
SELECT 1 OPERATOR(pg_catalog./) durable.guest_record(
    $1, $2, $3, $4, $5, $6::pg_catalog.text::pg_catalog.jsonb, $7
)::integer;

-- name: unlisten
-- LISTEN begins with the commit, which would send the workflow's own notifications, as many as it likes, to this very
-- connection. PostgreSQL does nothing when the session has never listened.
UNLISTEN *;

-- name: is_same_transaction
-- After a ROLLBACK that was not one to a savepoint there is another transaction, or none.
SELECT coalesce(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text, '');

-- name: types
-- What the named types of a database are: enums and domains, arrays of them, and those that read as text.
SELECT t.oid::bigint, t.typname::pg_catalog.text, t.typtype::pg_catalog.text, t.typelem::bigint, t.typbasetype::bigint,
       t.typcategory::pg_catalog.text
FROM pg_catalog.pg_type AS t WHERE t.oid::bigint OPERATOR(pg_catalog.=) ANY (%(oids)s::bigint[]);

-- name: type_named
-- By name, without parsing an expression, which could fail and abort the guest's transaction.
SELECT (CASE WHEN %(is_array)s THEN t.typarray ELSE t.oid END)::bigint
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE t.typname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.name
  AND CASE WHEN %(schema)s::pg_catalog.name IS NULL THEN pg_catalog.pg_type_is_visible(t.oid)
      ELSE n.nspname OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.name END;

-- name: clean
-- What DISCARD ALL does but for the plans, and the setting of a new connection, in one message: no guest finds, or suffers from, another
-- one's settings.
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES;
SET idle_in_transaction_session_timeout = {idle};
-- The statement of a worker that was killed ends within a second, and lets go of its locks. Not every system can tell.
SELECT pg_catalog.set_config('client_connection_check_interval', '1s', false)
WHERE pg_catalog.version() OPERATOR(pg_catalog.~) 'linux|darwin|bsd';

-- name: clean_plans
-- Of a workflow that may have set what plans depend on. To plan our own functions again costs more than all the rest.
DISCARD PLANS;
