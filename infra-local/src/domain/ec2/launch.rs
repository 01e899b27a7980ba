//! The launch of instances, by RunInstances and by Auto Scaling groups.

use chrono::{DateTime, Utc};

use super::launch_interfaces::LaunchInterfaces;
use super::volume::LaunchVolumes;
use super::{check_user_data, unknown_image};
use crate::domain::mariadb;
use crate::domain::postgres;
use crate::model::Cloud;
use crate::model::ec2::gateway::Holder;
use crate::model::ec2::image::ImageState;
use crate::model::ec2::instance::{Instance, InstanceState, LaunchRecord, MetadataOptions, ProfileReference, Runtime};
use crate::model::ec2::instance_type::InstanceType;
use crate::model::ec2::launch_template::{LaunchData, TemplateReference};
use crate::model::ec2::network_interface::NetworkInterface;
use crate::model::machine::MachineDocument;
use crate::model::{Region, Tags, new_id};
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, Outcome};

/// AWS's default quota of instances per request.
const COUNT_LIMIT: u32 = 100;

/// A launch of identical instances.
pub(crate) struct Launch {
    /// Overrides the data of the template.
    pub(crate) data: LaunchData,
    pub(crate) template: Option<TemplateReference>,
    /// Minimum number of instances. More are launched, up to `max`, while addresses are available.
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) client_token: Option<String>,
}

impl Launch {
    /// Creates the instances as `pending`; the runtime starts them. A repeated request with the same client token
    /// returns the same instances, even terminated ones; another request with the token is an error.
    pub(crate) fn carry_out(
        self,
        cloud: &mut Cloud,
        region_name: &str,
        addresses: &AddressBlock,
        now: DateTime<Utc>,
    ) -> Outcome<Vec<String>> {
        if self.min > self.max {
            return Err(ApiError::new("InvalidParameterCombination", "MinCount must not be greater than MaxCount"));
        }
        if self.max > COUNT_LIMIT {
            return Err(ApiError::new(
                "InstanceLimitExceeded",
                format!("at most {COUNT_LIMIT} instances are launched at once"),
            ));
        }
        let requested = self.data.clone();
        let data = match &self.template {
            Some(reference) => {
                self.data.over(super::launch_template::resolve(cloud.region(region_name)?, reference)?.2)
            }
            None => self.data,
        };
        if let Some(token) = &self.client_token
            && let Some(record) = cloud.region(region_name)?.ec2.launches.get(token)
        {
            if record.request != requested || record.template != self.template || record.count != self.max {
                return Err(ApiError::new(
                    "IdempotentParameterMismatch",
                    format!("The client token {token} was used before to launch instances with other parameters"),
                ));
            }
            return Ok(record.instances.clone());
        }
        let profile = profile(cloud, data.profile_name.as_deref(), data.profile_arn.as_deref())?;
        let region = cloud.region_mut(region_name)?;
        let checked = Checked::new(region, &data, self.max)?;
        let reservation = new_id("r");
        let mut ids = Vec::new();
        for index in 0..self.max {
            let id = new_id("i");
            let interfaces = checked.interfaces.take(region, &id, &data.interface_tags, addresses, now)?;
            let Some(interfaces) = interfaces else { break };
            let interface = &interfaces[0];
            let instance = checked.instance(id.clone(), &reservation, index, interface, &data, profile.clone(), now);
            let volumes = checked.volumes.create(region, &id, &checked.zone, now);
            let instance = Instance { client_token: self.client_token.clone(), volumes, ..instance };
            region.move_addresses(&Holder::NetworkInterface(interface.id.clone()), &Holder::Instance(id.clone()));
            for interface in interfaces {
                region.ec2.network_interfaces.insert(interface.id.clone(), interface);
            }
            region.ec2.instances.insert(id.clone(), instance);
            ids.push(id);
        }
        if (ids.len() as u32) < self.min {
            return Err(ApiError::new(
                "InsufficientFreeAddressesInSubnet",
                format!(
                    "There are not enough free addresses in subnet '{}' for {} instances",
                    checked.interfaces.primary().subnet_id,
                    self.min
                ),
            ));
        }
        if let Some(token) = self.client_token {
            let record =
                LaunchRecord { request: requested, template: self.template, count: self.max, instances: ids.clone() };
            region.ec2.launches.insert(token, record);
        }
        Ok(ids)
    }
}

/// A launch whose references have been checked.
struct Checked {
    image_id: String,
    image_machine: Option<MachineDocument>,
    instance_type: &'static str,
    vpc_id: String,
    zone: String,
    interfaces: LaunchInterfaces,
    volumes: LaunchVolumes,
}

/// Refuses a Machine document that this computer cannot run, before other resources depend on it.
fn check_machine(of_image: Option<&MachineDocument>, data: &LaunchData) -> Outcome<()> {
    let own = match &data.user_data {
        Some(encoded) => MachineDocument::from_user_data(&check_user_data(encoded)?)
            .map_err(|error| ApiError::new("InvalidUserData.Malformed", error.to_string()))?,
        None => None,
    };
    for machine in of_image.into_iter().chain(&own) {
        if machine.postgres.is_some() {
            postgres::installed().map_err(|error| ApiError::new("Unsupported", error.to_string()))?;
        }
        if machine.mariadb.is_some() {
            mariadb::installed().map_err(|error| ApiError::new("Unsupported", error.to_string()))?;
        }
    }
    Ok(())
}

