//! Arrays of one dimension.

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

/// A type of which there are arrays in the database.
///
/// `Vec<T>`, `&[T]` and `[T; N]` are values of the database if `T` is an
/// element. To bind and read arrays of your own enum, implement this for it:
///
/// ```no_run
/// use durable::sqlx::driver::{Element, TypeInfo, Value};
/// use durable::sqlx::{error::BoxDynError, Decode};
/// # use durable::sqlx::driver::Durable;
///
/// struct Mood(String);
///
/// impl Element for Mood {
///     fn array_type_info() -> TypeInfo {
///         TypeInfo::with_name("mood[]").expect("the type is made by the migrations")
///     }
///
///     fn encode_array(moods: &[Self]) -> Result<Value, BoxDynError> {
///         let labels: Vec<&str> = moods.iter().map(|mood| mood.0.as_str()).collect();
///         Ok(Value::enum_array(&labels, &Self::array_type_info()))
///     }
///
///     fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
///         let labels = <Vec<String> as Decode<Durable>>::decode(value)?;
///         Ok(labels.into_iter().map(Mood).collect())
///     }
/// }
/// ```
///
/// The host knows no array in which an element is NULL.
pub trait Element: Sized {
    /// The type of an array of such elements.
    fn array_type_info() -> TypeInfo;

    /// Make a value of an array.
    ///
    /// # Errors
    ///
    /// If an element is none that the database could store.
    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError>;

    /// Read the elements of an array.
    ///
    /// # Errors
    ///
    /// If the value is not an array of such elements.
    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError>;
}

impl<T: Element> Type<Durable> for [T] {
    fn type_info() -> TypeInfo {
        T::array_type_info()
    }
}

impl<T: Element> Type<Durable> for Vec<T> {
    fn type_info() -> TypeInfo {
        T::array_type_info()
    }
}

impl<T: Element, const N: usize> Type<Durable> for [T; N] {
    fn type_info() -> TypeInfo {
        T::array_type_info()
    }
}

impl<'q, T: Element> Encode<'q, Durable> for &[T] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(T::encode_array(self)?);
        Ok(IsNull::No)
    }
}

impl<'q, T: Element> Encode<'q, Durable> for Vec<T> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}

impl<'q, T: Element, const N: usize> Encode<'q, Durable> for [T; N] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}

impl<'r, T: Element> Decode<'r, Durable> for Vec<T> {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        T::decode_array(value)
    }
}

impl<'r, T: Element, const N: usize> Decode<'r, Durable> for [T; N] {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        let elements = T::decode_array(value)?;
        Self::try_from(elements).map_err(|elements| {
            format!("expected {N} elements, but there are {}", elements.len()).into()
        })
    }
}

/// Borrowed text can be bound in an array, but not be read from one.
macro_rules! borrowed_text {
    ($($array:ty $(, $n:ident)?;)*) => {$(
        impl$(<const $n: usize>)? Type<Durable> for $array {
            fn type_info() -> TypeInfo {
                TypeInfo::text_array()
            }
        }
    )*};
}

borrowed_text! {
    [&str];
    Vec<&str>;
    [&str; N], N;
}

impl<'q> Encode<'q, Durable> for &[&str] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        let owned: Vec<String> = self.iter().map(|&text| text.to_owned()).collect();
        buffer.push(Value::new(sql::Value::text_array(&owned)));
        Ok(IsNull::No)
    }
}

impl<'q> Encode<'q, Durable> for Vec<&str> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}

impl<'q, const N: usize> Encode<'q, Durable> for [&str; N] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}
