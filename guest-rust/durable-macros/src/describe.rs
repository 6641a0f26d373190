//! What the database says about a query.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use sqlx_core::column::Column as _;
use sqlx_core::connection::Connection;
use sqlx_core::describe::Describe;
use sqlx_core::executor::Executor;
use sqlx_core::type_info::TypeInfo;
use sqlx_core::Either;
use sqlx_postgres::{PgConnection, Postgres};
use tokio::runtime::{Builder, Runtime};

use crate::cache;
use crate::environment::Settings;

/// The parameters and columns of a query.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Description(Describe<Postgres>);

pub struct Column<'a> {
    pub name: &'a str,
    /// The type, as sqlx names it: `INT8`, `TEXT[]`, or the name of a type of
    /// the application.
    pub type_name: &'a str,
    pub nullable: bool,
}

impl Description {
    pub fn columns(&self) -> Vec<Column<'_>> {
        let columns = self.0.columns.iter().enumerate();
        let described = columns.map(|(index, column)| Column {
            name: column.name(),
            type_name: column.type_info().name(),
            nullable: self.0.nullable(index).unwrap_or(true),
        });
        described.collect()
    }

    /// Whether there is nothing to be read: no column, or only such as of a
    /// function that returns nothing.
    pub fn has_no_values(&self) -> bool {
        let mut columns = self.0.columns.iter();
        columns.all(|column| column.type_info().is_void())
    }

    /// The names of the types of the parameters.
    pub fn parameters(&self) -> Vec<&str> {
        match &self.0.parameters {
            Some(Either::Left(types)) => types.iter().map(TypeInfo::name).collect(),
            Some(Either::Right(count)) => vec!["UNKNOWN"; *count],
            None => Vec::new(),
        }
    }

    #[cfg(test)]
    pub fn example() -> Self {
        let json = serde_json::json!({
            "columns": [{"ordinal": 0, "name": "?column?", "type_info": "Int4"}],
            "parameters": {"Left": ["Int8", "TextArray"]},
            "nullable": [null]
        });
        serde_json::from_value(json).unwrap()
    }
}

/// Describe a query, as the environment says. Also returns the file that the
/// description is from.
pub fn describe(sql: &str) -> Result<(Description, Option<std::path::PathBuf>), String> {
    let settings = Settings::load();
    if let Some(url) = &settings.database_url {
        let description = ask(url, sql)?;
        return match &settings.offline_dir {
            Some(dir) => Ok((cache::write(dir, sql, description)?, None)),
            None => Ok((description, None)),
        };
    }
    match cache::find(&settings.cache_dirs(), sql) {
        Some(file) => Ok((cache::read(&file, sql)?, Some(file))),
        None if settings.offline => Err(
            "SQLX_OFFLINE is set, but the folder .sqlx knows nothing of this query: \
             build once with DATABASE_URL and SQLX_OFFLINE_DIR instead"
                .into(),
        ),
        None => Err(
            "set DATABASE_URL to a database that the query can be checked against \
             (the folder .sqlx knows nothing of it)"
                .into(),
        ),
    }
}

/// The connection to a database, kept for the next query.
struct Session {
    url: String,
    runtime: Runtime,
    connection: PgConnection,
}

impl Session {
    fn open(url: &str) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let connection = runtime
            .block_on(PgConnection::connect(url))
            .map_err(|error| format!("cannot connect to DATABASE_URL: {error}"))?;
        Ok(Self {
            url: url.to_owned(),
            runtime,
            connection,
        })
    }

    fn describe(&mut self, sql: &str) -> Result<Description, sqlx_core::Error> {
        let described = self.runtime.block_on(self.connection.describe(sql));
        described.map(Description)
    }
}

fn ask(url: &str, sql: &str) -> Result<Description, String> {
    static SESSION: Mutex<Option<Session>> = Mutex::new(None);
    let mut kept = SESSION.lock().unwrap_or_else(|error| error.into_inner());
    let mut session = match kept.take() {
        Some(session) if session.url == url => session,
        _ => Session::open(url)?,
    };
    match session.describe(sql) {
        Ok(description) => {
            *kept = Some(session);
            Ok(description)
        }
        // The connection may be the reason: the next query gets another one.
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_tells_names_and_types() {
        let description = Description::example();
        let columns = description.columns();
        assert_eq!(columns[0].type_name, "INT4");
        assert!(columns[0].nullable);
        assert_eq!(description.parameters(), ["INT8", "TEXT[]"]);
        assert!(!description.has_no_values());
    }

    #[test]
    fn a_type_of_the_application_has_its_own_name() {
        let json = serde_json::json!({
            "columns": [{"ordinal": 0, "name": "state", "type_info":
                {"Custom": {"name": "durable.task_state", "kind": {"Enum": ["ready", "active"]}}}}],
            "parameters": {"Left": []},
            "nullable": [false]
        });
        let description: Description = serde_json::from_value(json).unwrap();
        assert_eq!(description.columns()[0].type_name, "durable.task_state");
        assert!(!description.columns()[0].nullable);
    }
}
