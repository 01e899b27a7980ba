//! Resources of Elastic Load Balancing's operations, for authorisation.

use crate::access::Resource;

pub(super) const LOAD_BALANCER: Resource = Resource::Arn("LoadBalancerArn");
pub(super) const NEW_LOAD_BALANCER: Resource =
    Resource::Named("Name", "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/app/{}/*");
pub(super) const TARGET_GROUP: Resource = Resource::Arn("TargetGroupArn");
pub(super) const NEW_TARGET_GROUP: Resource =
    Resource::Named("Name", "arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/{}/*");
pub(super) const LISTENER: Resource = Resource::Arn("ListenerArn");
pub(super) const RULE: Resource = Resource::Arn("RuleArn");
pub(super) const RULES: Resource = Resource::Arn("RulePriorities.N.RuleArn");
pub(super) const TAGGED: Resource = Resource::Arn("ResourceArns.N");
