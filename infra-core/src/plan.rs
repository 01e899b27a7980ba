//! What would have to be done to get from the last known state to what is declared.
//!
//! Planning never changes anything, and cannot: it is given nothing but an [`Inspect`].

use crate::{
    diagnostic::{Diagnostic, Severity},
    diff::{Action, Diff, Shown},
    event::{Event, Events},
    graph::{Node, NodeKind, ResourceGraph},
    provider::{Inspect, ProviderError, Reporter},
    state::{Generation, Live, OperationId, Request, State, Verb},
    urn::Urn,
    value::{EvaluateError, Value},
};
use async_trait::async_trait;
use futures::future::join_all;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

/// What would be done: pure data, in an order in which it could be done one by one.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plan {
    /// The steps; what stays the same is among them.
    pub steps: Vec<Step>,
    /// What the program would export, as far as it is known; secrets are masked.
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// The answers of the lookups that were asked while planning.
    #[serde(skip)]
    pub answers: HashMap<Urn, Generation>,
    /// Warnings that came up.
    pub warnings: Vec<Diagnostic>,
}

/// What would be done with one resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// With which.
    pub urn: Urn,
    /// What.
    pub action: Action,
    /// Whether it is a lookup.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lookup: bool,
    /// Where it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Diff::is_empty")]
    pub diff: Diff,
    /// The order of a replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<ReplaceOrder>,
    /// Which generation is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
}

/// The order of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaceOrder {
    /// The new one comes first, its users move over, the old one goes last.
    CreateBeforeDelete,
    /// The old one has to go first, because both claim the same thing.
    DeleteBeforeCreate,
}

/// How a run plans.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Ask every lookup again.
    pub refresh: bool,
}

impl Plan {
    /// How many steps of each action there are; lookups whose answer is known do not count.
    pub fn counts(&self) -> BTreeMap<Action, usize> {
        let mut counts = BTreeMap::new();
        for step in self.steps.iter().filter(|step| !step.lookup || step.action != Action::Same) {
            *counts.entry(step.action).or_default() += 1;
        }
        counts
    }

    /// Whether anything would be changed. Reading is no change.
    pub fn has_changes(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }
}

impl Step {
    /// Whether the step changes anything that a provider keeps.
    pub fn is_change(&self) -> bool {
        !matches!(self.action, Action::Same | Action::Read | Action::Forget)
    }
}

