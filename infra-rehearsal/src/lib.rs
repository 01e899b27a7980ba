//! Rehearsals: a plan is executed in a scratch cloud before it is executed.
//!
//! A scratch cloud is a local cloud in this process, with a control plane only. A rehearsal recreates the recorded
//! resources in it with their identifiers (`seed`), and lets the engine plan and execute the program there, with the
//! program's own provider. Errors that AWS would return while the plan is executed are found without AWS: dependency
//! violations, name collisions, invalid combinations. Afterwards a refresh and a second plan must find nothing to change.
//!
//! A rehearsal calls only the provider of AWS, with the scratch cloud as its endpoint, and the providers of the engine. It
//! never calls the target and never writes the state of the stack.
//!
//! # Layout
//! No module uses a later one:
//! - `breaker`: interruptions of a run at one of its changes
//! - `calls`: recorded API calls
//! - `report`: the result
//! - `translation`: values of the scratch cloud in place of recorded ones
//! - `schemas`: the schemas of recorded types
//! - `scratch`: the scratch cloud
//! - `stand_in`: synthesised outputs
//! - `answers`: answers for what the scratch cloud does not contain
//! - `seed`: recreates the recorded resources
//! - `stage`: an engine on a scratch cloud
//! - `rehearse`: the rehearsal of a plan
//! - `crashes`: rehearsed runs that are interrupted and repeated
//! - `policy`: the IAM policy that recorded calls need
//! - `compaction`: fewer statements that allow the same
//! - `documents`: policy documents within IAM's size limits
//! - `comparison`: the difference between an earlier policy and the present one
//! - `conditions`: the conditions of a policy for a request
//! - `alteration`: other values for inputs
//! - `updates`: updates of single properties
//! - `lifecycle`: create, refresh, update, replace and destroy in a scratch cloud
//! - `permissions`: the policy of a deployer with its proof
//! - `host_roles`: the permissions that the roles of hosts need

mod alteration;
mod answers;
mod breaker;
mod calls;
mod compaction;
mod comparison;
mod conditions;
mod crashes;
mod documents;
mod host_roles;
mod lifecycle;
mod permissions;
mod policy;
mod rehearse;
mod report;
mod schemas;
mod scratch;
mod seed;
mod stage;
mod stand_in;
mod translation;
mod updates;

pub use calls::CallCount;
pub use comparison::{Comparison, Grant};
pub use crashes::with_crashes;
pub use documents::{
    ATTACHED_DEFAULT, ATTACHED_TO_ROLE, ATTACHED_TO_USER, MANAGED_LIMIT, PolicyDocument, ROLE_INLINE_LIMIT,
    USER_INLINE_LIMIT, characters,
};
pub use host_roles::{Need, Origin, RolePermissions, host_roles};
pub use lifecycle::Phase;
pub use permissions::{Proof, ProvenPolicy, Recorded, permissions};
pub use policy::{Permissions, Statement};
pub use rehearse::rehearse;
pub use report::{AssumedOutputs, Assumption, Crashes, PerpetualDiff, Rehearsal, RehearsedStep, Unrehearsed};
pub use schemas::Schemas;
pub use stage::{Deployment, Neighbour, Script};
pub use updates::Unchanged;

use infra_core::{diagnostic::Diagnostic, engine::EngineError, store::StoreError};

/// Reasons why a rehearsal cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The directory of the scratch cloud cannot be created.
    #[error("the directory of the scratch cloud cannot be created: {0}")]
    Directory(#[source] std::io::Error),
    /// The schemas cannot be given to the scratch cloud.
    #[error("the schemas of recorded types cannot be used: {0}")]
    Schemas(#[source] std::io::Error),
    /// The scratch cloud does not start.
    #[error("the scratch cloud does not start: {0}")]
    Start(#[from] infra_local::StartError),
    /// The state has operations whose outcome is unknown.
    #[error("the state has {0} unfinished operations of an interrupted run, whose outcome only the target knows")]
    OpenOperations(usize),
    /// The engine refuses the program, its configuration or the plan.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A recorded request has an unknown form.
    #[error("a recorded request of the scratch cloud cannot be read: {0}")]
    Call(#[source] serde_json::Error),
    /// The run sent more requests than a cloud records.
    #[error("the rehearsal sent more requests than the scratch cloud records")]
    TooManyCalls,
    /// The derived policy is not valid.
    #[error("the derived policy cannot be used: {0}")]
    Policy(#[source] infra_local::InvalidPolicy),
    /// The state of the rehearsal cannot be kept in memory.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RehearsalError {
    /// Returns messages for the user.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            RehearsalError::Engine(error) => error.diagnostics(),
            RehearsalError::OpenOperations(_) => {
                vec![Diagnostic::error(self.to_string()).hint("run `refresh` first, which settles them")]
            }
            RehearsalError::TooManyCalls => {
                vec![Diagnostic::error(self.to_string()).hint("rehearse a part of the stack with `--target-urn`")]
            }
            other => vec![Diagnostic::from_error(other)],
        }
    }
}
