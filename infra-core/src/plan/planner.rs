//! Visits the declarations in an order in which each follows its dependencies.

mod replacement;

use super::{
    Plan, PlanOptions, ReplaceOrder, Step, decide, deletions, marks, order::order, selection::Selected, wanted,
};
use crate::{
    diagnostic::{Diagnostic, Severity},
    diff::Action,
    event::{Event, Events},
    graph::{Node, NodeKind, ResourceGraph},
    policy::Declared,
    provider::{Inspect, ProviderError, Reporter},
    state::{Entry, Generation, Live, Marks, OperationId, Request, State, Verb},
    urn::Urn,
    value::{EvaluateError, Value},
};
use async_trait::async_trait;
use futures::future::join_all;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

/// Plans the changes from `state` to `graph`.
pub async fn plan(
    graph: &ResourceGraph,
    state: &State,
    inspect: &dyn Inspect,
    options: &PlanOptions,
    events: &Events,
) -> Result<Plan, Vec<Diagnostic>> {
    let names = renames(graph, state);
    let mut state = Cow::Borrowed(state);
    for (to, from) in &names {
        state.to_mut().apply(Entry::Renamed { from: from.clone(), to: to.clone() });
    }
    let state = state.as_ref();
    let selected = options.selection.resolve(graph, state)?;
    let mut planner = Planner {
        graph,
        state,
        inspect,
        options,
        events,
        selected,
        names,
        outputs: HashMap::with_capacity(graph.len()),
        answers: BTreeMap::new(),
        steps: Vec::with_capacity(graph.len()),
        changing: HashMap::new(),
        deleted_first: HashSet::new(),
        absent: HashSet::new(),
        unselected: HashSet::new(),
        policy_subjects: Vec::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    planner.read_independent_lookups().await;
    for node in graph.in_order() {
        planner.visit(node).await;
    }
    planner.delete();
    planner.check_policies();
    let outputs = planner.exports();
    if !planner.problems.is_empty() {
        return Err(planner.problems);
    }
    let execution = order(&planner.steps, graph, state).map_err(|deadlock| vec![*deadlock])?;
    Ok(Plan {
        steps: planner.steps,
        execution,
        renamed: planner.names,
        outputs,
        answers: planner.answers,
        warnings: planner.warnings,
        absent: planner.absent.into_iter().cloned().collect(),
        unselected: planner.unselected.into_iter().cloned().collect(),
    })
}

/// Returns the declarations that are recorded under a previous name, with that name.
fn renames(graph: &ResourceGraph, state: &State) -> BTreeMap<Urn, Urn> {
    let mut taken: HashSet<Urn> = HashSet::new();
    let mut renamed = BTreeMap::new();
    for node in graph.in_order().filter(|node| !node.options.aliases.is_empty()) {
        if state.resources.contains_key(&node.urn) {
            continue;
        }
        let earlier = node.options.aliases.iter().filter_map(|alias| {
            let named = Urn::new(node.urn.stack(), node.urn.program(), node.urn.kind(), alias);
            alias.parse().or(named).ok()
        });
        let from = earlier.filter(|from| graph.node(from).is_none() && !taken.contains(from));
        if let Some(from) = from.into_iter().find(|from| state.resources.contains_key(from)) {
            taken.insert(from.clone());
            renamed.insert(node.urn.clone(), from);
        }
    }
    renamed
}

struct Planner<'a> {
    graph: &'a ResourceGraph,
    state: &'a State,
    inspect: &'a dyn Inspect,
    options: &'a PlanOptions,
    events: &'a Events,
    selected: Selected,
    /// Previous names of renamed declarations.
    names: BTreeMap<Urn, Urn>,
    /// Expected outputs of each node.
    outputs: HashMap<&'a Urn, Cow<'a, Value>>,
    answers: BTreeMap<Urn, Generation>,
    steps: Vec<Step>,
    /// Nodes that are replaced or deleted.
    changing: HashMap<&'a Urn, Action>,
    /// Nodes that are deleted before their replacement is created.
    deleted_first: HashSet<&'a Urn>,
    absent: HashSet<&'a Urn>,
    unselected: HashSet<&'a Urn>,
    /// Nodes that policies check.
    policy_subjects: Vec<(&'a Node, Action, Value)>,
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl<'a> Planner<'a> {
    async fn visit(&mut self, node: &'a Node) {
        if node.kind == NodeKind::Component {
            self.outputs.insert(&node.urn, Cow::Owned(Value::empty()));
            return;
        }
        let present = match presence(node, &|urn| self.known(urn)) {
            Ok(present) => present,
            Err(error) => return self.fail(node, evaluation(&error, node)),
        };
        if present == Some(false) {
            self.absent.insert(&node.urn);
            self.outputs.insert(&node.urn, Cow::Owned(Value::Null));
            return;
        }
        if !self.selected.contains(&node.urn) {
            return self.leave(node);
        }
        if let Some(recorded) = self.unchanged(node).filter(|_| present == Some(true)) {
            return self.keep(node, recorded);
        }
        let inputs = match node.inputs.evaluate(&|urn| self.known(urn)) {
            Ok(inputs) => inputs,
            // The referenced resource may be absent as well.
            Err(_) if present.is_none() => Value::Unknown,
            Err(error) => return self.fail(node, evaluation(&error, node)),
        };
        self.refuse_missing(node);
        match node.kind {
            NodeKind::Lookup => self.visit_lookup(node, inputs, present).await,
            _ => self.visit_resource(node, inputs, present),
        }
    }

    /// Returns the known outputs of a node.
    fn known(&self, urn: &Urn) -> Option<&Value> {
        self.outputs.get(urn).map(AsRef::as_ref)
    }

    /// Returns the recorded generation of a resource that is unchanged. This is the fast path of a plan: it constructs
    /// no value and calls no provider.
    fn unchanged(&self, node: &Node) -> Option<&'a Generation> {
        let recorded = self.state.current(&node.urn).filter(|_| node.kind == NodeKind::Resource)?;
        let settled = !recorded.uncertain && recorded.region == node.region && !self.selected.replaces(&node.urn);
        (settled && node.inputs.yields(&recorded.inputs, &|urn| self.known(urn))).then_some(recorded)
    }

    fn keep(&mut self, node: &'a Node, recorded: &'a Generation) {
        self.refuse_missing(node);
        self.outputs.insert(&node.urn, Cow::Borrowed(&recorded.outputs));
        self.steps.push(Step {
            region: node.region.clone(),
            renamed_from: self.names.get(&node.urn).cloned(),
            ..Step::new(node.urn.clone(), Action::Same)
        });
        self.check_policies_later(node, Action::Same, || recorded.inputs.clone());
    }

    fn check_policies_later(&mut self, node: &'a Node, action: Action, inputs: impl FnOnce() -> Value) {
        if !self.options.policies.is_empty() {
            self.policy_subjects.push((node, action, inputs()));
        }
    }

    fn visit_resource(&mut self, node: &'a Node, inputs: Value, present: Option<bool>) {
        let recorded = self.state.current(&node.urn);
        let inputs = wanted(node, recorded, inputs);
        let asked_for = recorded.is_some() && self.selected.replaces(&node.urn);
        let followed = recorded.and_then(|_| self.followed(node));
        let forced = asked_for || followed.is_some();
        let (action, diff) = decide(node, recorded, &inputs, forced);
        if action != Action::Same {
            self.check(node, &inputs, recorded.filter(|_| action == Action::Update));
        }
        let marks = marks(node, recorded);
        if action == Action::Replace && marks.protect {
            let why: Vec<String> = diff.properties.iter().filter(|p| p.replaces).map(ToString::to_string).collect();
            self.problems.push(protected(&node.urn, "replaced").because(why.join("\n")));
        }
        let order = (action == Action::Replace).then(|| self.order(node, recorded, &inputs));
        if action == Action::Create && self.state.resources.contains_key(&node.urn) {
            // An earlier run started to delete the previous generation, so it is deleted before the new one is created.
            self.deleted_first.insert(&node.urn);
        }
        if action == Action::Replace {
            self.changing.insert(&node.urn, action);
        }
        self.outputs.insert(&node.urn, expected_outputs(node, action, recorded));
        let retained = action == Action::Replace && marks.retain_on_delete;
        if let Some(recorded) = recorded.filter(|_| action == Action::Replace && !retained) {
            // A generation that is deleted before the create hands nothing over.
            let next = (order == Some(ReplaceOrder::CreateBeforeDelete)).then_some(&inputs);
            self.warn_of_loss(&node.urn, "replacing", recorded, next);
        }
        let note = match (retained, forced) {
            (true, _) => Some("the previous generation is not deleted: retain_on_delete".to_owned()),
            (_, true) if diff.replaces() => None,
            _ => followed.or_else(|| asked_for.then(|| "asked for".to_owned())),
        };
        self.steps.push(Step {
            region: node.region.clone(),
            diff,
            order,
            renamed_from: self.names.get(&node.urn).cloned(),
            unknown_set: node.set.clone().filter(|_| present.is_none()),
            forced,
            note,
            inputs: (self.options.include_inputs && action != Action::Same).then(|| pinned(&inputs)),
            ..Step::new(node.urn.clone(), action)
        });
        self.check_policies_later(node, action, || inputs);
    }

    /// Checks all declarations against the policies.
    fn check_policies(&mut self) {
        let used: Vec<Vec<Urn>> =
            self.policy_subjects.iter().map(|(node, ..)| recorded_dependencies(self.graph, &node.urn)).collect();
        let declared: Vec<Declared<'_>> = self
            .policy_subjects
            .iter()
            .zip(&used)
            .map(|((node, action, inputs), dependencies)| Declared {
                urn: &node.urn,
                region: node.region.as_deref(),
                action: *action,
                inputs,
                dependencies,
            })
            .collect();
        for diagnostic in self.options.policies.iter().flat_map(|policy| policy.violations(&declared)) {
            match diagnostic.severity {
                Severity::Error => self.problems.push(diagnostic),
                _ => self.warnings.push(diagnostic),
            }
        }
    }

    async fn visit_lookup(&mut self, node: &'a Node, inputs: Value, present: Option<bool>) {
        let recorded = self.state.current(&node.urn);
        let step = |action| Step {
            lookup: true,
            region: node.region.clone(),
            unknown_set: node.set.clone().filter(|_| present.is_none()),
            ..Step::new(node.urn.clone(), action)
        };
        if inputs.has_unknown() || present.is_none() {
            self.outputs.insert(&node.urn, Cow::Owned(Value::Unknown));
            self.steps.push(step(Action::Read));
            return;
        }
        if let Some(pinned) = &node.pinned {
            let dependencies = recorded_dependencies(self.graph, &node.urn);
            let answer = answered(node.region.clone(), inputs.clone(), pinned.clone(), dependencies);
            self.answers.insert(node.urn.clone(), answer);
        } else if let Some(recorded) = recorded.filter(|recorded| self.still_answers(node, recorded, &inputs)) {
            self.outputs.insert(&node.urn, Cow::Borrowed(&recorded.outputs));
            self.steps.push(step(Action::Same));
            return;
        }
        if !self.answers.contains_key(&node.urn) {
            match read_lookup(self.inspect, self.graph, &self.state.seed, node, inputs, self.events).await {
                Ok(answer) => drop(self.answers.insert(node.urn.clone(), answer)),
                Err(error) => return self.fail(node, error.diagnostic(&node.urn)),
            }
        }
        let answer = &self.answers[&node.urn];
        let same =
            recorded.is_some_and(|recorded| recorded.inputs == answer.inputs && recorded.outputs == answer.outputs);
        self.outputs.insert(&node.urn, Cow::Owned(answer.outputs.clone()));
        self.steps.push(step(if same { Action::Same } else { Action::Read }));
    }

    /// Keeps the recorded state of a node that is not selected.
    fn leave(&mut self, node: &'a Node) {
        self.unselected.insert(&node.urn);
        let recorded = self.state.current(&node.urn);
        let known = recorded.map_or(Cow::Owned(Value::Unknown), |recorded| Cow::Borrowed(&recorded.outputs));
        self.outputs.insert(&node.urn, known);
        let Some(recorded) = recorded else {
            return;
        };
        for used in &recorded.dependencies {
            if let Some((used, action)) = self.changing.get_key_value(used) {
                let summary = format!(
                    "the resource depends on {}, which the plan would {action}, and is not selected",
                    used.short()
                );
                self.problems.push(Diagnostic::error(summary).about(&node.urn).hint(DEPENDENTS));
            }
        }
    }

    /// Refuses a selected node whose excluded dependency does not exist.
    fn refuse_missing(&mut self, node: &'a Node) {
        if self.unselected.is_empty() {
            return;
        }
        for used in self.graph.dependencies(&node.urn) {
            if self.unselected.contains(used) && self.state.current(used).is_none() {
                let summary =
                    format!("the resource depends on {}, which is excluded and does not exist yet", used.short());
                self.problems.push(Diagnostic::error(summary).about(&node.urn).hint(DEPENDENTS));
            }
        }
    }

    /// Adds the problems of inputs. `updated` is the generation that receives them.
    fn check(&mut self, node: &Node, inputs: &Value, updated: Option<&Generation>) {
        for diagnostic in self.inspect.check(&node.urn, inputs, updated.map(|updated| &updated.inputs)) {
            match diagnostic.severity {
                Severity::Error => self.problems.push(diagnostic),
                _ => self.warnings.push(diagnostic),
            }
        }
    }

    fn delete(&mut self) {
        let is_declared = |urn: &Urn| self.graph.node(urn).is_some() && !self.absent.contains(urn);
        let steps = deletions::deletions(self.state, is_declared, |urn| self.selected.contains(urn));
        let mut going: HashSet<&Urn> = HashSet::new();
        for step in &steps {
            let generation = step.generation.and_then(|number| self.state.generation(&step.urn, number));
            let is_current =
                self.state.current(&step.urn).is_some_and(|current| Some(current.generation) == step.generation);
            if is_current {
                going.insert(&step.urn);
            }
            if let Some(generation) = generation.filter(|generation| is_current && !generation.marks.retain_on_delete) {
                self.warn_of_loss(&step.urn, "deleting", generation, None);
            }
            let protect = is_current && generation.is_some_and(|generation| generation.marks.protect);
            if protect && step.action == Action::Delete {
                self.problems.push(protected(&step.urn, "deleted"));
            }
        }
        let left = |urn: &Urn| !self.selected.contains(urn) && !going.contains(urn);
        for (user, generation) in self.state.generations().filter(|(urn, _)| left(urn)) {
            for used in generation.dependencies.iter().filter(|used| going.contains(used)) {
                let summary = format!(
                    "the resource depends on {}, which the plan would delete, and is not selected",
                    used.short()
                );
                self.problems.push(Diagnostic::error(summary).about(user).hint(DEPENDENTS));
            }
        }
        self.steps.extend(steps);
    }

    /// Adds a warning about data that the step loses.
    fn warn_of_loss(&mut self, urn: &Urn, verb: &str, recorded: &Generation, next: Option<&Value>) {
        let lost = recorded.id.as_ref().and_then(|_| self.inspect.loses(urn, &recorded.inputs, next));
        let hint = || format!("back up the data first; `state protect {}` prevents such plans", urn.name());
        let warning = |lost| Diagnostic::warning(format!("{verb} it loses {lost}")).about(urn).hint(hint());
        self.warnings.extend(lost.map(warning));
    }

    /// Reads all lookups without unknown arguments concurrently.
    async fn read_independent_lookups(&mut self) {
        let this = &*self;
        let independent = this.graph.in_order().filter(|node| {
            node.kind == NodeKind::Lookup
                && node.set.is_none()
                && node.pinned.is_none()
                && this.selected.contains(&node.urn)
        });
        let questions = independent.filter_map(|node| {
            let inputs = node.inputs.evaluate(&|_| None).ok().filter(|inputs| !inputs.has_unknown())?;
            let recorded = this.state.current(&node.urn);
            let known = recorded.is_some_and(|recorded| this.still_answers(node, recorded, &inputs));
            (!known).then_some(async move {
                let answer = read_lookup(this.inspect, this.graph, &this.state.seed, node, inputs, this.events).await;
                (node.urn.clone(), answer)
            })
        });
        let answers = join_all(questions).await;
        for (urn, answer) in answers {
            // A failure is reported when the node is visited.
            if let Ok(answer) = answer {
                self.answers.insert(urn, answer);
            }
        }
    }

    fn still_answers(&self, node: &Node, recorded: &Generation, inputs: &Value) -> bool {
        !node.schema.is_volatile() && !self.options.refresh && recorded.inputs == *inputs
    }

    fn exports(&mut self) -> BTreeMap<String, serde_json::Value> {
        let mut exports = BTreeMap::new();
        for (name, expression) in self.graph.exports() {
            match expression.evaluate(&|urn| self.known(urn)) {
                Ok(value) => drop(exports.insert(name.clone(), value.masked())),
                Err(error) => {
                    self.problems.push(Diagnostic::error(error.to_string()).about(format!("the output `{name}`")));
                }
            }
        }
        exports
    }

    fn fail(&mut self, node: &'a Node, diagnostic: Diagnostic) {
        // Report a problem of a set only once, not for each member.
        let is_reported =
            node.set.is_some() && self.problems.iter().any(|problem| problem.summary == diagnostic.summary);
        if !is_reported {
            self.problems.push(diagnostic);
        }
        self.outputs.insert(&node.urn, Cow::Owned(Value::Unknown));
    }
}

const DEPENDENTS: &str = "add `--dependents`, or select it as well";

fn protected(urn: &Urn, what: &str) -> Diagnostic {
    Diagnostic::error(format!("the resource is protected and would be {what}"))
        .about(urn)
        .hint(format!("to allow this, run `state unprotect {}`, or set `protect(false)` in the program", urn.name()))
}

/// Evaluates the condition of a declaration; `None` if it is known only while applying.
pub(crate) fn presence<'v>(
    node: &Node,
    outputs: &dyn Fn(&Urn) -> Option<&'v Value>,
) -> Result<Option<bool>, EvaluateError> {
    let Some(present) = &node.options.present else {
        return Ok(Some(true));
    };
    Ok(match present.evaluate(outputs)?.revealed() {
        Value::Bool(present) => Some(present),
        _ => None,
    })
}

