//! The code that a macro becomes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned, ToTokens};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprCast, ExprGroup, Result, Token, Type};

use crate::describe::{self, Column, Description};
use crate::input::{Form, Input, Output};
use crate::types;

pub fn expand(form: Form, tokens: TokenStream) -> Result<TokenStream> {
    let input = Input::parse(form, tokens)?;
    let described = describe::describe(&input.sql);
    let (description, cached) = described.map_err(|error| Error::new(input.span, error))?;
    // The compiler is to run again when one of these files changes.
    let files = input.file.iter().chain(&cached).map(|file| {
        let file = file.to_string_lossy();
        quote!(
            const _: &[u8] = ::core::include_bytes!(#file);
        )
    });
    let query = Query {
        input: &input,
        description: &description,
    };
    let code = query.code()?;
    Ok(quote! {
        #[allow(clippy::all)]
        {
            #(#files)*
            #code
        }
    })
}

struct Query<'a> {
    input: &'a Input,
    description: &'a Description,
}

impl Query<'_> {
    fn code(&self) -> Result<TokenStream> {
        let arguments = self.arguments()?;
        // Names that the expressions of the user do not see.
        let bound = Ident::new("arguments", Span::mixed_site());
        let row = Ident::new("row", Span::mixed_site());
        let sql = &self.input.sql;
        let query = quote!(::durable::sqlx::__macros::query(#sql, #bound));
        let query = match self.input.form.output {
            Output::Scalar => {
                let ty = self.scalar()?;
                quote!(::durable::sqlx::__macros::query_scalar::<#ty>(#sql, #bound))
            }
            _ if self.description.has_no_values() => query,
            Output::Record => {
                let fields = self.fields()?;
                let record = Ident::new("Record", Span::mixed_site());
                let definitions = fields.iter().map(Field::definition);
                let definitions = definitions.collect::<Result<Vec<_>>>()?;
                let values = fields.iter().map(|field| field.value(&row));
                quote! {{
                    #[derive(Debug)]
                    #[allow(non_snake_case)]
                    struct #record { #(#definitions,)* }
                    #query.try_map(|#row: ::durable::sqlx::driver::Row| {
                        ::core::result::Result::Ok(#record { #(#values,)* })
                    })
                }}
            }
            Output::Struct => {
                let output = &self.input.output;
                let fields = self.fields()?;
                let values = fields.iter().map(|field| field.value(&row));
                quote! {
                    #query.try_map(|#row: ::durable::sqlx::driver::Row| {
                        ::core::result::Result::Ok(#output { #(#values,)* })
                    })
                }
            }
        };
        Ok(quote! {
            #[allow(unused_mut)]
            let mut #bound = ::durable::sqlx::__macros::Bound::new();
            #(#arguments)*
            #query
        })
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::new(self.input.span, message)
    }

    /// Code that checks and binds the arguments.
    fn arguments(&self) -> Result<Vec<TokenStream>> {
        let parameters = self.description.parameters();
        let arguments = &self.input.arguments;
        if parameters.len() != arguments.len() {
            return Err(self.error(format_args!(
                "the query has {} parameters, but there are {} arguments",
                parameters.len(),
                arguments.len()
            )));
        }
        let both = parameters.into_iter().zip(arguments).enumerate();
        both.map(|(index, (parameter, argument))| self.argument(index, parameter, argument))
            .collect()
    }

    fn argument(&self, index: usize, parameter: &str, argument: &Expr) -> Result<TokenStream> {
        let bound = Ident::new("arguments", Span::mixed_site());
        let value = Ident::new("value", Span::mixed_site());
        let check = if self.input.form.checked && cast(argument).is_none() {
            let marker = types::of_parameter(parameter).map_err(|problem| {
                Error::new(
                    argument.span(),
                    format!("parameter ${} {problem}", index + 1),
                )
            })?;
            quote_spanned!(argument.span()=> ::durable::sqlx::__macros::check::<#marker, _>(#value);)
        } else {
            TokenStream::new()
        };
        let argument = without_wildcard(argument);
        Ok(quote! {
            match &(#argument) {
                #value => {
                    #check
                    #bound.add(#value);
                }
            }
        })
    }

    fn fields(&self) -> Result<Vec<Field>> {
        let columns = self.description.columns();
        let fields = columns.iter().enumerate();
        fields
            .map(|(index, column)| self.field(index, column))
            .collect()
    }

    fn field(&self, index: usize, column: &Column) -> Result<Field> {
        let problem = |problem: String| {
            self.error(format_args!(
                "column {} ({:?}) {problem}",
                index + 1,
                column.name
            ))
        };
        let declared = Declaration::parse(column.name).map_err(problem)?;
        let ty = self.field_type(&declared, column).map_err(problem)?;
        Ok(Field {
            index,
            ident: declared.ident,
            ty,
            checked: self.input.form.checked,
            span: self.input.span,
        })
    }

    fn field_type(
        &self,
        declared: &Declaration,
        column: &Column,
    ) -> std::result::Result<FieldType, String> {
        let ty = match &declared.ty {
            Some(Type::Infer(_)) => return Ok(FieldType::Inferred),
            Some(ty) => ty.to_token_stream(),
            None if !self.input.form.checked => return Ok(FieldType::Inferred),
            None => types::of_column(column.type_name)?,
        };
        Ok(FieldType::Exact(
            if declared.nullable.unwrap_or(column.nullable) {
                quote!(::core::option::Option<#ty>)
            } else {
                ty
            },
        ))
    }

    /// The type of the only column.
    fn scalar(&self) -> Result<TokenStream> {
        let columns = self.description.columns();
        let [column] = columns.as_slice() else {
            return Err(self.error(format_args!(
                "the query must have one column, but it has {}",
                columns.len()
            )));
        };
        let problem = |problem| self.error(format_args!("the column {problem}"));
        // It needs no name that a field could have.
        let declared = Declaration::parse(column.name).unwrap_or_else(|_| Declaration {
            ident: format_ident!("scalar"),
            nullable: None,
            ty: None,
        });
        Ok(match self.field_type(&declared, column).map_err(problem)? {
            FieldType::Exact(ty) => ty,
            FieldType::Inferred => quote!(_),
        })
    }
}

/// A column as a field of a struct.
struct Field {
    index: usize,
    ident: Ident,
    ty: FieldType,
    checked: bool,
    span: Span,
}

enum FieldType {
    Exact(TokenStream),
    /// What the struct says.
    Inferred,
}

impl Field {
    fn definition(&self) -> Result<TokenStream> {
        let ident = &self.ident;
        match &self.ty {
            FieldType::Exact(ty) => Ok(quote!(#ident: #ty)),
            FieldType::Inferred => Err(Error::new(
                self.span,
                format!(
                    "the type of the column {ident} is left to a struct, but there is none: \
                     use query_as! or name the type (`\"{ident}: Type\"`)"
                ),
            )),
        }
    }

    fn value(&self, row: &Ident) -> TokenStream {
        let Self { index, ident, .. } = self;
        match &self.ty {
            FieldType::Exact(ty) => quote! {
                #ident: ::core::convert::Into::into(
                    ::durable::sqlx::__macros::get_unchecked::<#ty>(&#row, #index)?
                )
            },
            FieldType::Inferred if self.checked => quote! {
                #ident: #row.try_get(#index)?
            },
            FieldType::Inferred => quote! {
                #ident: ::durable::sqlx::__macros::get_unchecked(&#row, #index)?
            },
        }
    }
}

/// What the name of a column says about its field: `name`, `name!`, `name?`,
/// each perhaps with `: Type` behind it.
struct Declaration {
    ident: Ident,
    nullable: Option<bool>,
    ty: Option<Type>,
}

impl Declaration {
    fn parse(name: &str) -> std::result::Result<Self, String> {
        let end = name.find([':', '!', '?']).unwrap_or(name.len());
        let (ident, rest) = name.split_at(end);
        // A column may be called `type`.
        let ident = syn::parse_str::<Ident>(&format!("r#{}", ident.trim()))
            .map_err(|_| "cannot be a field: give it a name (`AS name`)".to_owned())?;
        let tail: Tail = syn::parse_str(rest)
            .map_err(|error| format!("has a name that says nothing: {error}"))?;
        Ok(Self {
            ident,
            nullable: tail.nullable,
            ty: tail.ty,
        })
    }
}

/// What follows the name itself.
struct Tail {
    nullable: Option<bool>,
    ty: Option<Type>,
}

impl Parse for Tail {
    fn parse(input: ParseStream) -> Result<Self> {
        let nullable = if input.parse::<Option<Token![!]>>()?.is_some() {
            Some(false)
        } else {
            input.parse::<Option<Token![?]>>()?.map(|_| true)
        };
        let ty = match input.parse::<Option<Token![:]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { nullable, ty })
    }
}

/// The type that an argument is cast to. What macros pass on is in groups.
fn cast(argument: &Expr) -> Option<&Type> {
    match argument {
        Expr::Group(group) => cast(&group.expr),
        Expr::Cast(cast) => Some(&cast.ty),
        _ => None,
    }
}

/// The argument without `as _`, which Rust would not understand.
fn without_wildcard(argument: &Expr) -> Expr {
    match argument {
        Expr::Group(group) => Expr::Group(ExprGroup {
            expr: Box::new(without_wildcard(&group.expr)),
            ..group.clone()
        }),
        Expr::Cast(ExprCast { expr, ty, .. }) if matches!(**ty, Type::Infer(_)) => (**expr).clone(),
        argument => argument.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str) -> (String, Option<bool>, Option<String>) {
        let declared = Declaration::parse(name).unwrap();
        let ty = declared.ty.map(|ty| ty.to_token_stream().to_string());
        (declared.ident.to_string(), declared.nullable, ty)
    }

    #[test]
    fn the_name_of_a_column_may_say_more() {
        let name = || "r#name".to_owned();
        assert_eq!(declared("name"), (name(), None, None));
        assert_eq!(declared("name!"), (name(), Some(false), None));
        assert_eq!(declared("name?"), (name(), Some(true), None));
        let ty = || Some("a :: B < C >".to_owned());
        assert_eq!(declared("name: a::B<C>"), (name(), None, ty()));
        assert_eq!(declared("name!: a::B<C>"), (name(), Some(false), ty()));
        assert_eq!(declared("name?: _"), (name(), Some(true), Some("_".into())));
        assert_eq!(declared("type").0, "r#type");
    }

    #[test]
    fn a_column_without_a_name_of_its_own_is_an_error() {
        assert!(Declaration::parse("?column?").is_err());
        assert!(Declaration::parse("a b").is_err());
        assert!(Declaration::parse("a: ").is_err());
    }

    #[test]
    fn a_cast_is_no_matter_of_sql() {
        let wildcard: Expr = syn::parse_quote!(a.b as _);
        assert!(cast(&wildcard).is_some());
        assert_eq!(without_wildcard(&wildcard), syn::parse_quote!(a.b));
        let named: Expr = syn::parse_quote!(a as i64);
        assert_eq!(without_wildcard(&named), named);
    }
}
