//! A component with the instances of a service: image, launch template, Auto Scaling group and target group.

use crate::{
    Arn, AutoScalingGroup, AutoScalingGroupName, BakedImage, KeyName, LaunchTemplate, LaunchTemplateId, Machine,
    NetworkOutputs, SecurityGroupId, TargetGroup,
};
use infra_core::{Input, Output};

/// A component with an Auto Scaling group of equal hosts behind a load balancer.
///
/// The hosts are launched from an image that is baked from the machine. A changed machine bakes a new image and replaces
/// the instances by an instance refresh.
///
/// ```
/// use infra_aws::{self as aws, Listener, LoadBalancer, Machine, Network, Rule, SecurityGroup, Service, ServiceGroup};
/// use infra_core::{Config, Result, Stack};
///
/// fn program(stack: &Stack, _: &Config) -> Result {
///     let network = Network::new(&aws::region(stack, "us-east-1"), "network", "10.1.0.0/16", 2)?.declare();
///     let access = |name, rule| {
///         let group = SecurityGroup::in_vpc(network.vpc_id.clone());
///         network.region.add(name, SecurityGroup { ingress: vec![rule], ..group }).id
///     };
///     let public = access("balancer-access", Rule::tcp(80).from_anywhere());
///     let private = access("web-access", Rule::tcp(8080).from_group(&public));
///     let balancer = network.region.add("balancer", LoadBalancer::application(network.subnets.clone(), [public]));
///     let machine = Machine::debian().service(Service::cargo_bin("web").listen(8080));
///     let web = ServiceGroup::new(&network, "web", 8080, machine).access(private).health_path("/healthz").declare();
///     network.region.add("listener", Listener::http(80, balancer.arn).forward(web.targets));
///     Ok(())
/// }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
#[must_use = "call `declare` to declare the component"]
#[derive(Clone)]
pub struct ServiceGroup<'a> {
    network: &'a NetworkOutputs,
    name: String,
    port: u16,
    machine: Machine,
    instance_type: String,
    security_groups: Vec<Input<SecurityGroupId>>,
    key_name: Option<Input<KeyName>>,
    health_path: Option<String>,
    size: (u32, u32, u32),
}

/// Outputs of a [`ServiceGroup`].
#[derive(Clone, Debug)]
pub struct ServiceGroupOutputs {
    /// ARN of the target group with the instances.
    pub targets: Output<Arn<TargetGroup>>,
    /// Name of the Auto Scaling group.
    pub group: Output<AutoScalingGroupName>,
    /// Id of the launch template.
    pub template_id: Output<LaunchTemplateId>,
}

impl<'a> ServiceGroup<'a> {
    /// Creates a group of one to four `t3.micro` hosts in all subnets of the network, whose service listens on this port.
    pub fn new(network: &'a NetworkOutputs, name: impl Into<String>, port: u16, machine: Machine) -> Self {
        Self {
            network,
            name: name.into(),
            port,
            machine,
            instance_type: "t3.micro".to_owned(),
            security_groups: Vec::new(),
            key_name: None,
            health_path: None,
            size: (1, 2, 4),
        }
    }

    /// Sets the instance type.
    pub fn instance_type(mut self, instance_type: impl Into<String>) -> Self {
        self.instance_type = instance_type.into();
        self
    }

    /// Adds a security group of the hosts; without any, they have the group `default` of the VPC.
    pub fn access(mut self, security_group: impl Into<Input<SecurityGroupId>>) -> Self {
        self.security_groups.push(security_group.into());
        self
    }

    /// Sets the key pair for SSH access to the hosts.
    pub fn key_name(mut self, key_name: impl Into<Input<KeyName>>) -> Self {
        self.key_name = Some(key_name.into());
        self
    }

    /// Sets the HTTP path of the load balancer's health checks; `/` by default.
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Sets the minimum, desired and maximum number of instances; 1, 2 and 4 by default.
    pub fn size(mut self, minimum: u32, desired: u32, maximum: u32) -> Self {
        self.size = (minimum, desired, maximum);
        self
    }

    /// Declares the component and returns its outputs.
    pub fn declare(self) -> ServiceGroupOutputs {
        let Self { network, name, port, machine, instance_type, security_groups, key_name, health_path, size } = self;
        let parts = network.region.component(&name);
        let subnet = Some(network.subnets.index(0));
        let image = parts.add("image", BakedImage { subnet, ..BakedImage::new(instance_type.clone(), machine) });
        let template = parts.add(
            "template",
            LaunchTemplate { security_groups, key_name, ..LaunchTemplate::of_image(instance_type, &image) },
        );
        let targets = TargetGroup { health_path, ..TargetGroup::http(port, network.vpc_id.clone()) };
        let targets = parts.add("targets", targets);
        let (min, desired, max) = size;
        let group = parts.add(
            "group",
            AutoScalingGroup {
                min,
                desired: Some(desired),
                max,
                targets: vec![targets.arn.clone()],
                ..AutoScalingGroup::from(template.version(), network.subnets.clone())
            },
        );
        ServiceGroupOutputs { targets: targets.arn, group: group.name, template_id: template.id }
    }
}
