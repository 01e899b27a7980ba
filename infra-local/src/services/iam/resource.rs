//! Resources of IAM's operations, for authorisation.

use super::arn;
use crate::access::Resource;

pub(super) const ROLE: Resource = Resource::Resolved("RoleName", |cloud, _, name| {
    Some(cloud.iam.roles.get(name).map_or_else(|| arn("role", "/", name), |role| role.arn.clone()))
});
pub(super) const USER: Resource = Resource::Resolved("UserName", |cloud, _, name| {
    Some(cloud.iam.users.get(name).map_or_else(|| arn("user", "/", name), |user| user.arn.clone()))
});
pub(super) const PROFILE: Resource = Resource::Resolved("InstanceProfileName", |cloud, _, name| {
    let profile = cloud.iam.instance_profiles.get(name);
    Some(profile.map_or_else(|| arn("instance-profile", "/", name), |profile| profile.arn.clone()))
});
pub(super) const POLICY: Resource = Resource::Arn("PolicyArn");
pub(super) const NEW_POLICY: Resource = Resource::Named("PolicyName", "arn:aws:iam::{account}:policy/{}");
