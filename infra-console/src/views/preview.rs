//! The changes that `up` would make.

use super::{
    Context, Problem, Query,
    plan::{Plan, Step},
    schemas::{ActionSchema, DiagnosticSchema},
};
use infra_core::{diagnostic::Diagnostic, diff::Action, urn::Pattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The changes that `up` would make now. Nothing has changed. Secrets are masked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Preview {
    /// Command or page with which a person applies the changes.
    how_to_apply: String,
    /// Time of the preview, RFC 3339.
    at: String,
    /// Number of resources by action.
    #[schemars(with = "BTreeMap<ActionSchema, usize>")]
    counts: BTreeMap<Action, usize>,
    /// `true` if something is deleted or replaced.
    destructive: bool,
    /// Expected duration, in milliseconds, from the durations of earlier runs; `None` if there are none.
    expected_ms: Option<u64>,
    /// Serial of the recorded state that the program was compared with.
    serial: u64,
    #[schemars(with = "Vec<DiagnosticSchema>")]
    warnings: Vec<Diagnostic>,
    /// The steps that change something.
    steps: Vec<Step>,
}

/// The parameters of a preview.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuery {
    /// Resources to replace even if they are unchanged: URNs, names or components, in which `*` matches any characters.
    #[serde(default)]
    replace: Vec<String>,
}

impl Query for PreviewQuery {
    type View = Preview;

    async fn load(self, context: &Context) -> Result<Preview, Problem> {
        let patterns = self.replace.iter().map(|text| text.parse::<Pattern>()).collect::<Result<Vec<_>, _>>();
        let patterns = patterns.map_err(|error| Problem::invalid(Diagnostic::error(error.to_string())))?;
        let plan = Plan::preview(context, patterns).await?;
        Ok(Preview {
            how_to_apply: advice(context),
            at: plan.at,
            counts: plan.counts,
            destructive: plan.destructive,
            expected_ms: plan.expected_ms,
            serial: plan.serial,
            warnings: plan.warnings,
            steps: plan.steps,
        })
    }
}

fn advice(context: &Context) -> String {
    let (program, stack, target) = (context.source.program(), context.source.stack(), context.source.target());
    let command = format!("stack --program {program} --stack {stack} --target {target}");
    let terminal = format!("a person runs `{command} up` in a terminal");
    if target != "local" {
        return terminal;
    }
    format!(
        "{terminal}, or previews and approves the changes on the page `Plan` of `{command} console --allow-changes`"
    )
}
