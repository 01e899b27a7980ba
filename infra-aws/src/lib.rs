//! AWS resources for infra programs, through the official SDK.
//!
//! ```
//! use infra_aws::{self as aws, *};
//! use infra_core::{Config, Result, Stack, output_format, random::Password};
//!
//! /// A web application behind a load balancer, and its database in another region.
//! fn web(stack: &Stack, config: &Config) -> Result {
//!     let virginia = aws::region(stack, "us-east-1");
//!     let ohio = aws::region(stack, "us-east-2");
//!
//!     let password = stack.add("database-password", Password::of_length(32));
//!     let database = PostgresHost::new(&ohio, "database")
//!         .instance_type("t3.micro")
//!         .database("web", "cloud", password.value)
//!         .reachable_from(&virginia)
//!         .declare()?;
//!
//!     let network = virginia.lookup(DefaultVpc);
//!     let access = virginia.add("access", SecurityGroup {
//!         ingress: vec![Rule::tcp(8080).from_anywhere()],
//!         ..SecurityGroup::in_vpc(network.vpc_id.clone())
//!     });
//!     let machine = Machine::debian().service(
//!         Service::cargo_bin("web").env("DATABASE_URL", database.url).listen(8080).health("/healthz"),
//!     );
//!     let template = virginia.add("application", LaunchTemplate {
//!         security_groups: vec![access.id.clone()],
//!         machine,
//!         ..LaunchTemplate::new(config.get_or("instanceType", "t3.micro")?)
//!     });
//!     let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets.clone(), [access.id]));
//!     let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id).health_path("/healthz"));
//!     virginia.add("listener", Listener::http(8080, balancer.arn).forward(targets.arn.clone()));
//!     let group = virginia.add("group", AutoScalingGroup {
//!         min: 1,
//!         max: 4,
//!         desired: Some(2),
//!         targets: vec![targets.arn],
//!         ..AutoScalingGroup::from(template.version(), network.subnets)
//!     });
//!     virginia.add("scale-on-cpu", ScalingPolicy::target_cpu(group.name, 50.0));
//!
//!     stack.export("url", output_format!("http://{}:8080", balancer.dns_name));
//!     Ok(())
//! }
//! # assert!(infra_core::testing::declare(&web).is_ok());
//! ```
//!
//! # Layout
//! - [`region`], [`Region`]: where a program declares
//! - one file per kind of resource, by service: [`ec2`], [`elbv2`], [`acm`], [`autoscaling`], [`cloudwatch`], [`logs`],
//!   [`rds`], [`s3`], [`ssm`], [`iam`], [`sts`]; [`cloudcontrol`] for all others
//! - [`machine`]: what a host runs; [`artifact`]: the programs for it
//! - [`Network`]: a VPC with a way to the internet, as a component
//! - [`PostgresHost`]: a database server, as a component
//! - [`objects`]: states in S3
//! - [`login`]: as whom AWS would be asked
//! - [`policies`]: rules that most stacks want to keep
//! - [`ids`]: typed identifiers
//! - [`key`]: keys of KMS that wrap the key of a store's secrets
//! - [`provider`]: what serves all kinds, and [`Aws`], the clients it goes through
//! - `error`, `wait`, `tags`: what every kind uses

pub mod acm;
pub mod artifact;
pub mod autoscaling;
mod client;
pub mod cloudcontrol;
pub mod cloudwatch;
pub mod ec2;
pub mod elbv2;
mod error;
pub mod iam;
pub mod ids;
pub mod key;
pub mod login;
pub mod logs;
pub mod machine;
mod network;
pub mod objects;
pub mod policies;
mod postgres_host;
mod prelude;
pub mod rds;
mod region;
mod reporting;
pub mod s3;
pub mod ssm;
pub mod sts;
mod tags;
mod wait;

