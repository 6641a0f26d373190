-- Programs: components by content. The columns are those of durable.model.Program, in its order.

-- name: find
-- `stale` says that the last use is worth writing down again; every launch by file passes here, and an update each
-- time would make all of them queue for one row.
SELECT id, encode(hash, 'hex'), name, octet_length(wasm), last_used,
       last_used < durable.now() - interval '1 minute' AS stale
FROM durable.wasm WHERE hash = decode(%(hash)s::text, 'hex');

-- name: touch
-- No row when the clean-up deleted the program in the meantime; then it is stored again.
UPDATE durable.wasm SET last_used = durable.now(), name = coalesce(%(name)s::text, name)
WHERE id = %(program_id)s::bigint
RETURNING id, encode(hash, 'hex'), name, octet_length(wasm), last_used;

-- name: store
-- Two processes may store the same component at the same time: both get the one row.
INSERT INTO durable.wasm AS stored (hash, wasm, name)
VALUES (decode(%(hash)s::text, 'hex'), %(wasm)b, %(name)s::text)
ON CONFLICT ON CONSTRAINT hash_unique DO UPDATE SET last_used = durable.now()
RETURNING id, encode(hash, 'hex'), name, octet_length(wasm), last_used;

-- name: named
-- A name belongs to every program that was stored under it; it means the one that was stored last.
SELECT id, encode(hash, 'hex'), name, octet_length(wasm), last_used,
       last_used < durable.now() - interval '1 minute' AS stale
FROM durable.wasm WHERE name = %(name)s::text ORDER BY id DESC LIMIT 1;

-- name: hashed
-- A hash or its beginning, as a range, which the index on hash serves. Two rows: the beginning is ambiguous.
SELECT id, encode(hash, 'hex'), name, octet_length(wasm), last_used,
       last_used < durable.now() - interval '1 minute' AS stale
FROM durable.wasm
WHERE hash BETWEEN decode(rpad(%(prefix)s::text, 64, '0'), 'hex') AND decode(rpad(%(prefix)s::text, 64, 'f'), 'hex')
LIMIT 2;

-- name: list
-- The size of a component is known without reading it.
SELECT id, encode(hash, 'hex'), name, octet_length(wasm), last_used FROM durable.wasm ORDER BY id DESC;

-- name: remove
-- Only when no task refers to it. A task that is launched right now holds a lock on the row and is waited for, and then
-- the foreign key decides.
DELETE FROM durable.wasm
WHERE id = %(program_id)s::bigint AND NOT EXISTS (SELECT FROM durable.task WHERE task.wasm = wasm.id)
RETURNING id;

-- name: count_tasks
-- Who still uses the program: what the message of a refused removal says.
SELECT count(*) FROM durable.task WHERE wasm = %(program_id)s::bigint;
