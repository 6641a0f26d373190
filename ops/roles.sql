-- Least privilege for the kinds of logins of durable. The owner is whoever runs `durable migrate`: a login of its own,
-- with CREATE on the database and CREATEROLE, which no service and no application needs. Run this file as the owner,
-- after `durable migrate` and again after an upgrade. The roles are groups: grant them to the logins of your choice,
-- for instance
--     CREATE ROLE billing_worker LOGIN PASSWORD '…' IN ROLE durable_worker;

DO $$
BEGIN
    IF to_regrole('durable_worker') IS NULL THEN CREATE ROLE durable_worker NOLOGIN; END IF;
    IF to_regrole('durable_client') IS NULL THEN CREATE ROLE durable_client NOLOGIN; END IF;
    IF to_regrole('durable_guest') IS NULL THEN CREATE ROLE durable_guest NOLOGIN; END IF;
END $$;

GRANT USAGE ON SCHEMA durable TO durable_worker, durable_client, durable_guest;

-- Workers: everything but the schema itself. Whoever operates needs it as well, for `durable cancel`, `pause`, `resume`
-- and `program rm`.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA durable TO durable_worker;
REVOKE INSERT, UPDATE, DELETE ON durable.migration FROM durable_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA durable TO durable_worker;
GRANT EXECUTE ON FUNCTION durable.guest_begin, durable.guest_record TO durable_worker;

-- Clients: launch, notify, look. The trigger that wakes the receiver of a notification updates its row, and a launch
-- by file stores its program.
GRANT SELECT ON durable.task, durable.wasm, durable.event, durable.log, durable.notification, durable.migration
    TO durable_client;
GRANT SELECT (id, started_at, heartbeat_at, host, boot, pid, pid_started, version, draining)
    ON durable.worker TO durable_client;
GRANT INSERT ON durable.task, durable.wasm, durable.notification TO durable_client;
GRANT UPDATE (state, wakeup_at) ON durable.task TO durable_client;
GRANT UPDATE (last_used, name) ON durable.wasm TO durable_client;
REVOKE USAGE ON ALL SEQUENCES IN SCHEMA durable FROM durable_client;
GRANT USAGE ON SEQUENCE durable.task_id_seq, durable.wasm_id_seq, durable.notification_id_seq TO durable_client;

-- The SQL of workflows (`guest_database_url`): two functions and nothing else. Grant it your own tables.
GRANT EXECUTE ON FUNCTION durable.guest_begin, durable.guest_record TO durable_guest;
