-- The whole schema of durable as it is today: the sum of the migrations, for reading. `durable migrate` applies the
-- migrations themselves; a database into which this file was loaded instead is as good.

-- The durable schema. Tables, columns, types, channels and payloads marked "contract" are public: other clients and
-- users' own SQL rely on them (docs/architecture.md). Every other column has a default, so that an INSERT which
-- names only contract columns keeps working.

CREATE SCHEMA durable;

-- The one clock that two processes may compare. Everything below asks it and never the host. It is a function of its
-- own so that tests can move the time of the whole system by replacing it. STABLE, so that an index can serve
-- `wakeup_at <= durable.now()`.
CREATE FUNCTION durable.now() RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT pg_catalog.statement_timestamp()';

CREATE TYPE durable.task_state AS ENUM (
    'ready',        -- contract: may be claimed by any worker
    'active',       -- contract: a worker holds its lease
    'suspended',    -- contract: waits for wakeup_at, a notification, or both
    'complete',     -- contract: final
    'failed',       -- contract: final
    'paused',       -- taken out of the running by an operator
    'cancelled',    -- final: ended by an operator
    'quarantined'   -- stopped because running it again cannot help; the reason is in its log
);

-- One row per live worker process. Its heartbeat renews all leases of the worker with one UPDATE; a row whose
-- heartbeat is older than heartbeat_timeout belongs to a dead worker, and whoever sees it takes its tasks back.
CREATE TABLE durable.worker (
    id             bigserial PRIMARY KEY,
    started_at     timestamptz NOT NULL DEFAULT durable.now(),
    heartbeat_at   timestamptz NOT NULL DEFAULT durable.now(),
    -- ours: who it is, so that a worker of the same host can tell at once that the process is gone
    host           text NOT NULL DEFAULT '',
    boot           text NOT NULL DEFAULT '',   -- kernel boot id and pid namespace: pids compare only within one
    pid            integer NOT NULL DEFAULT 0,
    pid_started    bigint NOT NULL DEFAULT 0,  -- kernel start time of the pid, because pids are used again
    version        text NOT NULL DEFAULT '',
    -- proof that a statement comes from the worker that holds the lease, for a guest login that may not read this table
    secret         uuid NOT NULL DEFAULT gen_random_uuid(),
    draining       boolean NOT NULL DEFAULT false,  -- it claims no more tasks
    supervisor     integer NOT NULL DEFAULT 0,  -- pid of the process whose business its death is, as long as that lives
    supervisor_started  bigint NOT NULL DEFAULT 0
);

-- Programs: components by content.
CREATE TABLE durable.wasm (
    id         bigserial PRIMARY KEY,
    hash       bytea NOT NULL CONSTRAINT hash_unique UNIQUE,   -- sha256 of wasm
    wasm       bytea NOT NULL,
    name       text,
    last_used  timestamptz NOT NULL DEFAULT durable.now()
);
CREATE INDEX wasm_name ON durable.wasm (name) WHERE name IS NOT NULL;

