//! Decisions about actions, with their reasons.
//!
//! Source: AWS IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access".

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::identity::PolicySets;
use super::policy::{self, AccessRequest, DecidingStatement, Evaluation, Naming, Verdict, parsed};
use super::{Context, Identity, Refusal, RequestedAction, RequestedResource, attributes};
use crate::model::Cloud;

/// Actions on a bucket that the policy of the bucket cannot deny to the account's root user.
const NEVER_DENIED_TO_ROOT: &[&str] = &["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"];

/// Result of the authorisation of an action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: String,
    /// ARN, or `*`.
    pub(crate) resource: String,
    pub(crate) reason: Reason,
    /// Condition keys for which the policies were evaluated.
    pub(crate) context: Context,
}

/// Reason of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The root user may do everything.
    RootUser,
    /// The cloud does not enforce policies.
    NotEnforced,
    Allowed(DecidingStatement),
    Denied(DecidingStatement),
    /// No statement allows the action in the policies of this kind, as AWS's messages name it.
    NoStatement(&'static str),
}

impl Decision {
    pub(crate) fn allows(&self) -> bool {
        matches!(self.reason, Reason::RootUser | Reason::NotEnforced | Reason::Allowed(_))
    }

    /// Returns the approximate size in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Decision>() + 2 * (self.action.len() + self.resource.len()) + self.context.size()
    }
}

impl Reason {
    /// Returns the statement that decided.
    pub(crate) fn statement(&self) -> Option<&DecidingStatement> {
        match self {
            Reason::Allowed(statement) | Reason::Denied(statement) => Some(statement),
            Reason::RootUser | Reason::NotEnforced | Reason::NoStatement(_) => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::RootUser => f.write_str("root user"),
            Reason::NotEnforced => f.write_str("not enforced"),
            Reason::Allowed(by) => write!(f, "allowed by statement {} of policy {}", by.statement, by.policy),
            Reason::Denied(by) => write!(f, "denied explicitly by statement {} of policy {}", by.statement, by.policy),
            Reason::NoStatement(kind) if *kind == IDENTITY => f.write_str("no statement allows it"),
            Reason::NoStatement(kind) => write!(f, "no statement of a {kind} allows it"),
        }
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let by = self.reason.statement();
        let mut fields = serializer.serialize_struct("Decision", 7)?;
        fields.serialize_field("action", &self.action)?;
        fields.serialize_field("resource", &self.resource)?;
        fields.serialize_field("allowed", &self.allows())?;
        fields.serialize_field("reason", &self.reason.to_string())?;
        fields.serialize_field("policy", &by.map(|by| by.policy.to_string()))?;
        fields.serialize_field("statement", &by.map(|by| &by.statement))?;
        fields.serialize_field("context", &self.context)?;
        fields.end()
    }
}

const IDENTITY: &str = "identity-based policy";
const RESOURCE: &str = "resource-based policy";
const BOUNDARY: &str = "permissions boundary";
const SESSION: &str = "session policy";

