//! References to security groups by groups of peered VPCs.

use super::{Ec2Operation, resource, security_group};
use crate::model::Cloud;
use crate::model::ec2::vpc::Peer;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeSecurityGroupReferences", describe, &[&["GroupId.N"]])
        .on(&[resource::SECURITY_GROUPS])];

/// Describes the VPCs on the other side of peering connections whose groups refer to the given ones.
fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let ids = call.input.texts("GroupId");
    if ids.is_empty() {
        return Err(ApiError::missing("GroupId"));
    }
    let mut found = Vec::new();
    for id in &ids {
        let own = region.ec2.security_groups.get(id).ok_or_else(|| security_group::not_found(id))?;
        let referring = region.ec2.security_groups.values().filter(|group| {
            let mut peers = group.rules.values().map(|rule| &rule.peer);
            group.vpc_id != own.vpc_id && peers.any(|peer| matches!(peer, Peer::Group(other) if other == id))
        });
        for group in referring {
            let mut peerings = region.ec2.peerings.values();
            let between = peerings.find(|peering| {
                let sides = [&peering.requester.vpc_id, &peering.accepter.vpc_id];
                sides.contains(&&own.vpc_id) && sides.contains(&&group.vpc_id)
            });
            found.push(
                Node::new()
                    .with("groupId", id)
                    .with("referencingVpcId", &group.vpc_id)
                    .maybe("vpcPeeringConnectionId", between.map(|peering| &peering.id)),
            );
        }
    }
    Ok(Node::new().list("securityGroupReferenceSet", found))
}
