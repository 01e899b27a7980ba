//! Managed policies: customer managed ones with their versions, and the supported AWS managed ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IamOperation, PAGES, TAGS, already_exists, arn, check_policy, delete_conflict, encode_policy, name, no_such_entity,
    page, path, resource, unique_id, validation, with_page,
};
use crate::access::managed_document;
use crate::model::Cloud;
use crate::model::Tags;
use crate::model::iam::{Iam, ManagedPolicy, PolicyVersion};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreatePolicy", create, &[&["PolicyName", "Path", "Description", "PolicyDocument"], TAGS])
        .on(&[resource::NEW_POLICY]),
    Operation::reads("GetPolicy", read, &[&["PolicyArn"]]).on(&[resource::POLICY]),
    Operation::reads("ListPolicies", list, &[&["Scope", "OnlyAttached", "PathPrefix"], PAGES]).on_any(),
    Operation::writes("DeletePolicy", delete, &[&["PolicyArn"]]).on(&[resource::POLICY]),
    Operation::writes("CreatePolicyVersion", create_version, &[&["PolicyArn", "PolicyDocument", "SetAsDefault"]])
        .on(&[resource::POLICY]),
    Operation::reads("GetPolicyVersion", read_version, &[&["PolicyArn", "VersionId"]]).on(&[resource::POLICY]),
    Operation::reads("ListPolicyVersions", list_versions, &[&["PolicyArn"], PAGES]).on(&[resource::POLICY]),
    Operation::writes("SetDefaultPolicyVersion", set_default, &[&["PolicyArn", "VersionId"]]).on(&[resource::POLICY]),
    Operation::writes("DeletePolicyVersion", delete_version, &[&["PolicyArn", "VersionId"]]).on(&[resource::POLICY]),
    Operation::writes("TagPolicy", tag, &[&["PolicyArn"], TAGS]).on(&[resource::POLICY]),
    Operation::writes("UntagPolicy", untag, &[&["PolicyArn", "TagKeys.N"]]).on(&[resource::POLICY]),
    Operation::reads("ListPolicyTags", list_tags, &[&["PolicyArn"], PAGES]).on(&[resource::POLICY]),
    Operation::reads("ListEntitiesForPolicy", list_entities, &[&["PolicyArn", "EntityFilter"], PAGES])
        .on(&[resource::POLICY]),
];

