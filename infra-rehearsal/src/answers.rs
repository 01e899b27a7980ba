//! Answers of lookups. The scratch cloud contains the resources of the stacks in the store, and no others of the target.

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

/// The recorded answers of the lookups of a stack, and the lookups that the scratch cloud could not answer.
pub(crate) struct Answers {
    recorded: BTreeMap<Urn, Value>,
    requests: Requests,
    foreign: Mutex<Foreign>,
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
    /// Returns the answers in a recorded state, some of which the scratch cloud could not give. `requests` are those of that
    /// cloud.
    pub(crate) fn of(state: &State, recalled: BTreeSet<Urn>, requests: Requests) -> Answers {
        let lookups = state.generations().filter(|(_, generation)| generation.id.is_none());
        let recorded = lookups.map(|(urn, generation)| (urn.clone(), generation.outputs.clone()));
        Answers {
            recorded: recorded.collect(),
            requests,
            foreign: Mutex::new(Foreign { recalled, ..Foreign::default() }),
        }
    }

    /// Returns the lookups that the scratch cloud could not answer so far.
    pub(crate) fn foreign(&self) -> Foreign {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Foreign> {
        self.foreign.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A provider whose lookups have the recorded answer if the scratch cloud has none.
pub(crate) struct Answering {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) answers: Arc<Answers>,
}

#[async_trait]
impl Inspect for Answering {
    fn check(&self, urn: &Urn, inputs: &Value) -> Vec<Diagnostic> {
        self.provider.check(urn, inputs)
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
        self.provider.read(request, prior).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        self.provider.import(request).await
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        self.provider.find(request, progress).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        match self.provider.lookup(request, reporter).await {
            Ok(answer) => Ok(answer),
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
        self.provider.update(request, prior, reporter).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        self.provider.delete(request, prior, reporter).await
    }
}
