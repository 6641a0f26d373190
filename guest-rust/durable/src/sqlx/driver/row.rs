//! Rows of a result.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use sqlx_core::column::ColumnIndex;
use sqlx_core::decode::Decode;
use sqlx_core::error::{mismatched_types, Error};
use sqlx_core::types::Type;

use super::{Durable, TypeInfo, Value};
use crate::sqlx::bindings::durable::core::sql;

/// A row of a result.
///
/// It can be the result of a transaction, and can then be read after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    cells: Vec<Cell>,
    #[serde(skip)]
    columns: OnceLock<Vec<Column>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cell {
    name: String,
    value: Value,
}

impl Row {
    pub(super) fn new(row: sql::Row) -> Self {
        let cells = row.columns.into_iter().map(|column| Cell {
            name: column.name,
            value: Value::new(column.value),
        });
        Self {
            cells: cells.collect(),
            columns: OnceLock::new(),
        }
    }

    /// Read a column, by its name or by its index from 0.
    ///
    /// # Panics
    ///
    /// If there is no such column, or if its value is not a `T`. A column that
    /// may be NULL is read as an `Option`.
    #[track_caller]
    pub fn get<'r, T, I>(&'r self, index: I) -> T
    where
        T: Decode<'r, Durable> + Type<Durable>,
        I: ColumnIndex<Self>,
    {
        match self.try_get(index) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// Read a column, by its name or by its index from 0.
    ///
    /// # Errors
    ///
    /// If there is no such column, or if its value is not a `T`. The error is
    /// that of sqlx; `?` makes it a [`durable::sqlx::Error`](crate::sqlx::Error).
    pub fn try_get<'r, T, I>(&'r self, index: I) -> Result<T, Error>
    where
        T: Decode<'r, Durable> + Type<Durable>,
        I: ColumnIndex<Self>,
    {
        let value = self.value(&index)?;
        // The host reads a value as its own type only, so for the types that it
        // has functions for decoding is the check.
        let unchecked = T::type_info().is_built_in() || value.is_null();
        let decoded = if unchecked || T::compatible(&value.type_info()) {
            T::decode(value)
        } else {
            Err(mismatched_types::<Durable, T>(&value.type_info()))
        };
        decoded.map_err(|source| Error::ColumnDecode {
            index: format!("{index:?}"),
            source,
        })
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The columns, with their names and types.
    pub fn columns(&self) -> &[Column] {
        self.columns.get_or_init(|| {
            let columns = self.cells.iter().enumerate().map(|(ordinal, cell)| Column {
                ordinal,
                name: cell.name.clone(),
                type_info: cell.value.type_info(),
            });
            columns.collect()
        })
    }

    fn value<I: ColumnIndex<Self>>(&self, index: &I) -> Result<&Value, Error> {
        let index = index.index(self)?;
        Ok(&self.cells[index].value)
    }
}

impl sqlx_core::row::Row for Row {
    type Database = Durable;

    fn columns(&self) -> &[Column] {
        self.columns()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn try_get<'r, T, I>(&'r self, index: I) -> Result<T, Error>
    where
        I: ColumnIndex<Self>,
        T: Decode<'r, Durable> + Type<Durable>,
    {
        self.try_get(index)
    }

    fn try_get_raw<I: ColumnIndex<Self>>(&self, index: I) -> Result<&Value, Error> {
        self.value(&index)
    }
}

sqlx_core::impl_column_index_for_row!(Row);

impl ColumnIndex<Row> for &str {
    fn index(&self, row: &Row) -> Result<usize, Error> {
        row.cells
            .iter()
            .position(|cell| cell.name == *self)
            .ok_or_else(|| Error::ColumnNotFound((*self).to_owned()))
    }
}

/// A column of a [`Row`].
#[derive(Clone, Debug)]
pub struct Column {
    ordinal: usize,
    name: String,
    type_info: TypeInfo,
}

impl sqlx_core::column::Column for Column {
    type Database = Durable;

    fn ordinal(&self) -> usize {
        self.ordinal
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn type_info(&self) -> &TypeInfo {
        &self.type_info
    }
}
