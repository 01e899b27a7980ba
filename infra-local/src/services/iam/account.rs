//! The account: its alias, and the numbers of its entities.
//!
//! Source: IAM API reference, `GetAccountSummary`, `CreateAccountAlias` and related operations; AWS IAM User Guide, "IAM
//! and AWS STS quotas".

use super::{IamOperation, PAGES, already_exists, limit_exceeded, no_such_entity, page, validation, with_page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::reads("GetAccountSummary", summary, &[]).on_any(),
    Operation::writes("CreateAccountAlias", create_alias, &[&["AccountAlias"]]).on_any(),
    Operation::writes("DeleteAccountAlias", delete_alias, &[&["AccountAlias"]]).on_any(),
    Operation::reads("ListAccountAliases", list_aliases, &[PAGES]).on_any(),
];

/// Refuses another entity when the account has `count` of them and the quota with this name is reached.
pub(super) fn check_quota(name: &str, count: usize) -> Outcome<()> {
    let most = QUOTAS.iter().find(|(known, _)| known.strip_suffix("Quota") == Some(name)).map(|(_, most)| *most);
    match most {
        Some(most) if count >= most => Err(limit_exceeded(format!("Cannot exceed quota for {name}PerAccount: {most}"))),
        _ => Ok(()),
    }
}

/// AWS's default quotas, as the summary reports them.
const QUOTAS: &[(&str, usize)] = &[
    ("AccessKeysPerUserQuota", 2),
    ("AssumeRolePolicySizeQuota", 2048),
    ("AttachedPoliciesPerGroupQuota", 10),
    ("AttachedPoliciesPerRoleQuota", 10),
    ("AttachedPoliciesPerUserQuota", 10),
    ("GroupPolicySizeQuota", 5120),
    ("GroupsPerUserQuota", 10),
    ("GroupsQuota", 300),
    ("InstanceProfilesQuota", 1000),
    ("PoliciesQuota", 1500),
    ("PolicySizeQuota", 6144),
    ("PolicyVersionsInUseQuota", 10_000),
    ("RolePolicySizeQuota", 10_240),
    ("RolesQuota", 1000),
    ("ServerCertificatesQuota", 20),
    ("SigningCertificatesPerUserQuota", 2),
    ("UserPolicySizeQuota", 2048),
    ("UsersQuota", 5000),
    ("VersionsPerPolicyQuota", 5),
];

#[allow(clippy::unnecessary_wraps)]
fn summary(cloud: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let iam = &cloud.iam;
    let in_use: usize = iam.policies.keys().map(|arn| iam.attachments(arn)).filter(|count| *count > 0).count();
    let counts = [
        // The root user's key is not one of the account's IAM entities, but AWS reports its presence.
        ("AccountAccessKeysPresent", 1),
        ("AccountMFAEnabled", 0),
        ("AccountPasswordPresent", 0),
        ("AccountSigningCertificatesPresent", 0),
        ("Groups", iam.groups.len()),
        ("InstanceProfiles", iam.instance_profiles.len()),
        ("MFADevices", 0),
        ("MFADevicesInUse", 0),
        ("Policies", iam.policies.len()),
        ("PolicyVersionsInUse", in_use),
        ("Providers", iam.oidc_providers.len() + iam.saml_providers.len()),
        ("Roles", iam.roles.len()),
        ("ServerCertificates", 0),
        ("Users", iam.users.len()),
    ];
    let mut map = Node::new();
    for (key, value) in counts.iter().chain(QUOTAS) {
        map = map.with("entry", Node::new().with("key", *key).with("value", *value));
    }
    Ok(Node::new().with("SummaryMap", map))
}

fn create_alias(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let alias = call.input.required("AccountAlias")?;
    let valid = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let is_valid = (3..=63).contains(&alias.len())
        && alias.chars().all(valid)
        && !alias.starts_with('-')
        && !alias.ends_with('-')
        && !alias.contains("--");
    if !is_valid {
        return Err(validation(format!(
            "1 validation error detected: Value '{alias}' at 'accountAlias' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: ^[a-z0-9]([a-z0-9]|-(?!-)){{1,61}}[a-z0-9]$"
        )));
    }
    if cloud.iam.account_alias.as_deref() == Some(alias) {
        return Err(already_exists(&format!("The account alias {alias}")));
    }
    cloud.iam.account_alias = Some(alias.to_owned());
    Ok(Node::new())
}

fn delete_alias(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let alias = call.input.required("AccountAlias")?;
    if cloud.iam.account_alias.as_deref() != Some(alias) {
        return Err(no_such_entity(&format!("The account alias {alias}")));
    }
    cloud.iam.account_alias = None;
    Ok(Node::new())
}

fn list_aliases(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let page = page(cloud.iam.account_alias.iter().collect(), &call.input, |alias: &&String| alias)?;
    Ok(with_page(Node::new().list("AccountAliases", page.items), page.next))
}
