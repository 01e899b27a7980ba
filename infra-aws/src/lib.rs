//! AWS resources for infra programs, based on the official AWS SDK for Rust.
//!
//! # Tutorial
//! A program declares resources through a [`Region`]. The outputs of a resource are inputs of others, which orders them. A
//! preview without lookups needs neither credentials nor a network:
//!
//! ```
//! use infra_aws::{self as aws, InternetGateway, Route, RouteTable, Subnet, Vpc};
//! use infra_core::{Config, Engine, Result, Stack, diff::Action, engine::EngineError, store::MemoryStore};
//!
//! /// Declares a VPC with a public subnet.
//! fn network(stack: &Stack, config: &Config) -> Result {
//!     let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
//!     let vpc = region.add("vpc", Vpc::new("10.0.0.0/16").dns_hostnames());
//!     let gateway = region.add("gateway", InternetGateway::of(&vpc.id));
//!     let subnet = region.add("subnet", Subnet::of(&vpc.id, "10.0.1.0/24").public());
//!     let route = Route::to("0.0.0.0/0").by_internet_gateway(gateway.id);
//!     region.add("routes", RouteTable::of(&vpc.id).route(route).subnet(&subnet.id));
//!     stack.export("subnet", subnet.id);
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), EngineError> {
//! let engine = Engine::new("network", "dev", MemoryStore::new());
//! let plan = engine.preview(&network).await?;
//! print!("{plan}");
//! assert_eq!(plan.counts()[&Action::Create], 4);
//! # Ok(())
//! # }
//! ```
//!
//! `engine.up(&network)` would create the resources with the credentials that the AWS SDK finds. With
//! [`Target::local`](infra_core::Target::local) as its target, the engine creates them in a local cloud. The crate
//! infra-cli makes a command line of the program.
//!
//! # A larger program
//! A web application behind a load balancer, and its database in another region:
//!
//! ```
//! use infra_aws::{self as aws, *};
//! use infra_core::{Config, Result, Stack, output_format, random::Password};
//!
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
//! # Pages of the kinds
//! The page of each kind lists the API operations that it calls, the inputs whose change replaces a resource, and the id for
//! an import. These rules apply to all kinds:
//!
//! - **Names.** A resource that is declared without a name gets the name of its declaration with a suffix that is unique in
//!   the stack and for each replacement. A replacement with a declared name fails if the name must be unique while both
//!   resources exist; [`Options::delete_before_replace`](infra_core::Options::delete_before_replace) reverses the order.
//! - **Replacement.** The new resource is created first. The previous one is deleted when all its dependents use the new
//!   one, unless the page says that it is deleted first.
//! - **Tags.** A new resource of a kind with tags has the tags `Name`, `infra:program`, `infra:stack`, `infra:urn` and
//!   `infra:operation`, and the declared ones. `Name` is the name of the declaration, unless the program declares the tag.
//!   Keys that begin with `infra:` or `aws:` are refused. Tags that others add are kept.
//! - **Interrupted runs.** A create whose response was lost is looked for by its client token, name, key or tag
//!   `infra:operation`, mostly by the operations of a read, and is then recorded or repeated.
//! - **Deletion.** A resource that does not exist any more counts as deleted. A deletion waits for resources that are being
//!   deleted as well.
//! - **Import.** `stack import TYPE NAME ID --region REGION` records an existing resource under the name of its declaration,
//!   without changing it, and prints the code of the declaration. `--file` imports many.
//!
//! # Features
//! Each service has a feature with the name of its module, such as `ec2` and `s3`; all are enabled by default. A feature
//! enables the SDK crate of its service and those of the services that its resource kinds use.
//!
//! # Layout
//! - [`region`], [`Region`]: the region of a stack, in which a program declares resources
//! - one file per resource kind, by service: [`ec2`], [`elbv2`], [`acm`], [`autoscaling`], [`cloudwatch`], [`logs`],
//!   [`rds`], [`s3`], [`ssm`], [`iam`], [`sts`]; [`cloudcontrol`] for all other CloudFormation types
//! - [`machine`]: the configuration of a host; [`artifact`]: its programs
//! - [`Network`]: a component with a VPC and its route to the internet
//! - [`PostgresHost`]: a component with a database server; [`ReplicatedDatabase`]: one with a primary and its standbys
//! - [`objects`]: states in S3
//! - [`bindings`]: types that generated modules use; [`schemas`]: schemas of CloudFormation types
//! - [`login`]: the AWS identity of a target
//! - [`cloudtrail`]: the callers that changed resources
//! - [`monitoring`]: CloudWatch's metrics and logs for the console
//! - [`instances`]: the instances of a stack for `exec`, `shell` and `forward`
//! - [`policies`]: policies for common rules
//! - [`ids`]: typed identifiers
//! - [`key`]: KMS keys that encrypt a store's data key
//! - [`provider`]: the provider of all kinds; [`Aws`]: the SDK clients that it uses
//! - `error`, `wait`, `tags`: helpers of the resource kinds

// With some services only, helpers of the others are unused.
#![cfg_attr(not(feature = "default"), allow(dead_code, unused_imports))]

#[cfg(feature = "acm")]
pub mod acm;
#[cfg(feature = "ec2")]
mod architecture;
#[cfg(feature = "ec2")]
pub mod artifact;
#[cfg(feature = "autoscaling")]
pub mod autoscaling;
mod client;
#[cfg(feature = "cloudcontrol")]
pub mod cloudcontrol;
#[cfg(feature = "cloudtrail")]
pub mod cloudtrail;
#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(feature = "ec2")]
pub mod ec2;
#[cfg(feature = "elbv2")]
pub mod elbv2;
mod error;
#[cfg(feature = "iam")]
pub mod iam;
pub mod ids;
#[cfg(feature = "ec2")]
pub mod instances;
#[cfg(feature = "kms")]
pub mod key;
#[cfg(feature = "sts")]
pub mod login;
#[cfg(feature = "logs")]
pub mod logs;
#[cfg(feature = "ec2")]
pub mod machine;
#[cfg(all(feature = "cloudwatch", feature = "logs"))]
pub mod monitoring;
#[cfg(feature = "ec2")]
mod network;
#[cfg(feature = "s3")]
pub mod objects;
#[cfg(feature = "autoscaling")]
pub mod policies;
#[cfg(feature = "ec2")]
mod postgres_host;
mod prelude;
mod provider;
#[cfg(feature = "rds")]
pub mod rds;
mod region;
#[cfg(feature = "ec2")]
mod replicated_database;
mod reporting;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "cloudcontrol")]
pub mod schemas;
#[cfg(feature = "autoscaling")]
mod service_group;
#[cfg(feature = "ssm")]
pub mod ssm;
#[cfg(feature = "sts")]
pub mod sts;
mod tags;
#[cfg(any(feature = "ec2", feature = "rds"))]
mod url;
mod wait;

