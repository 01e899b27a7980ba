//! Answers of providers in a rehearsal.
//!
//! The scratch cloud contains the resources of the stacks in the store, as far as they could be recreated, and no others of
//! the target. A lookup that it cannot answer has its recorded answer. A resource that it cannot create or update, and one of
//! a provider that acts on something else, has its recorded outputs, or synthesised ones, so that its dependents are
//! rehearsed nevertheless.

use crate::calls::Call;
use crate::report::AssumedOutputs;
use crate::scratch::Requests;
use crate::stand_in::Synthesis;
use async_trait::async_trait;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    provider::{ErrorKind, Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter, ResourceKind},
    state::{Generation, Live, Request, State},
    value::Value,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Beginning of the errors of operations that are not rehearsed.
pub(crate) const NOT_REHEARSED: &str = "not rehearsed: ";

/// Name of the provider of references to other stacks.
pub(crate) const REFERENCES: &str = "stack";

/// Reason for the use of the recorded answer of a lookup.
const RECALLED: &str = "the scratch cloud does not contain the resource, so its recorded outputs were used";

/// Texts shorter than this, such as `a` or `80`, occur in requests by chance.
const SHORTEST: usize = 5;

/// Answers of lookups that send no request, such as that of a program that is built and read: they depend on this machine
/// alone, so that the runs of a lifecycle need them only once.
#[derive(Default)]
struct OwnAnswers(Mutex<BTreeMap<Urn, (Value, Value)>>);

impl OwnAnswers {
    fn find(&self, request: &Request) -> Option<Value> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, answer) = answers.get(&request.urn).filter(|(inputs, _)| *inputs == request.inputs)?;
        Some(answer.clone())
    }

    fn keep(&self, request: &Request, answer: &Value) {
        let kept = (request.inputs.clone(), answer.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request.urn.clone(), kept);
    }
}

/// The recorded answers of a stack, and the resources and lookups that the scratch cloud does not contain.
pub(crate) struct Answers {
    recorded: BTreeMap<Urn, Value>,
    /// Programs and stacks whose resources were recreated.
    recreated: BTreeSet<(String, String)>,
    requests: Requests,
    /// Resources by their ids, and lookups, which have none.
    assumed: Mutex<BTreeMap<(Urn, String), Assumed>>,
    /// Lookups without any answer.
    unanswered: Mutex<BTreeSet<Urn>>,
    /// Answers that are read once, if any are.
    own: Option<OwnAnswers>,
    /// `None` if resources that cannot be rehearsed fail.
    synthesis: Option<Synthesis>,
}

/// A resource or lookup that was not rehearsed.
#[derive(Clone)]
pub(crate) struct Assumed {
    /// The reason.
    pub(crate) reason: String,
    /// The outputs in place of its own; `None` if the scratch cloud has returned them.
    pub(crate) outputs: Option<AssumedOutputs>,
    /// The texts in these outputs that its inputs do not contain.
    texts: Vec<String>,
}

impl Assumed {
    fn new(reason: String, origin: AssumedOutputs, outputs: &Value, inputs: &Value) -> Assumed {
        let (mut texts, mut declared) = (Vec::new(), Vec::new());
        collect(outputs, &mut texts);
        collect(inputs, &mut declared);
        texts.retain(|text| !declared.contains(text));
        Assumed { reason, outputs: Some(origin), texts }
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= SHORTEST => texts.push(text.to_string()),
        Value::Secret(inner) => collect(inner, texts),
        Value::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(members) => members.values().for_each(|member| collect(member, texts)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown => {}
    }
}

impl Answers {
    /// Returns the answers of a stack before its first run. `requests` are those of the scratch cloud.
    pub(crate) fn none(requests: Requests) -> Answers {
        Answers {
            recorded: BTreeMap::new(),
            recreated: BTreeSet::new(),
            requests,
            assumed: Mutex::default(),
            unanswered: Mutex::default(),
            own: None,
            synthesis: None,
        }
    }

