//! Uses every item of the section `sqlx` of the crate's public API, and says
//! what went wrong: `ok` if nothing did. The database must have a schema `app`.
//!
//! Events: `schema`, `queries`, `savepoints`, `driver`, `types`, `derives`,
//! `macros`, `errors`, one `wasi:io/streams.output-stream.write`.

use std::collections::HashMap;

use durable::sqlx::driver::{Arguments, Durable, QueryResult, Row, TypeInfo, Value};
use durable::sqlx::types::{Json, JsonRawValue};
use durable::sqlx::{self, Connection};
use serde::{Deserialize, Serialize};
use workflows_sqlx::Mood;

/// A table of this task's own.
fn table() -> String {
    format!("app.api_{}", durable::task().id())
}

fn schema(mut conn: Connection) -> sqlx::Result<()> {
    Mood::create(&mut conn)?;
    let create = format!(
        "CREATE TABLE {} (id integer PRIMARY KEY, name text NOT NULL, mood app.mood, data jsonb)",
        table()
    );
    let created: QueryResult = sqlx::query(&create).execute(&mut conn)?;
    assert_eq!(created.rows_affected(), 0);
    Ok(())
}

fn queries(mut conn: Connection) -> sqlx::Result<Row> {
    let table = table();
    let insert = format!("INSERT INTO {table} (id, name) VALUES ($1, $2)");
    for (id, name) in [(1, "one"), (2, "two"), (3, "three")] {
        let result = sqlx::query(&insert)
            .bind(id)
            .bind(name)
            .execute(&mut conn)?;
        assert_eq!(result.rows_affected(), 1);
    }
    let select = format!("SELECT id, name FROM {table} WHERE id >= $1 ORDER BY id");

    // query
    let rows: Vec<Row> = sqlx::query(&select).bind(1).fetch_all(&mut conn)?;
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].len(), 2);
    assert!(!rows[0].is_empty());
    assert_eq!(rows[0].get::<i32, _>("id"), 1);
    assert_eq!(rows[1].get::<String, _>(1), "two");
    assert_eq!(rows[2].try_get::<&str, _>("name").unwrap(), "three");
    assert!(rows[0].try_get::<i64, _>("id").is_err());
    assert!(rows[0].try_get::<i32, _>("none").is_err());
    assert!(rows[0].try_get::<i32, _>(2).is_err());
    let mut query = sqlx::query(&select);
    query.try_bind(2).unwrap();
    let names: sqlx::Result<Vec<String>> = query
        .fetch(&mut conn)
        .map(|row| Ok(row?.get("name")))
        .collect();
    assert_eq!(names?, ["two", "three"]);
    assert!(sqlx::query(&select)
        .bind(9)
        .fetch_optional(&mut conn)?
        .is_none());
    let none = sqlx::query(&select).bind(9).fetch_one(&mut conn);
    assert!(matches!(none, Err(sqlx::Error::RowNotFound)));

    // query_with
    let mut arguments = Arguments::default();
    arguments.add(3).map_err(sqlx::Error::Encode)?;
    let row = sqlx::query_with(&select, arguments.clone()).fetch_one(&mut conn)?;
    assert_eq!(row.get::<i32, _>(0), 3);

    // map and try_map
    let map = sqlx::query(&select)
        .bind(1)
        .map(|row| row.get::<i32, _>("id"))
        .map(|id| id * 2);
    assert_eq!(map.fetch_all(&mut conn)?, [2, 4, 6]);
    let map = sqlx::query(&select)
        .bind(1)
        .try_map(|row| row.try_get::<i32, _>("id"));
    assert_eq!(map.fetch_one(&mut conn)?, 1);
    let map = sqlx::query(&select)
        .bind(1)
        .try_map(|row| row.try_get::<bool, _>("id"));
    assert!(matches!(
        map.fetch_one(&mut conn),
        Err(sqlx::Error::ColumnDecode { .. })
    ));
    let map = sqlx::query(&select).bind(9).map(|_| ());
    assert!(map.fetch_optional(&mut conn)?.is_none());
    let map = sqlx::query(&select)
        .bind(2)
        .map(|row| row.get::<i32, _>("id"));
    assert_eq!(map.fetch(&mut conn).map(Result::unwrap).sum::<i32>(), 5);

    // query_as and query_as_with
    type Pair = (i32, String);
    let pairs: Vec<Pair> = sqlx::query_as(&select).bind(2).fetch_all(&mut conn)?;
    assert_eq!(pairs, [(2, "two".into()), (3, "three".into())]);
    let pair = sqlx::query_as_with::<Pair, _>(&select, arguments.clone()).fetch_one(&mut conn)?;
    assert_eq!(pair.0, 3);
    let mut query = sqlx::query_as::<Pair>(&select);
    query.try_bind(9).unwrap();
    assert_eq!(query.fetch_optional(&mut conn)?, None);
    let ids = sqlx::query_as::<Pair>(&select).bind(1).map(|(id, _)| id);
    assert_eq!(ids.fetch(&mut conn).map(Result::unwrap).max(), Some(3));

    // query_scalar and query_scalar_with
    let ids: Vec<i32> = sqlx::query_scalar(&select).bind(2).fetch_all(&mut conn)?;
    assert_eq!(ids, [2, 3]);
    let id: i32 = sqlx::query_scalar_with(&select, arguments).fetch_one(&mut conn)?;
    assert_eq!(id, 3);
    let mut query = sqlx::query_scalar::<i32>(&select);
    query.try_bind(9).unwrap();
    assert_eq!(query.fetch_optional(&mut conn)?, None);
    let ids = sqlx::query_scalar::<i32>(&select).bind(1);
    assert_eq!(ids.fetch(&mut conn).map(Result::unwrap).sum::<i32>(), 6);

    sqlx::query(&select).bind(1).fetch_one(&mut conn)
}

