//! An enum of the application, which several programs use.

use durable::sqlx::driver::{Connection, Durable, Element, TypeInfo, Value};
use durable::sqlx::encode::IsNull;
use durable::sqlx::error::BoxDynError;
use durable::sqlx::{self, Database, Decode, Encode, Type};
use serde::{Deserialize, Serialize};

/// The enum `app.mood`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Mood {
    Happy,
    Sad,
}

impl Mood {
    /// Make the type, in the schema `app`, unless it is there.
    pub fn create(conn: &mut Connection) -> sqlx::Result<()> {
        let missing = sqlx::query_scalar("SELECT to_regtype('app.mood') IS NULL");
        if missing.fetch_one(&mut *conn)? {
            sqlx::query("CREATE TYPE app.mood AS ENUM ('happy', 'sad')").execute(conn)?;
        }
        Ok(())
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Happy => "happy",
            Self::Sad => "sad",
        }
    }

    fn from_label(label: &str) -> Result<Self, BoxDynError> {
        match label {
            "happy" => Ok(Self::Happy),
            "sad" => Ok(Self::Sad),
            other => Err(format!("there is no mood {other:?}").into()),
        }
    }
}

impl Type<Durable> for Mood {
    fn type_info() -> TypeInfo {
        TypeInfo::with_name("app.mood").expect("app.mood exists")
    }
}

impl<'q> Encode<'q, Durable> for Mood {
    fn encode_by_ref(
        &self,
        buffer: &mut <Durable as Database>::ArgumentBuffer<'q>,
    ) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::enum_scalar(self.label(), &Self::type_info()));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for Mood {
    fn decode(value: <Durable as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Self::from_label(<&str as Decode<Durable>>::decode(value)?)
    }
}

impl Element for Mood {
    fn array_type_info() -> TypeInfo {
        TypeInfo::with_name("app.mood[]").expect("app.mood exists")
    }

    fn encode_array(moods: &[Self]) -> Result<Value, BoxDynError> {
        let labels: Vec<&str> = moods.iter().map(Self::label).collect();
        Ok(Value::enum_array(&labels, &Self::array_type_info()))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let labels = <Vec<String> as Decode<Durable>>::decode(value)?;
        labels.iter().map(|label| Self::from_label(label)).collect()
    }
}