/// AWS's quota of versions per policy.
const VERSIONS_LIMIT: usize = 5;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "PolicyName", 128)?, path(params)?);
    let document = params.required("PolicyDocument")?;
    check_policy(document)?;
    let arn = arn("policy", path, name);
    if cloud.iam.policies.values().any(|policy| policy.name == name) {
        return Err(already_exists(&format!("A policy called {name}")));
    }
    let policy = ManagedPolicy {
        id: unique_id("ANPA"),
        arn: arn.clone(),
        path: path.to_owned(),
        name: name.to_owned(),
        description: params.optional("Description").map(str::to_owned),
        versions: [(1, PolicyVersion { document: document.to_owned(), created: call.now })].into(),
        default_version: 1,
        created: call.now,
        tags: tags::parse(params, "Tags")?,
    };
    let answer = Node::new().with("Policy", render(&cloud.iam, &policy));
    cloud.iam.policies.insert(arn, policy);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = policy(&cloud.iam, call.input.required("PolicyArn")?)?;
    Ok(Node::new().with("Policy", render(&cloud.iam, &policy)))
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let prefix = params.optional("PathPrefix").unwrap_or("/");
    let only_attached = params.flag("OnlyAttached")?;
    let wanted: Vec<&ManagedPolicy> = match params.optional("Scope").unwrap_or("All") {
        "All" | "Local" => cloud.iam.policies.values().collect(),
        "AWS" => Vec::new(),
        other => return Err(validation(format!("Scope is All, AWS or Local, not {other}"))),
    };
    let wanted = wanted
        .into_iter()
        .filter(|policy| policy.path.starts_with(prefix) && (!only_attached || cloud.iam.attachments(&policy.arn) > 0));
    let page = page(wanted.collect(), params, |policy: &&ManagedPolicy| &policy.arn)?;
    let nodes = page.items.into_iter().map(|policy| render(&cloud.iam, policy));
    Ok(with_page(Node::new().list("Policies", nodes), page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = call.input.required("PolicyArn")?;
    let policy = customer_managed(&mut cloud.iam, arn)?;
    if policy.versions.len() > 1 {
        return Err(delete_conflict(
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        ));
    }
    if cloud.iam.attachments(arn) > 0 {
        return Err(delete_conflict("Cannot delete a policy attached to entities."));
    }
    cloud.iam.policies.remove(arn);
    Ok(Node::new())
}

fn create_version(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let document = call.input.required("PolicyDocument")?;
    check_policy(document)?;
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    if policy.versions.len() >= VERSIONS_LIMIT {
        let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
        return Err(ApiError::new("LimitExceeded", message).with_status(409));
    }
    let number = policy.versions.keys().next_back().map_or(1, |last| last + 1);
    policy.versions.insert(number, PolicyVersion { document: document.to_owned(), created: call.now });
    if call.input.flag("SetAsDefault")? {
        policy.default_version = number;
    }
    Ok(Node::new().with("PolicyVersion", render_version(policy, number, false)))
}

fn read_version(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = policy(&cloud.iam, call.input.required("PolicyArn")?)?;
    let number = version(&policy, &call.input)?;
    Ok(Node::new().with("PolicyVersion", render_version(&policy, number, true)))
}

fn list_versions(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = policy(&cloud.iam, call.input.required("PolicyArn")?)?;
    let names: Vec<(String, u32)> = policy.versions.keys().map(|number| (format!("v{number}"), *number)).collect();
    let page = page(names, &call.input, |(name, _): &(String, u32)| name)?;
    let nodes = page.items.into_iter().map(|(_, number)| render_version(&policy, number, false));
    Ok(with_page(Node::new().list("Versions", nodes), page.next))
}

fn set_default(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    policy.default_version = version(policy, &call.input)?;
    Ok(Node::new())
}

fn delete_version(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    let number = version(policy, &call.input)?;
    if number == policy.default_version {
        return Err(delete_conflict("Cannot delete the default version of a policy."));
    }
    policy.versions.remove(&number);
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = tags::parse(&call.input, "Tags")?;
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    policy.tags.extend(added);
    tags::check(&policy.tags)?;
    Ok(Node::new())
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    for key in call.input.texts("TagKeys") {
        policy.tags.remove(&key);
    }
    Ok(Node::new())
}

fn list_tags(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = policy(&cloud.iam, call.input.required("PolicyArn")?)?;
    let page = page(policy.tags.iter().collect(), &call.input, |(key, _): &(&String, &String)| key)?;
    let nodes = page.items.into_iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value));
    Ok(with_page(Node::new().list("Tags", nodes), page.next))
}

fn list_entities(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = call.input.required("PolicyArn")?;
    policy(&cloud.iam, arn)?;
    let wanted = |kind: &str| call.input.optional("EntityFilter").is_none_or(|filter| filter == kind);
    let roles = cloud.iam.roles.values().filter(|role| wanted("Role") && role.attached_policies.contains(arn));
    let users = cloud.iam.users.values().filter(|user| wanted("User") && user.attached_policies.contains(arn));
    let roles = roles.map(|role| Node::new().with("RoleName", &role.name).with("RoleId", &role.id));
    let users = users.map(|user| Node::new().with("UserName", &user.name).with("UserId", &user.id));
    let node = Node::new().list("PolicyRoles", roles).list("PolicyUsers", users);
    Ok(with_page(node.list("PolicyGroups", Vec::<Node>::new()), None))
}

/// Returns the ARN of a policy that can be attached: a customer managed or an AWS managed policy.
pub(super) fn attachable<'a>(iam: &Iam, params: &'a Params) -> Outcome<&'a str> {
    let arn = params.required("PolicyArn")?;
    if arn.starts_with("arn:aws:iam::aws:policy/") || iam.policies.contains_key(arn) {
        return Ok(arn);
    }
    Err(ApiError::new("NoSuchEntity", format!("Policy {arn} does not exist or is not attachable.")).with_status(404))
}

