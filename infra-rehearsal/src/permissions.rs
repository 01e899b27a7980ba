//! The least-privilege policy of a deployer, derived from an executed lifecycle and proven by others.

use crate::RehearsalError;
use crate::calls::Call;
use crate::documents::{self, PolicyDocument};
use crate::lifecycle::{Deployer, Extent, Lifecycle, Phase, execute};
use crate::policy::{Permissions, Statement, document};
use crate::scratch::Scratch;
use crate::stage::Deployment;
use crate::updates::Unchanged;
use infra_local::{AuthorisedAction, Policy};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Name of the user in the scratch cloud that has the policy.
const DEPLOYER: &str = "deployer";

/// A policy with the proof that it suffices and that all of it is needed.
#[derive(Debug, Serialize)]
pub struct ProvenPolicy {
    /// The permissions.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// The documents of the policy, each within the limit of a managed policy.
    pub documents: Vec<PolicyDocument>,
    /// Actions that were denied although the policy should allow them. Empty for a sufficient policy.
    pub denied: Vec<String>,
    /// Actions of statements that no recorded action needs. Empty for a minimal policy.
    pub unneeded: Vec<String>,
    /// Number of lifecycles that were executed without one of the statements, if there were any.
    pub runs_without_statement: Option<usize>,
    /// Phases that failed for other reasons, so that their calls may be incomplete.
    pub incomplete: Vec<String>,
    /// Properties that could not be updated in place, so that calls of their updates may be missing.
    pub unchanged: BTreeSet<Unchanged>,
    /// The recorded authorisations from which the policy is derived.
    #[serde(skip)]
    pub recorded: BTreeSet<Recorded>,
}

/// A recorded authorisation of the lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Recorded {
    /// The first phase that needed it.
    pub phase: Phase,
    /// The action on a resource with the condition keys of the request, without those that contain times.
    #[serde(flatten)]
    pub authorised: AuthorisedAction,
}

/// Extent of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// One lifecycle under the policy, and the evaluation of all recorded actions without each action of the policy.
    Evaluated,
    /// Additionally one lifecycle without each statement.
    Executed,
}

/// Derives the policy with which the stack can be created, refreshed, updated, replaced and destroyed.
pub async fn permissions(deployment: &Deployment<'_>, proof: Proof) -> Result<ProvenPolicy, RehearsalError> {
    let recorded = lifecycle_of_root(deployment).await?;
    let permissions = Permissions::of(recorded.calls.iter().map(|(_, call)| call), &recorded.seed);
    let authorisations = authorisations(&recorded);
    let actions: Vec<&AuthorisedAction> = authorisations.iter().map(|it| &it.authorised).collect();
    let evaluation = Evaluation::of(&permissions, &actions)?;
    let printed = permissions.compacted();
    // A document without statements is not valid, and a program without calls needs none.
    let executed = if printed.statements.is_empty() {
        Lifecycle::default()
    } else {
        lifecycle_under(deployment, &printed, Extent::Whole).await?
    };
    let denied = Evaluation::of(&printed, &actions)?.denied();
    let mut denied: BTreeSet<String> = denied.into_iter().map(text).collect();
    denied.extend(denied_in(&executed));
    let mut incomplete: Vec<String> = recorded.failures.iter().map(described).collect();
    let unknown = |kind| format!("{:?}: the actions that the handlers of {kind} need are not known", Phase::Create);
    incomplete.extend(unknown_handlers(&recorded).into_iter().map(unknown));
    let additional = executed.failures.iter().filter(|failure| !recorded.failures.contains(failure));
    incomplete.extend(additional.map(|failure| format!("under the policy: {}", described(failure))));
    let mut unneeded = evaluation.unneeded();
    let mut runs_without_statement = None;
    if proof == Proof::Executed {
        // A run that fails for other reasons as well would end before the action that is denied.
        let extent = if recorded.failures.is_empty() { Extent::UntilDenied } else { Extent::Whole };
        for index in 0..permissions.statements.len() {
            let reduced = permissions.without_statement(index);
            if denied_in(&lifecycle_under(deployment, &reduced, extent).await?).is_empty() {
                unneeded.extend(permissions.statements[index].actions.iter().cloned());
            }
        }
        runs_without_statement = Some(permissions.statements.len());
    }
    Ok(ProvenPolicy {
        documents: documents::split(&printed.statements),
        denied: denied.into_iter().collect(),
        unneeded,
        runs_without_statement,
        incomplete,
        unchanged: recorded.unchanged,
        recorded: authorisations,
        permissions,
    })
}

fn described((phase, failure): &(Phase, String)) -> String {
    format!("{phase:?}: {failure}")
}

async fn lifecycle_of_root(deployment: &Deployment<'_>) -> Result<Lifecycle, RehearsalError> {
    let scratch = Scratch::start(deployment.account, &deployment.schemas, false).await?;
    let executed = execute(deployment, &scratch, None, Extent::Whole).await;
    scratch.stop().await;
    executed
}

/// Executes a lifecycle as a user who has exactly these permissions. A denied plan ends it early.
async fn lifecycle_under(
    deployment: &Deployment<'_>,
    permissions: &Permissions,
    extent: Extent,
) -> Result<Lifecycle, RehearsalError> {
    let scratch = Scratch::start(deployment.account, &deployment.schemas, true).await?;
    let admitted = scratch.cloud().admit(DEPLOYER, &permissions.document().to_string());
    let executed = match admitted {
        Ok(key) => {
            let deployer = Deployer { access_key: key.access_key_id, secret_key: key.secret_access_key };
            execute(deployment, &scratch, Some(&deployer), extent).await
        }
        Err(error) => Err(RehearsalError::Policy(error)),
    };
    scratch.stop().await;
    executed
}