/// Returns the outputs that are known once the action is done.
fn expected_outputs<'a>(node: &Node, action: Action, recorded: Option<&'a Generation>) -> Cow<'a, Value> {
    match (action, recorded) {
        (Action::Same, Some(recorded)) => Cow::Borrowed(&recorded.outputs),
        (Action::Update, Some(recorded)) => Cow::Owned(Value::Map(
            recorded
                .outputs
                .entries()
                .map(|(name, value)| {
                    let changes = node.schema.may_change(name);
                    (name.clone(), if changes { Value::Unknown } else { value.clone() })
                })
                .collect(),
        )),
        _ => Cow::Owned(Value::Unknown),
    }
}

/// Returns inputs for a saved plan. Unknown values are replaced by a text.
fn pinned(inputs: &Value) -> Value {
    match inputs {
        Value::Unknown => Value::from("(known after apply)"),
        Value::Secret(inner) => pinned(inner).into_secret(),
        Value::List(items) => Value::List(items.iter().map(pinned).collect()),
        Value::Map(map) => Value::Map(map.iter().map(|(name, value)| (name.clone(), pinned(value))).collect()),
        other => other.clone(),
    }
}

/// Reads a lookup whose arguments are known.
pub(crate) async fn read_lookup(
    inspect: &dyn Inspect,
    graph: &ResourceGraph,
    seed: &str,
    node: &Node,
    inputs: Value,
    events: &Events,
) -> Result<Generation, ProviderError> {
    let operation = OperationId::random()
        .map_err(|error| ProviderError::refused(format!("the operating system returned no random bytes: {error}")))?;
    let request = Request {
        region: node.region.clone(),
        dependencies: recorded_dependencies(graph, &node.urn),
        ..Request::new(operation, Verb::Create, node.urn.clone(), inputs, seed)
    };
    let watcher = Watcher { urn: &node.urn, events };
    let outputs = inspect.lookup(&request, &watcher).await?;
    Ok(answered(request.region, request.inputs, outputs, request.dependencies))
}

