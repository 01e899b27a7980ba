//! Additional ranges of VPCs and subnets: secondary IPv4 ranges, and IPv6 ranges.

use super::ranges::{
    check_border_group, contains_ipv6, provided_range, render, render_ipv6, render_of_subnet, subnet_range,
};
use super::{Ec2Operation, check_id, not_honoured, resource, subnet, vpc};
use crate::model::cidr::Cidr;
use crate::model::ec2::vpc::{RangeAssociation, Vpc};
use crate::model::{Cloud, Region, new_id};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "AssociateVpcCidrBlock",
        associate_vpc,
        &[&["VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlockNetworkBorderGroup"]],
    )
    .on(&[resource::VPC]),
    Operation::writes("DisassociateVpcCidrBlock", disassociate_vpc, &[&["AssociationId"]]).on_any(),
    Operation::writes("AssociateSubnetCidrBlock", associate_subnet, &[&["SubnetId", "Ipv6CidrBlock"]])
        .on(&[resource::SUBNET]),
    Operation::writes("DisassociateSubnetCidrBlock", disassociate_subnet, &[&["AssociationId"]])
        .on(&[resource::SUBNET_OF_RANGE]),
];

/// AWS's default quota of ranges of each address family in a VPC.
const LIMIT: usize = 5;

/// Associates a range. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AssociateVpcCidrBlock.html>
fn associate_vpc(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    check_border_group(params, call.region)?;
    let region = cloud.region_mut(call.region)?;
    let vpc = vpc::find(region, params.required("VpcId")?)?;
    let id = vpc.id.clone();
    let provided = params.flag("AmazonProvidedIpv6CidrBlock")?;
    let answer = Node::new().with("vpcId", &id);
    match (params.optional("CidrBlock"), provided) {
        (Some(_), false) => {
            let cidr = vpc::parse_cidr(params, "CidrBlock")?;
            check_secondary(vpc, cidr)?;
            let association = RangeAssociation { id: new_id("vpc-cidr-assoc"), cidr: cidr.to_string() };
            let answer = answer.with("cidrBlockAssociation", render(&association, "associating"));
            region.ec2.vpcs.entry(id).and_modify(|vpc| vpc.secondary.push(association));
            Ok(answer)
        }
        (None, true) => {
            if vpc.ipv6.len() >= LIMIT {
                return Err(limit_exceeded(&id));
            }
            let association = provided_range();
            let answer = answer.with("ipv6CidrBlockAssociation", render_ipv6(region, &association, "associating"));
            region.ec2.vpcs.entry(id).and_modify(|vpc| vpc.ipv6.push(association));
            Ok(answer)
        }
        (None, false) => Err(ApiError::missing("cidrBlock or amazonProvidedIpv6CidrBlock")),
        (Some(_), true) => Err(ApiError::new(
            "InvalidParameterCombination",
            "Only one of CidrBlock and AmazonProvidedIpv6CidrBlock can be specified",
        )),
    }
}

fn check_secondary(vpc: &Vpc, cidr: Cidr) -> Outcome<()> {
    vpc::check_range(cidr)?;
    if vpc.ranges().count() >= LIMIT {
        return Err(limit_exceeded(&vpc.id));
    }
    if vpc.ranges().any(|range| range.overlaps(cidr)) {
        let message = format!("The CIDR '{cidr}' conflicts with another CIDR of the VPC '{}'", vpc.id);
        return Err(ApiError::new("CidrConflict", message));
    }
    Ok(())
}

fn limit_exceeded(vpc: &str) -> ApiError {
    let message = format!("This network '{vpc}' has met its maximum number of allowed CIDRs: {LIMIT}");
    ApiError::new("CidrLimitExceeded", message)
}

