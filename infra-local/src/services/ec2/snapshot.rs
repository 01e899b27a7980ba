//! Snapshots of volumes: creation, description and deletion.

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, instance, not_honoured, resource, tags_for};
use crate::domain::ec2::volume::{key_of, key_without_encryption, unknown_snapshot};
use crate::model::ec2::image::{ImageState, ROOT_DEVICE};
use crate::model::ec2::snapshot::Snapshot;
use crate::model::ec2::volume::Volume;
use crate::model::{Account, Cloud, Region, Tags, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateSnapshot", create, &[&["VolumeId", "Description", "Location"], TAG_SPECIFICATIONS])
        .on(&[resource::VOLUME, resource::NEW_SNAPSHOT]),
    Operation::writes(
        "CreateSnapshots",
        create_all,
        &[
            &[
                "Description",
                "CopyTagsFromSource",
                "Location",
                "InstanceSpecification.InstanceId",
                "InstanceSpecification.ExcludeBootVolume",
                "InstanceSpecification.ExcludeDataVolumeId.N",
            ],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::SNAPSHOT_INSTANCE, resource::NEW_SNAPSHOT]),
    Operation::writes(
        "CopySnapshot",
        copy,
        &[
            &["SourceRegion", "SourceSnapshotId", "Description", "DestinationRegion", "Encrypted", "KmsKeyId"],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::NEW_SNAPSHOT])
    // The signature of the request itself is verified, and a copy takes no time.
    .ignoring(&[&["PresignedUrl", "CompletionDurationMinutes"]]),
    Operation::reads("DescribeSnapshots", describe, &[&["SnapshotId.N", "Owner.N", "RestorableBy.N"], FILTERS, PAGES])
        .on_any(),
    Operation::writes("DeleteSnapshot", delete, &[&["SnapshotId"]]).on(&[resource::SNAPSHOT]),
];

/// Creates a snapshot, which is completed at once.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSnapshot.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    check_location(params)?;
    let tags = tags_for(params, "snapshot")?;
    let region = cloud.region_mut(call.region)?;
    let volume = super::volume::find(region, params.required("VolumeId")?)?;
    let snapshot = Snapshot { tags, ..snapshot_of(volume, call) };
    let answer = render(&snapshot, call.account, ("pending", ""));
    region.ec2.snapshots.insert(snapshot.id.clone(), snapshot);
    Ok(answer)
}

/// Creates snapshots of the volumes of an instance.
fn create_all(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    check_location(params)?;
    let tags = tags_for(params, "snapshot")?;
    let copies_tags = match params.optional("CopyTagsFromSource") {
        None => false,
        Some("volume") => true,
        Some(other) => {
            let message = format!("Value ({other}) for parameter copyTagsFromSource is invalid.");
            return Err(ApiError::invalid(message));
        }
    };
    let source = params.structure("InstanceSpecification").ok_or_else(|| ApiError::missing("InstanceSpecification"))?;
    let without_boot = source.flag("ExcludeBootVolume")?;
    let excluded = source.texts("ExcludeDataVolumeId");
    let region = cloud.region_mut(call.region)?;
    let instance = instance::find(region, source.required("InstanceId")?)?;
    let volumes = region.volumes_of(&instance.id);
    let is_data = |id: &String| volumes.iter().any(|(own, at)| own.id == *id && at.device != ROOT_DEVICE);
    if let Some(foreign) = excluded.iter().find(|id| !is_data(id)) {
        let message = format!("The volume '{foreign}' is not a data volume of the instance '{}'", instance.id);
        return Err(ApiError::invalid(message));
    }
    let is_excluded =
        |volume: &Volume, device: &str| excluded.contains(&volume.id) || (without_boot && device == ROOT_DEVICE);
    let wanted = volumes.iter().filter(|(volume, at)| !is_excluded(volume, &at.device));
    let snapshots: Vec<Snapshot> = wanted
        .map(|(volume, _)| {
            let mut all = if copies_tags { volume.tags.clone() } else { Tags::new() };
            all.extend(tags.clone());
            Snapshot { tags: all, ..snapshot_of(volume, call) }
        })
        .collect();
    let nodes = snapshots.iter().map(|snapshot| render_of_instance(snapshot, call.account));
    let answer = Node::new().list("snapshotSet", nodes);
    for snapshot in snapshots {
        tags::check(&snapshot.tags)?;
        region.ec2.snapshots.insert(snapshot.id.clone(), snapshot);
    }
    Ok(answer)
}

fn snapshot_of(volume: &Volume, call: &Call<'_, Params>) -> Snapshot {
    Snapshot {
        id: new_id("snap"),
        volume_id: volume.id.clone(),
        size_gib: volume.settings.size_gib,
        description: call.input.optional("Description").unwrap_or_default().to_owned(),
        encrypted: volume.encrypted,
        kms_key: volume.kms_key.clone(),
        started: call.now,
        ..Snapshot::default()
    }
}

/// Refuses local snapshots, which exist only in Local Zones.
fn check_location(params: &Params) -> Outcome<()> {
    match params.optional("Location") {
        None | Some("regional") => Ok(()),
        Some("local") => Err(not_honoured("The local cloud has no Local Zones, so its snapshots are regional")),
        Some(other) => Err(ApiError::invalid(format!("Value ({other}) for parameter location is invalid."))),
    }
}

