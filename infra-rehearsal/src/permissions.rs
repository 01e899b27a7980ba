//! The least-privilege policy of a deployer, derived from an executed lifecycle and proven by others.

use crate::RehearsalError;
use crate::calls::Call;
use crate::lifecycle::{Deployer, Lifecycle, execute};
use crate::policy::Permissions;
use crate::scratch::Scratch;
use crate::stage::Deployment;
use infra_local::{AuthorisedAction, Policy};
use serde::Serialize;
use std::collections::BTreeSet;

/// Name of the user in the scratch cloud that has the policy.
const DEPLOYER: &str = "deployer";

/// A policy with the proof that it suffices and that all of it is needed.
#[derive(Debug, Serialize)]
pub struct ProvenPolicy {
    /// The permissions.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// Actions that were denied although the policy should allow them. Empty for a sufficient policy.
    pub denied: Vec<String>,
    /// Actions of statements that no recorded action needs. Empty for a minimal policy.
    pub unneeded: Vec<String>,
    /// Number of lifecycles that were executed without one of the statements, if there were any.
    pub runs_without_statement: Option<usize>,
    /// Phases that failed for other reasons, so that their calls may be incomplete.
    pub incomplete: Vec<String>,
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
    let permissions = Permissions::of(&recorded.calls, &recorded.seed);
    let executed = lifecycle_under(deployment, &permissions).await?;
    let mut proven = ProvenPolicy {
        denied: denied(&executed.calls),
        unneeded: unneeded(&permissions, &recorded.calls)?,
        runs_without_statement: None,
        incomplete: recorded.failures.iter().map(|(phase, failure)| format!("{phase:?}: {failure}")).collect(),
        permissions,
    };
    if proof == Proof::Executed {
        for index in 0..proven.permissions.statements.len() {
            let executed = lifecycle_under(deployment, &proven.permissions.without_statement(index)).await?;
            if denied(&executed.calls).is_empty() {
                let actions = &proven.permissions.statements[index].actions;
                proven.unneeded.extend(actions.iter().cloned());
            }
        }
        proven.runs_without_statement = Some(proven.permissions.statements.len());
    }
    Ok(proven)
}

async fn lifecycle_of_root(deployment: &Deployment<'_>) -> Result<Lifecycle, RehearsalError> {
    let scratch = Scratch::start(false).await?;
    let executed = execute(deployment, &scratch, None).await;
    scratch.stop().await;
    executed
}

/// Executes a lifecycle as a user who has exactly these permissions. A denied plan ends it early.
async fn lifecycle_under(deployment: &Deployment<'_>, permissions: &Permissions) -> Result<Lifecycle, RehearsalError> {
    let scratch = Scratch::start(true).await?;
    let admitted = scratch.cloud().admit(DEPLOYER, &permissions.document().to_string());
    let executed = match admitted {
        Ok(key) => {
            let deployer = Deployer { access_key: key.access_key_id, secret_key: key.secret_access_key };
            match execute(deployment, &scratch, Some(&deployer)).await {
                // A lookup that is denied fails the plan; the calls show the denial.
                Err(RehearsalError::Engine(error)) => match scratch.calls_after(0) {
                    Ok(calls) if !denied(&calls).is_empty() => {
                        Ok(Lifecycle { calls, seed: String::new(), failures: Vec::new() })
                    }
                    _ => Err(RehearsalError::Engine(error)),
                },
                other => other,
            }
        }
        Err(error) => Err(RehearsalError::Policy(error)),
    };
    scratch.stop().await;
    executed
}

/// Returns the actions that were denied, each with its resource.
fn denied(calls: &[Call]) -> Vec<String> {
    let refused = calls.iter().flat_map(|call| call.decisions.iter().zip(&call.allowed));
    let denied = refused.filter(|(_, allowed)| !**allowed);
    let texts: BTreeSet<String> = denied.map(|(it, _)| format!("{} on {}", it.action, it.resource)).collect();
    texts.into_iter().collect()
}

/// Returns the actions of statements without which all recorded actions would still be allowed.
fn unneeded(permissions: &Permissions, calls: &[Call]) -> Result<Vec<String>, RehearsalError> {
    let recorded: BTreeSet<&AuthorisedAction> = calls.iter().flat_map(|call| &call.decisions).collect();
    let mut unneeded = Vec::new();
    for (index, statement) in permissions.statements.iter().enumerate() {
        for action in &statement.actions {
            let reduced = permissions.without(index, action);
            let needed = reduced.statements.is_empty() || {
                let policy = Policy::parse(&reduced.document().to_string()).map_err(RehearsalError::Policy)?;
                recorded.iter().filter(|it| it.action == *action).any(|it| !policy.allows(it))
            };
            if !needed {
                unneeded.push(action.clone());
            }
        }
    }
    Ok(unneeded)
}
