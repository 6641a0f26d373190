//! Which Rust types stand for which types of the database. What can be read
//! and bound is the crate's business: see `durable::sqlx`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// A type of the database that the host can read.
struct SqlType {
    /// The struct of `durable::sqlx::__macros::parameters` that stands for it.
    marker: &'static str,
    /// The Rust type of a column, or the feature that has it.
    rust: Result<TokenStream, &'static str>,
}

fn sql_type(name: &str) -> Option<SqlType> {
    let types = quote!(::durable::sqlx::types);
    let known = |marker, rust| Some(SqlType { marker, rust });
    let needs = |enabled: bool, feature, rust| if enabled { Ok(rust) } else { Err(feature) };
    let chrono = |rust| needs(cfg!(feature = "chrono"), "sqlx-chrono", rust);
    match name {
        "BOOL" => known("Boolean", Ok(quote!(bool))),
        "\"CHAR\"" => known("Char", Ok(quote!(i8))),
        "INT2" => known("Smallint", Ok(quote!(i16))),
        "INT4" => known("Integer", Ok(quote!(i32))),
        "INT8" => known("Bigint", Ok(quote!(i64))),
        "FLOAT4" => known("Real", Ok(quote!(f32))),
        "FLOAT8" => known("DoublePrecision", Ok(quote!(f64))),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "citext" => {
            known("Text", Ok(quote!(::std::string::String)))
        }
        "BYTEA" => known("Bytea", Ok(quote!(::std::vec::Vec<u8>))),
        "TIMESTAMPTZ" => known(
            "TimestampWithTimeZone",
            chrono(quote!(#types::chrono::DateTime<#types::chrono::Utc>)),
        ),
        "TIMESTAMP" => known(
            "TimestampWithoutTimeZone",
            chrono(quote!(#types::chrono::NaiveDateTime)),
        ),
        "UUID" => known(
            "Uuid",
            needs(cfg!(feature = "uuid"), "sqlx-uuid", quote!(#types::Uuid)),
        ),
        "JSON" | "JSONB" => known(
            "Jsonb",
            needs(
                cfg!(feature = "json"),
                "sqlx-json",
                quote!(#types::JsonValue),
            ),
        ),
        "INET" | "CIDR" => known(
            "Inet",
            needs(
                cfg!(feature = "ipnetwork"),
                "sqlx-ipnetwork",
                quote!(#types::ipnetwork::IpNetwork),
            ),
        ),
        _ => None,
    }
}

/// The element type of an array type.
fn element(name: &str) -> Option<&str> {
    name.strip_suffix("[]")
}

/// The Rust type of a column of the type `name`.
pub fn of_column(name: &str) -> Result<TokenStream, String> {
    let element = element(name);
    let Some(sql_type) = sql_type(element.unwrap_or(name)) else {
        return Err(format!(
            "has the type {name}, which no Rust type stands for: convert it (`column::text`), \
             or say which type of yours it is (`AS \"column: Type\"`)"
        ));
    };
    match sql_type.rust {
        Ok(rust) if element.is_some() => Ok(quote!(::std::vec::Vec<#rust>)),
        Ok(rust) => Ok(rust),
        Err(feature) => Err(format!(
            "has the type {name}, for which the crate durable needs its feature {feature:?}"
        )),
    }
}

/// What stands for the type `name` of a parameter when an argument is checked.
pub fn of_parameter(name: &str) -> Result<TokenStream, String> {
    let element = element(name);
    let Some(sql_type) = sql_type(element.unwrap_or(name)) else {
        return Err(format!(
            "has the type {name}, which no Rust type stands for: convert it in the query \
             (`$1::text::{name}`), or write `as _` behind the value if it is of a type of yours"
        ));
    };
    let marker = format_ident!("{}", sql_type.marker);
    let marker = quote!(::durable::sqlx::__macros::parameters::#marker);
    Ok(match element {
        Some(_) => quote!(::durable::sqlx::__macros::parameters::Array<#marker>),
        None => marker,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Result<String, String> {
        of_column(name).map(|tokens| tokens.to_string())
    }

    #[test]
    fn columns_have_the_type_of_their_values() {
        assert_eq!(column("INT8").unwrap(), "i64");
        assert_eq!(column("\"CHAR\"[]").unwrap(), ":: std :: vec :: Vec < i8 >");
        assert_eq!(column("VARCHAR").unwrap(), column("TEXT").unwrap());
    }

    #[test]
    fn a_type_that_the_host_does_not_read_is_an_error_with_a_way_out() {
        assert!(column("NUMERIC").unwrap_err().contains("::text"));
        assert!(column("durable.task_state").unwrap_err().contains("Type"));
        assert!(of_parameter("NUMERIC").unwrap_err().contains("NUMERIC"));
    }

    #[test]
    #[cfg(not(feature = "uuid"))]
    fn a_type_of_a_feature_names_it() {
        assert!(column("UUID").unwrap_err().contains("sqlx-uuid"));
    }
}
