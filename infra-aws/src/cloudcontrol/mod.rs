//! Cloud Control: resources of any type of CloudFormation.

mod document;
mod identity;
pub mod resource;
pub mod typed;
