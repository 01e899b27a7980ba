//! The provider of all kinds, and the regions in which programs declare them.

#[cfg(feature = "autoscaling")]
use crate::policies;
#[allow(clippy::wildcard_imports)]
use crate::*;
#[cfg(feature = "autoscaling")]
use infra_core::policy::Enforcement;
use infra_core::{
    Scope, Target,
    provider::{Provider, Registry},
};
use reporting::Reporting;
use std::sync::Arc;

/// Returns the provider of all kinds of AWS resources for a stack with this target.
pub fn provider(target: &Target) -> Arc<dyn Provider> {
    provider_with_clients(Aws::new(target))
}

/// Returns the provider of all kinds of AWS resources that calls AWS through these clients.
pub fn provider_with_clients(aws: Aws) -> Arc<dyn Provider> {
    Arc::new(Reporting(registry(aws)))
}

/// Returns a region of a stack: `let virginia = aws::region(stack, "us-east-1");`.
///
/// With the feature `autoscaling`, the first region of a stack adds two policies: `policies::open_paths` as an advisory
/// policy, and on a local target `policies::runs_on` for the machine of that target.
pub fn region(scope: &Scope, name: &str) -> Region {
    scope.provide("aws", || {
        add_policies(scope);
        provider(scope.target())
    });
    Region::of(scope, name)
}

/// Adds the policies that apply to every stack.
#[cfg(feature = "autoscaling")]
fn add_policies(scope: &Scope) {
    scope.policy(policies::open_paths(Enforcement::Advisory));
    if let Some(host) = &scope.target().host {
        scope.policy(policies::runs_on(host.clone()));
    }
}

#[cfg(not(feature = "autoscaling"))]
fn add_policies(_: &Scope) {}

/// Returns the expression that declares resources in a region, for the code that an import prints.
fn in_region(name: &str) -> String {
    format!("aws::region(stack, {name:?})")
}

/// Lists the kinds of each service, by feature.
macro_rules! kinds {
    ($($feature:literal: resources $resources:tt lookups $lookups:tt)+) => {
        fn registry(aws: Aws) -> Registry<Aws> {
            let endpoint = aws.endpoint().map(str::to_owned);
            let registry = Registry::new(aws).regional(in_region).calling(endpoint);
            $(
                #[cfg(feature = $feature)]
                let registry = kinds!(@register registry resource $resources lookup $lookups);
            )+
            #[cfg(feature = "cloudcontrol")]
            let registry = registry.family::<CloudResource>(cloudcontrol::typed::FAMILY);
            registry
        }
    };
    (@register $registry:ident resource [$($resource:ty),*] lookup [$($lookup:ty),*]) => {
        $registry $(.resource::<$resource>())* $(.lookup::<$lookup>())*
    };
}

kinds! {
    "acm": resources [Certificate] lookups []
    "autoscaling": resources [AutoScalingGroup, LifecycleHook, ScalingPolicy, ScheduledAction] lookups []
    "cloudcontrol": resources [CloudResource] lookups []
    "cloudwatch": resources [MetricAlarm] lookups []
    "ec2": resources [
        BakedImage, ElasticIp, Instance, InternetGateway, KeyPair, LaunchTemplate, NatGateway, RouteTable, SecurityGroup,
        SecurityGroupRule, Subnet, Vpc, VpcPeering
    ] lookups [AvailabilityZones, CargoBin, DefaultVpc, ExistingVpc, Image, Subnets]
    "elbv2": resources [LoadBalancer, TargetGroup, Listener, ListenerRule, TargetGroupAttachment] lookups []
    "iam": resources [Role, RolePolicy, InstanceProfile] lookups []
    "logs": resources [LogGroup] lookups []
    "rds": resources [DbInstance, DbCluster, DbClusterParameterGroup, DbSubnetGroup, DbParameterGroup] lookups []
    "s3": resources [Bucket, BucketObject] lookups []
    "ssm": resources [Parameter] lookups []
    "sts": resources [] lookups [CallerIdentity]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_distinct_type_token() {
        let kinds = registry(Aws::new(&Target::aws())).kinds();
        assert_eq!(kinds.len(), 44);
        assert!(kinds.iter().all(|kind| kind.starts_with("aws:")), "{kinds:?}");
    }
}
