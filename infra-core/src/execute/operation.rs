//! One operation: it is recorded, executed, and its result is returned.

use crate::{
    boundary::{self, Boundary},
    diff::Action,
    event::{Event, Events},
    options::{Condition, HookContext, HookMoment, Options},
    provider::{ErrorKind, Provider, ProviderError, RecoveryKind, Reporter},
    state::{Entry, Generation, Live, OperationId, Request, State, Verb},
    store::{Journal, StoreError},
    urn::Urn,
    value::{Mask, Value},
};
use async_trait::async_trait;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// An operation that is about to be executed.
pub(super) struct Attempt {
    pub(super) request: Request,
    pub(super) prior: Option<Live>,
    /// `true` if the recorded inputs may be wrong, so the actual state is read first.
    pub(super) read_first: bool,
    pub(super) timeout: Duration,
    /// Options of the declaration.
    pub(super) options: Arc<Options>,
    /// `true` if the step was attempted before in this run. Its hooks ran then.
    pub(super) is_repetition: bool,
    /// Conditions that must hold before the operation, with the values that they check.
    pub(super) conditions: Vec<(Condition, Value)>,
    /// `true` if an earlier run started the operation, so the journal contains the intent.
    pub(super) resumed: bool,
    progress: Vec<Value>,
}

/// The result of an operation.
pub(super) struct Finished {
    pub(super) action: Action,
    pub(super) outcome: Outcome,
    pub(super) elapsed: Duration,
    /// Milestones that the operation recorded.
    pub(super) progress: Vec<Entry>,
}

pub(super) enum Outcome {
    Lives(OperationId, Live),
    Gone(OperationId),
    Read(Generation),
    Failed(Option<Box<Request>>, ProviderError),
    /// The result of the hooks after a step that is done and recorded.
    Followed(Result<(), String>),
    /// The intent could not be recorded, or the lease expired: no request was sent, or the operation was abandoned and
    /// stays open in the journal.
    Stopped(StoreError),
}

impl Finished {
    pub(super) fn refused(action: Action, error: ProviderError) -> Self {
        Self::of(action, Outcome::Failed(None, error), Duration::ZERO)
    }

    pub(super) fn read(answer: Result<Generation, ProviderError>, elapsed: Duration) -> Self {
        let outcome = answer.map_or_else(|error| Outcome::Failed(None, error), Outcome::Read);
        Self::of(Action::Read, outcome, elapsed)
    }

    pub(super) fn of(action: Action, outcome: Outcome, elapsed: Duration) -> Self {
        let progress = Vec::new();
        Self { action, outcome, elapsed, progress }
    }
}

impl Attempt {
    pub(super) fn new(urn: Urn, verb: Verb, inputs: Value, state: &State) -> Result<Self, ProviderError> {
        let operation = OperationId::random().map_err(|error| {
            ProviderError::refused(format!("the operating system returned no random bytes: {error}"))
        })?;
        Ok(Self {
            request: Request {
                at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                ..Request::new(operation, verb, urn, inputs, &state.seed)
            },
            prior: None,
            read_first: false,
            timeout: Duration::from_mins(30),
            options: Arc::default(),
            is_repetition: false,
            conditions: Vec::new(),
            resumed: false,
            progress: Vec::new(),
        })
    }