    /// Lets lookups that send no request be read once.
    pub(crate) fn once(self) -> Answers {
        Answers { own: Some(OwnAnswers::default()), ..self }
    }

    /// Adds the answers in a recorded state, some of which the scratch cloud could not give.
    pub(crate) fn recorded(self, state: &State, recalled: &BTreeSet<Urn>) -> Answers {
        let lookups = state.generations().filter(|(_, generation)| generation.id.is_none());
        let recorded: BTreeMap<_, _> =
            lookups.map(|(urn, generation)| (urn.clone(), generation.outputs.clone())).collect();
        for urn in recalled {
            self.assume_answer(urn, recorded.get(urn).unwrap_or(&Value::Null));
        }
        Answers { recorded, ..self }
    }

    /// Adds the outputs of recorded resources that could not be recreated, by declaration and generation, with the reasons.
    pub(crate) fn without(self, state: &State, missing: &BTreeMap<(Urn, u32), String>) -> Answers {
        for ((urn, number), reason) in missing {
            if let Some(Generation { id, inputs, outputs, .. }) = state.generation(urn, *number) {
                let assumed = Assumed::new(reason.clone(), AssumedOutputs::Recorded, outputs, inputs);
                self.locked().insert((urn.clone(), id.clone().unwrap_or_default()), assumed);
            }
        }
        self
    }

    /// Adds the stacks whose resources were recreated, by program and name.
    pub(crate) fn beside(self, recreated: BTreeSet<(String, String)>) -> Answers {
        Answers { recreated, ..self }
    }

    /// Lets resources that cannot be rehearsed have synthesised outputs.
    pub(crate) fn synthesising(self, synthesis: Synthesis) -> Answers {
        Answers { synthesis: Some(synthesis), ..self }
    }

    /// Returns the resources and lookups that were not rehearsed so far.
    pub(crate) fn assumed(&self) -> BTreeMap<Urn, Assumed> {
        self.locked().iter().map(|((urn, _), assumed)| (urn.clone(), assumed.clone())).collect()
    }

