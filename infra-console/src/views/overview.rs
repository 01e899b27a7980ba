//! The stack at a glance.

use super::{
    Context, Problem, Query,
    properties::{Property, properties},
    schemas::DiagnosticSchema,
    system::{Status, System},
};
use infra_core::{diagnostic::Diagnostic, value::Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The stack at a glance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Overview {
    /// Name of the program.
    pub(crate) program: String,
    /// Name of the stack.
    pub(crate) stack: String,
    /// Name of the target: `local` or `aws`.
    pub(crate) target: String,
    /// Serial of the recorded state; 0 before the first deployment.
    pub(crate) serial: u64,
    /// Number of resources by status.
    pub(crate) counts: BTreeMap<Status, usize>,
    /// The exports of the last deployment.
    pub(crate) outputs: Vec<Property>,
    /// Reason why the program declares no resources.
    #[schemars(with = "Option<DiagnosticSchema>")]
    pub(crate) program_problem: Option<Diagnostic>,
    pub(crate) cloud: CloudSummary,
}

/// The local cloud at a glance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub(crate) enum CloudSummary {
    /// The target is AWS.
    NotUsed,
    /// The target is local, and no local cloud runs.
    Stopped,
    /// A local cloud runs, and does not respond.
    Silent {
        /// Reason.
        reason: String,
    },
    /// A local cloud runs.
    Running {
        /// URL of the endpoint.
        endpoint: String,
        /// Number of running instances.
        instances: usize,
        /// Descriptions of the active faults.
        faults: Vec<String>,
        /// `true` if instances have network namespaces.
        namespaces: bool,
    },
}

/// The parameters of the overview: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverviewQuery {}

impl Query for OverviewQuery {
    type View = Overview;

    async fn load(self, context: &Context) -> Result<Overview, Problem> {
        Overview::load(context).await
    }
}

impl Overview {
    /// Reads the overview.
    pub(crate) async fn load(context: &Context) -> Result<Self, Problem> {
        let system = System::load(context).await?;
        Ok(Self::of(context, &system).await)
    }

    /// Derives the overview from what has been read.
    pub(crate) async fn of(context: &Context, system: &System) -> Self {
        let source = &context.source;
        let outputs = system.state.as_ref().map(|state| {
            let exports = state.outputs.iter().map(|(name, value)| (Arc::<str>::from(name.as_str()), value.clone()));
            properties(&Value::Map(exports.collect()))
        });
        Self {
            program: source.program().to_owned(),
            stack: source.stack().to_owned(),
            target: source.target().to_owned(),
            serial: system.state.as_ref().map_or(0, |state| state.serial),
            counts: system.counts(),
            outputs: outputs.unwrap_or_default(),
            program_problem: system.graph.as_ref().err().cloned(),
            cloud: CloudSummary::load(context).await,
        }
    }
}

impl CloudSummary {
    /// Reads the status of the local cloud.
    pub(crate) async fn load(context: &Context) -> Self {
        if context.source.target() != "local" {
            return Self::NotUsed;
        }
        let Some(cloud) = context.source.cloud() else {
            return Self::Stopped;
        };
        let status = match cloud.get("status").await {
            Ok(status) => status,
            Err(error) => return Self::Silent { reason: error.to_string() },
        };
        let regions = status["regions"].as_object().into_iter().flat_map(|regions| regions.values());
        let instances = regions.filter_map(|region| region["instances"].as_array()).flatten();
        let texts = |list: &serde_json::Value| {
            list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        Self::Running {
            endpoint: cloud.endpoint,
            instances: instances.filter(|instance| instance["state"] == "running").count(),
            faults: texts(&status["faults"]),
            namespaces: status["network"]["namespaces"] == true,
        }
    }
}