fn savepoints(mut conn: Connection) -> sqlx::Result<Vec<i32>> {
    let insert = format!(
        "INSERT INTO {} (id, name) VALUES ($1, 'savepoint')",
        table()
    );
    let mut kept = conn.begin()?;
    sqlx::query(&insert).bind(4).execute(&mut kept)?;
    let mut nested = kept.begin()?;
    sqlx::query(&insert).bind(5).execute(&mut nested)?;
    nested.rollback()?;
    kept.commit()?;
    let mut failed = conn.begin()?;
    let error = sqlx::query(&insert)
        .bind(4)
        .execute(&mut failed)
        .unwrap_err();
    drop(failed);
    let error = error.as_database_error().expect("the database says why");
    assert!(error.is_unique_violation());
    assert_eq!(error.code().as_deref(), Some("23505"));
    assert!(error
        .constraint()
        .is_some_and(|name| name.ends_with("_pkey")));
    assert!(error.table().is_some_and(|name| table().ends_with(name)));
    sqlx::query_scalar(&format!("SELECT id FROM {} WHERE id > 3", table())).fetch_all(&mut conn)
}

fn driver(mut conn: Connection) -> sqlx::Result<()> {
    let mood = TypeInfo::with_name("app.mood")?;
    let unknown = TypeInfo::with_name("app.no_such_type").unwrap_err();
    assert!(matches!(unknown, sqlx::Error::TypeNotFound { .. }));
    let moods = TypeInfo::with_name("app.mood[]")?;
    let happy = Value::enum_scalar("happy", &mood);
    assert_eq!(happy.type_info(), mood);
    assert_eq!(
        Value::enum_array(&["happy", "sad"], &moods).type_info(),
        moods
    );
    assert!(Value::null(&mood).is_null());
    let sql = format!(
        "UPDATE {} SET mood = $1 WHERE id = 1 RETURNING mood",
        table()
    );
    let read: Mood = sqlx::query_scalar(&sql)
        .bind(Mood::Sad)
        .fetch_one(&mut conn)?;
    assert_eq!(read, Mood::Sad);
    let sql = "SELECT $1::app.mood[]";
    let read: Vec<Mood> = sqlx::query_scalar(sql)
        .bind(vec![Mood::Sad])
        .fetch_one(&mut conn)?;
    assert_eq!(read, [Mood::Sad]);
    let text = sqlx::query_scalar::<Mood>("SELECT 'sad'::text").fetch_one(&mut conn);
    assert!(
        matches!(text, Ok(Mood::Sad)),
        "text reads as an enum does: {text:?}"
    );
    let number = sqlx::query_scalar::<Mood>("SELECT 1").fetch_one(&mut conn);
    assert!(matches!(number, Err(sqlx::Error::ColumnDecode { .. })));

    // As a driver of sqlx, for code that is generic over such.
    fn count<'c, E: ::sqlx::Executor<'c, Database = Durable>>(executor: E) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM generate_series(1, 3)").fetch_one(executor)
    }
    assert_eq!(count(&mut conn)?, 3);
    assert_eq!(count(&mut *conn.begin()?)?, 3);
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Data {
    a: String,
    b: u32,
}

