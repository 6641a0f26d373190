ALTER TABLE durable.worker DROP COLUMN draining;
ALTER TABLE durable.task DROP COLUMN deaths, DROP COLUMN deaths_at;
