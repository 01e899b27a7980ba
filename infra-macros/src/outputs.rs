//! `#[derive(Outputs)]`.

use crate::attributes::{Errors, Marks, fields, property, type_span};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{DeriveInput, Error, Field, GenericArgument, Ident, PathArguments, PathSegment, Result, Type};

/// Implements `Outputs`.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let mut errors = Errors::default();
    for field in fields(input)? {
        errors.keep(check_type(field));
    }
    errors.finish()?;
    let marked = Marks::read(input, "output", &["regional", "secret", "changes_on_update"])?.calls();
    let mut shapes = Vec::new();
    for field in fields(input)? {
        if let (Some(name), Some(value)) = (property(field)?, last(&field.ty).and_then(argument)) {
            let shape = Ident::new(shape(value), Span::call_site());
            shapes.push(quote!((#name, ::infra_core::Shape::#shape)));
        }
    }
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::infra_core::Outputs for #name #arguments #bounds {
            fn add_to(schema: ::infra_core::Schema) -> ::infra_core::Schema {
                schema #marked .outputs([#(#shapes),*])
            }
        }
    })
}

/// Refuses a field that cannot hold a reference to a resource that does not exist yet.
fn check_type(field: &Field) -> Result<()> {
    if last(&field.ty).is_some_and(|segment| segment.ident == "Output") {
        return Ok(());
    }
    Err(Error::new(type_span(field), "an output is an `Output<T>`: its value is unknown until the resource exists"))
}

/// Returns the name of the `Shape` of a type. Types of other names, such as `VpcId`, are texts.
fn shape(value: &Type) -> &'static str {
    let Some(segment) = last(value) else { return "Text" };
    match segment.ident.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" | "f64" => "Number",
        "bool" => "Flag",
        "Vec" | "BTreeSet" => "List",
        "Json" | "Value" | "BTreeMap" => "Document",
        "Option" => argument(segment).map_or("Text", shape),
        _ => "Text",
    }
}

/// Returns the last segment of the path of a type: `Output<VpcId>` of `infra_core::Output<VpcId>`.
fn last(value: &Type) -> Option<&PathSegment> {
    match value {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Returns the first type argument: `VpcId` of `Output<VpcId>`.
fn argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(value) => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use syn::parse_quote;

    #[test]
    fn schema_contains_the_shapes_of_outputs() {
        let input = parse_quote! {
            struct DatabaseOutputs {
                id: infra_core::Output<DatabaseId>,
                port: Output<u16>,
                #[serde(rename = "members")]
                subnets: Output<Vec<SubnetId>>,
                properties: Output<serde_json::Value>,
                public: Output<Option<bool>>,
            }
        };
        let expanded = derive(&input).unwrap().to_string().replace(' ', "");
        let shapes =
            [("id", "Text"), ("port", "Number"), ("members", "List"), ("properties", "Document"), ("public", "Flag")];
        for (name, shape) in shapes {
            assert!(expanded.contains(&format!("(\"{name}\",::infra_core::Shape::{shape})")), "{expanded}");
        }
    }

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
