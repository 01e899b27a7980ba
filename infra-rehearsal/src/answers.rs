//! Answers for resources that the scratch cloud does not contain: it contains those of the stacks in the store, as far as they
//! could be recreated, and no others of the target.

use crate::scratch::Requests;
use crate::simulated::NOT_REHEARSED;
use async_trait::async_trait;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    provider::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter, ResourceKind},
    state::{Live, Request, State},
    value::Value,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

/// The recorded answers of the lookups of a stack, and the lookups that the scratch cloud could not answer.
pub(crate) struct Answers {
    recorded: BTreeMap<Urn, Value>,
    /// Recorded resources that could not be recreated.
    absent: BTreeSet<Urn>,
    /// Programs and stacks whose resources were recreated.
    recreated: BTreeSet<(String, String)>,
    requests: Requests,
    foreign: Mutex<Foreign>,
    /// Answers that are read once, if any are.
    own: Option<OwnAnswers>,
}

/// Lookups of resources that the scratch cloud does not contain.
#[derive(Clone, Default)]
pub(crate) struct Foreign {
    /// Lookups with a recorded answer, which was used.
    pub(crate) recalled: BTreeSet<Urn>,
    /// Lookups without a recorded answer.
    pub(crate) unanswered: BTreeSet<Urn>,
}

impl Answers {
    /// Returns the answers of a stack before its first run. `requests` are those of the scratch cloud.
    pub(crate) fn none(requests: Requests) -> Answers {
        Answers {
            recorded: BTreeMap::new(),
            absent: BTreeSet::new(),
            recreated: BTreeSet::new(),
            requests,
            foreign: Mutex::default(),
            own: None,
        }
    }

    /// Lets lookups that send no request be read once.
    pub(crate) fn once(self) -> Answers {
        Answers { own: Some(OwnAnswers::default()), ..self }
    }

    /// Adds the answers in a recorded state, some of which the scratch cloud could not give.
    pub(crate) fn recorded(self, state: &State, recalled: BTreeSet<Urn>) -> Answers {
        let lookups = state.generations().filter(|(_, generation)| generation.id.is_none());
        let recorded = lookups.map(|(urn, generation)| (urn.clone(), generation.outputs.clone())).collect();
        let foreign = Mutex::new(Foreign { recalled, ..Foreign::default() });
        Answers { recorded, foreign, ..self }
    }

    /// Adds recorded resources that could not be recreated.
    pub(crate) fn without(self, absent: BTreeSet<Urn>) -> Answers {
        Answers { absent, ..self }
    }

    /// Adds the stacks whose resources were recreated, by program and name.
    pub(crate) fn beside(self, recreated: BTreeSet<(String, String)>) -> Answers {
        Answers { recreated, ..self }
    }

    /// Returns the lookups that the scratch cloud could not answer so far.
    pub(crate) fn foreign(&self) -> Foreign {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Foreign> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lack(&self, request: &Request) -> bool {
        self.absent.contains(&request.urn)
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
    fn note_reference(&self, request: &Request) {
        let argument = |name: &str| request.inputs.field(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(stack) = argument("program").zip(argument("stack"))
            && request.urn.provider() == REFERENCES
            && !self.recreated.contains(&stack)
        {
            self.locked().recalled.insert(request.urn.clone());
        }
    }

    /// Returns the recorded answer in place of an error of the scratch cloud. Other errors, such as that of a program that
    /// does not compile, are returned.
    fn recall(&self, urn: &Urn, error: ProviderError) -> Result<Value, ProviderError> {
        if !self.requests.contain(urn) {
            return Err(error);
        }
        if let Some(answer) = self.recorded.get(urn) {
            self.locked().recalled.insert(urn.clone());
            return Ok(answer.clone());
        }
        self.locked().unanswered.insert(urn.clone());
        Err(ProviderError::refused(format!("{NOT_REHEARSED}only the target can answer the lookup: {error}"))
            .hint("deploy the stack that contains the resource from the same store, or exclude the lookup"))
    }
}

/// Name of the provider of references to other stacks.
pub(crate) const REFERENCES: &str = "stack";

/// A provider whose lookups have the recorded answer if the scratch cloud has none. Resources that could not be recreated
/// stay as recorded.
pub(crate) struct Answering {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) answers: Arc<Answers>,
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
        if self.answers.lack(request) {
            return Ok(Some(prior.clone()));
        }
        self.provider.read(request, prior).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        self.provider.import(request).await
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        self.provider.find(request, progress).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        if let Some(answer) = self.answers.known(request) {
            return Ok(answer);
        }
        match self.provider.lookup(request, reporter).await {
            Ok(answer) => {
                self.answers.note_reference(request);
                self.answers.keep(request, &answer);
                Ok(answer)
            }
            Err(error) => self.answers.recall(&request.urn, error),
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
        self.provider.create(request, progress, reporter).await
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        if self.answers.lack(request) {
            return Ok(prior.clone());
        }
        self.provider.update(request, prior, reporter).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        if self.answers.lack(request) {
            return Ok(());
        }
        self.provider.delete(request, prior, reporter).await
    }
}
