//! Peering connections between two VPCs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{Cloud, Region, Tags};

/// A peering connection as one of its regions records it. For a connection between two regions both have a copy, and
/// only the tags of the copies differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peering {
    pub(crate) id: String,
    pub(crate) requester: Side,
    pub(crate) accepter: Side,
    pub(crate) state: PeeringState,
    pub(crate) created: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) tags: Tags,
}

/// One of the two VPCs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) region: String,
    pub(crate) owner: String,
    pub(crate) vpc_id: String,
    /// The VPC's range; `None` when the VPC does not exist.
    pub(crate) cidr: Option<String>,
    /// True when DNS names resolve to private addresses from the other VPC; recorded and described only.
    pub(crate) dns_resolution: bool,
}

/// EC2's states of a peering connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PeeringState {
    InitiatingRequest,
    PendingAcceptance,
    Provisioning,
    Active,
    Deleting,
    Deleted,
    Rejected,
    Failed,
    Expired,
}

impl PeeringState {
    pub(crate) fn code(self) -> &'static str {
        match self {
            PeeringState::InitiatingRequest => "initiating-request",
            PeeringState::PendingAcceptance => "pending-acceptance",
            PeeringState::Provisioning => "provisioning",
            PeeringState::Active => "active",
            PeeringState::Deleting => "deleting",
            PeeringState::Deleted => "deleted",
            PeeringState::Rejected => "rejected",
            PeeringState::Failed => "failed",
            PeeringState::Expired => "expired",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, PeeringState::Deleted | PeeringState::Rejected | PeeringState::Failed | PeeringState::Expired)
    }
}

impl Peering {
    /// Returns the other VPC of the connection.
    pub(crate) fn other_side(&self, vpc_id: &str) -> Option<&Side> {
        if self.requester.vpc_id == vpc_id {
            Some(&self.accepter)
        } else if self.accepter.vpc_id == vpc_id {
            Some(&self.requester)
        } else {
            None
        }
    }
}

impl Cloud {
    /// Changes a peering connection in all regions that have a copy of it.
    pub(crate) fn change_peering(&mut self, id: &str, change: impl Fn(&mut Peering)) {
        self.regions.values_mut().filter_map(|region| region.ec2.peerings.get_mut(id)).for_each(change);
    }
}

impl Region {
    /// Returns whether an active peering connection joins two VPCs, the first of which is in this region.
    pub(crate) fn are_peered(&self, vpc_id: &str, other: &str) -> bool {
        self.ec2.peerings.values().any(|peering| {
            peering.state == PeeringState::Active && peering.other_side(vpc_id).is_some_and(|side| side.vpc_id == other)
        })
    }
}
