//! Typed Rust modules from CloudFormation's resource schemas.
//!
//! A [`Catalog`] contains schemas, by the names of their types: of a directory, of a zip, or of an API's response.
//! [`generate`] writes the module for some of them, which a program compiles together with infra-core and infra-aws. This
//! crate neither prints nor calls AWS.
//!
//! # Layout
//! - `error`: errors of schemas and their sources
//! - `schema`: one schema: its properties by their role, and its references
//! - `catalog`: schemas of directories and zips
//! - `names`: Rust names for the names in schemas
//! - `prose`: descriptions as documentation comments
//! - `shape`: the Rust type of each property, with the structs and enums that it needs
//! - `resource`: the inputs and outputs of a type
//! - `emit`: the text of the module

mod catalog;
mod emit;
mod error;
mod names;
mod prose;
mod resource;
mod schema;
mod shape;

pub use catalog::Catalog;
pub use emit::{Module, generate};
pub use error::BindingError;
pub use schema::{Schema, is_type_name};
