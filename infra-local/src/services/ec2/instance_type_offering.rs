//! Locations in which instance types are offered: all types are offered in all zones.

use super::Ec2Operation;
use crate::model::ec2::instance_type::TYPES;
use crate::model::{Cloud, zone_id};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeInstanceTypeOfferings", describe, &[&["LocationType"], FILTERS, PAGES]).on_any()];

/// A type in a location, with the key of its page.
struct Offering {
    kind: &'static str,
    location: String,
    key: String,
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let location_type = params.optional("LocationType").unwrap_or("region");
    let locations: Vec<String> = match location_type {
        "region" => vec![region.name.clone()],
        "availability-zone" => region.zone_names().collect(),
        "availability-zone-id" => region.zone_names().map(|zone| zone_id(&zone)).collect(),
        "outpost" => Vec::new(),
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter locationType is invalid."))),
    };
    let offerings = TYPES.iter().flat_map(|kind| {
        let of_kind = |location: &String| Offering {
            kind: kind.name,
            location: location.clone(),
            key: format!("{}/{location}", kind.name),
        };
        locations.iter().map(of_kind)
    });
    let fields: &[Field<Offering>] =
        &[("instance-type", |it| vec![it.kind.to_owned()]), ("location", |it| vec![it.location.clone()])];
    let found = Filters::parse(params)?.apply_untagged(offerings, fields)?;
    let page = Page::of(found, params, |it| &it.key)?;
    let nodes = page.items.into_iter().map(|it| {
        Node::new().with("instanceType", it.kind).with("locationType", location_type).with("location", it.location)
    });
    Ok(Node::new().list("instanceTypeOfferingSet", nodes).maybe("nextToken", page.next))
}