/// Plans the way from `state` to `graph`.
pub async fn plan(
    graph: &ResourceGraph,
    state: &State,
    inspect: &dyn Inspect,
    options: &PlanOptions,
    events: &Events,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut planner = Planner {
        graph,
        state,
        inspect,
        options,
        events,
        outputs: HashMap::new(),
        answers: HashMap::new(),
        steps: Vec::new(),
        going_first: HashSet::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    planner.ask_independent_lookups().await;
    for node in graph.in_order() {
        planner.visit(node).await;
    }
    planner.steps.extend(deletions(graph, state));
    let outputs = planner.exports();
    if planner.problems.is_empty() {
        Ok(Plan { steps: planner.steps, outputs, answers: planner.answers, warnings: planner.warnings })
    } else {
        Err(planner.problems)
    }
}

struct Planner<'a> {
    graph: &'a ResourceGraph,
    state: &'a State,
    inspect: &'a dyn Inspect,
    options: &'a PlanOptions,
    events: &'a Events,
    /// What will be known of each node's outputs.
    outputs: HashMap<&'a Urn, Value>,
    answers: HashMap<Urn, Generation>,
    steps: Vec<Step>,
    /// What is deleted before its replacement is created.
    going_first: HashSet<&'a Urn>,
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl<'a> Planner<'a> {
    async fn visit(&mut self, node: &'a Node) {
        let inputs = match node.inputs.evaluate(&|urn| self.outputs.get(urn)) {
            Ok(inputs) => inputs,
            Err(error) => return self.fail(node, evaluation(&error, node)),
        };
        match node.kind {
            NodeKind::Component => drop(self.outputs.insert(&node.urn, Value::empty())),
            NodeKind::Lookup => self.visit_lookup(node, inputs).await,
            NodeKind::Resource => self.visit_resource(node, &inputs),
        }
    }

    fn visit_resource(&mut self, node: &'a Node, inputs: &Value) {
        for diagnostic in self.inspect.check(&node.urn, inputs) {
            match diagnostic.severity {
                Severity::Error => self.problems.push(diagnostic),
                _ => self.warnings.push(diagnostic),
            }
        }
        let recorded = self.state.current(&node.urn);
        let (action, diff) = decide(node, recorded, inputs);
        let order = (action == Action::Replace).then(|| self.order(node, recorded));
        self.outputs.insert(&node.urn, outlook(node, action, recorded));
        self.steps.push(Step {
            urn: node.urn.clone(),
            action,
            lookup: node.kind == NodeKind::Lookup,
            region: node.region.clone(),
            diff,
            order,
            generation: None,
        });
    }

    async fn visit_lookup(&mut self, node: &'a Node, inputs: Value) {
        let recorded = self.state.current(&node.urn);
        let step = |action| Step {
            urn: node.urn.clone(),
            action,
            lookup: node.kind == NodeKind::Lookup,
            region: node.region.clone(),
            diff: Diff::default(),
            order: None,
            generation: None,
        };
        if inputs.has_unknown() {
            self.outputs.insert(&node.urn, Value::Unknown);
            self.steps.push(step(Action::Read));
            return;
        }
        if let Some(recorded) = recorded.filter(|recorded| self.still_answers(node, recorded, &inputs)) {
            self.outputs.insert(&node.urn, recorded.outputs.clone());
            self.steps.push(step(Action::Same));
            return;
        }
        if !self.answers.contains_key(&node.urn) {
            match ask(self.inspect, self.graph, &self.state.seed, node, inputs, self.events).await {
                Ok(answer) => drop(self.answers.insert(node.urn.clone(), answer)),
                Err(error) => return self.fail(node, error.diagnostic(&node.urn)),
            }
        }
        let answer = &self.answers[&node.urn];
        let same =
            recorded.is_some_and(|recorded| recorded.inputs == answer.inputs && recorded.outputs == answer.outputs);
        self.outputs.insert(&node.urn, answer.outputs.clone());
        self.steps.push(step(if same { Action::Same } else { Action::Read }));
    }

    /// Lookups that wait for nothing are asked all at once.
    async fn ask_independent_lookups(&mut self) {
        let this = &*self;
        let independent = this.graph.in_order().filter(|node| node.kind == NodeKind::Lookup);
        let questions = independent.filter_map(|node| {
            let inputs = node.inputs.evaluate(&|_| None).ok().filter(|inputs| !inputs.has_unknown())?;
            let recorded = this.state.current(&node.urn);
            let known = recorded.is_some_and(|recorded| this.still_answers(node, recorded, &inputs));
            (!known).then_some(async move {
                let answer = ask(this.inspect, this.graph, &this.state.seed, node, inputs, this.events).await;
                (node.urn.clone(), answer)
            })
        });
        let answers = join_all(questions).await;
        for (urn, answer) in answers {
            // A failure comes up again, and is reported, when the node is visited.
            if let Ok(answer) = answer {
                self.answers.insert(urn, answer);
            }
        }
    }

    fn still_answers(&self, node: &Node, recorded: &Generation, inputs: &Value) -> bool {
        !node.schema.is_volatile() && !self.options.refresh && recorded.inputs == *inputs
    }

    /// What is replaced, and used something that has to go first, has to go before it; also when it used that through
    /// others which go altogether.
    fn order(&mut self, node: &'a Node, recorded: Option<&'a Generation>) -> ReplaceOrder {
        let mut first = node.schema.deletes_before_replace();
        let mut used: Vec<&Urn> = recorded.iter().flat_map(|recorded| &recorded.dependencies).collect();
        let mut seen = HashSet::new();
        while let Some(urn) = used.pop().filter(|_| !first) {
            first = self.going_first.contains(urn);
            if seen.insert(urn) && self.graph.node(urn).is_none() {
                used.extend(self.state.current(urn).iter().flat_map(|current| &current.dependencies));
            }
        }
        if !first {
            return ReplaceOrder::CreateBeforeDelete;
        }
        self.going_first.insert(&node.urn);
        ReplaceOrder::DeleteBeforeCreate
    }

    fn exports(&mut self) -> BTreeMap<String, serde_json::Value> {
        let mut exports = BTreeMap::new();
        for (name, expression) in self.graph.exports() {
            match expression.evaluate(&|urn| self.outputs.get(urn)) {
                Ok(value) => drop(exports.insert(name.clone(), value.masked())),
                Err(error) => {
                    self.problems.push(Diagnostic::error(error.to_string()).about(format!("the output `{name}`")));
                }
            }
        }
        exports
    }

    fn fail(&mut self, node: &'a Node, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
        self.outputs.insert(&node.urn, Value::Unknown);
    }
}

/// What has to be done with a declared resource, and why.
pub(crate) fn decide(node: &Node, recorded: Option<&Generation>, inputs: &Value) -> (Action, Diff) {
    let Some(recorded) = recorded else {
        return (Action::Create, Diff::between(&node.schema, &Value::empty(), inputs));
    };
    let diff = Diff::between(&node.schema, &recorded.inputs, inputs);
    let moved = recorded.region != node.region;
    let action = if moved || diff.replaces() {
        Action::Replace
    } else if recorded.uncertain || !diff.is_empty() {
        Action::Update
    } else {
        Action::Same
    };
    (action, diff)
}

/// What will be known of the outputs once the action is done.
fn outlook(node: &Node, action: Action, recorded: Option<&Generation>) -> Value {
    match (action, recorded) {
        (Action::Same, Some(recorded)) => recorded.outputs.clone(),
        (Action::Update, Some(recorded)) => Value::Map(
            recorded
                .outputs
                .entries()
                .map(|(name, value)| {
                    let changes = node.schema.may_change(name);
                    (name.clone(), if changes { Value::Unknown } else { value.clone() })
                })
                .collect(),
        ),
        _ => Value::Unknown,
    }
}

/// What exists and is not declared, users before what they use.
fn deletions(graph: &ResourceGraph, state: &State) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seen = BTreeSet::new();
    for urn in state.resources.keys() {
        used_first(state, urn, &mut seen, &mut |urn| {
            let Some(resource) = state.resources.get(urn) else {
                return;
            };
            let undeclared = resource.current.iter().filter(|_| graph.node(urn).is_none());
            for generation in undeclared.chain(&resource.deposed) {
                let action = if generation.id.is_some() { Action::Delete } else { Action::Forget };
                steps.push(Step {
                    urn: urn.clone(),
                    action,
                    lookup: generation.id.is_none(),
                    region: generation.region.clone(),
                    diff: Diff::default(),
                    order: None,
                    generation: Some(generation.generation),
                });
            }
        });
    }
    steps.reverse();
    steps
}