pub use acm::certificate::{Certificate, CertificateOutputs};
pub use artifact::{CargoBin, CargoBinOutputs};
pub use autoscaling::{
    group::{AutoScalingGroup, AutoScalingGroupOutputs, HealthCheck},
    lifecycle_hook::{LifecycleHook, LifecycleHookOutputs, LifecycleResult, Transition},
    refresh::{Protected, Refresh},
    scaling_policy::{Metric, Scaling, ScalingPolicy, ScalingPolicyOutputs},
    scheduled_action::{ScheduledAction, ScheduledActionOutputs},
    settings::{Process, TerminationPolicy},
    steps::{Adjustment, Aggregation, Step, Steps},
};
pub use client::Aws;
pub use cloudcontrol::resource::{CloudResource, CloudResourceOutputs};
pub use cloudwatch::metric_alarm::{AlarmMetric, Comparison, MetricAlarm, MetricAlarmOutputs, MissingData, Statistic};
pub use ec2::{
    baked_image::{BakedImage, BakedImageOutputs},
    default_vpc::{DefaultVpc, DefaultVpcOutputs},
    elastic_ip::{ElasticIp, ElasticIpOutputs},
    existing_vpc::{ExistingVpc, ExistingVpcOutputs},
    image::{Image, ImageOutputs},
    instance::{Instance, InstanceOutputs},
    internet_gateway::{InternetGateway, InternetGatewayOutputs},
    key_pair::{KeyPair, KeyPairOutputs},
    launch_template::{LaunchTemplate, LaunchTemplateOutputs},
    nat_gateway::{NatGateway, NatGatewayOutputs},
    route_table::{Route, RouteTable, RouteTableOutputs},
    rule::{PortRange, Ports, Rule},
    security_group::{SecurityGroup, SecurityGroupOutputs},
    security_group_rule::{Direction, SecurityGroupRule, SecurityGroupRuleOutputs},
    subnet::{Subnet, SubnetOutputs},
    subnets::{Subnets, SubnetsOutputs},
    vpc::{Vpc, VpcOutputs},
    vpc_peering::{VpcPeering, VpcPeeringOutputs},
    zones::{AvailabilityZones, AvailabilityZonesOutputs},
};
pub use elbv2::{
    action::{Action, FixedResponse, Forward, Redirect, Share},
    condition::{Condition, QueryPattern},
    listener::{Listener, ListenerOutputs, ListenerPort},
    listener_rule::{ListenerRule, ListenerRuleOutputs},
    load_balancer::{LoadBalancer, LoadBalancerOutputs, Scheme},
    target_group::{Protocol, TargetGroup, TargetGroupOutputs, TargetType},
    target_group_attachment::{TargetGroupAttachment, TargetGroupAttachmentOutputs},
};
pub use error::AwsError;
pub use iam::{
    instance_profile::{InstanceProfile, InstanceProfileOutputs},
    role::{Role, RoleOutputs},
    role_policy::{RolePolicy, RolePolicyOutputs},
};
pub use ids::{
    AlarmName, AllocationId, Arn, AutoScalingGroupName, DbClusterId, DbClusterParameterGroupName, DbInstanceId,
    DbParameterGroupName, DbSubnetGroupName, ImageId, InstanceId, InstanceProfileName, InternetGatewayId, KeyName,
    LaunchTemplateId, LaunchTemplateVersion, LogGroupName, NatGatewayId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, VpcId, VpcPeeringId,
};
pub use logs::log_group::{LogGroup, LogGroupOutputs};
pub use machine::{Architecture, Machine, Postgres, Service};
pub use network::{Network, NetworkOutputs};
pub use postgres_host::{PostgresHost, PostgresHostOutputs};
pub use rds::{
    cluster::{DbCluster, DbClusterOutputs},
    cluster_parameter_group::{DbClusterParameterGroup, DbClusterParameterGroupOutputs},
    instance::{DbInstance, DbInstanceOutputs},
    parameter_group::{DbParameterGroup, DbParameterGroupOutputs},
    subnet_group::{DbSubnetGroup, DbSubnetGroupOutputs},
};
pub use region::{AwsResource, Region, region};
pub use s3::{
    bucket::{Bucket, BucketOutputs},
    object::{BucketObject, BucketObjectOutputs},
};
pub use ssm::parameter::{Parameter, ParameterOutputs};
pub use sts::caller_identity::{CallerIdentity, CallerIdentityOutputs};

