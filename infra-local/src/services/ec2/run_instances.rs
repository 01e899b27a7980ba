//! RunInstances.

use super::instance_description::render_reservation;
use super::{Ec2Operation, launch_data, resource};
use crate::access::PASSES_LAUNCH_ROLE;
use crate::domain::ec2::launch::Launch;
use crate::domain::ec2::unknown_security_group;
use crate::model::ec2::instance::Instance;
use crate::model::ec2::launch_template::{LaunchData, TemplateReference};
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[Operation::writes(
    "RunInstances",
    run,
    &[
        &[
            "MinCount",
            "MaxCount",
            "ClientToken",
            "SubnetId",
            "SecurityGroup.N",
            "PrivateIpAddress",
            "LaunchTemplate.LaunchTemplateId",
            "LaunchTemplate.LaunchTemplateName",
            "LaunchTemplate.Version",
        ],
        launch_data::IN_REQUEST,
    ],
)
.on(resource::LAUNCH)
.needing(&[PASSES_LAUNCH_ROLE])];

fn run(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let mut data = launch_data::parse(params)?;
    data.security_group_ids.extend(groups_by_name(cloud.region(call.region)?, &params.texts("SecurityGroup"))?);
    check_level(&data)?;
    let template = params.structure("LaunchTemplate").map(|reference| TemplateReference {
        id: reference.optional("LaunchTemplateId").map(str::to_owned),
        name: reference.optional("LaunchTemplateName").map(str::to_owned),
        version: reference.optional("Version").map(str::to_owned),
    });
    let count = |name| match params.parsed::<u32>(name)? {
        Some(0) => {
            Err(ApiError::invalid(format!("Value (0) for parameter {name} is invalid. It must be greater than 0")))
        }
        Some(count) => Ok(count),
        None => Err(ApiError::missing(name)),
    };
    let launch = Launch {
        data,
        template,
        min: count("MinCount")?,
        max: count("MaxCount")?,
        client_token: params.optional("ClientToken").filter(|token| !token.is_empty()).map(str::to_owned),
    };
    let ids = launch.carry_out(cloud, call.region, call.addresses, call.now)?;
    let region = cloud.region(call.region)?;
    let instances: Vec<&Instance> = ids.iter().filter_map(|id| region.ec2.instances.get(id)).collect();
    Ok(render_reservation(region, &instances))
}

/// Refuses parameters of the instance that belong to its interfaces, if the request describes these.
fn check_level(data: &LaunchData) -> Outcome<()> {
    let of_instance = [
        (data.subnet_id.is_some(), "subnet ID"),
        (!data.security_group_ids.is_empty(), "security groups"),
        (data.private_address.is_some(), "private IP address"),
    ];
    let found = of_instance.into_iter().find(|(is_given, _)| *is_given && !data.network_interfaces.is_empty());
    found.map_or(Ok(()), |(_, what)| {
        let message =
            format!("Network interfaces and an instance-level {what} may not be specified on the same request");
        Err(ApiError::new("InvalidParameterCombination", message))
    })
}

fn groups_by_name(region: &Region, names: &[String]) -> Outcome<Vec<String>> {
    let vpc = crate::services::ec2::default_vpc(region)?;
    let found = names.iter().map(|name| {
        let group = region.ec2.security_groups.values().find(|group| group.name == *name && group.vpc_id == vpc.id);
        group.map(|group| group.id.clone()).ok_or_else(|| unknown_security_group(name))
    });
    found.collect()
}