    /// Returns the lookups without an answer so far.
    pub(crate) fn unanswered(&self) -> BTreeSet<Urn> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<(Urn, String), Assumed>> {
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assume_answer(&self, urn: &Urn, answer: &Value) {
        let assumed = Assumed::new(RECALLED.to_owned(), AssumedOutputs::Recorded, answer, &Value::Null);
        self.locked().insert((urn.clone(), String::new()), assumed);
    }

    fn lack(&self, request: &Request, prior: &Live) -> bool {
        self.locked().contains_key(&(request.urn.clone(), prior.id.clone()))
    }

    /// Returns the answer of a lookup that sends no request, if it is known.
    fn known(&self, request: &Request) -> Option<Value> {
        self.own.as_ref()?.find(request)
    }

    /// Keeps the answer of a lookup that has sent no request. References depend on the cloud of the run.
    fn keep(&self, request: &Request, answer: &Value) {
        if let Some(own) = &self.own
            && request.urn.provider() != REFERENCES
            && !self.requests.contain(&request.urn)
        {
            own.keep(request, answer);
        }
    }

    /// Notes a reference to a stack whose resources were not recreated. Other lookups have no such arguments.
    fn note_reference(&self, request: &Request, answer: &Value) {
        let argument = |name: &str| request.inputs.field(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(stack) = argument("program").zip(argument("stack"))
            && request.urn.provider() == REFERENCES
            && !self.recreated.contains(&stack)
        {
            self.assume_answer(&request.urn, answer);
        }
    }

    /// Returns the recorded answer of a lookup that the scratch cloud cannot answer.
    fn recall(&self, urn: &Urn, error: &ProviderError) -> Result<Value, ProviderError> {
        if let Some(answer) = self.recorded.get(urn) {
            self.assume_answer(urn, answer);
            return Ok(answer.clone());
        }
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).insert(urn.clone());
        Err(ProviderError::refused(format!("{NOT_REHEARSED}only the target can answer the lookup: {error}"))
            .hint("deploy the stack that contains the resource from the same store, or exclude the lookup"))
    }

    /// Returns a resource in place of one that cannot be created: what exists of it, or one with synthesised outputs.
    fn create(&self, request: &Request, existing: Option<Live>, reason: String) -> Option<Live> {
        let synthesis = self.synthesis.as_ref()?;
        let (live, assumed) = match existing {
            Some(live) => (live, Assumed { reason, outputs: None, texts: Vec::new() }),
            None => {
                let live = synthesis.create(request);
                let assumed = Assumed::new(reason, AssumedOutputs::Synthesised, &live.outputs, &request.inputs);
                (live, assumed)
            }
        };
        self.locked().insert((request.urn.clone(), live.id.clone()), assumed);
        Some(live)
    }

    /// Notes that an existing resource cannot be updated or deleted in the scratch cloud. It stays as it is. Returns whether
    /// the rehearsal continues.
    fn leave(&self, request: &Request, prior: &Live, reason: &str) -> bool {
        let assumed = Assumed { reason: reason.to_owned(), outputs: None, texts: Vec::new() };
        self.synthesis.is_some() && {
            self.locked().insert((request.urn.clone(), prior.id.clone()), assumed);
            true
        }
    }

    /// Returns the limit of the rehearsal that made an operation fail after the call with this number, or `None` if AWS would
    /// refuse it as well.
    fn limit(&self, request: &Request, error: &ProviderError, after: u64) -> Option<String> {
        let failed = self.requests.last_failed(&request.urn, after);
        if let Some(reason) = failed.as_ref().and_then(Call::unsupported) {
            return Some(reason);
        }
        let (urn, outputs) = self.cause(request, error, failed.as_ref())?;
        Some(match outputs {
            AssumedOutputs::Recorded => {
                format!("it uses `{}`, which the scratch cloud does not contain: {error}", urn.name())
            }
            AssumedOutputs::Synthesised => format!("it uses {outputs} of `{}`: {error}", urn.name()),
        })
    }

    /// Returns the resource whose assumed outputs the refused call contains; for an error without a call, those that the
    /// inputs contain. A text of recorded outputs may occur by chance, unless the inputs refer to the resource.
    fn cause(&self, request: &Request, error: &ProviderError, failed: Option<&Call>) -> Option<(Urn, AssumedOutputs)> {
        let inputs = request.inputs.to_json().to_string();
        let parameters = failed.map(|call| call.parameters.to_string());
        let is_cause = |text: &String| {
            let is_sent = parameters.as_ref().is_none_or(|parameters| parameters.contains(text));
            // A name that is taken is taken whatever the other parameters are.
            let is_other_name = error.kind == ErrorKind::AlreadyExists && !error.message.contains(text);
            inputs.contains(text) && is_sent && !is_other_name
        };
        self.locked().iter().find_map(|((urn, _), assumed)| {
            let outputs = assumed.outputs?;
            let is_used = outputs == AssumedOutputs::Synthesised || request.dependencies.contains(urn);
            (is_used && assumed.texts.iter().any(is_cause)).then(|| (urn.clone(), outputs))
        })
    }
}

/// A provider in a rehearsal. With answers, its operations succeed if only the rehearsal prevents them.
pub(crate) struct Answering {
    pub(crate) provider: Arc<dyn Provider>,
    /// The reason why the provider is not called, a clause about it; `None` if it calls the scratch cloud.
    pub(crate) silenced: Option<String>,
    pub(crate) answers: Option<Arc<Answers>>,
}

impl Answering {
    fn is_absent(&self, request: &Request, prior: &Live) -> bool {
        self.silenced.is_some() || self.answers.as_ref().is_some_and(|answers| answers.lack(request, prior))
    }

