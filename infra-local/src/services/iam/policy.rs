//! Managed policies: customer managed ones with their versions, and the supported AWS managed ones.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    IamOperation, PAGES, TAGS, account, arn, check_tags, delete_conflict, encode_policy, limit_exceeded, malformed,
    name, page, parse_tags, path, resource, size, unique_id, validation, with_page,
};
use crate::access::{Document, PolicyKind, managed_arns, managed_document};
use crate::model::iam::{Iam, ManagedPolicy, PolicyVersion};
use crate::model::{Cloud, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreatePolicy", create, &[&["PolicyName", "Path", "Description", "PolicyDocument"], TAGS])
        .on(&[resource::NEW_POLICY]),
    Operation::reads("GetPolicy", read, &[&["PolicyArn"]]).on(&[resource::POLICY]),
    Operation::reads("ListPolicies", list, &[&["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter"], PAGES])
        .on_any(),
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
    Operation::reads(
        "ListEntitiesForPolicy",
        list_entities,
        &[&["PolicyArn", "EntityFilter", "PathPrefix", "PolicyUsageFilter"], PAGES],
    )
    .on(&[resource::POLICY]),
];

/// AWS's quota of versions per policy.
const VERSIONS_LIMIT: usize = 5;
/// AWS's limit of the size of a managed policy, in characters without white space.
const SIZE_LIMIT: usize = 6144;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let (name, path) = (name(params, "PolicyName", 128)?, path(params)?);
    let document = params.required("PolicyDocument")?;
    check_managed_policy(document)?;
    let arn = arn(call.account, "policy", path, name);
    if cloud.iam.policies.values().any(|policy| policy.name.eq_ignore_ascii_case(name)) {
        let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
        return Err(ApiError::new("EntityAlreadyExists", message).with_status(409));
    }
    account::check_quota("Policies", cloud.iam.policies.len())?;
    let policy = ManagedPolicy {
        id: unique_id("ANPA"),
        arn: arn.clone(),
        path: path.to_owned(),
        name: name.to_owned(),
        description: params.optional("Description").map(str::to_owned),
        versions: [(1, PolicyVersion { document: document.to_owned(), created: call.now })].into(),
        default_version: 1,
        created: call.now,
        tags: parse_tags(params, "Tags")?,
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
    let usage = Usage::of(params)?;
    let of_aws: Vec<ManagedPolicy> = managed_arns().filter_map(|arn| policy(&cloud.iam, &arn).ok()).collect();
    let own = cloud.iam.policies.values();
    let wanted: Vec<&ManagedPolicy> = match params.optional("Scope").unwrap_or("All") {
        "All" => own.chain(&of_aws).collect(),
        "Local" => own.collect(),
        "AWS" => of_aws.iter().collect(),
        other => {
            return Err(validation(format!(
                "1 validation error detected: Value '{other}' at 'scope' failed to satisfy constraint: Member must \
                 satisfy enum value set: [All, AWS, Local]"
            )));
        }
    };
    let is_wanted = |policy: &&ManagedPolicy| {
        policy.path.starts_with(prefix)
            && (!only_attached || cloud.iam.attachments(&policy.arn) > 0)
            && (!usage.is_limited || usage.of_boundaries == (cloud.iam.boundary_uses(&policy.arn) > 0))
    };
    let wanted = wanted.into_iter().filter(is_wanted).collect();
    let page = page(wanted, params, |policy: &&ManagedPolicy| &policy.arn)?;
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
    if cloud.iam.attachments(arn) + cloud.iam.boundary_uses(arn) > 0 {
        return Err(delete_conflict("Cannot delete a policy attached to entities."));
    }
    cloud.iam.policies.remove(arn);
    Ok(Node::new())
}

