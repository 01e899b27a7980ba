//! `#[derive(Resource)]` and `#[derive(Lookup)]`.

use crate::attributes::{Container, Marks};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Error, LitStr, Result, Type};

/// Implements `Resource`.
pub(crate) fn resource(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::read(input, "resource", &["type", "outputs", "delete_before_replace", "timeout"])?;
    let marks = Marks::read(input, "resource", &["replace", "set_in_place", "key", "follows", "secret", "untracked"])?;
    let (token, outputs) = (token(&container, input, "resource")?, outputs(&container, input));
    let (marked, flags) = (marks.calls(), &container.calls);
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::infra_core::Resource for #name #arguments #bounds {
            const TYPE: &'static str = #token;
            type Outputs = #outputs;

            fn schema() -> ::infra_core::Schema {
                let inputs = ::infra_core::Schema::new() #marked #flags;
                <#outputs as ::infra_core::Outputs>::add_to(inputs)
            }
        }
    })
}

/// Implements `Lookup`.
pub(crate) fn lookup(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::read(input, "lookup", &["type", "outputs", "volatile", "label"])?;
    let marks = Marks::read(input, "lookup", &["secret"])?;
    let (token, outputs) = (token(&container, input, "lookup")?, outputs(&container, input));
    let (marked, flags) = (marks.calls(), &container.calls);
    let label = container.label.as_ref().map(|function| {
        quote! {
            fn label(&self) -> ::core::option::Option<::std::string::String> {
                (#function)(self)
            }
        }
    });
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::infra_core::Lookup for #name #arguments #bounds {
            const TYPE: &'static str = #token;
            type Outputs = #outputs;

            fn schema() -> ::infra_core::Schema {
                let arguments = ::infra_core::Schema::new() #marked #flags;
                <#outputs as ::infra_core::Outputs>::add_to(arguments)
            }

            #label
        }
    })
}

fn token<'a>(container: &'a Container, input: &DeriveInput, attribute: &str) -> Result<&'a LitStr> {
    container.token.as_ref().ok_or_else(|| {
        let message =
            format!("the type token is missing: `#[{attribute}(type = \"provider:module:{}\")]`", input.ident);
        Error::new(input.ident.span(), message)
    })
}

fn outputs(container: &Container, input: &DeriveInput) -> Type {
    container.outputs.clone().unwrap_or_else(|| {
        let name = format_ident!("{}Outputs", input.ident);
        syn::parse_quote!(#name)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use syn::parse_quote;

    fn error(result: Result<TokenStream>) -> String {
        let all = result.unwrap_err();
        all.into_iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn attributes_become_calls_of_the_schema() {
        let input = parse_quote! {
            #[resource(type = "aws:ec2:NatGateway", delete_before_replace, timeout = LIMIT * 2)]
            struct NatGateway {
                #[resource(replace, set_in_place, follows = "vpc_id")]
                subnet: Input<SubnetId>,
                #[resource(replace, key, secret)]
                #[serde(default, rename = "allocation", skip_serializing_if = "Option::is_none")]
                address: Option<Input<AllocationId>>,
                tags: Tags,
            }
        };
        let expanded = resource(&input).unwrap().to_string();
        let calls = ".replace_on([\"subnet\",\"allocation\"]).set_in_place([\"subnet\"]).key([\"allocation\"]).secret([\"allocation\"]).follow([(\"subnet\",\"vpc_id\")]).delete_before_replace().timeout(LIMIT*2)";
        assert!(expanded.replace(' ', "").contains(calls), "{expanded}");
        assert!(expanded.contains("type Outputs = NatGatewayOutputs"), "{expanded}");
    }

    #[test]
    fn errors_of_all_fields_are_reported_at_once() {
        let input = parse_quote! {
            #[resource(type = "aws:ec2:Subnet")]
            struct Subnet {
                #[resource(replaces)]
                vpc_id: Input<VpcId>,
                #[resource(secret, secret)]
                cidr: String,
                #[serde(flatten)]
                rest: Rest,
            }
        };
        insta::assert_snapshot!(error(resource(&input)), @r"
        unknown attribute `replaces` in `#[resource(…)]` of a field: expected one of `replace`, `set_in_place`, `key`, `follows`, `secret`, `untracked`
        `secret` occurs twice
        a kind has one property per field: write the fields of the other struct here
        ");
    }

    #[test]
    fn unsupported_structs_are_refused() {
        let errors = [
            error(resource(&parse_quote!(
                struct Subnet {
                    cidr: String,
                }
            ))),
            error(resource(&parse_quote!(
                #[resource(type = "aws:ec2: Subnet")]
                struct Subnet {}
            ))),
            error(resource(&parse_quote!(
                #[resource(type = "aws:ec2:Subnet", volatile)]
                struct Subnet {}
            ))),
            error(resource(&parse_quote!(
                #[resource(type = "aws:ec2:Subnet")]
                struct Subnet(String);
            ))),
            error(resource(&parse_quote!(
                #[resource(type = "aws:ec2:Subnet")]
                enum Subnet {}
            ))),
            error(lookup(&parse_quote!(
                struct Image;
            ))),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r#"
        the type token is missing: `#[resource(type = "provider:module:Subnet")]`
        a type token has two or three parts of letters and digits: `aws:ec2:Subnet`
        unknown attribute `volatile` in `#[resource(…)]` of a struct: expected one of `type`, `outputs`, `delete_before_replace`, `timeout`
        a kind is a struct with named fields, not a tuple struct
        a kind is a struct with named fields, not an enum
        the type token is missing: `#[lookup(type = "provider:module:Image")]`
        "#);
    }
}