/// Decides about an action by the policies of an identity and of the resources: one decision per resource, up to the
/// first denial. The root user is allowed all actions that no resource policy denies.
pub(crate) fn decide(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Vec<Decision> {
    let sets = identity.policies(&cloud.iam);
    let common = identity.context(&cloud.iam, requested);
    let mut decisions = Vec::new();
    for resource in requested.resources {
        let context = resource.complete(&common);
        let access_request = AccessRequest { action: requested.action, resource: &resource.arn, context: &context };
        let reason = match &sets {
            Some(sets) => {
                combine(sets, &resource_evaluation(cloud, identity, resource, &access_request), &access_request)
            }
            None => root_reason(cloud, identity, resource, &access_request),
        };
        let decision =
            Decision { action: requested.action.to_owned(), resource: resource.arn.clone(), reason, context };
        let is_allowed = decision.allows();
        decisions.push(decision);
        if !is_allowed {
            break;
        }
    }
    decisions
}

/// Returns the decisions about an action when no policies are enforced. Requests without a signature need a resource
/// policy even then.
pub(crate) fn decide_unenforced(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Vec<Decision> {
    let reason = match identity {
        Identity::Root { .. } => Reason::RootUser,
        Identity::User { .. } | Identity::Session { .. } => Reason::NotEnforced,
        Identity::Anonymous => return decide(cloud, identity, requested),
    };
    let common = identity.context(&cloud.iam, requested);
    let decision = |resource: &RequestedResource| Decision {
        action: requested.action.to_owned(),
        resource: resource.arn.clone(),
        reason: reason.clone(),
        context: resource.complete(&common),
    };
    requested.resources.iter().map(decision).collect()
}

/// Returns the condition keys of an action of an identity on an existing resource.
pub(crate) fn context_of(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>, arn: &str) -> Context {
    let resource = RequestedResource { context: attributes::of(cloud, arn), ..RequestedResource::new(arn) };
    resource.complete(&identity.context(&cloud.iam, requested))
}

/// Checks that the decisions allow all actions of the caller with this ARN.
pub(crate) fn permitted(caller: &str, decisions: &[Decision]) -> Result<(), Refusal> {
    let Some(denial) = decisions.iter().find(|decision| !decision.allows()) else {
        return Ok(());
    };
    let (kind, explicit) = match &denial.reason {
        Reason::Denied(by) => (by.policy.kind(), true),
        Reason::NoStatement(kind) => (*kind, false),
        _ => (IDENTITY, false),
    };
    Err(Refusal::Denied {
        identity: caller.to_owned(),
        action: denial.action.clone(),
        resource: denial.resource.clone(),
        kind,
        explicit,
    })
}

/// Checks that the policies allow the identity the action on all resources.
pub(crate) fn authorise(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Result<(), Refusal> {
    permitted(&identity.arn(&cloud.iam), &decide(cloud, identity, requested))
}

/// Evaluates the policy of a resource. A policy that is invalid allows nothing.
fn resource_evaluation(
    cloud: &Cloud,
    identity: &Identity,
    resource: &RequestedResource,
    access_request: &AccessRequest<'_>,
) -> (Evaluation, Option<Naming>) {
    let silent = || (Evaluation { verdict: Verdict::Silent, decided_by: None }, None);
    let document = resource.policy.as_deref().and_then(parsed::document);
    document.map_or_else(silent, |it| {
        it.evaluate_for(&identity.principal(&cloud.iam), access_request, cloud.account.as_str())
    })
}

/// Returns the reason for the root user: only a resource policy can deny it something.
fn root_reason(
    cloud: &Cloud,
    identity: &Identity,
    resource: &RequestedResource,
    access_request: &AccessRequest<'_>,
) -> Reason {
    if NEVER_DENIED_TO_ROOT.contains(&access_request.action) {
        return Reason::RootUser;
    }
    match resource_evaluation(cloud, identity, resource, access_request).0 {
        Evaluation { verdict: Verdict::Denies, decided_by: Some(by) } => Reason::Denied(by),
        _ => Reason::RootUser,
    }
}

/// Combines the policies of an identity with the result of the resource's policy, for identities and resources of one
/// account. An explicit denial of any policy decides. A resource policy that names the user or the session allows the
/// action alone; one that names the role takes the place of the identity's policies, within the boundary and the
/// session's policies.
pub(super) fn combine(
    sets: &PolicySets,
    (of_resource, naming): &(Evaluation, Option<Naming>),
    request: &AccessRequest<'_>,
) -> Reason {
    let own = policy::evaluate(&sets.identity, request);
    let boundary = sets.boundary.as_ref().map(|policies| policy::evaluate(policies, request));
    let session = sets.session.as_ref().map(|policies| policy::evaluate(policies, request));
    let all = [Some(&own), boundary.as_ref(), session.as_ref(), Some(of_resource)];
    let denying = all.into_iter().flatten().find(|evaluation| evaluation.verdict == Verdict::Denies);
    if let Some(by) = denying.and_then(|evaluation| evaluation.decided_by.clone()) {
        return Reason::Denied(by);
    }
    let by_resource = of_resource.decided_by.as_ref().filter(|_| of_resource.verdict == Verdict::Allows);
    if let (Some(by), Some(Naming::Direct)) = (by_resource, naming) {
        return Reason::Allowed(by.clone());
    }
    let by_role = by_resource.filter(|_| *naming == Some(Naming::Role));
    let Some(by) = own.decided_by.as_ref().or(by_role) else {
        return Reason::NoStatement(if sets.has_only_resource_policies { RESOURCE } else { IDENTITY });
    };
    let lacks = |evaluation: &Option<Evaluation>| evaluation.as_ref().is_some_and(|it| it.verdict != Verdict::Allows);
    if lacks(&boundary) {
        return Reason::NoStatement(BOUNDARY);
    }
    if lacks(&session) {
        return Reason::NoStatement(SESSION);
    }
    Reason::Allowed(by.clone())
}

impl RequestedResource {
    /// Returns the resource of an ARN, without a policy and without keys of its own.
    pub(crate) fn new(arn: impl Into<String>) -> RequestedResource {
        RequestedResource { arn: arn.into(), context: Context::default(), policy: None }
    }

    /// Adds the text of the resource's policy, if it has one.
    #[must_use]
    pub(crate) fn with_policy(mut self, text: Option<&str>) -> RequestedResource {
        self.policy = text.map(str::to_owned);
        self
    }

    /// Returns the condition keys of the request with those of the resource.
    fn complete(&self, common: &Context) -> Context {
        let mut context = common.clone();
        context.merge(&self.context);
        context
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::{Policy, PolicySource, parsed};
    use super::*;
    use serde_json::{Value, json};

    fn policies(source: &PolicySource, statement: Option<Value>) -> Vec<Policy> {
        let text = statement.map(|it| json!({"Version": "2012-10-17", "Statement": it}).to_string());
        let document = text.and_then(|text| parsed::document(&text));
        document.into_iter().map(|document| Policy { source: source.clone(), document }).collect()
    }

    fn allow(action: &str) -> Option<Value> {
        Some(json!({"Sid": "A", "Effect": "Allow", "Action": action, "Resource": "*"}))
    }

    fn combined(own: Option<Value>, boundary: Option<Value>, session: Option<Value>, naming: Option<Naming>) -> String {
        let boundary = boundary.map(|it| policies(&PolicySource::Boundary("b".to_owned()), Some(it)));
        let sets = PolicySets {
            identity: policies(&PolicySource::Inline("own".to_owned()), own),
            boundary,
            session: session.map(|it| policies(&PolicySource::Session, Some(it))),
            has_only_resource_policies: false,
        };
        let by = DecidingStatement { policy: PolicySource::Resource, statement: "R".to_owned() };
        let verdict = if naming.is_some() { Verdict::Allows } else { Verdict::Silent };
        let of_resource = Evaluation { verdict, decided_by: naming.map(|_| by) };
        let context = Context::default();
        let request = AccessRequest { action: "s3:GetObject", resource: "arn:aws:s3:::b/k", context: &context };
        combine(&sets, &(of_resource, naming), &request).to_string()
    }

    #[test]
    fn all_kinds_of_policies_must_allow_an_action() {
        let read = || allow("s3:Get*");
        insta::assert_snapshot!(combined(read(), None, None, None), @"allowed by statement A of policy own");
        insta::assert_snapshot!(combined(None, None, None, None), @"no statement allows it");
        insta::assert_snapshot!(combined(read(), read(), read(), None), @"allowed by statement A of policy own");
        insta::assert_snapshot!(combined(read(), allow("ec2:*"), read(), None), @"no statement of a permissions boundary allows it");
        insta::assert_snapshot!(combined(read(), read(), allow("ec2:*"), None), @"no statement of a session policy allows it");
        let deny = Some(json!({"Sid": "D", "Effect": "Deny", "Action": "*", "Resource": "*"}));
        insta::assert_snapshot!(combined(read(), None, deny, Some(Naming::Direct)), @"denied explicitly by statement D of policy session policy");
    }

    #[test]
    fn resource_policy_extends_the_policies_of_the_identity() {
        let other = || allow("ec2:*");
        insta::assert_snapshot!(combined(None, other(), other(), Some(Naming::Direct)), @"allowed by statement R of policy resource policy");
        insta::assert_snapshot!(combined(None, None, None, Some(Naming::Role)), @"allowed by statement R of policy resource policy");
        insta::assert_snapshot!(combined(None, other(), None, Some(Naming::Role)), @"no statement of a permissions boundary allows it");
        insta::assert_snapshot!(combined(None, None, None, Some(Naming::Account)), @"no statement allows it");
    }
}