    /// Continues a create that an earlier run recorded and did not confirm. Because the operation id is the same, a
    /// provider that received the first request returns its resource instead of creating a second one.
    pub(super) fn resume(&mut self, state: &State, provider: &dyn Provider) {
        let wanted = &self.request;
        let open = state.open.iter().find(|open| {
            let Request { verb, urn, region, generation, inputs, .. } = &open.request;
            // A resource of another generation would have another name.
            (verb, urn, region, generation, inputs)
                == (&Verb::Create, &wanted.urn, &wanted.region, &wanted.generation, &wanted.inputs)
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

    /// Records the intent, waits until it is durable, and then calls the provider.
    pub(super) async fn run(
        self,
        action: Action,
        provider: &dyn Provider,
        journal: Journal,
        events: Events,
    ) -> Finished {
        let started = Instant::now();
        let watch = Watch { request: &self.request, journal, events, written: Mutex::default() };
        if let Err(error) = self.prepare(&watch).await {
            let outcome = Outcome::Failed(Some(Box::new(self.request)), error);
            return Finished::of(action, outcome, started.elapsed());
        }
        if !self.resumed
            && let Err(error) = watch.journal.append(Entry::Intent(self.request.clone())).await
        {
            return Finished::of(action, Outcome::Stopped(error), started.elapsed());
        }
        let held = watch.journal.clone();
        if let Err(error) = held.ensure_held() {
            return Finished::of(action, Outcome::Stopped(error), started.elapsed());
        }
        let mut answer = tokio::select! {
            biased;
            error = held.lost() => return Finished::of(action, Outcome::Stopped(error), started.elapsed()),
            answer = self.attempts(provider, &watch) => answer,
        };
        if self.resumed
            && let Err(error) = &mut answer
        {
            // The outcome of the earlier attempt stays unknown.
            error.kind = ErrorKind::Unsure;
        }
        let progress = watch.written.into_inner().unwrap_or_else(PoisonError::into_inner);
        let outcome = match answer {
            Ok(Some(live)) => Outcome::Lives(self.request.operation, live),
            Ok(None) => Outcome::Gone(self.request.operation),
            Err(error) => Outcome::Failed(Some(Box::new(self.request)), error),
        };
        Finished { action, outcome, elapsed: started.elapsed(), progress }
    }

    /// Waits for the conditions and calls the hooks before the operation.
    async fn prepare(&self, watch: &Watch<'_>) -> Result<(), ProviderError> {
        let failed = |reason: String| {
            let error = ProviderError::refused(reason);
            // The request of an earlier run may have succeeded.
            if self.resumed { ProviderError { kind: ErrorKind::Unsure, ..error } } else { error }
        };
        for (condition, value) in &self.conditions {
            let waiting = |message| watch.status(message);
            let held = condition.hold(value.clone(), &self.request.urn, waiting).await;
            held.map_err(|reason| failed(Mask::of([value]).text(&reason)))?;
        }
        if self.is_repetition {
            return Ok(());
        }
        follow(&self.options, HookMoment::Before, &self.hook_context()).await.map_err(failed)
    }

    /// Calls the provider, and repeats refused calls if the options say so.
    async fn attempts(&self, provider: &dyn Provider, watch: &Watch<'_>) -> Result<Option<Live>, ProviderError> {
        let mut answer = self.attempt(provider, watch).await;
        let retries = self.options.retries;
        let mut pause = retries.map_or(Duration::ZERO, |retries| retries.pause);
        for attempt in 1..retries.map_or(1, |retries| retries.attempts) {
            let Err(error) = &answer else {
                break;
            };
            if error.kind == ErrorKind::Unsure || error.live.is_some() {
                break;
            }
            watch.status(format!("attempt {attempt} failed, retrying: {error}"));
            tokio::time::sleep(pause).await;
            pause *= 2;
            // The store rejects writes of a run that lost its lease; the cloud does not.
            if watch.journal.ensure_held().is_err() {
                break;
            }
            answer = self.attempt(provider, watch).await;
        }
        answer
    }

    async fn attempt(&self, provider: &dyn Provider, watch: &Watch<'_>) -> Result<Option<Live>, ProviderError> {
        boundary::reached(Boundary::ProviderCall);
        let answer = tokio::time::timeout(self.timeout, self.call(provider, watch)).await;
        boundary::reached(Boundary::ProviderAnswer);
        answer.unwrap_or_else(|_| {
            Err(ProviderError::unsure(format!("the operation did not finish within {:?}", self.timeout))
                .hint("run the command again: it adopts a resource that the operation may have created"))
        })
    }

    fn hook_context(&self) -> HookContext {
        let prior = self.prior.as_ref();
        HookContext {
            urn: self.request.urn.clone(),
            action: hook_action(self.request.verb),
            inputs: self.request.inputs.clone(),
            id: self.request.id.clone(),
            outputs: prior.map(|prior| prior.outputs.clone()),
        }
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

/// Calls the hooks for this moment and action, in the order of declaration.
pub(super) async fn follow(options: &Options, moment: HookMoment, context: &HookContext) -> Result<(), String> {
    for hook in options.hooks.iter().filter(|hook| hook.is_for(moment, context.action)) {
        // The error of a hook may contain its arguments.
        let mask = || Mask::of([&context.inputs].into_iter().chain(&context.outputs));
        hook.call(context).await.map_err(|reason| mask().text(&reason))?;
    }
    Ok(())
}

pub(super) fn hook_action(verb: Verb) -> Action {
    match verb {
        Verb::Create => Action::Create,
        Verb::Update => Action::Update,
        Verb::Delete => Action::Delete,
    }
}

/// Returns the age of a request; `None` if its time cannot be parsed.
pub(super) fn age(request: &Request) -> Option<Duration> {
    let at = chrono::DateTime::parse_from_rfc3339(&request.at).ok()?;
    (chrono::Utc::now() - at.to_utc()).to_std().ok()
}

/// Forwards the progress of an operation.
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
