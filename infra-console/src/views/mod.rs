//! The content of the pages as data. Pages, the JSON API and the MCP tools show the same views.

pub(crate) mod calls;
pub(crate) mod controls;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod inventory;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod network;
pub(crate) mod overview;
pub(crate) mod parameters;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod properties;
pub(crate) mod range;
pub(crate) mod resource;
pub(crate) mod runs;
pub(crate) mod schemas;
pub(crate) mod system;
pub(crate) mod text;

use crate::{cloud::CloudError, source::Source};
use axum::http::StatusCode;
use infra_core::{diagnostic::Diagnostic, monitoring::Monitoring};
use schemars::JsonSchema;
use schemas::DiagnosticSchema;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Name of the target of a local cloud.
pub(crate) const LOCAL: &str = "local";

/// Access of all views to the stack.
pub(crate) struct Context {
    pub(crate) source: Arc<dyn Source>,
    /// `true` if the console may change something.
    pub(crate) allow_changes: bool,
}

/// The parameters with which programs request a view: as a route of the JSON API, and as an MCP tool.
///
/// The fields of the implementing type are the parameters, and their documentation is that of the parameters.
pub(crate) trait Query: DeserializeOwned + JsonSchema + Send + 'static {
    /// The view. It contains no secret.
    type View: Serialize + JsonSchema + Send;

    /// Reads the view.
    fn load(self, context: &Context) -> impl Future<Output = Result<Self::View, Problem>> + Send;
}

/// A view that cannot be shown: the reason, and what to do.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    #[serde(flatten)]
    #[schemars(with = "DiagnosticSchema")]
    pub(crate) diagnostic: Diagnostic,
}

impl Problem {
    /// Returns the problem of a page about a thing that does not exist.
    pub(crate) fn not_found(diagnostic: Diagnostic) -> Self {
        Self { status: StatusCode::NOT_FOUND, diagnostic }
    }

    /// Returns the problem of a request that is not understood.
    pub(crate) fn invalid(diagnostic: Diagnostic) -> Self {
        Self { status: StatusCode::BAD_REQUEST, diagnostic }
    }

    /// Returns the problem of an action that does not happen, because the audit file cannot be written.
    pub(crate) fn not_recorded(consequence: &str, error: &std::io::Error) -> Self {
        let summary = format!("{consequence}, because the request cannot be recorded");
        let diagnostic = Diagnostic::error(summary).because(error.to_string());
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            diagnostic: diagnostic.hint("check the directory's free space and mode"),
        }
    }

    /// Returns the problem of a change, if the console only reads.
    pub(crate) fn read_only() -> Self {
        let refused = Diagnostic::error("this console only reads: it was started without `--allow-changes`");
        Self::refused(refused.hint("start it with `stack console --allow-changes`"))
    }

    /// Returns the problem of a request that the console refuses.
    pub(crate) fn refused(diagnostic: Diagnostic) -> Self {
        Self { status: StatusCode::FORBIDDEN, diagnostic }
    }
}

impl From<Diagnostic> for Problem {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, diagnostic }
    }
}

impl From<CloudError> for Problem {
    fn from(error: CloudError) -> Self {
        let diagnostic = Diagnostic::error(error.to_string());
        match error {
            CloudError::NotRunning => diagnostic.hint("start it with `stack local start` or `stack up`").into(),
            CloudError::NoResponse(_) => diagnostic.hint("`stack local logs` shows the log of the local cloud").into(),
            CloudError::Unknown(_) => diagnostic
                .hint("restart it with `stack local stop` and `stack local start`, which keep its resources")
                .into(),
            CloudError::Refused(_) => Self { status: StatusCode::BAD_REQUEST, diagnostic },
        }
    }
}

impl Context {
    /// Returns the monitoring services of AWS.
    pub(crate) fn monitoring(&self) -> Result<Arc<dyn Monitoring>, Problem> {
        self.source.monitoring().ok_or_else(|| {
            let none = Diagnostic::error("this program cannot read metrics and logs of AWS");
            none.hint("add it to the command: `Cli::new(programs).monitoring(infra_aws::monitoring::open)`").into()
        })
    }

    /// Returns the local cloud.
    pub(crate) fn cloud(&self) -> Result<crate::source::CloudAccess, CloudError> {
        self.source.cloud().ok_or(CloudError::NotRunning)
    }
}