CREATE TABLE durable.task (
    id            bigserial PRIMARY KEY,
    name          text NOT NULL,
    state         durable.task_state NOT NULL DEFAULT 'ready',
    running_on    bigint CONSTRAINT fk_worker REFERENCES durable.worker (id) ON DELETE SET NULL,
    created_at    timestamptz NOT NULL DEFAULT durable.now(),
    completed_at  timestamptz,
    wakeup_at     timestamptz,
    wasm          bigint NOT NULL CONSTRAINT fk_wasm REFERENCES durable.wasm (id),
    data          jsonb NOT NULL DEFAULT 'null',
    -- ours
    -- incremented by every claim: (id, lease) is the fencing token of everything written for the task
    lease         bigint NOT NULL DEFAULT 0,
    -- whether a notification makes the suspended task ready; a sleeping task is left asleep
    wakes_on_notification  boolean NOT NULL DEFAULT true,
    -- the deadline of the wait-with-timeout at event index wait_index: counted from the first time the call was
    -- reached, therefore kept across suspension and crash
    wait_index    integer,
    wait_until    timestamptz,
    -- how often in a row, without an event more in its journal, a worker has died while it was computing for this task;
    -- and how long the journal was when that happened last
    deaths        integer NOT NULL DEFAULT 0,
    deaths_at     integer NOT NULL DEFAULT 0,
    CONSTRAINT task_name_not_empty CHECK (name <> '')
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- What a claim looks for; both stay small however many tasks have finished.
CREATE INDEX task_ready ON durable.task (id) WHERE state = 'ready';
CREATE INDEX task_due ON durable.task (wakeup_at) WHERE state = 'suspended' AND wakeup_at IS NOT NULL;
CREATE INDEX task_waiting ON durable.task (id) WHERE state = 'suspended' AND wakes_on_notification;
CREATE INDEX task_running_on ON durable.task (running_on) WHERE running_on IS NOT NULL;
CREATE INDEX task_completed ON durable.task (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX task_wasm ON durable.task (wasm);

-- The journal: one row per recorded call, index dense from 0.
CREATE TABLE durable.event (
    task_id     bigint NOT NULL REFERENCES durable.task (id) ON DELETE CASCADE,
    index       integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT durable.now(),
    label       text NOT NULL,
    value       jsonb NOT NULL,
    PRIMARY KEY (task_id, index)
);

-- Messages to a task that it has not taken yet, taken in the order of their ids.
CREATE TABLE durable.notification (
    task_id     bigint NOT NULL CONSTRAINT fk_task REFERENCES durable.task (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT durable.now(),
    event       text NOT NULL,
    data        jsonb NOT NULL DEFAULT 'null',
    id          bigserial NOT NULL,
    PRIMARY KEY (task_id, id)
);

-- What a task printed, at the index of the event that printed it. Index 2147483646 holds the reason of a failure,
-- 2147483647 a crash of the host itself.
CREATE TABLE durable.log (
    task_id     bigint NOT NULL REFERENCES durable.task (id) ON DELETE CASCADE,
    index       integer NOT NULL,
    message     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT durable.now(),
    PRIMARY KEY (task_id, index)
);

-- Hints. NOTIFY only ever causes an earlier look at the tables; all of it may be lost. Each committing NOTIFY takes a
-- lock on the whole database, so nothing here fires once per log row or per claimed task.

-- A launch of a thousand tasks needs no thousand hints: a worker that is woken once claims as many as it can hold.
CREATE FUNCTION durable.announce_new_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('durable:task', json_build_object('id', id, 'running_on', running_on)::text)
    FROM (SELECT id, running_on FROM new_task WHERE state = 'ready' ORDER BY id LIMIT 16) AS first_ones;
    RETURN NULL;
END $$;
CREATE TRIGGER task_inserted AFTER INSERT ON durable.task
    REFERENCING NEW TABLE AS new_task
    FOR EACH STATEMENT EXECUTE FUNCTION durable.announce_new_tasks();

CREATE FUNCTION durable.announce_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE NEW.state
        WHEN 'ready' THEN
            PERFORM pg_notify('durable:task', json_build_object('id', NEW.id, 'running_on', NEW.running_on)::text);
        WHEN 'suspended' THEN
            PERFORM pg_notify('durable:task-suspend', json_build_object('id', NEW.id)::text);
        WHEN 'complete', 'failed', 'cancelled', 'quarantined' THEN
            PERFORM pg_notify('durable:task-complete', json_build_object('id', NEW.id, 'state', NEW.state)::text);
        ELSE
            NULL;
    END CASE;
    RETURN NULL;
END $$;
CREATE TRIGGER task_state_changed AFTER UPDATE OF state ON durable.task
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state <> 'active')
    EXECUTE FUNCTION durable.announce_state();

-- A suspended task that waits for a notification becomes ready in the transaction that brings it one. Nobody waits for
-- a lock here: the sender may be an application's long transaction or a worker's group commit. A task whose row is locked
-- is either being woken already, or being suspended just now; who suspends looks for notifications afterwards, and a
-- notification that commits even later is seen by the workers through the hint below, or through their sweep.
CREATE FUNCTION durable.deliver_notifications() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE durable.task SET state = 'ready', wakeup_at = NULL
    WHERE id IN (
        SELECT id FROM durable.task
        WHERE id IN (SELECT task_id FROM new_notification) AND state = 'suspended' AND wakes_on_notification
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    );
    PERFORM pg_notify('durable:notification', json_build_object('task_id', task_id, 'event', event)::text)
    FROM (SELECT DISTINCT task_id, left(event, 1000) AS event FROM new_notification) AS distinct_ones;
    RETURN NULL;
END $$;
CREATE TRIGGER notification_inserted AFTER INSERT ON durable.notification
    REFERENCING NEW TABLE AS new_notification
    FOR EACH STATEMENT EXECUTE FUNCTION durable.deliver_notifications();

CREATE FUNCTION durable.announce_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('durable:log', json_build_object('task_id', task_id, 'index', index)::text)
    FROM (SELECT task_id, max(index) AS index FROM new_log GROUP BY task_id) AS newest;
    RETURN NULL;
END $$;
CREATE TRIGGER log_inserted AFTER INSERT ON durable.log
    REFERENCING NEW TABLE AS new_log
    FOR EACH STATEMENT EXECUTE FUNCTION durable.announce_log();

CREATE FUNCTION durable.announce_worker() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('durable:worker', json_build_object('worker_id', coalesce(NEW.id, OLD.id))::text);
    RETURN NULL;
END $$;
CREATE TRIGGER worker_changed AFTER INSERT OR DELETE ON durable.worker
    FOR EACH ROW EXECUTE FUNCTION durable.announce_worker();

-- Exactly once for the SQL of workflows: what a guest writes commits together with its event, or not at all.

-- One row while a guest's transaction is open, deleted in the same transaction when its event is there. The foreign key
-- is deferred: a COMMIT that the guest sends itself comes before the event, and fails.
CREATE TABLE durable.guest_transaction (
    task_id  bigint NOT NULL,
    index    integer NOT NULL,
    FOREIGN KEY (task_id, index) REFERENCES durable.event (task_id, index) DEFERRABLE INITIALLY DEFERRED
);
-- Not unique: the row of a stopped worker, not yet rolled back, must not keep the next owner of the task waiting.
CREATE INDEX guest_transaction_event ON durable.guest_transaction (task_id, index);

-- Begins: the number of the transaction tells later whether it is still the same one.
CREATE FUNCTION durable.guest_begin(task bigint, event_index integer) RETURNS text
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
        INSERT INTO durable.guest_transaction (task_id, index) VALUES (task, event_index);
        SELECT pg_current_xact_id()::text;
    $$;

-- Ends: records the event while the lease holds, and only then lets go of the row that forbids a commit.
CREATE FUNCTION durable.guest_record(
    task bigint, task_lease bigint, worker_secret uuid, event_index integer, event_label text, event_value jsonb,
    message text
) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    BEGIN
        PERFORM 1 FROM durable.task AS t JOIN durable.worker AS w ON w.id = t.running_on
        WHERE t.id = task AND t.lease = task_lease AND t.state = 'active' AND w.secret = worker_secret
        FOR NO KEY UPDATE OF t;
        IF NOT FOUND THEN
            RETURN false;
        END IF;
        INSERT INTO durable.event (task_id, index, label, value) VALUES (task, event_index, event_label, event_value);
        IF message <> '' THEN
            INSERT INTO durable.log (task_id, index, message) VALUES (task, event_index, guest_record.message);
        END IF;
        DELETE FROM durable.guest_transaction AS g WHERE g.task_id = task AND g.index = event_index;
        RETURN true;
    END $$;

REVOKE ALL ON FUNCTION durable.guest_begin, durable.guest_record FROM PUBLIC;

-- What the metrics ask for: since when a task is ready, and how many are set apart.

-- Since when a ready task is ready; NULL: since it was created. For other states it means nothing.
ALTER TABLE durable.task ADD COLUMN ready_at timestamptz;

-- In a trigger, so that nobody who makes a task ready has to think of it, be it by hand.
CREATE FUNCTION durable.note_ready() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.ready_at := durable.now();
    RETURN NEW;
END $$;
CREATE TRIGGER task_becomes_ready BEFORE UPDATE OF state ON durable.task
    FOR EACH ROW WHEN (NEW.state = 'ready' AND OLD.state <> 'ready')
    EXECUTE FUNCTION durable.note_ready();

CREATE INDEX task_set_apart ON durable.task (state) WHERE state IN ('failed', 'paused', 'cancelled', 'quarantined');
-- Active tasks of nobody, which there are when somebody deletes the row of a worker by hand. Mostly empty.
CREATE INDEX task_stranded ON durable.task (id) WHERE state = 'active' AND running_on IS NULL;

-- Which migrations are in force. `durable migrate` makes this table itself.
CREATE TABLE durable.migration (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT durable.now(),
    -- a durable that is made for this version or a later one works with the schema; NULL: for `version`
    works_from  integer
);
INSERT INTO durable.migration (version, name, works_from)
    VALUES (1, 'initial', 1), (2, 'guest_sql', 2), (3, 'operations', 3), (4, 'metrics', 4),
    (5, 'stranded', 4);