/// Returns each recorded authorisation once, with the first phase that needed it.
fn authorisations(lifecycle: &Lifecycle) -> BTreeSet<Recorded> {
    let mut phases: BTreeMap<&AuthorisedAction, Phase> = BTreeMap::new();
    for (phase, call) in &lifecycle.calls {
        for action in &call.decisions {
            phases.entry(action).or_insert(*phase);
        }
    }
    let recorded = |(action, phase): (&AuthorisedAction, Phase)| Recorded { phase, authorised: action.clone() };
    phases.into_iter().map(recorded).collect()
}

/// Returns the types that Cloud Control creates by handlers whose actions were not recorded: those of types with a service are
/// executed after the request, and not all schemas of recorded types list them.
fn unknown_handlers(lifecycle: &Lifecycle) -> BTreeSet<&str> {
    let own = |action: &AuthorisedAction| action.action.starts_with("cloudformation:");
    let calls = lifecycle.calls.iter().map(|(_, call)| call);
    let creates = calls.filter(|call| call.service == "cloudcontrolapi" && call.operation == "CreateResource");
    creates.filter(|call| call.decisions.iter().all(own)).filter_map(|call| call.type_name.as_deref()).collect()
}

fn text(action: &AuthorisedAction) -> String {
    format!("{} on {}", action.action, action.resource)
}

/// Returns the actions that were denied, each with its resource.
fn denied_in(lifecycle: &Lifecycle) -> BTreeSet<String> {
    let calls = lifecycle.calls.iter().map(|(_, call)| call);
    let decisions = calls.flat_map(|call: &Call| call.decisions.iter().zip(&call.allowed));
    decisions.filter(|(_, allowed)| !**allowed).map(|(action, _)| text(action)).collect()
}

/// The evaluation of recorded actions by each statement alone. Statements only allow, so an action is allowed if one of them
/// allows it.
struct Evaluation<'p> {
    permissions: &'p Permissions,
    /// Each recorded action with the statements that allow it.
    allowing: Vec<(&'p AuthorisedAction, Vec<usize>)>,
}

impl<'p> Evaluation<'p> {
    fn of(permissions: &'p Permissions, actions: &[&'p AuthorisedAction]) -> Result<Evaluation<'p>, RehearsalError> {
        let parse = |statement: &Statement| Policy::parse(&document([statement]).to_string());
        let policies: Result<Vec<Policy>, _> = permissions.statements.iter().map(parse).collect();
        let policies = policies.map_err(RehearsalError::Policy)?;
        let allowing = |action: &AuthorisedAction| {
            let candidates = policies.iter().zip(&permissions.statements).enumerate();
            let candidates = candidates.filter(|(_, (_, statement))| statement.actions.contains(&action.action));
            candidates.filter(|(_, (policy, _))| policy.allows(action)).map(|(index, _)| index).collect()
        };
        Ok(Evaluation { permissions, allowing: actions.iter().map(|action| (*action, allowing(action))).collect() })
    }

    /// Returns the recorded actions that no statement allows.
    fn denied(&self) -> Vec<&'p AuthorisedAction> {
        self.allowing.iter().filter(|(_, statements)| statements.is_empty()).map(|(action, _)| *action).collect()
    }

    /// Returns the actions of statements without which all recorded actions would still be allowed.
    fn unneeded(&self) -> Vec<String> {
        let mut needed: BTreeSet<(usize, &str)> = BTreeSet::new();
        for (action, statements) in &self.allowing {
            if let [only] = statements[..] {
                needed.insert((only, &action.action));
            }
        }
        let all = self.permissions.statements.iter().enumerate();
        let all = all.flat_map(|(index, statement)| statement.actions.iter().map(move |action| (index, action)));
        all.filter(|(index, action)| !needed.contains(&(*index, action.as_str()))).map(|(_, it)| it.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn action(action: &str, resource: &str) -> AuthorisedAction {
        AuthorisedAction { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    fn statement(actions: &[&str], resource: &str) -> Statement {
        let actions = actions.iter().map(|it| (*it).to_owned()).collect();
        Statement { actions, resources: [resource.to_owned()].into(), conditions: BTreeMap::new() }
    }

    #[test]
    fn evaluation_finds_denied_and_unneeded_actions() {
        let statements = vec![
            statement(&["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::b/*"),
            statement(&["s3:GetObject"], "arn:aws:s3:::b/k"),
            statement(&["s3:DeleteObject"], "arn:aws:s3:::c/*"),
        ];
        let permissions = Permissions { statements, ..Permissions::default() };
        let recorded = [
            action("s3:GetObject", "arn:aws:s3:::b/k"),
            action("s3:PutObject", "arn:aws:s3:::b/k"),
            action("s3:DeleteObject", "arn:aws:s3:::b/k"),
        ];
        let actions: Vec<&AuthorisedAction> = recorded.iter().collect();
        let evaluation = Evaluation::of(&permissions, &actions).unwrap();
        assert_eq!(
            evaluation.denied().into_iter().map(text).collect::<Vec<_>>(),
            ["s3:DeleteObject on arn:aws:s3:::b/k"]
        );
        assert_eq!(evaluation.unneeded(), ["s3:GetObject", "s3:GetObject", "s3:DeleteObject"]);
    }
}
