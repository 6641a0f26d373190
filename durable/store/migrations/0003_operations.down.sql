ALTER TABLE durable.worker DROP COLUMN draining, DROP COLUMN supervisor, DROP COLUMN supervisor_started;
ALTER TABLE durable.task DROP COLUMN deaths, DROP COLUMN deaths_at;