fn types(mut conn: Connection) -> sqlx::Result<()> {
    let data = || Data {
        a: "thing".into(),
        b: 77,
    };
    let sql = format!("UPDATE {} SET data = $1 WHERE id = 1", table());
    sqlx::query(&sql).bind(Json(data())).execute(&mut conn)?;
    let sql = format!("SELECT data, NULL::jsonb FROM {} WHERE id = 1", table());
    let row = sqlx::query(&sql).fetch_one(&mut conn)?;
    let Json(read) = row.get::<Json<Data>, _>("data");
    assert_eq!(read, data());
    let raw: &JsonRawValue = row.get(0);
    assert_eq!(serde_json::from_str::<Data>(raw.get()).unwrap(), data());
    assert_eq!(row.get::<Option<Json<Data>>, _>(1), None);
    let borrowed: Json<HashMap<&str, serde_json::Value>> = row.get("data");
    assert_eq!(borrowed["b"], 77);
    Ok(())
}

#[derive(::sqlx::FromRow)]
struct Named {
    id: Id,
    #[sqlx(rename = "name")]
    title: String,
    #[sqlx(default)]
    missing: Option<i32>,
}

#[derive(::sqlx::Type, Debug, PartialEq)]
#[sqlx(transparent)]
struct Id(i32);

#[derive(::sqlx::Type, Debug, PartialEq)]
#[repr(i32)]
enum Size {
    Small = 1,
    Large = 2,
}

fn derives(mut conn: Connection) -> sqlx::Result<()> {
    let sql = format!("SELECT id, name FROM {} WHERE id = $1", table());
    let named: Named = sqlx::query_as(&sql).bind(Id(2)).fetch_one(&mut conn)?;
    assert_eq!(
        (named.id, &*named.title, named.missing),
        (Id(2), "two", None)
    );
    let size: Size = sqlx::query_scalar("SELECT $1")
        .bind(Size::Large)
        .fetch_one(&mut conn)?;
    assert_eq!(size, Size::Large);
    assert!(sqlx::query_scalar::<Size>("SELECT 3")
        .fetch_one(&mut conn)
        .is_err());
    let _ = Size::Small;
    Ok(())
}

#[derive(Debug, PartialEq)]
enum TaskState {
    Active,
    Other,
}

impl ::sqlx::Type<Durable> for TaskState {
    fn type_info() -> TypeInfo {
        TypeInfo::with_name("durable.task_state").expect("it is there")
    }
}

impl ::sqlx::Decode<'_, Durable> for TaskState {
    fn decode(value: &Value) -> Result<Self, ::sqlx::error::BoxDynError> {
        match <String as ::sqlx::Decode<Durable>>::decode(value)?.as_str() {
            "active" => Ok(Self::Active),
            _ => Ok(Self::Other),
        }
    }
}

struct Event {
    index: i64,
    label: Option<String>,
}

