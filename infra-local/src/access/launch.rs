//! Resources of the launch of an instance, by the parameters of the request and its launch template.
//!
//! Source: Service Authorization Reference, "Amazon EC2", `RunInstances`; Amazon EC2 Auto Scaling User Guide, "Control
//! Amazon EC2 launch template usage in Auto Scaling groups".

use super::attributes::{describe_place, ec2_arn};
use super::{Context, Dependent, RequestedResource, Resource};
use crate::domain::ec2::launch_template;
use crate::model::ec2::launch_template::{LaunchData, NetworkInterface, TemplateReference};
use crate::model::{Cloud, Region};

/// Resources that a launch uses and creates.
pub(crate) const LAUNCHED: Resource = Resource::Computed(launched);
/// Permission to pass the role of the launch's instance profile to EC2.
pub(crate) const PASSES_LAUNCH_ROLE: Dependent =
    Dependent::pass_role("ec2.amazonaws.com", Resource::Computed(passed_role));

/// The launch that a request describes, with the values of its launch template.
struct Launch<'a> {
    region: &'a Region,
    parameters: &'a [(String, String)],
    /// Id of the template, and its data.
    template: Option<(&'a str, &'a LaunchData)>,
}

impl<'a> Launch<'a> {
    fn of(cloud: &'a Cloud, region: &str, parameters: &'a [(String, String)]) -> Option<Launch<'a>> {
        let region = cloud.regions.get(region)?;
        let value = |name: &str| first(parameters, name).map(str::to_owned);
        let reference = TemplateReference {
            id: value("LaunchTemplate.LaunchTemplateId"),
            name: value("LaunchTemplate.LaunchTemplateName"),
            version: value("LaunchTemplate.Version"),
        };
        let found = launch_template::resolve(region, &reference).ok();
        let template = found.map(|(template, _, data)| (template.id.as_str(), data));
        Some(Launch { region, parameters, template })
    }

    /// Returns the value of a parameter, or that of the template.
    fn value(&self, parameter: &str, of_template: fn(&LaunchData) -> Option<&str>) -> Option<&'a str> {
        first(self.parameters, parameter).or_else(|| self.template.and_then(|(_, data)| of_template(data)))
    }

    fn all(&self, parameter: &str) -> Vec<&'a str> {
        let values = self.parameters.iter().filter(|(name, value)| name == parameter && !value.is_empty());
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the existing interfaces of the launch.
    fn interfaces(&self) -> Vec<&'a str> {
        let requested = self.all("NetworkInterface.N.NetworkInterfaceId");
        if requested.is_empty() { self.of_template(|it| it.id.as_deref()) } else { requested }
    }

    /// Returns a value of each interface of the template that has it.
    fn of_template(&self, value: fn(&NetworkInterface) -> Option<&str>) -> Vec<&'a str> {
        let interfaces = self.template.into_iter().flat_map(|(_, data)| &data.network_interfaces);
        interfaces.filter_map(value).collect()
    }

    /// Returns the subnets of the launch: those of its interfaces, the requested one, or a default subnet.
    fn subnets(&self) -> Vec<&'a str> {
        let existing = self.interfaces().into_iter().filter_map(|id| self.region.ec2.network_interfaces.get(id));
        let mut subnets: Vec<&str> = existing.map(|interface| interface.subnet_id.as_str()).collect();
        let requested = self.all("NetworkInterface.N.SubnetId");
        subnets.extend(if requested.is_empty() { self.of_template(|it| it.subnet_id.as_deref()) } else { requested });
        if subnets.is_empty() {
            subnets.extend(self.value("SubnetId", |data| data.subnet_id.as_deref()));
        }
        subnets.sort_unstable();
        subnets.dedup();
        if subnets.is_empty() { self.default_subnet().into_iter().collect() } else { subnets }
    }

    /// Returns a default subnet of the requested zone.
    fn default_subnet(&self) -> Option<&'a str> {
        let zone = self.value("Placement.AvailabilityZone", |data| data.zone.as_deref());
        let mut defaults = self.region.ec2.subnets.values().filter(|subnet| subnet.default_for_zone);
        defaults.find(|subnet| zone.is_none_or(|zone| zone == subnet.zone)).map(|subnet| subnet.id.as_str())
    }

    /// Returns the subnet that determines the zone and the VPC of the launch.
    fn subnet(&self) -> Option<&'a str> {
        self.subnets().first().copied()
    }

    /// Returns the ids of the security groups: the requested ones, or the default group of the VPC.
    fn security_groups(&self, subnet: Option<&str>) -> Vec<&'a str> {
        let mut groups = self.all("SecurityGroupId.N");
        groups.extend(self.all("NetworkInterface.N.SecurityGroupId.N"));
        let all = self.region.ec2.security_groups.values();
        let names = self.all("SecurityGroup.N");
        groups.extend(all.filter(|group| names.contains(&group.name.as_str())).map(|group| group.id.as_str()));
        if let (true, Some((_, data))) = (groups.is_empty(), self.template) {
            let of_interfaces = data.network_interfaces.iter().flat_map(|it| &it.security_group_ids);
            groups.extend(data.security_group_ids.iter().chain(of_interfaces).map(String::as_str));
        }
        let vpc = subnet.and_then(|id| self.region.ec2.subnets.get(id)).map(|subnet| subnet.vpc_id.as_str());
        if let (true, Some(vpc)) = (groups.is_empty() && self.interfaces().is_empty(), vpc) {
            let mut all = self.region.ec2.security_groups.values();
            let default = all.find(|group| group.name == "default" && group.vpc_id == vpc);
            groups.extend(default.map(|group| group.id.as_str()));
        }
        groups
    }

    fn profile_arn(&self, cloud: &Cloud) -> Option<String> {
        let name = self.value("IamInstanceProfile.Name", |data| data.profile_name.as_deref());
        let arn = self.value("IamInstanceProfile.Arn", |data| data.profile_arn.as_deref());
        let by_name = || name.and_then(|name| cloud.iam.instance_profiles.get(name)).map(|profile| profile.arn.clone());
        arn.map(str::to_owned).or_else(by_name)
    }

    fn instance_keys(&self, cloud: &Cloud) -> Context {
        let mut context = Context::default()
            .with("ec2:RootDeviceType", "ebs")
            .with("ec2:Tenancy", "default")
            .with("ec2:InstanceMarketType", "on-demand");
        let instance_type = self.value("InstanceType", |data| data.instance_type.as_deref());
        context.set("ec2:InstanceType", instance_type.unwrap_or("t2.micro"));
        context.maybe("ec2:InstanceProfile", self.profile_arn(cloud));
        let optimized = || self.template.and_then(|(_, data)| data.ebs_optimized).unwrap_or(false).to_string();
        let optimized = first(self.parameters, "EbsOptimized").map_or_else(optimized, str::to_owned);
        context.set("ec2:EbsOptimized", optimized);
        let tokens = self.value("MetadataOptions.HttpTokens", |data| data.http_tokens.as_deref());
        context.maybe("ec2:MetadataHttpTokens", tokens);
        let endpoint = self.value("MetadataOptions.HttpEndpoint", |data| data.http_endpoint.as_deref());
        context.maybe("ec2:MetadataHttpEndpoint", endpoint);
        let limit = || self.template.and_then(|(_, data)| data.hop_limit).map(|limit| limit.to_string());
        let limit = first(self.parameters, "MetadataOptions.HttpPutResponseHopLimit").map(str::to_owned).or_else(limit);
        context.maybe("ec2:MetadataHttpPutResponseHopLimit", limit);
        if let Some(subnet) = self.subnet().and_then(|id| self.region.ec2.subnets.get(id)) {
            context.set("ec2:AvailabilityZone", &subnet.zone);
        }
        context
    }

    /// Returns the keys of a new volume. AWS evaluates the volumes of the request; without any, that of the image.
    fn volume_keys(&self) -> Context {
        let mut context = Context::default().with("ec2:Encrypted", "false");
        let device = self.template.and_then(|(_, data)| data.block_devices.first());
        let text = |parameter: &str, of_template: Option<String>| {
            first(self.parameters, parameter).map(str::to_owned).or(of_template)
        };
        let kind = text("BlockDeviceMapping.N.Ebs.VolumeType", device.and_then(|it| it.volume_type.clone()));
        context.set("ec2:VolumeType", kind.unwrap_or_else(|| "gp2".to_owned()));
        let size = device.and_then(|it| it.size_gib).map(|size| size.to_string());
        context.maybe("ec2:VolumeSize", text("BlockDeviceMapping.N.Ebs.VolumeSize", size));
        let encrypted = device.and_then(|it| it.encrypted).map(|it| it.to_string());
        context.maybe("ec2:Encrypted", text("BlockDeviceMapping.N.Ebs.Encrypted", encrypted));
        let iops = device.and_then(|it| it.iops).map(|it| it.to_string());
        context.maybe("ec2:VolumeIops", text("BlockDeviceMapping.N.Ebs.Iops", iops));
        if let Some(subnet) = self.subnet().and_then(|id| self.region.ec2.subnets.get(id)) {
            context.set("ec2:AvailabilityZone", &subnet.zone);
        }
        context
    }
}

