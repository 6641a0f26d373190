//! The macros of the crate `durable` that check SQL queries at build time.
//!
//! Use them through `durable::sqlx`, with the feature `sqlx-macros`: the code
//! that they write names that crate.

#![deny(missing_docs)]

mod cache;
mod describe;
mod environment;
mod expand;
mod input;
mod types;

use proc_macro::TokenStream;

use crate::input::{Form, Output, Source};

fn expand(form: Form, input: TokenStream) -> TokenStream {
    match expand::expand(form, input.into()) {
        Ok(code) => code.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

macro_rules! query_macros {
    ($(
        $(#[$doc:meta])*
        $name:ident: $output:ident $source:ident $checked:literal;
    )*) => {$(
        $(#[$doc])*
        #[proc_macro]
        pub fn $name(input: TokenStream) -> TokenStream {
            let form = Form {
                output: Output::$output,
                source: Source::$source,
                checked: $checked,
            };
            expand(form, input)
        }
    )*};
}

query_macros! {
    /// A query that is checked when the workflow is built.
    ///
    /// `query!("SQL", parameters…)`. The text is a string literal, or several
    /// with `+` between them; there is an expression for each parameter. Its
    /// rows are structs with a field for each column:
    ///
    /// ```ignore
    /// let task = durable::task().id();
    /// let rows = durable::sqlx::transaction("list", |mut conn| {
    ///     let rows = durable::sqlx::query!(
    ///         "SELECT index, label FROM durable.event WHERE task_id = $1 ORDER BY index",
    ///         task,
    ///     )
    ///     .fetch_all(&mut conn)?;
    ///     Ok(rows.into_iter().map(|row| (row.index, row.label)).collect())
    /// });
    /// # let rows: durable::sqlx::Result<Vec<(i32, String)>> = rows;
    /// ```
    ///
    /// A query without columns is a `durable::sqlx::Query`, to be executed.
    ///
    /// # What it is checked against
    ///
    /// Against the database of the environment variable `DATABASE_URL`, which
    /// may also stand in a file `.env`: it must have the tables, but needs no
    /// rows. The connection is not encrypted.
    ///
    /// If there is none, or `SQLX_OFFLINE` is `true`, what an earlier build
    /// has learnt from the database is taken from the folder `.sqlx` of the
    /// package or its workspace (or that of `SQLX_OFFLINE_DIR`), which belongs
    /// into version control. `cargo sqlx prepare` writes it, and so does any
    /// build with both variables:
    ///
    /// ```text
    /// touch src/main.rs
    /// DATABASE_URL=postgres://… SQLX_OFFLINE_DIR=$PWD/.sqlx cargo build …
    /// ```
    ///
    /// # Types of columns
    ///
    /// They are those of `durable::sqlx`, of time and date those of chrono in
    /// UTC. A column that may be NULL for all that the database knows is an
    /// `Option`. The name of a column can tell otherwise:
    ///
    /// | name | field |
    /// |---|---|
    /// | `"name!"` | is never NULL |
    /// | `"name?"` | may be NULL |
    /// | `"name: Type"` | is a `Type`, or `Option<Type>` if it may be NULL |
    /// | `"name!: Type"`, `"name?: Type"` | both |
    /// | `"name: _"` | is what the struct says (with `query_as!`) |
    ///
    /// `SELECT state AS "state!: TaskState" FROM …` reads an enum of your own.
    ///
    /// # Types of parameters
    ///
    /// They must be what the database expects, or references to it, or options
    /// of it. `expression as _` is not checked, `expression as Type` is what it
    /// is in Rust. To make a parameter another type write `$1::bigint`.
    query: Record Text true;

    /// Like [`query!`], but neither parameters nor columns are checked against
    /// the types of the database: they are what they are used as.
    query_unchecked: Record Text false;

    /// Like [`query!`], with the text in a file: `query_file!("path",
    /// parameters…)`. The path starts at the folder of `Cargo.toml`.
    query_file: Record File true;

    /// [`query_unchecked!`] with the text in a file.
    query_file_unchecked: Record File false;

    /// Like [`query!`], with rows as a struct of your own: `query_as!(Struct,
    /// "SQL", parameters…)`.
    ///
    /// The struct has a field for each column, of its type or of one that is
    /// made from it by `Into`. It needs no derive.
    ///
    /// ```ignore
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Event {
    ///     index: i32,
    ///     label: String,
    /// }
    ///
    /// let task = durable::task().id();
    /// let events: durable::sqlx::Result<Vec<Event>> =
    ///     durable::sqlx::transaction("list", |mut conn| {
    ///         durable::sqlx::query_as!(
    ///             Event,
    ///             "SELECT index, label FROM durable.event WHERE task_id = $1",
    ///             task,
    ///         )
    ///         .fetch_all(&mut conn)
    ///     });
    /// ```
    query_as: Struct Text true;

    /// Like [`query_as!`], but neither parameters nor columns are checked
    /// against the types of the database.
    query_as_unchecked: Struct Text false;

    /// [`query_as!`] with the text in a file: `query_file_as!(Struct, "path",
    /// parameters…)`.
    query_file_as: Struct File true;

    /// [`query_as_unchecked!`] with the text in a file.
    query_file_as_unchecked: Struct File false;

    /// Like [`query!`], for a query with one column, of which each row is the
    /// value: `query_scalar!("SQL", parameters…)`.
    query_scalar: Scalar Text true;

    /// Like [`query_scalar!`], but neither parameters nor the column are
    /// checked against the types of the database.
    query_scalar_unchecked: Scalar Text false;

    /// [`query_scalar!`] with the text in a file.
    query_file_scalar: Scalar File true;

    /// [`query_scalar_unchecked!`] with the text in a file.
    query_file_scalar_unchecked: Scalar File false;
}