/// Renders the response of `ListAttached…Policies`.
pub(super) fn render_attached(attached: &BTreeSet<String>, params: &Params) -> Outcome<Node> {
    let prefix = params.optional("PathPrefix").unwrap_or("/");
    let wanted =
        attached.iter().filter(|arn| arn.split_once(":policy").is_some_and(|(_, path)| path.starts_with(prefix)));
    let page = page(wanted.collect(), params, |arn: &&String| arn)?;
    let nodes = page
        .items
        .into_iter()
        .map(|arn| Node::new().with("PolicyName", arn.rsplit('/').next().unwrap_or_default()).with("PolicyArn", arn));
    Ok(with_page(Node::new().list("AttachedPolicies", nodes), page.next))
}

/// Returns a customer managed policy for modification; an AWS managed policy cannot be changed.
fn customer_managed<'a>(iam: &'a mut Iam, arn: &str) -> Outcome<&'a mut ManagedPolicy> {
    if arn.starts_with("arn:aws:iam::aws:") {
        return Err(ApiError::new("AccessDenied", format!("{arn} is managed by AWS")).with_status(403));
    }
    iam.policies.get_mut(arn).ok_or_else(|| no_such_entity(&format!("Policy {arn}")))
}

fn policy(iam: &Iam, arn: &str) -> Outcome<ManagedPolicy> {
    let of_aws = || {
        let document = managed_document(arn)?;
        let (_, path) = arn.split_once(":policy")?;
        let name = path.rsplit('/').next().unwrap_or_default();
        let created = chrono::DateTime::from_timestamp(1_423_000_000, 0)?;
        Some(ManagedPolicy {
            id: format!("ANPA{:X<17}", name.to_uppercase().chars().take(17).collect::<String>()),
            arn: arn.to_owned(),
            path: path.strip_suffix(name).unwrap_or("/").to_owned(),
            name: name.to_owned(),
            description: None,
            versions: BTreeMap::from([(1, PolicyVersion { document, created })]),
            default_version: 1,
            created,
            tags: Tags::new(),
        })
    };
    iam.policies.get(arn).cloned().or_else(of_aws).ok_or_else(|| no_such_entity(&format!("Policy {arn}")))
}

/// Returns the version that a request names.
fn version(policy: &ManagedPolicy, params: &Params) -> Outcome<u32> {
    let text = params.required("VersionId")?;
    let number = text.strip_prefix('v').and_then(|digits| digits.parse().ok());
    let known = number.filter(|number| policy.versions.contains_key(number));
    known.ok_or_else(|| no_such_entity(&format!("Policy {} version {text}", policy.arn)))
}

fn render(iam: &Iam, policy: &ManagedPolicy) -> Node {
    let changed = policy.versions.values().map(|version| version.created).max().unwrap_or(policy.created);
    Node::new()
        .with("PolicyName", &policy.name)
        .with("PolicyId", &policy.id)
        .with("Arn", &policy.arn)
        .with("Path", &policy.path)
        .with("DefaultVersionId", format!("v{}", policy.default_version))
        .with("AttachmentCount", iam.attachments(&policy.arn))
        .with("PermissionsBoundaryUsageCount", 0)
        .with("IsAttachable", true)
        .maybe("Description", policy.description.as_ref())
        .with("CreateDate", policy.created)
        .with("UpdateDate", changed)
        .list("Tags", policy.tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}

fn render_version(policy: &ManagedPolicy, number: u32, with_document: bool) -> Node {
    let version = policy.versions.get(&number);
    Node::new()
        .maybe("Document", version.filter(|_| with_document).map(|version| encode_policy(&version.document)))
        .with("VersionId", format!("v{number}"))
        .with("IsDefaultVersion", number == policy.default_version)
        .maybe("CreateDate", version.map(|version| version.created))
}
