//! Decisions about actions that are not executed, with all statements that matched.
//!
//! Source: IAM API reference, `SimulatePrincipalPolicy` and `SimulateCustomPolicy`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Context;
use super::decision::{Reason, combine};
use super::identity::{self, PolicySets};
use super::policy::{
    self, AccessRequest, DecidingStatement, Document, Evaluation, Naming, Policy, PolicySource, Principal, Verdict,
};
use crate::model::Account;
use crate::model::iam::Iam;

/// Policies and facts of simulated requests.
pub(crate) struct Simulation {
    sets: PolicySets,
    principal: Principal,
    resource_policy: Option<Document>,
    context: Context,
    /// The account of the simulated resources.
    account: Account,
}

/// Result of a simulated request.
pub(crate) struct Simulated {
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub(crate) decision: &'static str,
    pub(crate) matched: Vec<DecidingStatement>,
    /// Condition keys that the policies refer to and the request lacks.
    pub(crate) missing: Vec<String>,
    /// Whether the boundary allows the action, if there is one.
    pub(crate) allowed_by_boundary: Option<bool>,
}

impl Simulation {
    /// Returns the simulation of a user, a group or a role; `None` if none has this ARN.
    pub(crate) fn of_principal(iam: &Iam, arn: &str) -> Option<Simulation> {
        let (sets, principal) = if let Some(user) = iam.users.values().find(|user| user.arn == arn) {
            let principal = Principal::User { arn: arn.to_owned(), id: user.id.clone() };
            (identity::user_policies(iam, &user.name), principal)
        } else if let Some(role) = iam.roles.values().find(|role| role.arn == arn) {
            let session_arn = format!("arn:aws:sts::{}:assumed-role/{}/simulation", iam.account, role.name);
            let (role_arn, role_id) = (arn.to_owned(), role.id.clone());
            (identity::role_policies(iam, &role.name), Principal::Session { role_arn, role_id, session_arn })
        } else {
            let group = iam.groups.values().find(|group| group.arn == arn)?;
            let identity = identity::policies(iam, &group.inline_policies, &group.attached_policies);
            (PolicySets { identity, ..PolicySets::default() }, Principal::Anonymous)
        };
        Some(Simulation { sets, principal, resource_policy: None, context: Context::default(), account: iam.account })
    }

    /// Returns the simulation of a principal that has only the policies that are added.
    pub(crate) fn custom(account: Account) -> Simulation {
        let (sets, principal) = (PolicySets::default(), Principal::Anonymous);
        Simulation { sets, principal, resource_policy: None, context: Context::default(), account }
    }

    /// Adds policies. Their names are their positions in the request.
    pub(crate) fn add_policies(&mut self, texts: &[String]) -> Result<(), String> {
        self.sets.identity.extend(numbered(texts, |name| PolicySource::Inline(format!("PolicyInputList.{name}")))?);
        Ok(())
    }

    /// Replaces the boundary.
    pub(crate) fn set_boundary(&mut self, texts: &[String]) -> Result<(), String> {
        let source = |name| PolicySource::Boundary(format!("PermissionsBoundaryPolicyInputList.{name}"));
        self.sets.boundary = Some(numbered(texts, source)?);
        Ok(())
    }

    /// Sets the policy of the resource.
    pub(crate) fn set_resource_policy(&mut self, text: &str) -> Result<(), String> {
        self.resource_policy = Some(Document::parse(text)?);
        Ok(())
    }

    /// Sets the ARN of the user who sends the request.
    pub(crate) fn set_caller(&mut self, arn: &str) {
        self.principal = Principal::User { arn: arn.to_owned(), id: String::new() };
    }

    /// Sets the condition keys of the request.
    pub(crate) fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// Returns the condition keys that the policies refer to.
    pub(crate) fn context_keys(&self) -> BTreeSet<String> {
        self.policies().flat_map(|policy| policy.document.context_keys()).collect()
    }

    fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.sets.identity.iter().chain(self.sets.boundary.iter().flatten())
    }

    /// Decides about an action on a resource.
    pub(crate) fn run(&self, action: &str, resource: &str) -> Simulated {
        let request = AccessRequest { action, resource, context: &self.context };
        let of_resource = match &self.resource_policy {
            Some(document) => document.evaluate_for(&self.principal, &request, self.account.as_str()),
            None => (Evaluation { verdict: Verdict::Silent, decided_by: None }, None::<Naming>),
        };
        let reason = combine(&self.sets, &of_resource, &request);
        let decision = match &reason {
            Reason::Denied(_) => "explicitDeny",
            Reason::NoStatement(_) => "implicitDeny",
            Reason::Allowed(_) | Reason::RootUser | Reason::NotEnforced => "allowed",
        };
        let matched = policy::matched(&self.sets.identity, &request);
        let of_boundary = self.sets.boundary.as_deref().map(|boundary| policy::matched(boundary, &request));
        let is_allowed =
            |matched: &Vec<(DecidingStatement, bool)>| !matched.is_empty() && matched.iter().all(|(_, allows)| *allows);
        let allowed_by_boundary = of_boundary.as_ref().map(is_allowed);
        // A denial reports only the statements that deny.
        let is_relevant = |allows: bool| decision != "explicitDeny" || !allows;
        let all = matched.into_iter().chain(of_boundary.into_iter().flatten());
        let mut matched: Vec<_> = all.filter(|(_, allows)| is_relevant(*allows)).map(|(by, _)| by).collect();
        matched.extend(of_resource.0.decided_by);
        let missing = self.context_keys().into_iter().filter(|key| self.context.values(key).is_none()).collect();
        Simulated { decision, matched, missing, allowed_by_boundary }
    }
}

fn numbered(texts: &[String], source: impl Fn(usize) -> PolicySource) -> Result<Vec<Policy>, String> {
    let policy = |(index, text): (usize, &String)| {
        Ok(Policy { source: source(index + 1), document: Arc::new(Document::parse(text)?) })
    };
    texts.iter().enumerate().map(policy).collect()
}
