//! `#[derive(Outputs)]`.

use crate::attributes::{Errors, Marks, fields, type_span};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Field, Result, Type};

/// Implements `Outputs`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let mut errors = Errors::default();
    for field in fields(input)? {
        errors.keep(check_type(field));
    }
    errors.finish()?;
    let marked = Marks::read(input, "output", &["regional", "secret", "changes_on_update"])?.calls();
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::infra_core::Outputs for #name #arguments #bounds {
            fn add_to(schema: ::infra_core::Schema) -> ::infra_core::Schema {
                schema #marked
            }
        }
    })
}

/// Refuses a field that cannot hold a reference to a resource that does not exist yet.
fn check_type(field: &Field) -> Result<()> {
    let is_output = match &field.ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Output"),
        _ => false,
    };
    if is_output {
        return Ok(());
    }
    Err(Error::new(type_span(field), "an output is an `Output<T>`: its value is unknown until the resource exists"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use syn::parse_quote;

    #[test]
    fn every_field_is_an_output() {
        let input = parse_quote! {
            struct SubnetOutputs {
                #[output(regional)]
                id: infra_core::Output<SubnetId>,
                cidr: String,
            }
        };
        let error = derive(&input).unwrap_err();
        assert_eq!(error.to_string(), "an output is an `Output<T>`: its value is unknown until the resource exists");
    }
}
