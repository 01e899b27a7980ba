//! Imports of existing resources.

use super::{
    EngineError, Program,
    lifecycle::Finished,
    runner::{Runner, record},
    stopwatch::Stopwatch,
};
use crate::{
    diagnostic::{Diagnostic, did_you_mean},
    diff::Action,
    execute::{self, Report},
    graph::ResourceGraph,
    provider::{Imported, Inspect, ResourceKind},
    stack::Declaration,
    state::{Entry, Generation, Marks, OperationId, Request, Verb},
    urn::Urn,
    value::Value,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An existing resource to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// The type token, such as `aws:ec2:SecurityGroup`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the declaration, with its components.
    pub name: String,
    /// The provider's id.
    pub id: String,
    /// Region of the resource, if its provider has regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// An imported resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adopted {
    /// The URN that the resource is recorded under.
    pub urn: Urn,
    /// The provider's id.
    pub id: String,
    /// Region of the resource, if its provider has regions.
    pub region: Option<String>,
    /// The Rust statement that declares the resource in a program, with the variable `stack`.
    pub declaration: String,
}

impl Runner {
    pub(super) async fn import(
        &self,
        program: Program<'_>,
        requests: &[ImportRequest],
    ) -> Result<Vec<Adopted>, EngineError> {
        self.started("import");
        let watch = Stopwatch::start();
        let Declaration { graph, providers, .. } = self.engine.run_program(program);
        let regions = graph.map(|graph| regions(&graph)).unwrap_or_default();
        let kinds = providers.resource_kinds();
        let misused: Vec<Diagnostic> =
            requests.iter().filter_map(|request| misuse(request, &kinds, &regions)).collect();
        if !misused.is_empty() {
            return Err(EngineError::WrongUse(misused));
        }
        let (session, mut state) = self.open().await?;
        let mut problems =
            execute::settle(&mut state, &providers, Some(&session.journal), &self.options.events).await?;
        let mut entries = Vec::new();
        let mut adopted: Vec<Adopted> = Vec::new();
        for request in requests {
            let urn = match Urn::new(&self.engine.stack, &self.engine.program, &request.kind, &request.name) {
                Ok(urn) => urn,
                Err(error) => {
                    problems.push(Diagnostic::error(error.to_string()).about(&request.name));
                    continue;
                }
            };
            // Some kinds use names as ids, and names are unique only within a region.
            let same = |kind: &str, id: Option<&String>, region: &Option<String>| {
                (kind, id, region) == (request.kind.as_str(), Some(&request.id), &request.region)
            };
            let other = state.generations().find(|(other, thing)| same(other.kind(), thing.id.as_ref(), &thing.region));
            let twice = adopted
                .iter()
                .any(|adopted| adopted.urn == urn || same(adopted.urn.kind(), Some(&adopted.id), &adopted.region));
            if let Some((other, _)) = other {
                let summary = format!("{} is {} of this stack already", request.id, other.short());
                problems.push(Diagnostic::error(summary).about(&urn));
            } else if twice || state.resources.contains_key(&urn) {
                let taken = Diagnostic::error("the stack already has this resource").about(&urn);
                problems.push(taken.hint("choose another name, or remove the other resource with `state rm` first"));
            } else {
                match self.adopt(&providers, &urn, request, &state.seed).await {
                    Ok((entry, taken)) => {
                        entries.push(entry);
                        adopted.push(taken);
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        if problems.is_empty() {
            record(entries, &session, &mut state)?;
        }
        let counts = [(Action::Import, adopted.len())].into();
        let report = Report { counts, failures: problems.clone(), ..Report::default() };
        let finished = Finished { command: "import", declaration: None, outcome: Ok(&report), watch };
        self.conclude(session, &mut state, finished).await?;
        if problems.is_empty() { Ok(adopted) } else { Err(EngineError::Refused(problems)) }
    }

    async fn adopt(
        &self,
        inspect: &dyn Inspect,
        urn: &Urn,
        request: &ImportRequest,
        seed: &str,
    ) -> Result<(Entry, Adopted), Diagnostic> {
        let operation = OperationId::random().map_err(|error| {
            Diagnostic::error(format!("the operating system returned no random bytes: {error}")).about(urn)
        })?;
        let asked = Request {
            id: Some(request.id.clone()),
            region: request.region.clone(),
            ..Request::new(operation, Verb::Update, urn.clone(), Value::empty(), seed)
        };
        let found = inspect.import(&asked).await.map_err(|error| error.diagnostic(urn))?;
        let found = found.ok_or_else(|| {
            let place = request.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
            Diagnostic::error(format!("there is no {} with the id `{}`{place}", request.kind, request.id))
                .about(urn)
                .hint("check the id and the region")
        })?;
        let generation = Generation {
            id: Some(found.live.id.clone()),
            region: request.region.clone(),
            inputs: found.live.inputs.clone().unwrap_or_else(Value::empty),
            outputs: found.live.outputs.clone(),
            dependencies: Vec::new(),
            generation: 0,
            operation: Some(asked.operation),
            uncertain: false,
            marks: Marks { protect: true, ..Marks::default() },
            origin: None,
        };
        let declaration = statement(&found, &request.name);
        let taken = Adopted { urn: urn.clone(), id: found.live.id, region: request.region.clone(), declaration };
        Ok((Entry::Imported { urn: urn.clone(), generation }, taken))
    }
}

/// Returns the statement that declares an imported resource under a name with components.
fn statement(found: &Imported, name: &str) -> String {
    let (components, name) = name.rsplit_once('/').unwrap_or(("", name));
    let components = components.split('/').filter(|component| !component.is_empty());
    let scope = components.fold(found.scope.clone(), |scope, component| format!("{scope}.component({component:?})"));
    format!("{scope}.add({name:?}, {});", found.declaration)
}

/// Returns the regions that a program declares resources in.
fn regions(graph: &ResourceGraph) -> BTreeSet<String> {
    graph.in_order().filter_map(|node| node.region.clone()).collect()
}

/// Returns the reason why a request is invalid. A provider without a list of its types checks the type itself.
fn misuse(request: &ImportRequest, kinds: &[ResourceKind], regions: &BTreeSet<String>) -> Option<Diagnostic> {
    let provider = |token: &str| token.split(':').next().map(str::to_owned);
    let importable = || kinds.iter().filter(|kind| kind.importable).map(|kind| kind.token.as_str());
    let listed = kinds.iter().any(|kind| provider(&kind.token) == provider(&request.kind));
    match kinds.iter().find(|kind| kind.token == request.kind) {
        None if listed || !request.kind.contains(':') => {
            let unknown = Diagnostic::error(format!("there is no resource type `{}`", request.kind));
            Some(
                unknown.about(&request.name).hint(
                    did_you_mean(&request.kind, importable())
                        .unwrap_or_else(|| format!("the types are:\n{}", importable().collect::<Vec<_>>().join("\n"))),
                ),
            )
        }
        Some(kind) if !kind.importable => {
            let refused = Diagnostic::error(format!("resources of the type `{}` cannot be imported", kind.token));
            Some(refused.about(&request.name).hint("declare a new one; `import` without arguments lists the types"))
        }
        Some(kind) if kind.regional && request.region.is_none() => {
            let missing = Diagnostic::error(format!("the region of the {} `{}` is missing", kind.token, request.id));
            let example = regions.first().map_or("us-east-1", String::as_str);
            let declared = regions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let declared = if declared.is_empty() { declared } else { format!("; the program uses {declared}") };
            Some(missing.about(&request.name).hint(format!("add `--region`, such as `--region {example}`{declared}")))
        }
        _ => None,
    }
}
