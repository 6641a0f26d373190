-- Which migrations were applied. The table is made by the code that applies them, right after the first.

-- name: exists
-- Looked up in the catalogue, because a SELECT from a table that is not there would be an error.
SELECT to_regnamespace('durable') IS NOT NULL, to_regclass('durable.migration') IS NOT NULL;

-- name: version
-- The version, and the oldest that a durable may be made for to work with it; 0 and 0 when the table is empty. By way of
-- JSON, because the table may be older than the column.
SELECT coalesce(max(version), 0), coalesce(max(coalesce((to_jsonb(migration) ->> 'works_from')::integer, version)), 0)
FROM durable.migration;

-- name: lock
-- One at a time on the whole database. It ends with the transaction, therefore a transaction pooler does no harm.
SELECT pg_advisory_xact_lock(7306080713236476530);

-- name: create_table
-- IF NOT EXISTS: somebody may have loaded schema.sql, which has it.
CREATE TABLE IF NOT EXISTS durable.migration (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT durable.now(),
    works_from  integer
);

-- name: complete_table
-- A table of a durable that did not know the column yet.
ALTER TABLE durable.migration ADD COLUMN IF NOT EXISTS works_from integer;

-- name: record
-- One row per migration that is in force.
INSERT INTO durable.migration (version, name, works_from) VALUES (%(version)s, %(name)s, %(works_from)s);

-- name: forget
-- After its down file was applied.
DELETE FROM durable.migration WHERE version = %(version)s;
