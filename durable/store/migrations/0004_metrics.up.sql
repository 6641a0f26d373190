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
