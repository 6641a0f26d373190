SELECT label
FROM durable.event
WHERE task_id = $1
ORDER BY index
