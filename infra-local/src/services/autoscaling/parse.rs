//! Parameters that the creation and the update of a group share.

use super::{launch_configuration, number, required, switch, validation};
use crate::domain::ec2::launch_template;
use crate::model::Region;
use crate::model::autoscaling::{DeletionProtection, Group};
use crate::model::ec2::launch_template::TemplateReference;
use crate::wire::{Outcome, Params};

/// The parameters, for operation tables.
pub(super) const SETTINGS: &[&str] = &[
    "LaunchConfigurationName",
    "LaunchTemplate.LaunchTemplateId",
    "LaunchTemplate.LaunchTemplateName",
    "LaunchTemplate.Version",
    "MinSize",
    "MaxSize",
    "DesiredCapacity",
    "DefaultCooldown",
    "AvailabilityZones.N",
    "VPCZoneIdentifier",
    "HealthCheckType",
    "HealthCheckGracePeriod",
    "TerminationPolicies.N",
    "NewInstancesProtectedFromScaleIn",
    "DefaultInstanceWarmup",
    "AvailabilityZoneDistribution.CapacityDistributionStrategy",
    "CapacityRebalance",
    "Context",
    "DeletionProtection",
    "DesiredCapacityType",
    "InstanceMaintenancePolicy.MaxHealthyPercentage",
    "InstanceMaintenancePolicy.MinHealthyPercentage",
    "MaxInstanceLifetime",
    "ServiceLinkedRoleARN",
];

/// Termination policies, which select the instance to terminate.
pub(super) const TERMINATION_POLICIES: &[&str] = &[
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
];

/// AWS's maximum of periods, in seconds.
const LONGEST_SECONDS: u32 = 172_800;

/// Applies the settings in the request to `group`, and validates the result.
pub(super) fn settings(group: &mut Group, region: &Region, params: &Params) -> Outcome<()> {
    if let Some(reference) = params.structure("LaunchTemplate") {
        group.template = template(region, &reference)?;
        group.mixed = None;
    }
    launch_configuration::apply(group, region, params)?;
    extras(group, params)?;
    group.min = number(params, "MinSize", 0, 10_000)?.unwrap_or(group.min);
    group.max = number(params, "MaxSize", 0, 10_000)?.unwrap_or(group.max);
    if group.min > group.max {
        return Err(validation(format!(
            "Max bound, {}, must be greater than or equal to min bound, {}",
            group.max, group.min
        )));
    }
    let seconds = |name| number(params, name, 0, LONGEST_SECONDS);
    group.cooldown_seconds = seconds("DefaultCooldown")?.unwrap_or(group.cooldown_seconds);
    group.grace_seconds = seconds("HealthCheckGracePeriod")?.unwrap_or(group.grace_seconds);
    match params.optional("DefaultInstanceWarmup") {
        None => {}
        // AWS's way to remove the setting.
        Some("-1") => group.warmup_seconds = None,
        Some(_) => group.warmup_seconds = seconds("DefaultInstanceWarmup")?,
    }
    match params.optional("HealthCheckType") {
        None => {}
        Some(types) => {
            let types: Vec<&str> = types.split(',').map(str::trim).collect();
            if let Some(other) = types.iter().find(|kind| !["EC2", "ELB"].contains(kind)) {
                return Err(validation(format!(
                    "The local cloud has the health check types EC2 and ELB, not '{other}'"
                )));
            }
            group.elb_health = types.contains(&"ELB");
        }
    }
    let policies = params.texts("TerminationPolicies");
    if let Some(other) = policies.iter().find(|policy| !TERMINATION_POLICIES.contains(&policy.as_str())) {
        return Err(validation(format!(
            "The local cloud has the termination policies {}, not '{other}'",
            TERMINATION_POLICIES.join(", ")
        )));
    }
    if !policies.is_empty() {
        group.termination_policies = policies;
    }
    match params.optional("AvailabilityZoneDistribution.CapacityDistributionStrategy") {
        None => {}
        Some("balanced-best-effort") => group.balanced_only = false,
        Some("balanced-only") => group.balanced_only = true,
        Some(other) => {
            return Err(validation(format!(
                "CapacityDistributionStrategy is balanced-best-effort or balanced-only, not '{other}'"
            )));
        }
    }
    group.protects_new = switch(params, "NewInstancesProtectedFromScaleIn")?.unwrap_or(group.protects_new);
    if params.optional("VPCZoneIdentifier").is_some() || params.has_list("AvailabilityZones") {
        (group.subnets, group.zones) = places(region, params)?;
    }
    Ok(())
}