/// Copies a snapshot of any region to the region of the request.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CopySnapshot.html>
fn copy(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "snapshot")?;
    if let Some(other) = params.optional("DestinationRegion").filter(|name| *name != call.region) {
        let message = format!(
            "Value ({other}) for parameter destinationRegion is invalid. Send the request to the destination region."
        );
        return Err(ApiError::invalid(message));
    }
    let source = find(cloud.region(params.required("SourceRegion")?)?, params.required("SourceSnapshotId")?)?;
    let by_default = cloud.region(call.region)?.ec2.ebs_encryption_by_default;
    let encrypted = source.encrypted || by_default || params.flag("Encrypted")?;
    let key = params.optional("KmsKeyId");
    if key.is_some() && !encrypted {
        return Err(key_without_encryption());
    }
    let copy = Snapshot {
        id: new_id("snap"),
        // AWS documents an arbitrary id that should not be used.
        volume_id: "vol-ffffffff".to_owned(),
        size_gib: source.size_gib,
        description: params.optional("Description").unwrap_or_default().to_owned(),
        encrypted,
        kms_key: encrypted.then(|| key_of(call.scope(), key)).transpose()?,
        started: call.now,
        tags,
        ..Snapshot::default()
    };
    let answer = Node::new().with("snapshotId", &copy.id).with("tagSet", tags::set(&copy.tags));
    cloud.region_mut(call.region)?.ec2.snapshots.insert(copy.id.clone(), copy);
    Ok(answer)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("SnapshotId");
    let mut snapshots: Vec<&Snapshot> = if ids.is_empty() {
        region.ec2.snapshots.values().collect()
    } else {
        ids.iter().map(|id| find(region, id)).collect::<Outcome<_>>()?
    };
    // All snapshots belong to this account.
    for list in ["Owner", "RestorableBy"] {
        let accounts = params.texts(list);
        snapshots.retain(|_| {
            accounts.is_empty() || accounts.iter().any(|account| account == "self" || call.account == **account)
        });
    }
    let fields: &[Field<Located<'_, Snapshot>>] = &[
        ("snapshot-id", |it| vec![it.item.id.clone()]),
        ("volume-id", |it| vec![it.item.volume_id.clone()]),
        ("volume-size", |it| vec![it.item.size_gib.to_string()]),
        ("description", |it| vec![it.item.description.clone()]),
        ("status", |it| vec![progress(it.region, it.item).0.to_owned()]),
        ("progress", |it| vec![progress(it.region, it.item).1.to_owned()]),
        ("start-time", |it| vec![super::time(it.item.started)]),
        ("storage-tier", |_| vec!["standard".to_owned()]),
        ("transfer-type", |_| vec!["standard".to_owned()]),
        ("owner-alias", |_| Vec::new()),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("encrypted", |it| vec![it.item.encrypted.to_string()]),
    ];
    let snapshots: Vec<_> = snapshots.into_iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(snapshots.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(it.item, region.account, progress(region, it.item)));
    Ok(Node::new().list("snapshotSet", nodes).maybe("nextToken", page.next))
}

/// Deletes a snapshot that no image uses.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("SnapshotId")?;
    find(region, id)?;
    if let Some(image) = region.ec2.images.values().find(|image| image.snapshots().any(|own| own == id)) {
        let message = format!("The snapshot {id} is currently in use by {}", image.id);
        return Err(ApiError::new("InvalidSnapshot.InUse", message));
    }
    region.ec2.snapshots.remove(id);
    Ok(Node::success())
}

/// Finds a snapshot by its id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Snapshot> {
    check_id(id, "snap", "InvalidSnapshotID.Malformed")?;
    region.ec2.snapshots.get(id).ok_or_else(|| unknown_snapshot(id))
}

/// Returns the state and the progress of a snapshot, which are those of its image.
fn progress(region: &Region, snapshot: &Snapshot) -> (&'static str, &'static str) {
    let image = region.ec2.images.values().find(|image| image.snapshots().any(|own| *own == snapshot.id));
    match image.map(|image| image.state) {
        Some(ImageState::Pending) => ("pending", "0%"),
        Some(ImageState::Failed) => ("error", "0%"),
        Some(ImageState::Available) | None => ("completed", "100%"),
    }
}

fn render(snapshot: &Snapshot, account: Account, (status, progress): (&str, &str)) -> Node {
    Node::new()
        .with("snapshotId", &snapshot.id)
        .with("volumeId", &snapshot.volume_id)
        .with("status", status)
        .with("startTime", snapshot.started)
        .maybe("completionTime", (status == "completed").then_some(snapshot.started))
        .with("progress", progress)
        .with("ownerId", account)
        .with("volumeSize", snapshot.size_gib)
        .with("description", &snapshot.description)
        .with("encrypted", snapshot.encrypted)
        .maybe("kmsKeyId", snapshot.kms_key.as_ref())
        .with("storageTier", "standard")
        .with("transferType", "standard")
        .with("tagSet", tags::set(&snapshot.tags))
}

/// Renders an entry of CreateSnapshots, which names the state `state`.
fn render_of_instance(snapshot: &Snapshot, account: Account) -> Node {
    Node::new()
        .with("snapshotId", &snapshot.id)
        .with("volumeId", &snapshot.volume_id)
        .with("state", "pending")
        .with("startTime", snapshot.started)
        .with("progress", "")
        .with("ownerId", account)
        .with("volumeSize", snapshot.size_gib)
        .with("description", &snapshot.description)
        .with("encrypted", snapshot.encrypted)
        .with("tagSet", tags::set(&snapshot.tags))
}