use infra_core::{
    Target,
    provider::{Provider, Registry},
};
use reporting::Reporting;
use std::sync::Arc;

/// Returns the provider of all kinds of AWS resources for a stack with this target.
pub fn provider(target: &Target) -> Arc<dyn Provider> {
    provider_through(Aws::new(target))
}

/// Returns the provider of all kinds of AWS resources that calls AWS through these clients.
pub fn provider_through(aws: Aws) -> Arc<dyn Provider> {
    Arc::new(Reporting(registry(aws)))
}

/// Every kind that is served, in one list.
macro_rules! kinds {
    (resources: $($resource:ty,)+; lookups: $($lookup:ty,)*) => {
        fn registry(aws: Aws) -> Registry<Aws> {
            Registry::new(aws).regional()
                $(.resource::<$resource>())+
                $(.lookup::<$lookup>())*
        }

        #[cfg(test)]
        fn shapes() -> Vec<tests::Shape> {
            vec![
                $(tests::Shape::resource::<$resource>(),)+
                $(tests::Shape::lookup::<$lookup>(),)*
            ]
        }
    };
}

kinds! {
    resources:
        // ec2
        BakedImage,
        ElasticIp,
        Instance,
        InternetGateway,
        KeyPair,
        LaunchTemplate,
        NatGateway,
        RouteTable,
        SecurityGroup,
        SecurityGroupRule,
        Subnet,
        Vpc,
        VpcPeering,
        // elbv2
        LoadBalancer,
        TargetGroup,
        Listener,
        ListenerRule,
        TargetGroupAttachment,
        // acm
        Certificate,
        // autoscaling
        AutoScalingGroup,
        LifecycleHook,
        ScalingPolicy,
        ScheduledAction,
        // cloudcontrol
        CloudResource,
        // cloudwatch
        MetricAlarm,
        // logs
        LogGroup,
        // rds
        DbInstance,
        DbCluster,
        DbClusterParameterGroup,
        DbSubnetGroup,
        DbParameterGroup,
        // s3
        Bucket,
        BucketObject,
        // ssm
        Parameter,
        // iam
        Role,
        RolePolicy,
        InstanceProfile,
    ;
    lookups:
        AvailabilityZones,
        CallerIdentity,
        CargoBin,
        DefaultVpc,
        ExistingVpc,
        Image,
        Subnets,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{Lookup, Schema};
    use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};

    /// What the structs of a kind say of it, and what its schema says.
    pub(super) struct Shape {
        kind: &'static str,
        fields: Vec<&'static str>,
        schema: Schema,
    }

    impl Shape {
        pub(super) fn resource<R: AwsResource>() -> Self {
            let fields = [fields::<R>(), fields::<R::Outputs>()].concat();
            Self { kind: R::TYPE, fields, schema: R::schema() }
        }

        pub(super) fn lookup<L: Lookup>() -> Self {
            let fields = [fields::<L>(), fields::<L::Outputs>()].concat();
            Self { kind: L::TYPE, fields, schema: L::schema() }
        }
    }

    fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
        let mut names = Vec::new();
        let _ = T::deserialize(Names(&mut names));
        names
    }

    /// Deserialises nothing, but notes the fields that a struct asks for.
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend(fields);
            Err(Error::custom("noted"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Error::custom("not a struct"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit newtype_struct
            unit_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    #[test]
    fn schemas_speak_of_properties_that_exist() {
        let shapes = shapes();
        assert_eq!(shapes.len(), registry(Aws::new(&Target::aws())).kinds().len(), "two kinds have one type token");
        for Shape { kind, fields, schema } in shapes {
            assert!(kind.starts_with("aws:"), "{kind}");
            for name in schema.mentioned() {
                assert!(fields.contains(&name), "{kind} has no property `{name}`, only {fields:?}");
            }
        }
    }
}
