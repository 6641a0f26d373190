//! The parameters of a statement.

use std::fmt::{self, Write};

use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::{Durable, Value};

/// The parameters of a statement: `$1`, `$2` and so on.
#[derive(Clone, Debug, Default)]
pub struct Arguments(Vec<Value>);

impl Arguments {
    pub(super) fn into_values(self) -> Vec<Value> {
        self.0
    }

    /// Append a value as the next parameter.
    ///
    /// # Errors
    ///
    /// If the value cannot be encoded.
    pub fn add<'q, T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: Encode<'q, Durable> + Type<Durable>,
    {
        let index = self.0.len();
        let type_info = value.produces();
        let encoded = value.encode(&mut self.0);
        match encoded {
            Ok(IsNull::No) if self.0.len() == index + 1 => Ok(()),
            Ok(IsNull::Yes) => {
                self.0.truncate(index);
                let type_info = type_info.unwrap_or_else(T::type_info);
                self.0.push(Value::null(&type_info));
                Ok(())
            }
            Ok(IsNull::No) => {
                let pushed = self.0.len() - index;
                self.0.truncate(index);
                Err(format!("a parameter was encoded as {pushed} values").into())
            }
            Err(error) => {
                self.0.truncate(index);
                Err(error)
            }
        }
    }
}

impl<'q> sqlx_core::arguments::Arguments<'q> for Arguments {
    type Database = Durable;

    fn reserve(&mut self, additional: usize, _size: usize) {
        self.0.reserve(additional);
    }

    fn add<T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: 'q + Encode<'q, Durable> + Type<Durable>,
    {
        self.add(value)
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn format_placeholder<W: Write>(&self, writer: &mut W) -> fmt::Result {
        write!(writer, "${}", self.0.len())
    }
}

sqlx_core::impl_into_arguments_for_arguments!(Arguments);
