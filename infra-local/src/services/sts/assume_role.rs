//! Sessions of roles.
//!
//! Source: STS API reference, `AssumeRole`; AWS IAM User Guide, "Pass session tags in AWS STS", "Roles terms and concepts"
//! (role chaining) and "Monitor and control actions taken with assumed roles" (source identity).

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::{constraint, denied, duration, render_credentials, validation};
use crate::access::{
    self, Context, Dependent, Document, Identity, PolicyKind, RequestTags, RequestedAction, RequestedResource, Resource,
};
use crate::model::Cloud;
use crate::model::iam::{Iam, Role, Session, SessionHolder};
use crate::model::tags::Tags;
use crate::services::permission::condition_keys;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[Operation::writes(
    "AssumeRole",
    assume_role,
    &[
        &["RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "PolicyArns.N.arn", "ExternalId"],
        &["Tags.N.Key", "Tags.N.Value", "TransitiveTagKeys.N", "SourceIdentity"],
    ],
)
.on(&[ROLE])
.needing(&[
    Dependent::when("Tags.N.Key", "sts:TagSession", &[ROLE]),
    Dependent::when("SourceIdentity", "sts:SetSourceIdentity", &[ROLE]),
])];

const ROLE: Resource = Resource::Found("RoleArn", |cloud, _, arn| {
    let role = cloud.iam.roles.values().find(|role| role.arn == arn);
    Some(role.map_or_else(|| RequestedResource::new(arn), access::assumed_role))
});

/// Default duration of a session, and the limit for a role that another role's session assumes, in seconds.
const HOUR: u32 = 3600;
/// Maximum duration of a session, in seconds. The role's own limit can be lower.
const MOST_SECONDS: u32 = 43_200;
/// Maximum size of the session policies, in characters.
const POLICY_LIMIT: usize = 2048;
/// Maximum number of managed session policies.
const POLICY_ARNS_LIMIT: usize = 10;
/// Maximum number of session tags.
const TAGS_LIMIT: usize = 50;

fn assume_role(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let arn = params.required("RoleArn")?;
    let name = session_name(params, "RoleSessionName", "roleSessionName")?;
    let identity = Identity::of_key(&cloud.iam, call.access_key);
    let caller = identity.arn(&cloud.iam);
    let role = cloud.iam.roles.values().find(|role| role.arn == arn);
    let role = role.ok_or_else(|| denied(&caller, "sts:AssumeRole", arn))?;
    let (tags, transitive_tags) = session_tags(&cloud.iam, &identity, params)?;
    let source_identity = source_identity(&cloud.iam, &identity, params)?;
    for action in actions(params) {
        let context = &request_keys(role, call);
        let requested = RequestedAction { action, resources: &[], region: call.region, now: call.now, context };
        if !access::trusts(cloud, role, &identity, &requested) {
            return Err(denied(&caller, action, arn));
        }
    }
    let seconds = session_seconds(role, &identity, params)?;
    let (policy, policy_arns) = session_policies(&cloud.iam, params)?;
    let (role_id, role_name) = (role.id.clone(), role.name.clone());
    let packed = packed_size(policy.as_deref(), &policy_arns, &tags);
    let holder = SessionHolder::Role { role: role_name.clone() };
    let session = Session {
        policy,
        policy_arns,
        tags,
        transitive_tags,
        source_identity,
        ..Session::new(holder, name, call.now, TimeDelta::seconds(i64::from(seconds)))
    };
    let key = cloud.iam.issue(session.clone(), call.now);
    let assumed = Node::new()
        .with("AssumedRoleId", format!("{role_id}:{name}"))
        .with("Arn", format!("arn:aws:sts::{}:assumed-role/{role_name}/{name}", call.account));
    Ok(Node::new()
        .with("Credentials", render_credentials(&key, &session))
        .with("AssumedRoleUser", assumed)
        .maybe("PackedPolicySize", packed)
        .maybe("SourceIdentity", session.source_identity.as_ref()))
}

/// Returns the actions that the trust policy must allow.
fn actions(params: &Params) -> impl Iterator<Item = &'static str> {
    let tagging = (!params.structures("Tags").is_empty()).then_some("sts:TagSession");
    let source = params.optional("SourceIdentity").map(|_| "sts:SetSourceIdentity");
    std::iter::once("sts:AssumeRole").chain(tagging).chain(source)
}

/// Returns the condition keys of a request to assume a role.
///
/// Source: AWS IAM User Guide, "IAM and AWS STS condition context keys".
fn request_keys(role: &Role, call: &Call<'_, Params>) -> Context {
    let parameters = call.input.patterns();
    let mut context = call.context.clone();
    for key in condition_keys("sts") {
        let values: Vec<_> = parameters.iter().filter(|(name, _)| name == key.parameter).collect();
        if !values.is_empty() {
            context.set_all(key.name, values.into_iter().map(|(_, value)| value.clone()).collect());
        }
    }
    context.merge(&RequestTags::of_params(&call.input).context_for("sts", &role.arn));
    context
}

