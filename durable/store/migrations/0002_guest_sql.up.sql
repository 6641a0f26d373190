-- Exactly once for the SQL of workflows: what a guest writes commits together with its event, or not at all.

-- Proof that a statement comes from the worker that holds the lease, for a guest login that may not read this table.
ALTER TABLE durable.worker ADD COLUMN secret uuid NOT NULL DEFAULT gen_random_uuid();

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
