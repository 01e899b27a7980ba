//! Snapshots of the volumes of images.

use super::{Ec2Operation, Located, resource, select};
use crate::model::Cloud;
use crate::model::ec2::image::{ImageState, Snapshot};
use crate::model::{ACCOUNT, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeSnapshots", describe, &[&["SnapshotId.N", "Owner.N", "RestorableBy.N"], FILTERS, PAGES])
        .on_any(),
    Operation::writes("DeleteSnapshot", delete, &[&["SnapshotId"]]).on(&[resource::SNAPSHOT]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let mut snapshots =
        select(&region.ec2.snapshots, &params.texts("SnapshotId"), "InvalidSnapshot.NotFound", "snapshot")?;
    // All snapshots belong to this account.
    for list in ["Owner", "RestorableBy"] {
        let accounts = params.texts(list);
        snapshots
            .retain(|_| accounts.is_empty() || accounts.iter().any(|account| account == "self" || account == ACCOUNT));
    }
    let fields: &[Field<Located<'_, Snapshot>>] = &[
        ("snapshot-id", |it| vec![it.item.id.clone()]),
        ("volume-id", |it| vec![it.item.volume_id.clone()]),
        ("volume-size", |it| vec![it.item.size_gib.to_string()]),
        ("description", |it| vec![it.item.description.clone()]),
        ("status", |it| vec![progress(it.region, it.item).0.to_owned()]),
        ("progress", |it| vec![progress(it.region, it.item).1.to_owned()]),
        ("start-time", |it| vec![it.item.started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)]),
        ("storage-tier", |_| vec!["standard".to_owned()]),
        ("owner-id", |_| vec![ACCOUNT.to_owned()]),
        ("encrypted", |_| vec!["false".to_owned()]),
    ];
    let snapshots: Vec<_> = snapshots.into_iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(snapshots.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(region, it.item));
    Ok(Node::new().list("snapshotSet", nodes).maybe("nextToken", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("SnapshotId")?;
    if let Some(image) = region.ec2.images.values().find(|image| image.snapshot_id == id) {
        let message = format!("The snapshot {id} is currently in use by {}", image.id);
        return Err(ApiError::new("InvalidSnapshot.InUse", message));
    }
    match region.ec2.snapshots.remove(id) {
        Some(_) => Ok(Node::success()),
        None => Err(ApiError::new("InvalidSnapshot.NotFound", format!("The snapshot '{id}' does not exist."))),
    }
}

/// Returns the state and the progress of a snapshot, which are those of its image.
fn progress(region: &Region, snapshot: &Snapshot) -> (&'static str, &'static str) {
    let image = region.ec2.images.values().find(|image| image.snapshot_id == snapshot.id);
    match image.map(|image| image.state) {
        Some(ImageState::Pending) => ("pending", "0%"),
        Some(ImageState::Failed) => ("error", "0%"),
        Some(ImageState::Available) | None => ("completed", "100%"),
    }
}

fn render(region: &Region, snapshot: &Snapshot) -> Node {
    let (status, progress) = progress(region, snapshot);
    Node::new()
        .with("snapshotId", &snapshot.id)
        .with("volumeId", &snapshot.volume_id)
        .with("status", status)
        .with("startTime", snapshot.started)
        .with("progress", progress)
        .with("ownerId", ACCOUNT)
        .with("volumeSize", snapshot.size_gib)
        .with("description", &snapshot.description)
        .with("encrypted", false)
        .with("storageTier", "standard")
        .with("tagSet", tags::set(&snapshot.tags))
}
