//! What is written between the parentheses of a macro.

use std::fs;
use std::path::PathBuf;

use proc_macro2::Span;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, LitStr, Path, Result, Token};

use crate::environment;

/// Which of the macros it is.
#[derive(Clone, Copy)]
pub struct Form {
    pub output: Output,
    pub source: Source,
    pub checked: bool,
}

/// What is made of a row.
#[derive(Clone, Copy, PartialEq)]
pub enum Output {
    /// A struct that the macro defines.
    Record,
    /// A struct that is named.
    Struct,
    /// The value of the only column.
    Scalar,
}

/// Where the text of the statement is.
#[derive(Clone, Copy)]
pub enum Source {
    Text,
    File,
}

pub struct Input {
    pub form: Form,
    pub output: Option<Path>,
    pub sql: String,
    /// The file that the statement was read from.
    pub file: Option<PathBuf>,
    /// Where errors of the statement are to be shown.
    pub span: Span,
    pub arguments: Vec<Expr>,
}

impl Input {
    pub fn parse(form: Form, tokens: proc_macro2::TokenStream) -> Result<Self> {
        (|stream: ParseStream| Self::parse_stream(form, stream)).parse2(tokens)
    }

    fn parse_stream(form: Form, stream: ParseStream) -> Result<Self> {
        let output = if form.output == Output::Struct {
            let path = stream.parse()?;
            stream.parse::<Token![,]>()?;
            Some(path)
        } else {
            None
        };
        let (sql, file, span) = match form.source {
            Source::Text => {
                let parts = Punctuated::<LitStr, Token![+]>::parse_separated_nonempty(stream)?;
                let sql = parts.iter().map(LitStr::value).collect();
                (sql, None, parts.span())
            }
            Source::File => {
                let path: LitStr = stream.parse()?;
                let file = environment::manifest_dir().join(path.value());
                let sql = fs::read_to_string(&file).map_err(|error| {
                    Error::new(path.span(), format!("cannot read {file:?}: {error}"))
                })?;
                (sql, Some(file), path.span())
            }
        };
        let arguments = if stream.is_empty() {
            Vec::new()
        } else {
            stream.parse::<Token![,]>()?;
            let arguments = Punctuated::<Expr, Token![,]>::parse_terminated(stream)?;
            arguments.into_iter().collect()
        };
        Ok(Self {
            form,
            output,
            sql,
            file,
            span,
            arguments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn form(output: Output) -> Form {
        Form {
            output,
            source: Source::Text,
            checked: true,
        }
    }

    #[test]
    fn the_text_may_come_in_parts() {
        let input = Input::parse(form(Output::Record), quote!("SELECT " + "1", a, &b.c,)).unwrap();
        assert_eq!(input.sql, "SELECT 1");
        assert_eq!(input.arguments.len(), 2);
        assert!(input.output.is_none());
    }

    #[test]
    fn a_struct_comes_first() {
        let input = Input::parse(form(Output::Struct), quote!(a::B<C>, "SELECT 1")).unwrap();
        assert!(input.output.is_some());
        assert!(input.arguments.is_empty());
    }

    #[test]
    fn a_text_that_is_no_literal_is_an_error() {
        assert!(Input::parse(form(Output::Record), quote!(sql)).is_err());
    }
}