/// Returns the record of a lookup's result.
fn answered(region: Option<String>, inputs: Value, outputs: Value, dependencies: Vec<Urn>) -> Generation {
    Generation {
        id: None,
        region,
        inputs,
        outputs,
        dependencies,
        generation: 0,
        operation: None,
        uncertain: false,
        marks: Marks::default(),
        origin: None,
    }
}

/// Returns the dependencies that the state records: all except components, which exist only in the program.
pub(crate) fn recorded_dependencies(graph: &ResourceGraph, urn: &Urn) -> Vec<Urn> {
    let used = graph.dependencies(urn).into_iter();
    used.filter(|used| graph.node(used).is_some_and(|node| node.kind != NodeKind::Component)).cloned().collect()
}

/// Converts a recorded generation to the form in which providers describe existing resources.
pub(crate) fn live(generation: &Generation) -> Live {
    Live {
        id: generation.id.clone().unwrap_or_default(),
        inputs: Some(generation.inputs.clone()),
        outputs: generation.outputs.clone(),
    }
}

pub(crate) fn evaluation(error: &EvaluateError, node: &Node) -> Diagnostic {
    Diagnostic::error(error.to_string()).about(&node.urn).hint("check the inputs of this resource in the program")
}

/// Forwards the status messages of a lookup.
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
