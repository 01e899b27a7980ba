//! Derive macros for kinds of resources. `infra_core` exports them; programs do not depend on this crate.
//!
//! # Layout
//! - `attributes`: the attributes of a struct and of its fields
//! - `kind`: `#[derive(Resource)]` and `#[derive(Lookup)]`
//! - `outputs`: `#[derive(Outputs)]`

mod attributes;
mod kind;
mod outputs;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements the trait `Resource` for a struct of inputs.
///
/// The struct also derives `Serialize` and `Deserialize`, and its struct of outputs derives [`Outputs`](derive@Outputs).
///
/// # Attributes of the struct
/// - `type = "provider:module:Kind"`: the type token; required
/// - `outputs = Name`: the struct of outputs; without it the name of the struct followed by `Outputs`
/// - `delete_before_replace`: the previous resource is deleted before its replacement is created
/// - `timeout = expression`: the longest time that one operation may take, a [`Duration`](std::time::Duration)
///
/// # Attributes of a field
/// - `replace`: a change of the input replaces the resource
/// - `set_in_place`: with `replace`: an input that is recorded as an empty text is set without a replacement
/// - `key`: no two resources have the same values of these inputs, so a replacement with the same values is created after the
///   previous resource is deleted
/// - `follows = "input"`: the resource is replaced if a resource that this input refers to is replaced for a change of its own
///   `input`
/// - `secret`: the value is encrypted in the state and masked in all output
/// - `untracked`: a change of this input alone does not update the resource
#[proc_macro_derive(Resource, attributes(resource))]
pub fn derive_resource(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    kind::resource(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements the trait `Lookup` for a struct of arguments.
///
/// # Attributes of the struct
/// - `type = "provider:module:Kind"`: the type token; required
/// - `outputs = Name`: the struct of outputs; without it the name of the struct followed by `Outputs`
/// - `volatile`: the lookup is answered again in every run
/// - `label = function`: a function from `&Self` to `Option<String>` that returns the lookup's label in plans
#[proc_macro_derive(Lookup, attributes(lookup))]
pub fn derive_lookup(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    kind::lookup(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements the trait `Outputs` for a struct whose fields are all `Output`s.
///
/// # Attributes of a field: `#[output(…)]`
/// - `regional`: the value has no meaning outside the region of the resource, as an id
/// - `secret`: the value is encrypted in the state and masked in all output
/// - `changes_on_update`: an update may change the value; the other outputs keep theirs in a plan
#[proc_macro_derive(Outputs, attributes(output))]
pub fn derive_outputs(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    outputs::derive(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