fn macros(mut conn: Connection) -> sqlx::Result<()> {
    let task = durable::task();
    let id = task.id();

    let row = sqlx::query!(
        "SELECT id, name, completed_at, data " + "FROM durable.task WHERE id = $1",
        id
    )
    .fetch_one(&mut conn)?;
    let (_, _): (
        i64,
        Option<sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>>,
    ) = (row.id, row.completed_at);
    assert_eq!(row.name, task.name());
    assert_eq!(row.data, serde_json::Value::Null);
    let deleted = sqlx::query!(
        "DELETE FROM durable.event WHERE task_id = $1 AND index < 0",
        Some(&id)
    )
    .execute(&mut conn)?;
    assert_eq!(deleted.rows_affected(), 0);
    let labels = sqlx::query_file!("src/sql/own-labels.sql", id).fetch_all(&mut conn)?;
    assert_eq!(labels[0].label, "schema");

    // The struct's own types: larger ones than the columns'.
    let events = sqlx::query_as!(
        Event,
        "SELECT index, label FROM durable.event WHERE task_id = $1 ORDER BY index",
        id,
    )
    .fetch_all(&mut conn)?;
    assert_eq!(events[1].index, 1);
    assert_eq!(events[1].label.as_deref(), Some("queries"));
    struct Label {
        label: String,
    }
    let label = sqlx::query_file_as!(Label, "src/sql/own-labels.sql", id).fetch_one(&mut conn)?;
    assert_eq!(label.label, "schema");

    let state = sqlx::query_scalar!(
        r#"SELECT state AS "state!: TaskState" FROM durable.task WHERE id = $1"#,
        id
    )
    .fetch_one(&mut conn)?;
    assert_eq!(state, TaskState::Active);
    let sum: Option<i64> =
        sqlx::query_scalar!("SELECT sum(n) FROM unnest($1::int[]) AS n", &[1, 2][..])
            .fetch_one(&mut conn)?;
    assert_eq!(sum, Some(3));
    let text = sqlx::query_scalar!(
        r#"SELECT $1::text || $2 AS "text!""#,
        "a",
        Some("b".to_owned())
    )
    .fetch_one(&mut conn)?;
    assert_eq!(text, "ab");
    let labels: Vec<String> = sqlx::query_file_scalar!("src/sql/own-labels.sql", id)
        .fetch(&mut conn)
        .collect::<sqlx::Result<_>>()?;
    assert_eq!(labels[0], "schema");

    // Unchecked: what they are used as.
    let row = sqlx::query_unchecked!(
        r#"SELECT id AS "id: i64" FROM durable.task WHERE id = $1"#,
        id
    )
    .fetch_one(&mut conn)?;
    assert_eq!(row.id, id);
    let row = sqlx::query_file_unchecked!("src/sql/checked.sql", id).fetch_one(&mut conn)?;
    assert_eq!(row.id, id);
    struct Task {
        id: i64,
    }
    let row = sqlx::query_as_unchecked!(Task, "SELECT id FROM durable.task WHERE id = $1", id)
        .fetch_one(&mut conn)?;
    assert_eq!(row.id, id);
    let row =
        sqlx::query_file_as_unchecked!(Task, "src/sql/checked.sql", id).fetch_one(&mut conn)?;
    assert_eq!(row.id, id);
    let read: i64 = sqlx::query_scalar_unchecked!("SELECT id FROM durable.task WHERE id = $1", id)
        .fetch_one(&mut conn)?;
    assert_eq!(read, id);
    let read: i64 =
        sqlx::query_file_scalar_unchecked!("src/sql/checked.sql", id).fetch_one(&mut conn)?;
    assert_eq!(read, id);
    Ok(())
}

/// Errors are results of transactions, of which nothing else remains.
fn errors() {
    let insert = format!("INSERT INTO {} (id, name) VALUES (1, 'again')", table());
    let error = sqlx::transaction("errors", |mut conn| sqlx::query(&insert).execute(&mut conn));
    let error = error
        .expect_err("there is a row 1")
        .into_database_error()
        .unwrap();
    assert!(error.is_unique_violation());
    assert!(error.message().contains("duplicate key"));
}

fn all() -> durable::Result<()> {
    sqlx::transaction("schema", schema)?;
    let row = sqlx::transaction("queries", queries)?;
    assert_eq!(row.get::<String, _>("name"), "one");
    assert_eq!(sqlx::transaction("savepoints", savepoints)?, [4]);
    sqlx::transaction("driver", driver)?;
    sqlx::transaction("types", types)?;
    sqlx::transaction("derives", derives)?;
    sqlx::transaction("macros", macros)?;
    errors();
    Ok(())
}

fn main() {
    match all() {
        Ok(()) => println!("ok"),
        Err(error) => println!("{error:?}"),
    }
}