/// Applies the settings that need nothing of the region.
fn extras(group: &mut Group, params: &Params) -> Outcome<()> {
    if switch(params, "CapacityRebalance")? == Some(true) {
        return Err(validation("The local cloud has no Spot Instances to rebalance: CapacityRebalance is false"));
    }
    if let Some(other) = params.optional("DesiredCapacityType").filter(|kind| !["", "units"].contains(kind)) {
        return Err(validation(format!(
            "The local cloud measures capacity by the number of instances: DesiredCapacityType is units, not '{other}'"
        )));
    }
    let text = |name: &str| params.optional(name).filter(|text| !text.is_empty()).map(str::to_owned);
    group.extras.capacity_type = text("DesiredCapacityType").or(group.extras.capacity_type.take());
    group.extras.context = text("Context").or(group.extras.context.take());
    group.extras.role = text("ServiceLinkedRoleARN").or(group.extras.role.take());
    group.extras.deletion_protection = match params.optional("DeletionProtection") {
        None => group.extras.deletion_protection,
        Some("none") => DeletionProtection::None,
        Some("prevent-force-deletion") => DeletionProtection::PreventForceDeletion,
        Some("prevent-all-deletion") => DeletionProtection::PreventAllDeletion,
        Some(other) => {
            return Err(validation(format!(
                "DeletionProtection is none, prevent-force-deletion or prevent-all-deletion, not '{other}'"
            )));
        }
    };
    match number(params, "MaxInstanceLifetime", 0, 31_536_000)? {
        None => {}
        Some(0) => group.extras.max_lifetime_seconds = None,
        Some(seconds @ 86_400..) => group.extras.max_lifetime_seconds = Some(seconds),
        Some(_) => {
            return Err(validation("MaxInstanceLifetime must be equal to 0 or between 86400 and 31536000 seconds."));
        }
    }
    let Some(policy) = params.structure("InstanceMaintenancePolicy") else { return Ok(()) };
    let percentages = (policy.optional("MinHealthyPercentage"), policy.optional("MaxHealthyPercentage"));
    // AWS's way to remove the policy.
    if percentages == (Some("-1"), Some("-1")) {
        group.extras.maintenance = None;
        return Ok(());
    }
    let least = number(&policy, "MinHealthyPercentage", 0, 100)?;
    let most = number(&policy, "MaxHealthyPercentage", 100, 200)?;
    let Some((least, most)) = least.zip(most) else {
        return Err(validation("MinHealthyPercentage and MaxHealthyPercentage must be specified together."));
    };
    if most - least > 100 {
        return Err(validation(
            "The difference between MaxHealthyPercentage and MinHealthyPercentage cannot be greater than 100",
        ));
    }
    group.extras.maintenance = Some((least, most));
    Ok(())
}

/// Returns the requested capacity, within the group's bounds.
pub(super) fn desired(group: &Group, params: &Params) -> Outcome<Option<u32>> {
    let Some(desired) = number(params, "DesiredCapacity", 0, 10_000)? else { return Ok(None) };
    check_desired(group, desired)?;
    Ok(Some(desired))
}

pub(super) fn check_desired(group: &Group, desired: u32) -> Outcome<()> {
    if desired < group.min {
        return Err(validation(format!(
            "New SetDesiredCapacity value {desired} is below min value {} for the AutoScalingGroup.",
            group.min
        )));
    }
    if desired > group.max {
        return Err(validation(format!(
            "New SetDesiredCapacity value {desired} is above max value {} for the AutoScalingGroup.",
            group.max
        )));
    }
    Ok(())
}

/// Returns a reference to an existing version of a template.
pub(super) fn template(region: &Region, params: &Params) -> Outcome<TemplateReference> {
    let text = |name| params.optional(name).filter(|text: &&str| !text.is_empty()).map(str::to_owned);
    let reference =
        TemplateReference { id: text("LaunchTemplateId"), name: text("LaunchTemplateName"), version: text("Version") };
    if reference.id.is_some() == reference.name.is_some() {
        return Err(validation("Valid requests must contain either launchTemplateId or LaunchTemplateName"));
    }
    let (template, _, data) = launch_template::resolve(region, &reference)
        .map_err(|error| validation(format!("You must use a valid fully-formed launch template. {}", error.message)))?;
    for (missing, what) in [(data.image_id.is_none(), "ImageId"), (data.instance_type.is_none(), "InstanceType")] {
        if missing {
            return Err(validation(format!(
                "You must use a valid fully-formed launch template. The request must contain the parameter {what}"
            )));
        }
    }
    Ok(TemplateReference {
        id: Some(template.id.clone()),
        name: Some(template.name.clone()),
        version: reference.version,
    })
}

/// Returns the subnets and zones in which the group launches instances.
fn places(region: &Region, params: &Params) -> Outcome<(Vec<String>, Vec<String>)> {
    let given = params.texts("AvailabilityZones");
    let mut zones = given.clone();
    if let Some(unknown) = zones.iter().find(|zone| !region.zone_names().any(|name| name == **zone)) {
        return Err(validation(format!("{unknown} is not a valid Availability Zone")));
    }
    let ids = params.optional("VPCZoneIdentifier").unwrap_or_default();
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() && zones.is_empty() {
        required(params, "VPCZoneIdentifier")
            .map_err(|_| validation("At least one Availability Zone or VPC Subnet is required."))?;
    }
    let mut subnets = Vec::new();
    for id in &ids {
        let subnet =
            region.ec2.subnets.get(id).ok_or_else(|| validation(format!("The subnet ID '{id}' does not exist")))?;
        if !given.is_empty() && !given.contains(&subnet.zone) {
            return Err(validation(format!(
                "The availability zones of the specified subnets and the Auto Scaling group do not match ({id} is in {})",
                subnet.zone
            )));
        }
        if !zones.contains(&subnet.zone) {
            zones.push(subnet.zone.clone());
        }
        subnets.push((*id).to_owned());
    }
    if subnets.is_empty() {
        let defaults = region.ec2.subnets.values();
        let defaults = defaults.filter(|subnet| subnet.default_for_zone && zones.contains(&subnet.zone));
        subnets.extend(defaults.map(|subnet| subnet.id.clone()));
    }
    zones.sort();
    zones.dedup();
    Ok((subnets, zones))
}