/// Visits what `urn` uses, then `urn` itself, each once.
fn used_first<'a>(state: &'a State, urn: &'a Urn, seen: &mut BTreeSet<&'a Urn>, visit: &mut dyn FnMut(&'a Urn)) {
    let mut stack = vec![(urn, false)];
    while let Some((urn, ready)) = stack.pop() {
        if ready {
            visit(urn);
            continue;
        }
        if !seen.insert(urn) {
            continue;
        }
        stack.push((urn, true));
        if let Some(resource) = state.resources.get(urn) {
            let generations = resource.current.iter().chain(&resource.deposed);
            stack.extend(generations.flat_map(|g| &g.dependencies).map(|used| (used, false)));
        }
    }
}

/// Asks a lookup whose arguments are known.
pub(crate) async fn ask(
    inspect: &dyn Inspect,
    graph: &ResourceGraph,
    seed: &str,
    node: &Node,
    inputs: Value,
    events: &Events,
) -> Result<Generation, ProviderError> {
    let operation = OperationId::random().map_err(|error| ProviderError::refused(format!("no randomness: {error}")))?;
    let request = Request {
        operation,
        verb: Verb::Create,
        urn: node.urn.clone(),
        region: node.region.clone(),
        generation: 0,
        id: None,
        inputs,
        dependencies: recorded_dependencies(graph, &node.urn),
        seed: seed.to_owned(),
        at: String::new(),
    };
    let watcher = Watcher { urn: &node.urn, events };
    let outputs = inspect.lookup(&request, &watcher).await?;
    Ok(Generation {
        id: None,
        region: request.region,
        inputs: request.inputs,
        outputs,
        dependencies: request.dependencies,
        generation: 0,
        operation: None,
        uncertain: false,
    })
}