fn create_version(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let document = call.input.required("PolicyDocument")?;
    check_managed_policy(document)?;
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    if policy.versions.len() >= VERSIONS_LIMIT {
        let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.";
        return Err(limit_exceeded(message));
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
    let added = parse_tags(&call.input, "Tags")?;
    let policy = customer_managed(&mut cloud.iam, call.input.required("PolicyArn")?)?;
    policy.tags.extend(added);
    check_tags(&policy.tags)?;
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

/// Selection of policies by their use: as permissions, as boundaries, or as both.
struct Usage {
    is_limited: bool,
    of_boundaries: bool,
}

impl Usage {
    fn of(params: &Params) -> Outcome<Usage> {
        match params.optional("PolicyUsageFilter") {
            None => Ok(Usage { is_limited: false, of_boundaries: false }),
            Some("PermissionsPolicy") => Ok(Usage { is_limited: true, of_boundaries: false }),
            Some("PermissionsBoundary") => Ok(Usage { is_limited: true, of_boundaries: true }),
            Some(other) => Err(validation(format!(
                "1 validation error detected: Value '{other}' at 'policyUsageFilter' failed to satisfy constraint: \
                 Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]"
            ))),
        }
    }

    fn includes(&self, arn: &str, attached: &BTreeSet<String>, boundary: Option<&str>) -> bool {
        let (is_attached, limits) = (attached.contains(arn), boundary == Some(arn));
        match (self.is_limited, self.of_boundaries) {
            (false, _) => is_attached || limits,
            (true, of_boundaries) => {
                if of_boundaries {
                    limits
                } else {
                    is_attached
                }
            }
        }
    }
}

fn list_entities(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = call.input.required("PolicyArn")?;
    policy(&cloud.iam, arn)?;
    let usage = Usage::of(&call.input)?;
    let prefix = call.input.optional("PathPrefix").unwrap_or("/");
    let filter = call.input.optional("EntityFilter");
    let wanted = |kind: &str, path: &str| filter.is_none_or(|filter| filter == kind) && path.starts_with(prefix);
    // The kind precedes the name, so that a page continues in the next kind.
    let mut found: Vec<(String, Node)> = Vec::new();
    for group in cloud.iam.groups.values().filter(|it| wanted("Group", &it.path)) {
        if usage.includes(arn, &group.attached_policies, None) {
            let node = Node::new().with("GroupName", &group.name).with("GroupId", &group.id);
            found.push((format!("PolicyGroups/{}", group.name), node));
        }
    }
    for role in cloud.iam.roles.values().filter(|it| wanted("Role", &it.path)) {
        if usage.includes(arn, &role.attached_policies, role.boundary.as_deref()) {
            let node = Node::new().with("RoleName", &role.name).with("RoleId", &role.id);
            found.push((format!("PolicyRoles/{}", role.name), node));
        }
    }
    for user in cloud.iam.users.values().filter(|it| wanted("User", &it.path)) {
        if usage.includes(arn, &user.attached_policies, user.boundary.as_deref()) {
            let node = Node::new().with("UserName", &user.name).with("UserId", &user.id);
            found.push((format!("PolicyUsers/{}", user.name), node));
        }
    }
    let page = page(found, &call.input, |(key, _): &(String, Node)| key)?;
    let mut answer = Node::new();
    for kind in ["PolicyGroups", "PolicyRoles", "PolicyUsers"] {
        let of_kind = page.items.iter().filter(|(key, _)| key.split('/').next() == Some(kind));
        answer = answer.list(kind, of_kind.map(|(_, node)| node.clone()));
    }
    Ok(with_page(answer, page.next))
}

/// Refuses the policies that AWS attaches to its service-linked roles, and only to these.
pub(super) fn refuse_service_policy(arn: &str) -> Outcome<()> {
    if arn.starts_with("arn:aws:iam::aws:policy/aws-service-role/") {
        return Err(ApiError::new("PolicyNotAttachable", "Cannot attach a Service Role Policy to a customer role."));
    }
    Ok(())
}

/// Returns the ARN of a policy that can be attached: a customer managed or an AWS managed policy.
pub(super) fn attachable<'a>(iam: &Iam, params: &'a Params) -> Outcome<&'a str> {
    let arn = params.required("PolicyArn")?;
    refuse_service_policy(arn)?;
    let is_of_aws = arn.starts_with("arn:aws:iam::aws:policy/");
    if is_of_aws || iam.policies.contains_key(arn) {
        return Ok(arn);
    }
    if !arn.starts_with("arn:") {
        return Err(ApiError::new("ValidationError", format!("ARN {arn} is not valid.")));
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
    iam.policies.get_mut(arn).ok_or_else(|| not_found(arn))
}

/// Returns a customer managed or AWS managed policy.
pub(super) fn policy(iam: &Iam, arn: &str) -> Outcome<ManagedPolicy> {
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
    iam.policies.get(arn).cloned().or_else(of_aws).ok_or_else(|| not_found(arn))
}

/// Returns the version that a request names.
fn version(policy: &ManagedPolicy, params: &Params) -> Outcome<u32> {
    let text = params.required("VersionId")?;
    let number = text.strip_prefix('v').and_then(|digits| digits.parse().ok());
    let known = number.filter(|number| policy.versions.contains_key(number));
    known.ok_or_else(|| {
        let message = format!("Policy {} version {text} does not exist or is not attachable.", policy.arn);
        ApiError::new("NoSuchEntity", message).with_status(404)
    })
}

fn not_found(arn: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("Policy {arn} was not found.")).with_status(404)
}

/// Checks the document of a managed policy, and its size without white space.
fn check_managed_policy(document: &str) -> Outcome<()> {
    if size(document) > SIZE_LIMIT {
        return Err(limit_exceeded(format!("Cannot exceed quota for PolicySize: {SIZE_LIMIT}")));
    }
    Document::checked(document, PolicyKind::Managed).map(drop).map_err(malformed)
}

pub(super) fn render(iam: &Iam, policy: &ManagedPolicy) -> Node {
    let changed = policy.versions.values().map(|version| version.created).max().unwrap_or(policy.created);
    Node::new()
        .with("PolicyName", &policy.name)
        .with("PolicyId", &policy.id)
        .with("Arn", &policy.arn)
        .with("Path", &policy.path)
        .with("DefaultVersionId", format!("v{}", policy.default_version))
        .with("AttachmentCount", iam.attachments(&policy.arn))
        .with("PermissionsBoundaryUsageCount", iam.boundary_uses(&policy.arn))
        .with("IsAttachable", true)
        .maybe("Description", policy.description.as_ref())
        .with("CreateDate", policy.created)
        .with("UpdateDate", changed)
        .list("Tags", policy.tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}

pub(super) fn render_version(policy: &ManagedPolicy, number: u32, with_document: bool) -> Node {
    let version = policy.versions.get(&number);
    Node::new()
        .maybe("Document", version.filter(|_| with_document).map(|version| encode_policy(&version.document)))
        .with("VersionId", format!("v{number}"))
        .with("IsDefaultVersion", number == policy.default_version)
        .maybe("CreateDate", version.map(|version| version.created))
}
