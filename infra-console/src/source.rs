//! The stack that a console shows.

use async_trait::async_trait;
use infra_core::{
    diagnostic::Diagnostic, engine::HistoryEntry, execute::Report, graph::ResourceGraph, monitoring::Monitoring,
    plan::Plan, state::State, target::Credentials, urn::Pattern,
};
use std::{path::Path, sync::Arc};

/// A stack, its program, and the commands that the console may run on it.
///
/// Every method reads the present state: the program may have been built again, and other commands may run meanwhile.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Returns the name of the program.
    fn program(&self) -> &str;

    /// Returns the name of the stack.
    fn stack(&self) -> &str;

    /// Returns the name of the target: `local` or `aws`.
    fn target(&self) -> &str;

    /// Returns the directory of the states, the run records and the local cloud.
    fn directory(&self) -> &Path;

    /// Returns the resources that the program declares.
    async fn declared(&self) -> Result<ResourceGraph, Diagnostic>;

    /// Returns the recorded state; `None` if the stack was never deployed.
    async fn state(&self) -> Result<Option<State>, Diagnostic>;

    /// Returns the history of the stack, the oldest run first.
    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic>;

    /// Plans the changes of an `up` that also replaces the resources of these patterns.
    async fn preview(&self, replace: Vec<Pattern>) -> Result<Proposal, Diagnostic>;

    /// Reads a plan that was saved for the present state of this stack.
    async fn open_plan(&self, saved: String) -> Result<Proposal, Diagnostic>;

    /// Executes a saved plan and nothing else, with the patterns of its preview.
    async fn apply(&self, saved: String, replace: Vec<Pattern>) -> Result<Report, Diagnostic>;

    /// Returns the monitoring services of the target; `None` for the local cloud, or without access to them.
    fn monitoring(&self) -> Option<Arc<dyn Monitoring>> {
        None
    }

    /// Returns the access to the local cloud; `None` if it does not run or is not the target.
    fn cloud(&self) -> Option<CloudAccess>;
}

/// A plan that can be approved.
#[derive(Debug)]
pub struct Proposal {
    /// The plan.
    pub plan: Plan,
    /// The plan as text, with its secrets encrypted.
    pub saved: String,
}

/// Endpoint and keys of a local cloud.
#[derive(Clone)]
pub struct CloudAccess {
    /// The endpoint's URL.
    pub endpoint: String,
    /// Token of the administration paths.
    pub token: String,
    /// Access key that signs calls to the services; `None` if the console may not call them.
    pub credentials: Option<Credentials>,
}
