-- works from: 4
-- Active tasks of nobody, which there are when somebody deletes the row of a worker by hand. Mostly empty.
CREATE INDEX task_stranded ON durable.task (id) WHERE state = 'active' AND running_on IS NULL;
