//! Resources of IAM's operations, for authorisation.

use super::arn;
use crate::access::Resource;

pub(super) const ROLE: Resource = Resource::Resolved("RoleName", |cloud, _, name| {
    Some(cloud.iam.roles.get(name).map_or_else(|| arn(cloud.account, "role", "/", name), |role| role.arn.clone()))
});
pub(super) const USER: Resource = Resource::Resolved("UserName", |cloud, _, name| {
    Some(cloud.iam.users.get(name).map_or_else(|| arn(cloud.account, "user", "/", name), |user| user.arn.clone()))
});
/// The user of an access key.
pub(super) const USER_OF_KEY: Resource = Resource::Resolved("AccessKeyId", |cloud, _, key| {
    cloud.iam.users.values().find(|user| user.access_keys.contains_key(key)).map(|user| user.arn.clone())
});
pub(super) const GROUP: Resource = Resource::Resolved("GroupName", |cloud, _, name| {
    Some(cloud.iam.groups.get(name).map_or_else(|| arn(cloud.account, "group", "/", name), |group| group.arn.clone()))
});
pub(super) const OIDC_PROVIDER: Resource = Resource::Arn("OpenIDConnectProviderArn");
pub(super) const SAML_PROVIDER: Resource = Resource::Arn("SAMLProviderArn");
pub(super) const NEW_SAML_PROVIDER: Resource =
    Resource::Resolved("Name", |cloud, _, name| Some(format!("arn:aws:iam::{}:saml-provider/{name}", cloud.account)));
pub(super) const NEW_OIDC_PROVIDER: Resource = Resource::Resolved("Url", |cloud, _, url| {
    Some(format!("arn:aws:iam::{}:oidc-provider/{}", cloud.account, url.strip_prefix("https://").unwrap_or(url)))
});
pub(super) const SERVICE_ROLE: Resource = Resource::Resolved("AWSServiceName", |cloud, _, service| {
    Some(arn(cloud.account, "role", &format!("/aws-service-role/{service}/"), "*"))
});
/// The service-linked role of a deletion task.
pub(super) const DELETED_ROLE: Resource = Resource::Resolved("DeletionTaskId", |cloud, _, task| {
    let (path, _) = task.strip_prefix("task")?.rsplit_once('/')?;
    Some(format!("arn:aws:iam::{}:role{path}", cloud.account))
});
pub(super) const PRINCIPAL: Resource = Resource::Arn("PolicySourceArn");
pub(super) const PROFILE: Resource = Resource::Resolved("InstanceProfileName", |cloud, _, name| {
    let profile = cloud.iam.instance_profiles.get(name);
    Some(profile.map_or_else(|| arn(cloud.account, "instance-profile", "/", name), |profile| profile.arn.clone()))
});
pub(super) const POLICY: Resource = Resource::Arn("PolicyArn");
pub(super) const NEW_POLICY: Resource = Resource::Named("PolicyName", "arn:aws:iam::{account}:policy/{}");
