//! Associations of instance profiles with instances.

use super::{Ec2Operation, check_id, instance, resource};
use crate::access::PASSES_LAUNCH_ROLE;
use crate::domain::ec2::launch;
use crate::model::ec2::instance::{Instance, InstanceState, ProfileReference};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "AssociateIamInstanceProfile",
        associate,
        &[&["InstanceId", "IamInstanceProfile.Arn", "IamInstanceProfile.Name"]],
    )
    .on(&[resource::INSTANCE])
    .needing(&[PASSES_LAUNCH_ROLE]),
    Operation::writes("DisassociateIamInstanceProfile", disassociate, &[&["AssociationId"]])
        .on(&[resource::PROFILED_INSTANCE])
        .needing(&[PASSES_LAUNCH_ROLE]),
    Operation::writes(
        "ReplaceIamInstanceProfileAssociation",
        replace,
        &[&["AssociationId", "IamInstanceProfile.Arn", "IamInstanceProfile.Name"]],
    )
    .on(&[resource::PROFILED_INSTANCE]),
    Operation::reads("DescribeIamInstanceProfileAssociations", describe, &[&["AssociationId.N"], FILTERS, PAGES])
        .on_any(),
];

fn profile(cloud: &Cloud, params: &Params) -> Outcome<ProfileReference> {
    let given = params.structure("IamInstanceProfile").unwrap_or_default();
    let found = launch::profile(cloud, given.optional("Name"), given.optional("Arn"))?;
    found.ok_or_else(|| ApiError::missing("IamInstanceProfile"))
}

fn associate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let profile = profile(cloud, &call.input)?;
    let region = cloud.region_mut(call.region)?;
    let instance = instance::find_mut(region, call.input.required("InstanceId")?)?;
    if instance.state.is_ending() {
        let message = format!("The instance '{}' is {}", instance.id, instance.state.name());
        return Err(ApiError::new("IncorrectInstanceState", message));
    }
    if instance.instance_profile.is_some() {
        let message = format!("There is an existing association for instance {}", instance.id);
        return Err(ApiError::new("IncorrectState", message));
    }
    instance.instance_profile = Some(profile);
    Ok(answer(instance, "associating"))
}

fn disassociate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, call.input.required("AssociationId")?)?.id.clone();
    let instance = instance::find_mut(region, &id)?;
    let answer = answer(instance, "disassociating");
    instance.instance_profile = None;
    Ok(answer)
}

/// Replaces the profile, which keeps the association's id in the local cloud.
fn replace(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let profile = profile(cloud, &call.input)?;
    let region = cloud.region_mut(call.region)?;
    let id = find(region, call.input.required("AssociationId")?)?.id.clone();
    let instance = instance::find_mut(region, &id)?;
    instance.instance_profile = Some(profile);
    Ok(answer(instance, "associating"))
}

fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Instance> {
    check_id(id, "iip-assoc", "InvalidAssociationID.Malformed")?;
    let missing = || {
        let message = format!("An invalid association-id of '{id}' was given");
        ApiError::new("InvalidAssociationID.NotFound", message)
    };
    associated(region).find(|instance| instance.profile_association_id() == id).ok_or_else(missing)
}

fn associated(region: &Region) -> impl Iterator<Item = &Instance> {
    let alive = region.ec2.instances.values().filter(|instance| instance.state != InstanceState::Terminated);
    alive.filter(|instance| instance.instance_profile.is_some())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("AssociationId");
    for id in &ids {
        find(region, id)?;
    }
    let wanted =
        associated(region).filter(|instance| ids.is_empty() || ids.contains(&instance.profile_association_id()));
    let fields: &[Field<&Instance>] =
        &[("instance-id", |instance| vec![instance.id.clone()]), ("state", |_| vec!["associated".to_owned()])];
    let found = Filters::parse(params)?.apply_untagged(wanted, fields)?;
    let page = Page::of(found, params, |instance| &instance.id)?;
    let nodes = page.items.into_iter().map(|instance| render(instance, "associated"));
    Ok(Node::new().list("iamInstanceProfileAssociationSet", nodes).maybe("nextToken", page.next))
}

fn answer(instance: &Instance, state: &str) -> Node {
    Node::new().with("iamInstanceProfileAssociation", render(instance, state))
}

fn render(instance: &Instance, state: &str) -> Node {
    let profile = instance.instance_profile.as_ref();
    Node::new()
        .with("associationId", instance.profile_association_id())
        .with("instanceId", &instance.id)
        .maybe("iamInstanceProfile", profile.map(|own| Node::new().with("arn", &own.arn).with("id", &own.id)))
        .with("state", state)
}
