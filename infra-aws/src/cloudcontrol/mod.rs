//! Cloud Control: what has no kind of its own here, by the names and properties that CloudFormation has for it.

mod document;
pub mod resource;
