//! Additional ranges of VPCs and subnets, and IPv6 ranges: their checks and descriptions.

use crate::model::ec2::vpc::RangeAssociation;
use crate::model::ids::random_hex;
use crate::model::{Region, new_id};
use crate::wire::{ApiError, Node, Outcome, Params};

/// Parses an IPv6 range, and returns it without the bits after its prefix.
pub(super) fn ipv6_cidr(text: &str) -> Outcome<String> {
    let invalid = || ApiError::invalid(format!("CIDR block {text} is malformed"));
    let (address, bits) = text.split_once('/').ok_or_else(invalid)?;
    let address: std::net::Ipv6Addr = address.parse().map_err(|_| invalid())?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 128).ok_or_else(invalid)?;
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Ok(format!("{}/{bits}", std::net::Ipv6Addr::from(u128::from(address) & mask)))
}

/// Refuses IPv6 ranges of other locations than the region.
pub(super) fn check_border_group(params: &Params, region: &str) -> Outcome<()> {
    match params.optional("Ipv6CidrBlockNetworkBorderGroup") {
        Some(group) if group != region => {
            Err(ApiError::invalid(format!("Value ({group}) for parameter ipv6CidrBlockNetworkBorderGroup is invalid.")))
        }
        _ => Ok(()),
    }
}

/// Returns a new IPv6 range of Amazon's addresses.
pub(super) fn provided_range() -> RangeAssociation {
    let digits = random_hex(6);
    let (high, low) = digits.split_at(4);
    let cidr = format!("2600:1f18:{high}:{low}00::/56");
    RangeAssociation { id: new_id("vpc-cidr-assoc"), cidr: ipv6_cidr(&cidr).unwrap_or(cidr) }
}

/// Returns whether an IPv6 range contains another one.
pub(super) fn contains_ipv6(outer: &str, inner: &str) -> bool {
    let parse = |text: &str| -> Option<(u128, u32)> {
        let (address, bits) = text.split_once('/')?;
        Some((address.parse::<std::net::Ipv6Addr>().ok()?.to_bits(), bits.parse().ok()?))
    };
    let (Some((outer, bits)), Some((inner, inner_bits))) = (parse(outer), parse(inner)) else { return false };
    bits <= inner_bits && inner & u128::MAX.checked_shl(128 - bits).unwrap_or(0) == outer
}

/// Returns a subnet's IPv6 range, which is a free /64 of its VPC's.
pub(super) fn subnet_range(region: &Region, vpc: &str, text: &str) -> Outcome<RangeAssociation> {
    let cidr = ipv6_cidr(text)?;
    let ranges = region.ec2.vpcs.get(vpc).map(|vpc| vpc.ipv6.as_slice()).unwrap_or_default();
    if !cidr.ends_with("/64") || !ranges.iter().any(|range| contains_ipv6(&range.cidr, &cidr)) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let mut taken = region.ec2.subnets.values().filter_map(|subnet| subnet.ipv6.as_ref());
    if taken.any(|other| other.cidr == cidr) {
        let message = format!("The CIDR '{cidr}' conflicts with another subnet");
        return Err(ApiError::new("InvalidSubnet.Conflict", message));
    }
    Ok(RangeAssociation { id: new_id("subnet-cidr-assoc"), cidr })
}

/// Renders an IPv4 range of a VPC.
pub(super) fn render(association: &RangeAssociation, state: &str) -> Node {
    Node::new()
        .with("associationId", &association.id)
        .with("cidrBlock", &association.cidr)
        .with("cidrBlockState", Node::new().with("state", state))
}

/// Renders an IPv6 range of a VPC.
pub(super) fn render_ipv6(region: &Region, association: &RangeAssociation, state: &str) -> Node {
    Node::new()
        .with("associationId", &association.id)
        .with("ipv6CidrBlock", &association.cidr)
        .with("ipv6CidrBlockState", Node::new().with("state", state))
        .with("networkBorderGroup", &region.name)
        .with("ipv6Pool", "Amazon")
        .with("ipv6AddressAttribute", "public")
        .with("ipSource", "amazon")
}

/// Renders the IPv6 range of a subnet.
pub(super) fn render_of_subnet(association: &RangeAssociation, state: &str) -> Node {
    Node::new()
        .with("associationId", &association.id)
        .with("ipv6CidrBlock", &association.cidr)
        .with("ipv6CidrBlockState", Node::new().with("state", state))
        .with("ipv6AddressAttribute", "public")
        .with("ipSource", "amazon")
}
