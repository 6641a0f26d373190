SELECT id AS "id!: i64" FROM durable.task WHERE id = $1