/// Returns a name of 2 to 64 characters.
fn session_name<'a>(params: &'a Params, parameter: &str, member: &str) -> Outcome<&'a str> {
    let name = params.required(parameter)?;
    if name.len() < 2 {
        return Err(constraint(name, member, "Member must have length greater than or equal to 2"));
    }
    if name.len() > 64 {
        return Err(constraint(name, member, "Member must have length less than or equal to 64"));
    }
    if !name.chars().all(|it| it.is_ascii_alphanumeric() || "_+=,.@-".contains(it)) {
        return Err(constraint(name, member, r"Member must satisfy regular expression pattern: [\w+=,.@-]*"));
    }
    Ok(name)
}

/// Returns the duration of the session. A session of another role extends the chain of roles, which is limited to one
/// hour.
fn session_seconds(role: &Role, identity: &Identity, params: &Params) -> Outcome<u32> {
    let Some(seconds) = duration(params, MOST_SECONDS)? else { return Ok(HOUR) };
    if matches!(identity, Identity::Session { .. }) && seconds > HOUR {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(validation(text));
    }
    if seconds > role.max_session_seconds {
        return Err(validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
    }
    Ok(seconds)
}

/// Returns the policies that restrict the session.
fn session_policies(iam: &Iam, params: &Params) -> Outcome<(Option<String>, Vec<String>)> {
    let policy = params.optional("Policy").map(str::to_owned);
    if let Some(text) = &policy {
        if text.chars().count() > POLICY_LIMIT {
            let text = format!("Member must have length less than or equal to {POLICY_LIMIT}");
            return Err(constraint("…", "policy", &text));
        }
        Document::checked(text, PolicyKind::Session).map_err(|it| ApiError::new("MalformedPolicyDocument", it))?;
    }
    let arns: Vec<String> =
        params.structures("PolicyArns").iter().filter_map(|it| it.optional("arn").map(str::to_owned)).collect();
    if arns.len() > POLICY_ARNS_LIMIT {
        let text = format!("Member must have length less than or equal to {POLICY_ARNS_LIMIT}");
        return Err(constraint(&format!("{arns:?}"), "policyArns", &text));
    }
    for arn in &arns {
        if !iam.policies.contains_key(arn) && access::managed_document(arn).is_none() {
            return Err(validation(format!("The policy {arn} does not exist or is not attachable.")));
        }
    }
    Ok((policy, arns))
}

/// Returns the tags of the session and the keys of those that later sessions of the chain inherit.
fn session_tags(iam: &Iam, identity: &Identity, params: &Params) -> Outcome<(Tags, BTreeSet<String>)> {
    let caller = identity.session(iam);
    let mut tags = Tags::new();
    let mut transitive = BTreeSet::new();
    for (key, value) in caller.into_iter().flat_map(|session| &session.tags) {
        if caller.is_some_and(|session| session.transitive_tags.contains(key)) {
            transitive.insert(key.clone());
            tags.insert(key.clone(), value.clone());
        }
    }
    let invalid = |message: &str| ApiError::new("InvalidParameterValue", message);
    let mut requested = Tags::new();
    for tag in params.structures("Tags") {
        let (key, value) = (tag.required("Key")?, tag.optional("Value").unwrap_or_default());
        if requested.keys().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
        }
        requested.insert(key.to_owned(), value.to_owned());
    }
    if requested.len() > TAGS_LIMIT {
        return Err(invalid("The number of session tags exceeds the limit of 50."));
    }
    crate::model::tags::check(&requested)?;
    if requested.keys().any(|key| transitive.contains(key)) {
        return Err(invalid(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from \
             the calling session.",
        ));
    }
    for key in params.texts("TransitiveTagKeys") {
        if !requested.contains_key(&key) {
            return Err(invalid("The specified transitive tag key must be included in the requested tags."));
        }
        transitive.insert(key);
    }
    tags.extend(requested);
    Ok((tags, transitive))
}

/// Returns the source identity, which all sessions of a chain keep.
fn source_identity(iam: &Iam, identity: &Identity, params: &Params) -> Outcome<Option<String>> {
    let inherited = identity.session(iam).and_then(|session| session.source_identity.clone());
    let requested = match params.optional("SourceIdentity") {
        Some(_) => Some(session_name(params, "SourceIdentity", "sourceIdentity")?.to_owned()),
        None => None,
    };
    match (inherited, requested) {
        (Some(inherited), Some(requested)) if inherited != requested => {
            Err(denied(&identity.arn(iam), "sts:SetSourceIdentity", params.required("RoleArn")?))
        }
        (inherited, requested) => Ok(requested.or(inherited)),
    }
}

/// Returns the size of session policies and tags, in percent of the limit; `None` without any.
fn packed_size(policy: Option<&str>, arns: &[String], tags: &Tags) -> Option<usize> {
    let size = policy.map_or(0, str::len)
        + arns.iter().map(String::len).sum::<usize>()
        + tags.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    (size > 0).then(|| (size * 100).div_ceil(POLICY_LIMIT + TAGS_LIMIT * 384))
}
