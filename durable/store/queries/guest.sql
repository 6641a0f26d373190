-- The frame around the SQL of a workflow.

-- name: begin
-- Sent together with BEGIN: the row that forbids an early commit, and the number of the transaction.
SELECT durable.guest_begin(%(task)s, %(index)s);

-- name: record
-- False: the lease is over. The caller rolls back.
SELECT durable.guest_record(
    %(task)s, %(lease)s, %(secret)s, %(index)s, %(label)s, %(value)s::text::jsonb, %(message)s
);

-- name: is_same_transaction
-- After a ROLLBACK that was not one to a savepoint there is another transaction, or none.
SELECT coalesce(pg_current_xact_id_if_assigned()::text, '');

-- name: types
-- What the named types of a database are: enums and domains, arrays of them, and those that read as text.
SELECT t.oid::bigint, t.typname::text, t.typtype::text, t.typelem::bigint, t.typbasetype::bigint, t.typcategory::text
FROM pg_catalog.pg_type AS t WHERE t.oid::bigint = ANY (%(oids)s::bigint[]);

-- name: type_named
-- By name, without parsing an expression, which could fail and abort the guest's transaction.
SELECT (CASE WHEN %(is_array)s THEN t.typarray ELSE t.oid END)::bigint
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typname = %(name)s::text
  AND CASE WHEN %(schema)s::text IS NULL THEN pg_catalog.pg_type_is_visible(t.oid) ELSE n.nspname = %(schema)s::text END;

-- name: clean
-- What DISCARD ALL does, in one round trip: no guest finds, or suffers from, another one's settings.
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *;
SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES;
