-- What operators need: tasks that kill their worker are put aside, and workers that drain are told from others.

-- How often in a row, without an event more in its journal, a worker has died while it was computing for this task; and
-- how long the journal was when that happened last.
ALTER TABLE durable.task
    ADD COLUMN deaths integer NOT NULL DEFAULT 0,
    ADD COLUMN deaths_at integer NOT NULL DEFAULT 0;

-- `draining`: it claims no more tasks. `supervisor`: whose business its death is, as long as that process lives.
ALTER TABLE durable.worker
    ADD COLUMN draining boolean NOT NULL DEFAULT false,
    ADD COLUMN supervisor integer NOT NULL DEFAULT 0,
    ADD COLUMN supervisor_started bigint NOT NULL DEFAULT 0;