    fn not_called(&self, urn: &Urn) -> Option<String> {
        let reason = self.silenced.as_ref()?;
        Some(format!("the provider `{}` {reason} and is not called", urn.provider()))
    }

    /// Returns the number of the last call.
    fn last_call(&self) -> u64 {
        self.answers.as_ref().map_or(0, |answers| answers.requests.last())
    }

    /// Returns the answers, if they replace the failed operation, with the limit of the rehearsal that prevented it.
    fn limit(&self, request: &Request, error: &ProviderError, after: u64) -> Option<(&Answers, String)> {
        let answers = self.answers.as_deref()?;
        Some((answers, answers.limit(request, error, after)?))
    }
}

fn refused(reason: &str) -> ProviderError {
    ProviderError::refused(format!("{NOT_REHEARSED}{reason}"))
}

#[async_trait]
impl Inspect for Answering {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        self.provider.check(urn, inputs, prior)
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.provider.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.provider.recovery(urn)
    }

    fn endpoint(&self) -> Option<&str> {
        self.provider.endpoint()
    }

    fn resource_kinds(&self) -> Vec<ResourceKind> {
        self.provider.resource_kinds()
    }

    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        if self.is_absent(request, prior) {
            return Ok(Some(prior.clone()));
        }
        self.provider.read(request, prior).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        match self.not_called(&request.urn) {
            Some(reason) => Err(refused(&reason)),
            None => self.provider.import(request).await,
        }
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        if self.silenced.is_some() {
            return Ok(Outcome::Absent);
        }
        self.provider.find(request, progress).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        let Some(answers) = &self.answers else {
            return match self.not_called(&request.urn) {
                Some(reason) => Err(refused(&reason)),
                None => self.provider.lookup(request, reporter).await,
            };
        };
        if let Some(reason) = self.not_called(&request.urn) {
            return answers.recall(&request.urn, &ProviderError::refused(reason));
        }
        if let Some(answer) = answers.known(request) {
            return Ok(answer);
        }
        match self.provider.lookup(request, reporter).await {
            Ok(answer) => {
                answers.note_reference(request, &answer);
                answers.keep(request, &answer);
                Ok(answer)
            }
            // An error without a request, such as that of a program that does not compile, is one of this machine.
            Err(error) if !answers.requests.contain(&request.urn) => Err(error),
            Err(error) => answers.recall(&request.urn, &error),
        }
    }
}

#[async_trait]
impl Provider for Answering {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        if let Some(reason) = self.not_called(&request.urn) {
            let error = refused(&reason);
            return self.answers.as_ref().and_then(|answers| answers.create(request, None, reason)).ok_or(error);
        }
        let after = self.last_call();
        match self.provider.create(request, progress, reporter).await {
            Ok(live) => Ok(live),
            Err(error) => {
                let limit = self.limit(request, &error, after);
                let existing = error.live.as_deref().cloned();
                limit.and_then(|(answers, reason)| answers.create(request, existing, reason)).ok_or(error)
            }
        }
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        // Its inputs are those of the request.
        let updated = || Live { inputs: None, ..prior.clone() };
        if self.is_absent(request, prior) {
            return Ok(updated());
        }
        let after = self.last_call();
        match self.provider.update(request, prior, reporter).await {
            Ok(live) => Ok(live),
            Err(error) => match self.limit(request, &error, after) {
                Some((answers, reason)) if answers.leave(request, prior, &reason) => Ok(updated()),
                _ => Err(error),
            },
        }
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        if self.is_absent(request, prior) {
            return Ok(());
        }
        let after = self.last_call();
        match self.provider.delete(request, prior, reporter).await {
            Ok(()) => Ok(()),
            Err(error) => match self.limit(request, &error, after) {
                Some((answers, reason)) if answers.leave(request, prior, &reason) => Ok(()),
                _ => Err(error),
            },
        }
    }
}
