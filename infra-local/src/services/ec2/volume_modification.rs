//! Modifications of volumes, which are completed at once.

use super::volume::{chosen, find, find_mut};
use super::{Ec2Operation, resource, time};
use crate::domain::ec2::volume::check_settings;
use crate::model::Cloud;
use crate::model::ec2::volume::{Modification, Settings};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "ModifyVolume",
        modify,
        &[&["VolumeId", "Size", "VolumeType", "Iops", "Throughput", "MultiAttachEnabled"]],
    )
    .on(&[resource::VOLUME]),
    Operation::reads("DescribeVolumesModifications", describe, &[&["VolumeId.N"], FILTERS, PAGES])
        .on_any()
        // No other service manages volumes of this account.
        .ignoring(&[&["IncludeManagedResources"]]),
];

/// Modifies a volume. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVolume.html>
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = params.required("VolumeId")?;
    let volume = find_mut(cloud.region_mut(call.region)?, id)?;
    let original = volume.settings.clone();
    let kind = params.optional("VolumeType").unwrap_or(&original.kind).to_owned();
    let size_gib = params.parsed("Size")?.unwrap_or(original.size_gib);
    if size_gib < original.size_gib {
        return Err(ApiError::invalid("New size cannot be smaller than existing size"));
    }
    let multi_attach = params.parsed("MultiAttachEnabled")?.unwrap_or(original.multi_attach);
    if multi_attach != original.multi_attach && !volume.attachments.is_empty() && kind != "io2" {
        let message = format!("Multi-Attach cannot be changed while the volume {id} is attached.");
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    let same_kind = kind == original.kind;
    // The IOPS of a gp2 volume depend on its size.
    let kept_iops = original.iops.filter(|_| same_kind && kind != "gp2");
    let default_iops = ["gp3", "io1", "io2"].contains(&kind.as_str()).then_some(3000);
    let target = check_settings(Settings {
        kind,
        size_gib,
        iops: params.parsed("Iops")?.or(kept_iops).or(default_iops),
        throughput: params.parsed("Throughput")?.or(original.throughput.filter(|_| same_kind)),
        multi_attach,
    })?;
    if target == original {
        let message = format!("The requested settings are the current settings of the volume {id}");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    let modification = Modification { original, target: target.clone(), started: call.now };
    let answer = render(id, &modification, ("modifying", 0));
    volume.settings = target;
    volume.modification = Some(modification);
    Ok(Node::new().with("volumeModification", answer))
}

/// A modification with the id of its volume.
type Entry = (String, Modification);

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("VolumeId");
    for id in &ids {
        find(region, id)?;
    }
    let modified = chosen(region, params)?.into_iter();
    let modified: Vec<Entry> =
        modified.filter_map(|volume| Some((volume.id.clone(), volume.modification.clone()?))).collect();
    if let Some(unmodified) = ids.iter().find(|id| !modified.iter().any(|(modified, _)| modified == *id)) {
        let message = format!("Modification for volume '{unmodified}' does not exist.");
        return Err(ApiError::new("InvalidVolumeModification.NotFound", message));
    }
    let found = Filters::parse(params)?.apply_untagged(modified.into_iter(), FIELDS)?;
    let page = Page::of(found, params, |(id, _)| id)?;
    let nodes = page.items.iter().map(|(id, modification)| render(id, modification, ("completed", 100)));
    Ok(Node::new().list("volumeModificationSet", nodes).maybe("nextToken", page.next))
}

const FIELDS: &[Field<Entry>] = &[
    ("modification-state", |_| vec!["completed".to_owned()]),
    ("original-iops", |(_, it)| number(it.original.iops)),
    ("original-size", |(_, it)| vec![it.original.size_gib.to_string()]),
    ("original-volume-type", |(_, it)| vec![it.original.kind.clone()]),
    ("originalMultiAttachEnabled", |(_, it)| vec![it.original.multi_attach.to_string()]),
    ("start-time", |(_, it)| vec![time(it.started)]),
    ("target-iops", |(_, it)| number(it.target.iops)),
    ("target-size", |(_, it)| vec![it.target.size_gib.to_string()]),
    ("target-volume-type", |(_, it)| vec![it.target.kind.clone()]),
    ("targetMultiAttachEnabled", |(_, it)| vec![it.target.multi_attach.to_string()]),
    ("volume-id", |(id, _)| vec![id.clone()]),
];

fn number(value: Option<u32>) -> Vec<String> {
    value.iter().map(u32::to_string).collect()
}

fn render(id: &str, modification: &Modification, (state, progress): (&str, u32)) -> Node {
    let Modification { original, target, started } = modification;
    Node::new()
        .with("volumeId", id)
        .with("modificationState", state)
        .with("targetSize", target.size_gib)
        .maybe("targetIops", target.iops)
        .with("targetVolumeType", &target.kind)
        .maybe("targetThroughput", target.throughput)
        .with("targetMultiAttachEnabled", target.multi_attach)
        .with("originalSize", original.size_gib)
        .maybe("originalIops", original.iops)
        .with("originalVolumeType", &original.kind)
        .maybe("originalThroughput", original.throughput)
        .with("originalMultiAttachEnabled", original.multi_attach)
        .with("progress", progress)
        .with("startTime", *started)
        .maybe("endTime", (state == "completed").then_some(*started))
}