fn disassociate_vpc(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = check_id(
        call.input.required("AssociationId")?,
        "vpc-cidr-assoc",
        "InvalidVpcCidrBlockAssociationID.Malformed",
    )?;
    let region = cloud.region_mut(call.region)?;
    if region.ec2.vpcs.values().any(|vpc| vpc::association_id(vpc) == id) {
        let message = format!(
            "The vpc CIDR block with association ID {id} may not be disassociated. It is the primary IPv4 CIDR block of the \
             VPC"
        );
        return Err(ApiError::new("OperationNotPermitted", message));
    }
    let has = |ranges: &[RangeAssociation]| ranges.iter().any(|range| range.id == id);
    let found = region.ec2.vpcs.values().find(|vpc| has(&vpc.secondary) || has(&vpc.ipv6));
    let Some(vpc) = found else {
        let message = format!("The vpc CIDR block association ID {id} does not exist");
        return Err(ApiError::new("InvalidVpcCidrBlockAssociationID.NotFound", message));
    };
    let (vpc_id, is_secondary) = (vpc.id.clone(), has(&vpc.secondary));
    let ranges = if is_secondary { &vpc.secondary } else { &vpc.ipv6 };
    let Some(association) = ranges.iter().find(|range| range.id == id).cloned() else {
        return Err(ApiError::internal("the association is not in its VPC"));
    };
    check_unused(region, &vpc_id, &association)?;
    let answer = Node::new().with("vpcId", &vpc_id);
    let answer = if is_secondary {
        answer.with("cidrBlockAssociation", render(&association, "disassociating"))
    } else {
        answer.with("ipv6CidrBlockAssociation", render_ipv6(region, &association, "disassociating"))
    };
    region.ec2.vpcs.entry(vpc_id).and_modify(|vpc| {
        vpc.secondary.retain(|range| range.id != id);
        vpc.ipv6.retain(|range| range.id != id);
    });
    Ok(answer)
}

/// Refuses the removal of a range from which a subnet takes its own.
fn check_unused(region: &Region, vpc: &str, association: &RangeAssociation) -> Outcome<()> {
    let range = Cidr::parse(&association.cidr);
    let mut subnets = region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc);
    let user = subnets.find(|subnet| match (range, Cidr::parse(&subnet.cidr)) {
        (Some(range), Some(own)) => range.contains(own),
        _ => subnet.ipv6.as_ref().is_some_and(|own| contains_ipv6(&association.cidr, &own.cidr)),
    });
    match user {
        Some(subnet) => Err(ApiError::new(
            "InvalidCidrBlock.InUse",
            format!("The vpc CIDR block {} is currently in use by the subnet {}", association.cidr, subnet.id),
        )),
        None => Ok(()),
    }
}

fn associate_subnet(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let subnet = subnet::find(region, params.required("SubnetId")?)?;
    let id = subnet.id.clone();
    if subnet.ipv6.is_some() {
        return Err(not_honoured(format!("The subnet {id} has an IPv6 range already; the local cloud records one")));
    }
    let association = subnet_range(region, &subnet.vpc_id, params.required("Ipv6CidrBlock")?)?;
    let shown = render_of_subnet(&association, "associating");
    let answer = Node::new().with("subnetId", &id).with("ipv6CidrBlockAssociation", shown);
    if let Some(subnet) = region.ec2.subnets.get_mut(&id) {
        subnet.ipv6 = Some(association);
    }
    Ok(answer)
}

fn disassociate_subnet(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = check_id(
        call.input.required("AssociationId")?,
        "subnet-cidr-assoc",
        "InvalidSubnetCidrBlockAssociationID.Malformed",
    )?;
    let region = cloud.region_mut(call.region)?;
    let found = region.ec2.subnets.values().find_map(|subnet| {
        let own = subnet.ipv6.as_ref().filter(|own| own.id == id)?;
        Some((subnet.id.clone(), own.clone()))
    });
    let Some((subnet, association)) = found else {
        let message = format!("The subnet CIDR block with association ID {id} does not exist");
        return Err(ApiError::new("InvalidSubnetCidrBlockAssociationID.NotFound", message));
    };
    let shown = render_of_subnet(&association, "disassociating");
    if let Some(subnet) = region.ec2.subnets.get_mut(&subnet) {
        subnet.ipv6 = None;
        subnet.settings.assign_ipv6 = false;
    }
    Ok(Node::new().with("subnetId", subnet).with("ipv6CidrBlockAssociation", shown))
}
