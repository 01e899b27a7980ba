//! One operation: written down, called, and what it came to.

use crate::{
    boundary::{self, Boundary},
    diff::Action,
    event::{Event, Events},
    provider::{Provider, ProviderError, RecoveryKind, Reporter},
    state::{Entry, Generation, Live, OperationId, Request, State, Verb},
    store::{Journal, StoreError},
    urn::Urn,
    value::Value,
};
use async_trait::async_trait;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// An operation that is about to be done.
pub(super) struct Attempt {
    pub(super) request: Request,
    pub(super) prior: Option<Live>,
    /// The recorded inputs are not to be trusted: look first.
    pub(super) read_first: bool,
    pub(super) timeout: Duration,
    /// It is in the journal already: an earlier run began it.
    pub(super) resumed: bool,
    progress: Vec<Value>,
}

/// What an operation came to.
pub(super) struct Finished {
    pub(super) action: Action,
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
    /// What it wrote down on its way.
    pub(super) progress: Vec<Entry>,
}

pub(super) enum Outcome {
    Lives(OperationId, Live),
    Gone(OperationId),
    Read(Generation),
    Failed(Option<Box<Request>>, ProviderError),
    /// The journal did not take the intent, so nothing was begun.
    Unwritten(StoreError),
}

impl Finished {
    pub(super) fn refused(action: Action, error: ProviderError) -> Self {
        Self::of(action, Outcome::Failed(None, error), Duration::ZERO)
    }

    pub(super) fn read(answer: Result<Generation, ProviderError>, elapsed: Duration) -> Self {
        let outcome = answer.map_or_else(|error| Outcome::Failed(None, error), Outcome::Read);
        Self::of(Action::Read, outcome, elapsed)
    }

    fn of(action: Action, outcome: Outcome, elapsed: Duration) -> Self {
        let progress = Vec::new();
        Self { action, outcome, elapsed, progress }
    }
}

impl Attempt {
    pub(super) fn new(urn: Urn, verb: Verb, inputs: Value, state: &State) -> Result<Self, ProviderError> {
        let operation =
            OperationId::random().map_err(|error| ProviderError::refused(format!("no randomness: {error}")))?;
        Ok(Self {
            request: Request {
                operation,
                verb,
                urn,
                region: None,
                generation: 0,
                id: None,
                inputs,
                dependencies: Vec::new(),
                seed: state.seed.clone(),
                at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            },
            prior: None,
            read_first: false,
            timeout: Duration::from_mins(30),
            resumed: false,
            progress: Vec::new(),
        })
    }

    /// Takes up the same create that an earlier run wrote down and did not confirm: with its operation id, a call that
    /// did get through is answered with what it made, not with a second one.
    pub(super) fn resume(&mut self, state: &State, provider: &dyn Provider) {
        let wanted = &self.request;
        let open = state.open.iter().find(|open| {
            let Request { verb, urn, region, inputs, .. } = &open.request;
            (verb, urn, region, inputs) == (&Verb::Create, &wanted.urn, &wanted.region, &wanted.inputs)
        });
        let Some(open) = open else {
            return;
        };
        let fits = match provider.recovery(&wanted.urn) {
            Some(RecoveryKind::Token { lifetime }) => {
                age(&open.request).is_some_and(|age| age + Duration::from_mins(5) < lifetime)
            }
            Some(RecoveryKind::Tag) | None => false,
            Some(_) => true,
        };
        if fits {
            self.request = open.request.clone();
            self.progress.clone_from(&open.progress);
            self.resumed = true;
        }
    }

    /// Writes the intent down, waits until it is durable, and only then calls the provider.
    pub(super) async fn run(
        self,
        action: Action,
        provider: &dyn Provider,
        journal: Journal,
        events: Events,
    ) -> Finished {
        let begun = Instant::now();
        if !self.resumed
            && let Err(error) = journal.append(Entry::Intent(self.request.clone())).await
        {
            return Finished::of(action, Outcome::Unwritten(error), begun.elapsed());
        }
        let watch = Watch { request: &self.request, journal, events, written: Mutex::default() };
        boundary::reached(Boundary::ProviderCall);
        let answer = tokio::time::timeout(self.timeout, self.call(provider, &watch)).await;
        boundary::reached(Boundary::ProviderAnswer);
        let answer = answer.unwrap_or_else(|_| {
            let limit = self.timeout.as_secs();
            Err(ProviderError::unsure(format!("it was not done within {limit} s"))
                .hint("run it again: what it may have made is found and taken over"))
        });
        let progress = watch.written.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = match answer {
            Ok(Some(live)) => Outcome::Lives(self.request.operation, live),
            Ok(None) => Outcome::Gone(self.request.operation),
            Err(error) => Outcome::Failed(Some(Box::new(self.request)), error),
        };
        Finished { action, outcome, elapsed: begun.elapsed(), progress }
    }

    async fn call(&self, provider: &dyn Provider, watch: &Watch<'_>) -> Result<Option<Live>, ProviderError> {
        let mut prior =
            self.prior.clone().unwrap_or_else(|| Live { id: String::new(), inputs: None, outputs: Value::empty() });
        match self.request.verb {
            Verb::Create => provider.create(&self.request, &self.progress, watch).await.map(Some),
            Verb::Delete => provider.delete(&self.request, &prior, watch).await.map(|()| None),
            Verb::Update => {
                if self.read_first
                    && let Some(live) = provider.read(&self.request, &prior).await?
                {
                    prior.outputs = live.outputs;
                    prior.inputs = live.inputs.or(prior.inputs);
                }
                provider.update(&self.request, &prior, watch).await.map(Some)
            }
        }
    }
}

/// How long ago a request was written down; `None` when its time cannot be read.
pub(super) fn age(request: &Request) -> Option<Duration> {
    let at = chrono::DateTime::parse_from_rfc3339(&request.at).ok()?;
    (chrono::Utc::now() - at.to_utc()).to_std().ok()
}

/// Passes on what an operation tells on its way.
struct Watch<'a> {
    request: &'a Request,
    journal: Journal,
    events: Events,
    written: Mutex<Vec<Entry>>,
}

#[async_trait]
impl Reporter for Watch<'_> {
    fn status(&self, message: String) {
        let urn = self.request.urn.clone();
        self.events.send(Event::StepStatus { urn, message });
    }

    async fn progress(&self, value: Value) -> Result<(), ProviderError> {
        let operation = self.request.operation.clone();
        let entry = Entry::Progress { operation, value };
        self.journal.append(entry.clone()).await.map_err(|error| ProviderError::refused(error.to_string()))?;
        self.written.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(())
    }
}
