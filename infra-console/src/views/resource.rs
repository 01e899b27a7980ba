//! One resource.

use super::{
    Context, Problem, Query,
    calls::{Call, CallList},
    controls::Controls,
    history::{self, Past},
    properties::{self, Property, properties},
    schemas::{MarksSchema, UrnSchema},
    system::{Status, System},
};
use crate::audit::{self, Action};
use infra_core::{
    diagnostic::{Diagnostic, did_you_mean},
    state::{Generation, Marks, OpenOperation},
    urn::Urn,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One resource, without its secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Resource {
    #[schemars(with = "UrnSchema")]
    pub(crate) urn: Urn,
    /// Type token, such as `aws:ec2:Instance`.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    /// `true` if the program declares it.
    pub(crate) declared: bool,
    /// The recorded generation; `None` if it is not deployed.
    pub(crate) current: Option<Record>,
    /// Replaced generations that are still to be deleted.
    pub(crate) deposed: Vec<Record>,
    pub(crate) uses: Vec<Related>,
    pub(crate) used_by: Vec<Related>,
    /// Start, stop and restart; `None` if the resource runs nothing in the local cloud.
    pub(crate) controls: Option<Controls>,
    /// Operations that are in progress, or whose response was lost.
    pub(crate) open: Vec<Operation>,
    /// The newest API calls that were made for it; `None` if the local cloud does not run or is not the target.
    pub(crate) calls: Option<Vec<Call>>,
    /// Events of the newest runs that concern it, the newest first.
    pub(crate) history: Vec<Past>,
}

/// A recorded generation.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Record {
    /// ID at the provider; `None` for a lookup.
    pub(crate) id: Option<String>,
    pub(crate) region: Option<String>,
    /// Number of the generation, from 0 on.
    pub(crate) generation: u32,
    pub(crate) inputs: Vec<Property>,
    pub(crate) outputs: Vec<Property>,
    #[schemars(with = "MarksSchema")]
    pub(crate) marks: Marks,
    /// The operation that last changed it.
    pub(crate) operation: Option<String>,
}

/// A resource that another one uses, or that uses it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Related {
    #[schemars(with = "UrnSchema")]
    pub(crate) urn: Urn,
    pub(crate) status: Status,
}

/// An operation of the journal without a known outcome.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// `create`, `update` or `delete`.
    pub(crate) verb: String,
    /// Time of the start, RFC 3339.
    pub(crate) at: String,
    /// Number of the generation that it creates, updates or deletes.
    pub(crate) generation: u32,
    /// ID of the generation that it replaces.
    pub(crate) replaces: Option<String>,
    /// Number of milestones that it recorded, such as a generated key. They may contain secrets and are not shown.
    pub(crate) milestones: usize,
    /// `true` if the generation that it replaces was updated since, which reverted its changes.
    pub(crate) undone: bool,
    /// The requested inputs.
    pub(crate) inputs: Vec<Property>,
}

/// A revealed secret.
#[derive(Debug, Serialize)]
pub(crate) struct Secret {
    pub(crate) path: String,
    pub(crate) value: String,
}

/// The recorded values that contain secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    Inputs,
    Outputs,
}

/// The parameters of a resource.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceQuery {
    /// URN of the resource, as the graph lists it.
    urn: String,
}

impl Query for ResourceQuery {
    type View = Resource;

    async fn load(self, context: &Context) -> Result<Resource, Problem> {
        Resource::load(context, &self.urn).await
    }
}

impl Resource {
    /// Reads a resource.
    pub(crate) async fn load(context: &Context, urn: &str) -> Result<Self, Problem> {
        let system = System::load(context).await?;
        let known = system.urns();
        let Some(urn) = known.iter().find(|known| known.as_str() == urn).copied() else {
            let missing = Diagnostic::error(format!("the stack has no resource `{urn}`"));
            let near = did_you_mean(urn, known.iter().map(|known| known.as_str()));
            let hint = near.unwrap_or_else(|| "the page `Graph` lists the resources".to_owned());
            return Err(Problem::not_found(missing.hint(hint)));
        };
        let controls = match system.recorded(urn) {
            Some(generation) => Controls::of(context, urn.kind(), generation).await,
            None => None,
        };
        let history = history::of_resource(context, urn);
        let calls = CallList::of_resource(context, &system, urn, &history).await;
        let calls = calls.ok().map(|list| list.calls);
        Ok(Self { controls, calls, history, ..Self::of(&system, urn) })
    }

    fn of(system: &System, urn: &Urn) -> Self {
        let related = |urn: &Urn| Related { urn: urn.clone(), status: system.status(urn) };
        let used_by = system.urns().into_iter().filter(|other| system.dependencies(other).contains(urn));
        let recorded = system.state.as_ref().and_then(|state| state.resources.get(urn));
        let open = system.state.iter().flat_map(|state| &state.open).filter(|open| open.request.urn == *urn);
        Self {
            urn: urn.clone(),
            kind: urn.kind().to_owned(),
            name: urn.name().to_owned(),
            status: system.status(urn),
            declared: system.graph.as_ref().is_ok_and(|graph| graph.node(urn).is_some()),
            current: recorded.and_then(|recorded| recorded.current.as_ref()).map(Record::of),
            deposed: recorded.iter().flat_map(|recorded| &recorded.deposed).map(Record::of).collect(),
            uses: system.dependencies(urn).iter().map(related).collect(),
            used_by: used_by.map(related).collect(),
            controls: None,
            open: open.map(Operation::of).collect(),
            history: Vec::new(),
            calls: None,
        }
    }
}

impl Record {
    fn of(generation: &Generation) -> Self {
        Self {
            id: generation.id.clone(),
            region: generation.region.clone(),
            generation: generation.generation,
            inputs: properties(&generation.inputs),
            outputs: properties(&generation.outputs),
            marks: generation.marks.clone(),
            operation: generation.operation.as_ref().map(ToString::to_string),
        }
    }
}

impl Operation {
    fn of(open: &OpenOperation) -> Self {
        let verb = serde_json::to_value(open.request.verb).ok();
        Self {
            id: open.request.operation.to_string(),
            verb: verb.as_ref().and_then(|verb| verb.as_str()).unwrap_or_default().to_owned(),
            at: open.request.at.clone(),
            generation: open.request.generation,
            replaces: open.request.replaces.as_ref().map(|live| live.id.clone()),
            milestones: open.progress.len(),
            undone: open.undone,
            inputs: properties(&open.request.inputs),
        }
    }
}

/// Returns a secret of a recorded resource, once the request is recorded in the audit file.
pub(crate) async fn reveal(context: &Context, urn: &str, part: Part, path: &str) -> Result<Secret, Problem> {
    let source = &context.source;
    let missing = || Problem::not_found(Diagnostic::error(format!("`{urn}` has no recorded secret `{path}`")));
    let state = source.state().await?.ok_or_else(missing)?;
    let (urn, resource) = state.resources.iter().find(|(known, _)| known.as_str() == urn).ok_or_else(missing)?;
    let generation = resource.current.as_ref().ok_or_else(missing)?;
    let values = match part {
        Part::Inputs => &generation.inputs,
        Part::Outputs => &generation.outputs,
    };
    let value = properties::secret(values, path).ok_or_else(missing)?;
    let action = Action::SecretShown { urn: urn.as_str(), path };
    audit::record(source.directory(), source.program(), source.stack(), action)
        .map_err(|error| Problem::not_recorded("the secret is not shown", &error))?;
    Ok(Secret { path: path.to_owned(), value })
}