impl Checked {
    fn new(region: &Region, data: &LaunchData, count: u32) -> Outcome<Checked> {
        let image_id = data.image_id.clone().ok_or_else(|| ApiError::missing("ImageId"))?;
        let image = region.image(&image_id).ok_or_else(|| unknown_image(&image_id))?;
        if image.state != ImageState::Available {
            let message = format!("The image id '[{image_id}]' is not available: it is {}", image.state.name());
            return Err(ApiError::new("InvalidAMIID.Unavailable", message));
        }
        // AWS's default type is m1.small, which has been obsolete for years; the local cloud requires a type.
        let instance_type = data.instance_type.as_deref().ok_or_else(|| ApiError::missing("InstanceType"))?;
        let instance_type = InstanceType::named(instance_type)?;
        if let Some(key) = &data.key_name
            && !region.ec2.key_pairs.values().any(|pair| pair.name == *key)
        {
            return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{key}' does not exist")));
        }
        let interfaces = LaunchInterfaces::new(region, data, instance_type, count)?;
        let subnet = interfaces.subnet(region)?;
        check_capacity(region, instance_type.name, &subnet.zone)?;
        if let Some(group) =
            data.placement_group.as_ref().filter(|name| !region.ec2.placement_groups.contains_key(*name))
        {
            let message = format!("The placement group '{group}' is unknown.");
            return Err(ApiError::new("InvalidPlacementGroup.Unknown", message));
        }
        check_machine(image.machine.as_ref(), data)?;
        let volumes = LaunchVolumes::new(region, &image, &data.block_devices, &data.volume_tags)?;
        Ok(Checked {
            image_id,
            image_machine: image.machine,
            instance_type: instance_type.name,
            vpc_id: subnet.vpc_id.clone(),
            zone: subnet.zone.clone(),
            interfaces,
            volumes,
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn instance(
        &self,
        id: String,
        reservation: &str,
        index: u32,
        interface: &NetworkInterface,
        data: &LaunchData,
        profile: Option<ProfileReference>,
        now: DateTime<Utc>,
    ) -> Instance {
        let defaults = MetadataOptions::default();
        Instance {
            network_interface_id: interface.id.clone(),
            id,
            reservation_id: reservation.to_owned(),
            state: InstanceState::Pending,
            reason: None,
            image_id: self.image_id.clone(),
            image_machine: self.image_machine.clone(),
            instance_type: self.instance_type.to_owned(),
            key_name: data.key_name.clone(),
            vpc_id: self.vpc_id.clone(),
            subnet_id: interface.subnet_id.clone(),
            zone: self.zone.clone(),
            address: interface.address,
            public_ip: self.interfaces.public_ip,
            security_groups: self.interfaces.primary().groups.clone(),
            user_data: data.user_data.clone(),
            instance_profile: profile,
            metadata_options: MetadataOptions {
                http_tokens: data.http_tokens.clone().unwrap_or(defaults.http_tokens),
                http_endpoint: data.http_endpoint.clone().unwrap_or(defaults.http_endpoint),
                hop_limit: data.hop_limit.unwrap_or(defaults.hop_limit),
                instance_metadata_tags: data.instance_metadata_tags.clone().unwrap_or(defaults.instance_metadata_tags),
            },
            volumes: Vec::new(),
            placement_group: data.placement_group.clone(),
            block_devices: Vec::new(),
            disable_api_termination: data.disable_api_termination.unwrap_or(false),
            disable_api_stop: data.disable_api_stop.unwrap_or(false),
            shutdown_terminates: data.shutdown_behavior.as_deref() == Some("terminate"),
            monitoring: data.monitoring.unwrap_or(false),
            ebs_optimized: data.ebs_optimized.unwrap_or(false),
            cpu_credits: data.cpu_credits.clone(),
            client_token: None,
            launch_index: index,
            launch_time: now,
            terminated_at: None,
            tags: data.instance_tags.clone(),
            volume_tags: Tags::new(),
            runtime: Runtime::default(),
        }
    }
}

/// Checks that the zone has capacity. A zone that failed has none.
fn check_capacity(region: &Region, instance_type: &str, zone: &str) -> Outcome<()> {
    if !region.lost_zones.contains(zone) {
        return Ok(());
    }
    let others: Vec<String> = region.zone_names().filter(|name| !region.lost_zones.contains(name)).collect();
    let message = format!(
        "We currently do not have sufficient {instance_type} capacity in the Availability Zone you requested ({zone}). \
         You can currently get {instance_type} capacity by choosing {}.",
        others.join(", ")
    );
    Err(ApiError::new("InsufficientInstanceCapacity", message).with_status(500))
}

/// Finds an instance profile by its name or its ARN; `None` if the request has neither.
pub(crate) fn profile(cloud: &Cloud, name: Option<&str>, arn: Option<&str>) -> Outcome<Option<ProfileReference>> {
    let wanted = match (name, arn) {
        (Some(name), _) => name,
        (None, Some(arn)) => arn.rsplit('/').next().unwrap_or_default(),
        (None, None) => return Ok(None),
    };
    let profile = cloud.iam.instance_profiles.get(wanted).filter(|profile| arn.is_none_or(|arn| *arn == profile.arn));
    let profile = profile.ok_or_else(|| {
        let parameter = if name.is_some() { "iamInstanceProfile.name" } else { "iamInstanceProfile.arn" };
        ApiError::invalid(format!(
            "Value ({wanted}) for parameter {parameter} is invalid. Invalid IAM Instance Profile name"
        ))
    })?;
    Ok(Some(ProfileReference { arn: profile.arn.clone(), id: profile.id.clone(), name: profile.name.clone() }))
}