/// What the state records as dependencies: everything but components, which exist only in the program.
pub(crate) fn recorded_dependencies(graph: &ResourceGraph, urn: &Urn) -> Vec<Urn> {
    let used = graph.dependencies(urn).into_iter();
    used.filter(|used| graph.node(used).is_some_and(|node| node.kind != NodeKind::Component)).cloned().collect()
}

/// What a recorded generation says of the thing that lives.
pub(crate) fn live(generation: &Generation) -> Live {
    Live {
        id: generation.id.clone().unwrap_or_default(),
        inputs: Some(generation.inputs.clone()),
        outputs: generation.outputs.clone(),
    }
}

pub(crate) fn evaluation(error: &EvaluateError, node: &Node) -> Diagnostic {
    Diagnostic::error(error.to_string()).about(&node.urn).hint("look at the inputs of this resource in the program")
}

/// Passes on what a lookup is busy with.
struct Watcher<'a> {
    urn: &'a Urn,
    events: &'a Events,
}

#[async_trait]
impl Reporter for Watcher<'_> {
    fn status(&self, message: String) {
        let urn = self.urn.clone();
        self.events.send(Event::StepStatus { urn, message });
    }

    async fn progress(&self, _: Value) -> Result<(), ProviderError> {
        Err(ProviderError::refused("a lookup must not change anything"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.action, self.order) {
            (Action::Same, _) => " ",
            (Action::Read, _) => ">",
            (Action::Create, _) => "+",
            (Action::Update, _) => "~",
            (Action::Replace, Some(ReplaceOrder::DeleteBeforeCreate)) => "-/+",
            (Action::Replace, _) => "+/-",
            (Action::Delete, _) => "-",
            (Action::Forget, _) => "<",
        };
        write!(f, "{sign} {} {}", self.action, self.urn.short())?;
        if let Some(region) = &self.region {
            write!(f, " [{region}]")?;
        }
        if self.action == Action::Create {
            return self
                .diff
                .properties
                .iter()
                .try_for_each(|property| write!(f, "\n      {}: {}", property.path, Shown(&property.new)));
        }
        self.diff.properties.iter().try_for_each(|property| write!(f, "\n    {property}"))
    }
}

/// Every step that does something, one below the other, and how many of each there are.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.steps.iter().filter(|step| step.action != Action::Same) {
            writeln!(f, "{step}")?;
        }
        let counts: Vec<String> = self.counts().iter().map(|(action, count)| format!("{count} {action}")).collect();
        writeln!(f, "{}", if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") })?;
        for (name, value) in &self.outputs {
            writeln!(f, "{name} = {}", Shown(value))?;
        }
        Ok(())
    }
}
