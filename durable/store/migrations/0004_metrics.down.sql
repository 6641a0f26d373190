DROP INDEX durable.task_set_apart;
DROP TRIGGER task_becomes_ready ON durable.task;
DROP FUNCTION durable.note_ready();
ALTER TABLE durable.task DROP COLUMN ready_at;
