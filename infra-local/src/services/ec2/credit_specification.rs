//! CPU credit options of burstable instances.

use super::instance::{by_ids, find_mut};
use super::{Ec2Operation, resource};
use crate::model::Cloud;
use crate::model::ec2::instance::Instance;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeInstanceCreditSpecifications", describe, &[&["InstanceId.N"], FILTERS, PAGES]).on_any(),
    Operation::writes(
        "ModifyInstanceCreditSpecification",
        modify,
        &[&["InstanceCreditSpecification.N.InstanceId", "InstanceCreditSpecification.N.CpuCredits"]],
    )
    .on(&[resource::INSTANCES_WITH_CREDITS]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let ids = params.texts("InstanceId");
    let mut instances = by_ids(cloud.region(call.region)?, &ids)?;
    if let Some(other) = instances.iter().find(|instance| !ids.is_empty() && instance.credits().is_none()) {
        return Err(not_burstable(other));
    }
    instances.retain(|instance| instance.credits().is_some());
    let fields: &[Field<Instance>] = &[("instance-id", |instance| vec![instance.id.clone()])];
    let instances = Filters::parse(params)?.apply(instances.into_iter(), fields, |instance| &instance.tags)?;
    let page = Page::of(instances, params, |instance| &instance.id)?;
    let nodes = page
        .items
        .into_iter()
        .map(|instance| Node::new().with("instanceId", &instance.id).maybe("cpuCredits", instance.credits()));
    Ok(Node::new().list("instanceCreditSpecificationSet", nodes).maybe("nextToken", page.next))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let mut changed = Vec::new();
    for wish in call.input.structures("InstanceCreditSpecification") {
        let instance = find_mut(region, wish.required("InstanceId")?)?;
        let credits = wish.required("CpuCredits")?;
        if !["standard", "unlimited"].contains(&credits) {
            return Err(ApiError::invalid(format!(
                "Invalid value '{credits}' for CpuCredits. Allowed values are standard, unlimited."
            )));
        }
        if instance.credits().is_none() {
            return Err(not_burstable(instance));
        }
        instance.cpu_credits = Some(credits.to_owned());
        changed.push(Node::new().with("instanceId", &instance.id));
    }
    Ok(Node::new()
        .list("successfulInstanceCreditSpecificationSet", changed)
        .list("unsuccessfulInstanceCreditSpecificationSet", Vec::<Node>::new()))
}

fn not_burstable(instance: &Instance) -> ApiError {
    let Instance { id, instance_type, .. } = instance;
    ApiError::new(
        "InvalidInstanceID.NotBurstable",
        format!("The instance '{id}' of type {instance_type} is not a burstable performance instance"),
    )
}
