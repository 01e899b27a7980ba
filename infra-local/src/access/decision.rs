//! Decisions about actions, with their reasons.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::policy::{self, AccessRequest, DecidingStatement, Evaluation, Verdict};
use super::{Identity, Refusal, RequestedAction};
use crate::model::Cloud;

/// Result of the authorisation of an action on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: String,
    /// ARN, or `*`.
    pub(crate) resource: String,
    pub(crate) reason: Reason,
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
    /// No statement of the identity's policies, or of its session's policy, allows the action.
    NoStatement,
}

impl Decision {
    pub(crate) fn allows(&self) -> bool {
        matches!(self.reason, Reason::RootUser | Reason::NotEnforced | Reason::Allowed(_))
    }
}

impl Reason {
    /// Returns the statement that decided.
    fn statement(&self) -> Option<&DecidingStatement> {
        match self {
            Reason::Allowed(statement) | Reason::Denied(statement) => Some(statement),
            Reason::RootUser | Reason::NotEnforced | Reason::NoStatement => None,
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
            Reason::NoStatement => f.write_str("no statement allows it"),
        }
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let by = self.reason.statement();
        let mut fields = serializer.serialize_struct("Decision", 6)?;
        fields.serialize_field("action", &self.action)?;
        fields.serialize_field("resource", &self.resource)?;
        fields.serialize_field("allowed", &self.allows())?;
        fields.serialize_field("reason", &self.reason.to_string())?;
        fields.serialize_field("policy", &by.map(|by| by.policy.to_string()))?;
        fields.serialize_field("statement", &by.map(|by| &by.statement))?;
        fields.end()
    }
}

/// Decides about an action by the policies of an identity: one decision per resource, up to the first denial. The root
/// user is allowed all actions.
pub(crate) fn decide(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Vec<Decision> {
    let Some(policies) = identity.policies(&cloud.iam) else {
        return decide_unenforced(identity, requested);
    };
    let mut decisions = Vec::new();
    for resource in requested.resources {
        let access_request = AccessRequest { action: requested.action, resource, context: identity.context(requested) };
        let evaluations = policies.iter().map(|set| policy::evaluate(set, &access_request));
        let lesser = evaluations.min_by_key(|evaluation| evaluation.verdict);
        let decision = requested.decision(resource, reason(lesser));
        let is_allowed = decision.allows();
        decisions.push(decision);
        if !is_allowed {
            break;
        }
    }
    decisions
}

/// Returns the decisions about an action when no policies are enforced.
pub(crate) fn decide_unenforced(identity: &Identity, requested: &RequestedAction<'_>) -> Vec<Decision> {
    let reason = match identity {
        Identity::Root { .. } => Reason::RootUser,
        Identity::User { .. } | Identity::Session { .. } => Reason::NotEnforced,
    };
    requested.resources.iter().map(|resource| requested.decision(resource, reason.clone())).collect()
}

/// Checks that the decisions allow all actions of the caller with this ARN.
pub(crate) fn permitted(caller: &str, decisions: &[Decision]) -> Result<(), Refusal> {
    let Some(denial) = decisions.iter().find(|decision| !decision.allows()) else {
        return Ok(());
    };
    Err(Refusal::Denied {
        identity: caller.to_owned(),
        action: denial.action.clone(),
        resource: denial.resource.clone(),
        explicit: matches!(denial.reason, Reason::Denied(_)),
    })
}

/// Checks that the policies of an identity allow the action on all resources.
pub(crate) fn authorise(cloud: &Cloud, identity: &Identity, requested: &RequestedAction<'_>) -> Result<(), Refusal> {
    permitted(&identity.arn(&cloud.iam), &decide(cloud, identity, requested))
}

fn reason(evaluation: Option<Evaluation>) -> Reason {
    match evaluation {
        Some(Evaluation { verdict: Verdict::Allows, decided_by: Some(by) }) => Reason::Allowed(by),
        Some(Evaluation { verdict: Verdict::Denies, decided_by: Some(by) }) => Reason::Denied(by),
        _ => Reason::NoStatement,
    }
}

impl RequestedAction<'_> {
    fn decision(&self, resource: &str, reason: Reason) -> Decision {
        Decision { action: self.action.to_owned(), resource: resource.to_owned(), reason }
    }
}
