//! Status checks and single attributes of volumes.

use super::volume::{chosen, find, find_mut};
use super::{Ec2Operation, resource};
use crate::model::ec2::volume::Volume;
use crate::model::{Cloud, zone_id};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeVolumeStatus", describe_status, &[&["VolumeId.N"], FILTERS, PAGES])
        .on_any()
        // No other service manages volumes of this account.
        .ignoring(&[&["IncludeManagedResources"]]),
    Operation::reads("DescribeVolumeAttribute", describe_attribute, &[&["VolumeId", "Attribute"]])
        .on(&[resource::VOLUME]),
    Operation::writes("ModifyVolumeAttribute", modify_attribute, &[&["VolumeId", "AutoEnableIO.Value"]])
        .on(&[resource::VOLUME]),
    Operation::writes("EnableVolumeIO", enable_io, &[&["VolumeId"]]).on(&[resource::VOLUME]),
];

/// Describes the status checks, which a volume without blocks passes.
fn describe_status(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let fields: &[Field<&Volume>] = &[
        ("action.code", |_| Vec::new()),
        ("action.description", |_| Vec::new()),
        ("action.event-id", |_| Vec::new()),
        ("attachment-status.instance-id", |volume| {
            volume.attachments.iter().map(|attachment| attachment.instance_id.clone()).collect()
        }),
        ("attachment-status.io-performance", |volume| {
            volume.attachments.iter().map(|_| "not-applicable".to_owned()).collect()
        }),
        ("availability-zone", |volume| vec![volume.zone.clone()]),
        ("event.description", |_| Vec::new()),
        ("event.event-id", |_| Vec::new()),
        ("event.event-type", |_| Vec::new()),
        ("event.not-after", |_| Vec::new()),
        ("event.not-before", |_| Vec::new()),
        ("volume-status.details-name", |_| CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect()),
        ("volume-status.details-status", |_| CHECKS.iter().map(|(_, status)| (*status).to_owned()).collect()),
        ("volume-status.status", |_| vec!["ok".to_owned()]),
    ];
    let all = chosen(region, params)?.into_iter();
    let found = Filters::parse(params)?.apply_untagged(all, fields)?;
    let page = Page::of(found, params, |volume| &volume.id)?;
    Ok(Node::new().list("volumeStatusSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

/// The status checks with their results.
const CHECKS: &[(&str, &str)] = &[("io-enabled", "passed"), ("io-performance", "not-applicable")];

fn render(volume: &Volume) -> Node {
    let details = CHECKS.iter().map(|(name, status)| Node::new().with("name", *name).with("status", *status));
    Node::new()
        .with("volumeId", &volume.id)
        .with("availabilityZone", &volume.zone)
        .with("availabilityZoneId", zone_id(&volume.zone))
        .list("actionsSet", Vec::<Node>::new())
        .list("eventsSet", Vec::<Node>::new())
        .with("volumeStatus", Node::new().list("details", details).with("status", "ok"))
}

fn describe_attribute(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let volume = find(cloud.region(call.region)?, call.input.required("VolumeId")?)?;
    let answer = Node::new().with("volumeId", &volume.id);
    match call.input.required("Attribute")? {
        "autoEnableIO" => Ok(answer.with("autoEnableIO", Node::new().with("value", volume.auto_enable_io))),
        "productCodes" => Ok(answer.list("productCodes", Vec::<Node>::new())),
        other => {
            Err(ApiError::invalid(format!("Value ({other}) for parameter attribute is invalid. Unknown attribute.")))
        }
    }
}

fn modify_attribute(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let volume = find_mut(cloud.region_mut(call.region)?, params.required("VolumeId")?)?;
    let enable: Option<bool> = params.parsed("AutoEnableIO.Value")?;
    volume.auto_enable_io = enable.ok_or_else(|| ApiError::missing("AutoEnableIO"))?;
    Ok(Node::success())
}

/// Succeeds for each volume, because I/O is always enabled.
fn enable_io(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    find(cloud.region(call.region)?, call.input.required("VolumeId")?)?;
    Ok(Node::success())
}
