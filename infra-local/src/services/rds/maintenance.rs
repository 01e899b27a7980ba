//! Maintenance actions. The local cloud runs the PostgreSQL of its machine, so none is ever pending.

use super::{FILTERS, PAGES, entries, filtered, page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] =
    &[Operation::reads("DescribePendingMaintenanceActions", describe, &[&["ResourceIdentifier"], PAGES, FILTERS])
        .on_any()];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    if let Some(arn) = call.input.optional("ResourceIdentifier") {
        let id = arn.rsplit(':').next().unwrap_or(arn);
        if arn.contains(":cluster:") {
            super::cluster(region, id)?;
        } else {
            super::instance(region, id)?;
        }
    }
    let fields =
        &[("db-instance-id", (|_| Vec::new()) as fn(&String) -> Vec<String>), ("db-cluster-id", |_| Vec::new())];
    let page = page(filtered(std::iter::empty::<&String>(), &call.input, fields)?, &call.input, |arn| arn)?;
    Ok(Node::new().with("PendingMaintenanceActions", entries("ResourcePendingMaintenanceActions", page.items)))
}
