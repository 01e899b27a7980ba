//! Mixed instances policies: a template whose instance type the policy overrides.
//!
//! The local cloud has On-Demand Instances, all of which it can launch. So of several instance types, the one with the
//! highest priority is launched; policies that would request Spot Instances are refused. See
//! [MixedInstancesPolicy](https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_MixedInstancesPolicy.html).

use super::parse::template;
use super::{number, required, validation};
use crate::model::Region;
use crate::model::autoscaling::{Group, MixedInstances};
use crate::model::ec2::instance_type::InstanceType;
use crate::wire::{Node, Outcome, Params};

/// The parameters, for operation tables.
pub(super) const MIXED: &[&str] = &[
    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId",
    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName",
    "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version",
    "MixedInstancesPolicy.LaunchTemplate.Overrides",
    "MixedInstancesPolicy.LaunchTemplate.Overrides.N.InstanceType",
    "MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy",
    "MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity",
    "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity",
    "MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy",
    "MixedInstancesPolicy.InstancesDistribution.SpotInstancePools",
    "MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice",
];

const SPOT_STRATEGIES: [&str; 4] =
    ["lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"];

/// AWS's limit of overrides.
const OVERRIDES: usize = 40;

/// Applies the policy of a request to a group.
pub(super) fn apply(group: &mut Group, region: &Region, params: &Params) -> Outcome<()> {
    let Some(policy) = params.structure("MixedInstancesPolicy") else { return Ok(()) };
    if params.structure("LaunchTemplate").is_some() {
        return Err(validation(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
             MixedInstancesPolicy parameter.",
        ));
    }
    let launch = policy.structure("LaunchTemplate").unwrap_or_default();
    match launch.structure("LaunchTemplateSpecification") {
        Some(specification) => group.template = template(region, &specification)?,
        None if group.mixed.is_none() => {
            return Err(validation("MixedInstancesPolicy must contain a LaunchTemplateSpecification."));
        }
        None => {}
    }
    let mut mixed = group.mixed.clone().unwrap_or_default();
    if launch.has_list("Overrides") {
        mixed.instance_types = instance_types(&launch)?;
    }
    if let Some(distribution) = policy.structure("InstancesDistribution") {
        distribute(&mut mixed, &distribution)?;
    }
    group.mixed = Some(mixed);
    Ok(())
}

fn instance_types(launch: &Params) -> Outcome<Vec<String>> {
    let mut types: Vec<String> = Vec::new();
    for entry in launch.structures("Overrides") {
        let name = required(&entry, "InstanceType")?.to_owned();
        InstanceType::named(&name).map_err(|error| validation(error.message))?;
        if types.contains(&name) {
            return Err(validation(format!("The instance type '{name}' is in more than one override.")));
        }
        types.push(name);
    }
    if types.len() > OVERRIDES {
        return Err(validation(format!("A MixedInstancesPolicy has at most {OVERRIDES} overrides.")));
    }
    Ok(types)
}

fn distribute(mixed: &mut MixedInstances, distribution: &Params) -> Outcome<()> {
    match distribution.optional("OnDemandAllocationStrategy") {
        None | Some("prioritized") => {}
        Some(other) => {
            return Err(validation(format!(
                "The local cloud has no prices: OnDemandAllocationStrategy is prioritized, not '{other}'"
            )));
        }
    }
    if let Some(percentage) = number(distribution, "OnDemandPercentageAboveBaseCapacity", 0_u32, 100)?
        && percentage < 100
    {
        return Err(validation(format!(
            "The local cloud has no Spot Instances: OnDemandPercentageAboveBaseCapacity is 100, not {percentage}"
        )));
    }
    mixed.base_capacity = number(distribution, "OnDemandBaseCapacity", 0, 10_000)?.unwrap_or(mixed.base_capacity);
    if let Some(strategy) = distribution.optional("SpotAllocationStrategy") {
        if !SPOT_STRATEGIES.contains(&strategy) {
            return Err(validation(format!("SpotAllocationStrategy is one of {}", SPOT_STRATEGIES.join(", "))));
        }
        mixed.spot_strategy = Some(strategy.to_owned());
    }
    mixed.spot_pools = number(distribution, "SpotInstancePools", 0, 20)?.or(mixed.spot_pools);
    let price = distribution.optional("SpotMaxPrice").map(str::to_owned);
    mixed.spot_price = price.or(mixed.spot_price.take());
    Ok(())
}

/// Renders the policy of a group.
pub(super) fn render(mixed: &MixedInstances, group: &Group) -> Node {
    let overrides = mixed.instance_types.iter().map(|name| Node::new().with("InstanceType", name));
    let launch = Node::new()
        .with("LaunchTemplateSpecification", super::refresh::template(&group.template))
        .list("Overrides", overrides);
    let distribution = Node::new()
        .with("OnDemandAllocationStrategy", "prioritized")
        .with("OnDemandBaseCapacity", mixed.base_capacity)
        .with("OnDemandPercentageAboveBaseCapacity", 100_u32)
        .with("SpotAllocationStrategy", mixed.spot_strategy.as_deref().unwrap_or("lowest-price"))
        .maybe("SpotInstancePools", mixed.spot_pools)
        .maybe("SpotMaxPrice", mixed.spot_price.as_ref());
    Node::new().with("LaunchTemplate", launch).with("InstancesDistribution", distribution)
}
