DROP INDEX durable.task_stranded;
