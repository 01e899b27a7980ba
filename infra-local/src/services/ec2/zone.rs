//! Regions, availability zones, and attributes of the account.

use super::{Ec2Operation, never};
use crate::model::Cloud;
use crate::model::{REGIONS, check_region, zone_id};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeRegions", describe_regions, &[&["RegionName.N", "AllRegions"], FILTERS]).on_any(),
    Operation::reads(
        "DescribeAvailabilityZones",
        describe_zones,
        &[&["ZoneName.N", "ZoneId.N", "AllAvailabilityZones"], FILTERS],
    )
    .on_any(),
    Operation::reads("DescribeAccountAttributes", describe_account, &[&["AttributeName.N"]]).on_any(),
];

fn describe_regions(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let names = params.texts("RegionName");
    if let Some(missing) = names.iter().find(|name| check_region(name).is_err()) {
        return Err(ApiError::invalid(format!("Invalid region names provided: ({missing})")));
    }
    let fields: &[Field<&str>] = &[
        ("region-name", |name| vec![(*name).to_owned()]),
        ("endpoint", |name| vec![endpoint(name)]),
        ("opt-in-status", |_| vec!["opt-in-not-required".to_owned()]),
    ];
    let wanted = REGIONS.iter().map(|(name, _)| *name);
    let wanted = wanted.filter(|name| names.is_empty() || names.iter().any(|wanted| wanted == name));
    let regions = Filters::parse(params)?.apply_untagged(wanted, fields)?;
    Ok(Node::new().list(
        "regionInfo",
        regions.into_iter().map(|name| {
            Node::new()
                .with("regionName", name)
                .with("regionEndpoint", endpoint(name))
                .with("optInStatus", "opt-in-not-required")
        }),
    ))
}

fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

fn describe_zones(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (names, ids) = (params.texts("ZoneName"), params.texts("ZoneId"));
    let all: Vec<String> = region.zone_names().collect();
    if let Some(missing) = names.iter().find(|name| !all.contains(name)) {
        return Err(ApiError::invalid(format!("Invalid availability zone: [{missing}]")));
    }
    let fields: &[Field<String>] = &[
        ("zone-name", |zone| vec![zone.clone()]),
        ("zone-id", |zone| vec![zone_id(zone)]),
        ("region-name", |zone| vec![zone[..zone.len() - 1].to_owned()]),
        ("group-name", |zone| vec![zone[..zone.len() - 1].to_owned()]),
        ("zone-type", |_| vec!["availability-zone".to_owned()]),
        ("opt-in-status", |_| vec!["opt-in-not-required".to_owned()]),
        ("group-long-name", |zone| vec![zone[..zone.len() - 1].to_owned()]),
        ("message", never),
        ("parent-zone-id", never),
        ("parent-zone-name", never),
        ("state", |_| vec!["available".to_owned()]),
    ];
    let wanted = all
        .into_iter()
        .filter(|zone| (names.is_empty() && ids.is_empty()) || names.contains(zone) || ids.contains(&zone_id(zone)));
    let zones = Filters::parse(params)?.apply_untagged(wanted, fields)?;
    Ok(Node::new().list(
        "availabilityZoneInfo",
        zones.into_iter().map(|zone| {
            Node::new()
                .with("zoneId", zone_id(&zone))
                .with("zoneName", zone)
                .with("zoneState", "available")
                .with("zoneType", "availability-zone")
                .with("regionName", call.region)
                .with("groupName", call.region)
                .with("networkBorderGroup", call.region)
                .with("optInStatus", "opt-in-not-required")
        }),
    ))
}

fn describe_account(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let default_vpc = super::default_vpc(cloud.region(call.region)?).map_or("none", |vpc| &vpc.id);
    let all = [
        ("supported-platforms", "VPC"),
        ("default-vpc", default_vpc),
        ("max-instances", "1000"),
        ("vpc-max-security-groups-per-interface", "5"),
        ("max-elastic-ips", "5"),
        ("vpc-max-elastic-ips", "5"),
    ];
    let names = call.input.texts("AttributeName");
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|(known, _)| known == name)) {
        return Err(ApiError::invalid(format!("Value ({unknown}) for parameter attributeName is invalid.")));
    }
    let wanted = all.into_iter().filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
    Ok(Node::new().list(
        "accountAttributeSet",
        wanted.map(|(name, value)| {
            let value = Node::new().with("attributeValue", value);
            Node::new().with("attributeName", name).list("attributeValueSet", [value])
        }),
    ))
}
