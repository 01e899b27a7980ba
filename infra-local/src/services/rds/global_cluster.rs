//! Global clusters, which the local cloud does not support: there are none.

use super::{FILTERS, PAGES, not_found, resource};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribeGlobalClusters", describe, &[&["GlobalClusterIdentifier"], PAGES, FILTERS])
        .on(&[resource::GLOBAL_CLUSTER])];

fn describe(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    match call.input.optional("GlobalClusterIdentifier") {
        Some(id) => Err(not_found("GlobalClusterNotFoundFault", format!("Global cluster {id} not found."))),
        None => Ok(Node::new().with("GlobalClusters", Node::new())),
    }
}