fn first<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(known, value)| known == name && !value.is_empty());
    found.map(|(_, value)| value.as_str())
}

fn launched(cloud: &Cloud, region: &str, parameters: &[(String, String)]) -> Vec<RequestedResource> {
    let Some(launch) = Launch::of(cloud, region, parameters) else { return Vec::new() };
    let existing = |kind: &str, id: &str| RequestedResource::new(ec2_arn(cloud.scope(region), kind, id));
    let new = |kind: &str, context: Context| RequestedResource { context, ..existing(kind, "*") };
    let subnet = launch.subnet();
    let mut place = Context::default();
    describe_place(launch.region, subnet.unwrap_or_default(), &mut place);
    let public = first(parameters, "NetworkInterface.N.AssociatePublicIpAddress").map(str::to_owned);
    let of_template = || launch.template.and_then(|(_, data)| data.primary_interface()?.associate_public_ip);
    place.maybe("ec2:AssociatePublicIpAddress", public.or_else(|| of_template().map(|it| it.to_string())));
    let known = launch.interfaces();
    let described = |parameter: &str| parameters.iter().filter(|(name, _)| name == parameter).count();
    let is_created = known.is_empty() || described("NetworkInterface.N.DeviceIndex") > known.len();
    let created = is_created.then(|| new("network-interface", place));
    let image = launch.value("ImageId", |data| data.image_id.as_deref());
    let mut resources: Vec<RequestedResource> = image.iter().map(|id| existing("image", id)).collect();
    resources.push(new("instance", launch.instance_keys(cloud)));
    resources.extend(known.into_iter().map(|id| existing("network-interface", id)).chain(created));
    resources.push(new("volume", launch.volume_keys()));
    resources.extend(launch.subnets().into_iter().map(|id| existing("subnet", id)));
    resources.extend(launch.security_groups(subnet).into_iter().map(|id| existing("security-group", id)));
    let key = launch.value("KeyName", |data| data.key_name.as_deref());
    resources.extend(key.iter().map(|name| existing("key-pair", name)));
    if let Some((template, data)) = launch.template {
        resources.push(existing("launch-template", template));
        for resource in &mut resources {
            resource.context.set("ec2:LaunchTemplate", ec2_arn(cloud.scope(region), "launch-template", template));
            let is_templates =
                |of_template: bool, parameter: &str| of_template && first(parameters, parameter).is_none();
            let is_of_template = match resource.arn.rsplit(':').next().and_then(|it| it.split('/').next()) {
                Some("image") => is_templates(data.image_id.is_some(), "ImageId"),
                Some("key-pair") => is_templates(data.key_name.is_some(), "KeyName"),
                Some("subnet") => is_templates(data.subnet_id.is_some(), "SubnetId"),
                Some("security-group") => is_templates(!data.security_group_ids.is_empty(), "SecurityGroupId.N"),
                _ => false,
            };
            resource.context.set("ec2:IsLaunchTemplateResource", is_of_template.to_string());
        }
    }
    resources
}

fn passed_role(cloud: &Cloud, region: &str, parameters: &[(String, String)]) -> Vec<RequestedResource> {
    let arn = Launch::of(cloud, region, parameters).and_then(|launch| launch.profile_arn(cloud));
    let profile = arn.and_then(|arn| cloud.iam.instance_profiles.values().find(|profile| profile.arn == arn));
    let role = profile.and_then(|profile| cloud.iam.roles.get(profile.role.as_ref()?));
    role.map(|role| RequestedResource::new(&role.arn)).into_iter().collect()
}