/// Types that modules of `stack bindings` use.
#[cfg(feature = "cloudcontrol")]
pub mod bindings {
    pub use crate::{
        cloudcontrol::{
            resource::CloudResourceOutputs,
            typed::{CloudType, declare},
        },
        region::{Declare, Region},
    };
    #[doc(hidden)]
    pub use serde::{self, Serialize};
}

#[cfg(feature = "acm")]
pub use acm::certificate::{Certificate, CertificateOutputs};
#[cfg(feature = "ec2")]
pub use artifact::{CargoBin, CargoBinOutputs};
#[cfg(feature = "autoscaling")]
pub use autoscaling::{
    group::{AutoScalingGroup, AutoScalingGroupOutputs, HealthCheck},
    lifecycle_hook::{LifecycleHook, LifecycleHookOutputs, LifecycleResult, Transition},
    refresh::{Protected, Refresh},
    scaling_policy::{Metric, Scaling, ScalingPolicy, ScalingPolicyOutputs, TargetTracking},
    scheduled_action::{ScheduledAction, ScheduledActionOutputs},
    settings::{Process, TerminationPolicy},
    steps::{Adjustment, Aggregation, Step, Steps},
};
pub use client::Aws;
#[cfg(feature = "cloudcontrol")]
pub use cloudcontrol::resource::{CloudResource, CloudResourceOutputs};
#[cfg(feature = "cloudwatch")]
pub use cloudwatch::metric_alarm::{AlarmMetric, Comparison, MetricAlarm, MetricAlarmOutputs, MissingData, Statistic};
#[cfg(feature = "ec2")]
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
#[cfg(feature = "elbv2")]
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
#[cfg(feature = "iam")]
pub use iam::{
    instance_profile::{InstanceProfile, InstanceProfileOutputs},
    role::{Role, RoleOutputs},
    role_policy::{RolePolicy, RolePolicyOutputs},
};
pub use ids::{
    AlarmName, AllocationId, Arn, AutoScalingGroupName, DbClusterId, DbClusterParameterGroupName, DbInstanceId,
    DbParameterGroupName, DbSubnetGroupName, ImageId, InstanceId, InstanceProfileName, InternetGatewayId, KeyName,
    LaunchTemplateId, LaunchTemplateVersion, LogGroupName, NatGatewayId, NetworkInterfaceId, RouteTableId,
    SecurityGroupId, SecurityGroupRuleId, SubnetId, VpcId, VpcPeeringId,
};
#[cfg(feature = "logs")]
pub use logs::log_group::{LogGroup, LogGroupOutputs};
#[cfg(feature = "ec2")]
pub use machine::{Architecture, Database, Machine, MariaDb, Postgres, Program, Replication, Service};
#[cfg(feature = "ec2")]
pub use network::{Network, NetworkOutputs};
#[cfg(feature = "ec2")]
pub use postgres_host::{PostgresHost, PostgresHostOutputs};
pub use provider::{provider, provider_with_clients, region};
#[cfg(feature = "rds")]
pub use rds::{
    cluster::{DbCluster, DbClusterOutputs},
    cluster_parameter_group::{DbClusterParameterGroup, DbClusterParameterGroupOutputs},
    instance::{DbInstance, DbInstanceOutputs},
    parameter_group::{DbParameterGroup, DbParameterGroupOutputs},
    subnet_group::{DbSubnetGroup, DbSubnetGroupOutputs},
};
pub use region::{AwsResource, Declare, Region};
#[cfg(feature = "ec2")]
pub use replicated_database::{DatabaseMember, ReplicatedDatabase, ReplicatedDatabaseOutputs};
#[cfg(feature = "s3")]
pub use s3::{
    bucket::{Bucket, BucketOutputs},
    object::{BucketObject, BucketObjectOutputs},
};
#[cfg(feature = "autoscaling")]
pub use service_group::{ServiceGroup, ServiceGroupOutputs};
#[cfg(feature = "ssm")]
pub use ssm::parameter::{Parameter, ParameterOutputs};
#[cfg(feature = "sts")]
pub use sts::caller_identity::{CallerIdentity, CallerIdentityOutputs};
