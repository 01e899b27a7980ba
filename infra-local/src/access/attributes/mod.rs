//! Condition keys that describe existing resources: tags and attributes.
//!
//! Source: AWS, "Service Authorization Reference", the condition keys of each service's resource types.

mod ec2;
mod iam;
mod rds;

use super::Context;
use crate::model::tags::Tags;
use crate::model::{ArnScope, Cloud, Region};
pub(super) use ec2::describe_place;

/// Parts of an ARN.
struct Arn<'a> {
    service: &'a str,
    region: &'a str,
    /// Everything after the account.
    resource: &'a str,
}

impl<'a> Arn<'a> {
    fn parse(text: &'a str) -> Option<Arn<'a>> {
        let mut parts = text.splitn(6, ':');
        let (_, _) = (parts.next().filter(|scheme| *scheme == "arn")?, parts.next()?);
        let (service, region) = (parts.next()?, parts.next()?);
        Some(Arn { service, region, resource: parts.nth(1)? })
    }
}

/// Returns the condition keys of the resource with this ARN; none if it does not exist.
pub(super) fn of(cloud: &Cloud, text: &str) -> Context {
    let mut context = Context::default();
    let Some(arn) = Arn::parse(text) else { return context };
    match arn.service {
        "iam" => iam::describe(&cloud.iam, text, &mut context),
        "ec2" => {
            context.set("ec2:Region", arn.region);
            if let Some(region) = cloud.regions.get(arn.region) {
                ec2::describe(region, arn.resource, &mut context);
            }
        }
        _ => {
            if let Some(region) = cloud.regions.get(arn.region) {
                describe_regional(region, &arn, text, &mut context);
            }
        }
    }
    context
}

/// Returns the ARN of a resource that EC2 creates. Images and snapshots can belong to other accounts, so their ARNs
/// contain none.
pub(super) fn new_ec2_arn(scope: ArnScope<'_>, kind: &str) -> String {
    ec2_arn(scope, kind, "*")
}

/// Returns the ARN of a resource of EC2.
pub(crate) fn ec2_arn(scope: ArnScope<'_>, kind: &str, id: &str) -> String {
    match kind {
        "image" | "snapshot" => format!("arn:aws:ec2:{}::{kind}/{id}", scope.region),
        _ => scope.arn("ec2", format_args!("{kind}/{id}")),
    }
}

fn describe_regional(region: &Region, arn: &Arn<'_>, text: &str, context: &mut Context) {
    let (kind, id) = arn.resource.split_once([':', '/']).unwrap_or((arn.resource, ""));
    match (arn.service, kind) {
        ("rds", _) => rds::describe(region, kind, id, context),
        ("elasticloadbalancing", _) => {
            if let Some(tags) = balancing_tags(region, kind, text) {
                context.set_tags("aws:ResourceTag", tags);
                context.set_tags("elasticloadbalancing:ResourceTag", tags);
            }
        }
        ("autoscaling", "autoScalingGroup") => {
            let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
            let tags = region.autoscaling.groups.get(name).map(|group| &group.tags);
            for (key, tag) in tags.into_iter().flatten() {
                context.set(&format!("aws:ResourceTag/{key}"), &tag.value);
                context.set(&format!("autoscaling:ResourceTag/{key}"), &tag.value);
            }
        }
        ("ssm", "parameter") => {
            let parameters = &region.ssm.parameters;
            let found = parameters.get(id).or_else(|| parameters.get(&format!("/{id}")));
            context.set_tags("aws:ResourceTag", found.into_iter().flat_map(|it| &it.tags));
            context.set_tags("ssm:resourceTag", found.into_iter().flat_map(|it| &it.tags));
        }
        ("logs", "log-group") => {
            let name = id.split(':').next().unwrap_or(id);
            context.set_tags("aws:ResourceTag", region.logs.groups.get(name).into_iter().flat_map(|it| &it.tags));
        }
        ("cloudwatch", "alarm") => {
            context.set_tags("aws:ResourceTag", region.cloudwatch.alarms.get(id).into_iter().flat_map(|it| &it.tags));
        }
        ("acm", "certificate") => {
            context.set_tags("aws:ResourceTag", region.acm.certificates.get(text).into_iter().flat_map(|it| &it.tags));
        }
        _ => {}
    }
}

fn balancing_tags<'a>(region: &'a Region, kind: &str, arn: &str) -> Option<&'a Tags> {
    let balancing = &region.elbv2;
    match kind {
        "loadbalancer" => balancing.load_balancers.get(arn).map(|it| &it.tags),
        "targetgroup" => balancing.target_groups.get(arn).map(|it| &it.tags),
        "listener" => balancing.listeners.get(arn).map(|it| &it.tags),
        "listener-rule" => {
            let mut rules = balancing.listeners.values().flat_map(|listener| listener.rules.values());
            rules.find(|rule| rule.arn == arn).map(|rule| &rule.tags)
        }
        _ => None,
    }
}
