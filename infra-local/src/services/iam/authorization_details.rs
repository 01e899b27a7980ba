//! All users, groups, roles and policies of the account, with their relations.
//!
//! Source: IAM API reference, `GetAccountAuthorizationDetails`.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::{policy, render as render_policy, render_version};
use super::{IamOperation, PAGES, encode_policy, group, instance_profile, page, role, user, validation, with_page};
use crate::model::Cloud;
use crate::model::iam::{Group, Iam, ManagedPolicy, Role, User};
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] =
    &[Operation::reads("GetAccountAuthorizationDetails", details, &[&["Filter.N"], PAGES]).on_any()];

/// Kinds of entities, as the filter names them.
const KINDS: &[&str] = &["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

/// An entity of the account.
enum Entity<'a> {
    User(&'a User),
    Group(&'a Group),
    Role(&'a Role),
    Policy(ManagedPolicy),
}

fn details(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let filter = call.input.texts("Filter");
    if let Some(unknown) = filter.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(validation(format!(
            "1 validation error detected: Value '[{unknown}]' at 'filter' failed to satisfy constraint: Member must \
             satisfy constraint: [Member must satisfy enum value set: [{}]]",
            KINDS.join(", ")
        )));
    }
    let wanted = |kind: &str| filter.is_empty() || filter.iter().any(|known| known == kind);
    let iam = &cloud.iam;
    let page = page(entities(iam, wanted), &call.input, |(key, _): &(String, Entity<'_>)| key)?;
    let list = |render: &dyn Fn(&Entity<'_>) -> Option<Node>| -> Vec<Node> {
        page.items.iter().filter_map(|(_, entity)| render(entity)).collect()
    };
    let node = Node::new()
        .list(
            "UserDetailList",
            list(&|it| if let Entity::User(user) = it { Some(user_detail(iam, user)) } else { None }),
        )
        .list(
            "GroupDetailList",
            list(&|it| if let Entity::Group(group) = it { Some(group_detail(group)) } else { None }),
        )
        .list(
            "RoleDetailList",
            list(&|it| if let Entity::Role(role) = it { Some(role_detail(iam, role)) } else { None }),
        )
        .list("Policies", list(&|it| if let Entity::Policy(it) = it { Some(policy_detail(iam, it)) } else { None }));
    Ok(with_page(node, page.next))
}

/// Returns the entities of the wanted kinds, with unique keys for pages.
fn entities(iam: &Iam, wanted: impl Fn(&str) -> bool) -> Vec<(String, Entity<'_>)> {
    let mut found = Vec::new();
    if wanted("User") {
        found.extend(iam.users.values().map(|it| (format!("user/{}", it.name), Entity::User(it))));
    }
    if wanted("Group") {
        found.extend(iam.groups.values().map(|it| (format!("group/{}", it.name), Entity::Group(it))));
    }
    if wanted("Role") {
        found.extend(iam.roles.values().map(|it| (format!("role/{}", it.name), Entity::Role(it))));
    }
    if wanted("LocalManagedPolicy") {
        found.extend(iam.policies.values().map(|it| (format!("policy/{}", it.arn), Entity::Policy(it.clone()))));
    }
    if wanted("AWSManagedPolicy") {
        // AWS returns those of its policies that are in use.
        let of_roles = iam.roles.values().flat_map(|role| &role.attached_policies);
        let of_users = iam.users.values().flat_map(|user| &user.attached_policies);
        let of_groups = iam.groups.values().flat_map(|group| &group.attached_policies);
        let attached: BTreeSet<&String> = of_roles.chain(of_users).chain(of_groups).collect();
        let of_aws = attached.into_iter().filter(|arn| !iam.policies.contains_key(*arn));
        let of_aws = of_aws.filter_map(|arn| policy(iam, arn).ok());
        found.extend(of_aws.map(|it| (format!("policy/{}", it.arn), Entity::Policy(it))));
    }
    found
}

fn user_detail(iam: &Iam, user: &User) -> Node {
    user::render(user)
        .list("UserPolicyList", inline(&user.inline_policies))
        .list("GroupList", iam.groups_of(&user.name).map(|group| &group.name))
        .list("AttachedManagedPolicies", attached(&user.attached_policies))
}

fn group_detail(group: &Group) -> Node {
    group::render(group)
        .list("GroupPolicyList", inline(&group.inline_policies))
        .list("AttachedManagedPolicies", attached(&group.attached_policies))
}

fn role_detail(iam: &Iam, role: &Role) -> Node {
    let profiles = iam.instance_profiles.values().filter(|profile| profile.role.as_ref() == Some(&role.name));
    role::render(role)
        .list("InstanceProfileList", profiles.map(|profile| instance_profile::render(iam, profile)))
        .list("RolePolicyList", inline(&role.inline_policies))
        .list("AttachedManagedPolicies", attached(&role.attached_policies))
}

fn policy_detail(iam: &Iam, policy: &ManagedPolicy) -> Node {
    let versions = policy.versions.keys().map(|number| render_version(policy, *number, true));
    render_policy(iam, policy).list("PolicyVersionList", versions)
}

fn inline(policies: &BTreeMap<String, String>) -> impl Iterator<Item = Node> {
    policies.iter().map(|(name, text)| Node::new().with("PolicyName", name).with("PolicyDocument", encode_policy(text)))
}

fn attached(arns: &BTreeSet<String>) -> impl Iterator<Item = Node> {
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or_default().to_owned();
    arns.iter().map(move |arn| Node::new().with("PolicyName", name(arn)).with("PolicyArn", arn))
}
