//! The stack of the command line as the source of a console.

use crate::{
    failure::Failure,
    render::{self, Renderer},
    session::Session,
};
use async_trait::async_trait;
use infra_console::{CloudAccess, Proposal, Source};
use infra_core::{diagnostic::Diagnostic, engine::HistoryEntry, execute::Report, graph::ResourceGraph, state::State};
use infra_local::daemon;
use std::{path::Path, sync::Arc};
use tokio::sync::Mutex;

/// The stack of the command line.
pub(super) struct SessionSource {
    session: Session<'static>,
    /// Held by a plan or a run, because a session uses the local cloud for one of them at a time.
    busy: Mutex<()>,
    renderer: Arc<dyn Renderer>,
}

impl SessionSource {
    pub(super) fn new(session: Session<'static>) -> Self {
        Self { session, busy: Mutex::default(), renderer: render::messages() }
    }

    async fn plan(&self) -> Result<Proposal, Failure> {
        let engine = self.session.engine(None, &self.renderer).await?;
        let run = engine.preview_to_save(&self.session.program.run);
        let planned = self.session.configure(run, None, &self.renderer).await;
        self.session.leave_cloud().await;
        let (plan, saved) = planned?;
        Ok(Proposal { plan, saved })
    }

    async fn execute(&self, saved_plan: String) -> Result<Report, Failure> {
        let session = &self.session;
        let engine = session.engine(None, &self.renderer).await?;
        let run = session.configure(engine.up(&session.program.run), None, &self.renderer);
        let report = run.saved_plan(saved_plan).on_approval(session.record(&[]).await?).await;
        session.leave_cloud().await;
        let report = report?;
        session.record_refreshed().await?;
        Ok(report)
    }
}

/// Returns the first diagnostic of a failure; the others are its details.
fn diagnostic(failure: Failure) -> Diagnostic {
    let mut diagnostics = failure.diagnostics.into_iter();
    let first = diagnostics.next().unwrap_or_else(|| Diagnostic::error("the command failed without a reason"));
    let others: Vec<String> = diagnostics.map(|diagnostic| diagnostic.to_string()).collect();
    if others.is_empty() {
        return first;
    }
    let detail = first.detail.iter().cloned().chain(others).collect::<Vec<_>>().join("\n");
    first.because(detail)
}

#[async_trait]
impl Source for SessionSource {
    fn program(&self) -> &str {
        self.session.program.name()
    }

    fn stack(&self) -> &str {
        &self.session.stack
    }

    fn target(&self) -> &str {
        self.session.target_name()
    }

    fn directory(&self) -> &Path {
        &self.session.directory
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        self.session.declared().await.map_err(diagnostic)
    }

    async fn state(&self) -> Result<Option<State>, Diagnostic> {
        self.session.offline().state().await.map_err(|error| diagnostic(error.into()))
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        self.session.offline().history().await.map_err(|error| diagnostic(error.into()))
    }

    async fn preview(&self) -> Result<Proposal, Diagnostic> {
        let _one_at_a_time = self.busy.lock().await;
        self.plan().await.map_err(diagnostic)
    }

    async fn apply(&self, saved_plan: String) -> Result<Report, Diagnostic> {
        let _one_at_a_time = self.busy.lock().await;
        self.execute(saved_plan).await.map_err(diagnostic)
    }

    fn cloud(&self) -> Option<CloudAccess> {
        if self.target() != "local" {
            return None;
        }
        let running = daemon::recorded(&self.session.cloud_directory())?;
        Some(CloudAccess { token: running.token().to_owned(), endpoint: running.endpoint })
    }
}
