//! The stack of the command line as the source of a console and of MCP tools.

use crate::{
    failure::Failure,
    render::{self, Renderer},
    session::Session,
};
use async_trait::async_trait;
use infra_console::{CloudAccess, Proposal, Source};
use infra_core::{
    diagnostic::Diagnostic,
    engine::{EngineError, HistoryEntry},
    execute::Report,
    graph::ResourceGraph,
    monitoring::Monitoring,
    plan::{SavedPlan, Selection},
    state::State,
    target::Credentials,
    urn::Pattern,
};
use infra_local::daemon;
use std::{path::Path, sync::Arc};
use tokio::sync::Mutex;

/// The stack of the command line.
pub(in crate::commands) struct SessionSource {
    session: Session<'static>,
    /// Held by a plan or a run, because a session uses the local cloud for one of them at a time.
    busy: Mutex<()>,
    renderer: Arc<dyn Renderer>,
    monitoring: Option<Arc<dyn Monitoring>>,
}

impl SessionSource {
    pub(in crate::commands) fn new(session: Session<'static>) -> Self {
        let monitoring = session.monitoring();
        Self { session, busy: Mutex::default(), renderer: render::messages(), monitoring }
    }

    async fn plan(&self, replace: &[Pattern]) -> Result<Proposal, Failure> {
        let engine = self.session.engine(None, &self.renderer).await?;
        let run = engine.preview_to_save(&self.session.program.run);
        let run = self.session.configure(run, None, &self.renderer).select(replacing(replace));
        let planned = self.session.complete(run).await;
        self.session.leave_cloud().await;
        let (plan, saved) = planned?;
        Ok(Proposal { plan, saved })
    }

    async fn open(&self, saved: String) -> Result<Proposal, Failure> {
        let plan = SavedPlan::from_text(&saved, &self.session.store().seal().await?).map_err(EngineError::from)?;
        if let Some(state) = self.session.offline().state().await? {
            plan.check_state(&state, self.target()).map_err(EngineError::from)?;
        }
        Ok(Proposal { plan: plan.plan().clone(), saved })
    }

    async fn execute(&self, saved: String, replace: &[Pattern]) -> Result<Report, Failure> {
        let session = &self.session;
        let engine = session.engine(None, &self.renderer).await?;
        let run = session.configure(engine.up(&session.program.run), None, &self.renderer);
        let run = run.select(replacing(replace)).saved_plan(saved);
        let run = run.on_approval(session.record(&[]).await?);
        let report = session.complete(run).await;
        session.leave_cloud().await;
        let report = report?;
        session.record_refreshed().await?;
        Ok(report)
    }
}

fn replacing(patterns: &[Pattern]) -> Selection {
    Selection { replace: patterns.to_vec(), ..Selection::default() }
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
        self.session.target.name()
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

    async fn preview(&self, replace: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        let _one_at_a_time = self.busy.lock().await;
        self.plan(&replace).await.map_err(diagnostic)
    }

    async fn open_plan(&self, saved: String) -> Result<Proposal, Diagnostic> {
        self.open(saved).await.map_err(diagnostic)
    }

    async fn apply(&self, saved: String, replace: Vec<Pattern>) -> Result<Report, Diagnostic> {
        let _one_at_a_time = self.busy.lock().await;
        self.execute(saved, &replace).await.map_err(diagnostic)
    }

    fn monitoring(&self) -> Option<Arc<dyn Monitoring>> {
        self.monitoring.clone()
    }

    fn cloud(&self) -> Option<CloudAccess> {
        if self.target() != "local" {
            return None;
        }
        let running = daemon::recorded(&self.session.cloud_directory())?;
        let key = infra_local::credentials(&self.session.cloud_directory()).ok();
        let credentials = key.map(|key| Credentials::new(key.access_key_id, key.secret_access_key));
        Some(CloudAccess { token: running.token().to_owned(), endpoint: running.endpoint, credentials })
    }
}
