//! Providers whose messages contain no secrets of the request.

use super::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter};
use crate::{
    diagnostic::Diagnostic,
    state::{Live, Request},
    urn::Urn,
    value::{Mask, Value},
};
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};

/// Masks the secrets of a request in all messages and results of a provider, because an API may repeat the text that it
/// refuses.
pub(super) struct Masked<'a>(pub(super) &'a dyn Provider);

/// Minimum length of key material. Progress is secret as a whole, including names of phases; shorter texts in it are
/// not masked in messages.
const KEY_MATERIAL: usize = 16;

/// The secrets of a call.
struct Known {
    given: Mask,
    /// Milestones that this or an earlier attempt recorded.
    progress: Mutex<Vec<Value>>,
}

impl Known {
    fn new(request: &Request, prior: Option<&Live>, progress: &[Value]) -> Self {
        let prior = prior
            .into_iter()
            .chain(request.replaces.as_deref())
            .flat_map(|prior| prior.inputs.iter().chain([&prior.outputs]));
        let given = Mask::of(std::iter::once(&request.inputs).chain(prior));
        Self { given, progress: Mutex::new(progress.to_vec()) }
    }

    fn mask(&self, text: &str) -> String {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Mask::of(progress.iter()).at_least(KEY_MATERIAL).text(&self.given.text(text))
    }

    /// Masks an error, and the resource that exists despite the failure.
    fn error(&self, error: ProviderError) -> ProviderError {
        let lives = Mask::of(error.live.iter().map(|live| &live.outputs));
        let mask = |text: &String| lives.text(&self.mask(text));
        ProviderError { message: mask(&error.message), hint: error.hint.as_ref().map(mask), ..error }
    }
}

#[async_trait]
impl Inspect for Masked<'_> {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        let found = self.0.check(urn, inputs, prior);
        if found.is_empty() {
            return found;
        }
        let mask = Mask::of(prior.into_iter().chain([inputs]));
        found.into_iter().map(|diagnostic| mask.diagnostic(diagnostic)).collect()
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        let lost = self.0.loses(urn, inputs, next)?;
        Some(Mask::of([inputs]).text(&lost))
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.0.recovery(urn)
    }

    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        let answer = self.0.read(request, prior).await;
        answer.map_err(|error| Known::new(request, Some(prior), &[]).error(error))
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        let answer = self.0.import(request).await;
        answer.map_err(|error| Known::new(request, None, &[]).error(error))
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        let answer = self.0.find(request, progress).await;
        answer.map_err(|error| Known::new(request, None, progress).error(error))
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        let known = Known::new(request, None, &[]);
        let answer = self.0.lookup(request, &MaskedReporter { reporter, known: &known }).await;
        answer.map_err(|error| known.error(error))
    }
}

#[async_trait]
impl Provider for Masked<'_> {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        let known = Known::new(request, None, progress);
        let answer = self.0.create(request, progress, &MaskedReporter { reporter, known: &known }).await;
        answer.map_err(|error| known.error(error))
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        let known = Known::new(request, Some(prior), &[]);
        let answer = self.0.update(request, prior, &MaskedReporter { reporter, known: &known }).await;
        answer.map_err(|error| known.error(error))
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        let known = Known::new(request, Some(prior), &[]);
        let answer = self.0.delete(request, prior, &MaskedReporter { reporter, known: &known }).await;
        answer.map_err(|error| known.error(error))
    }
}

struct MaskedReporter<'a> {
    reporter: &'a dyn Reporter,
    known: &'a Known,
}

#[async_trait]
impl Reporter for MaskedReporter<'_> {
    fn status(&self, message: String) {
        self.reporter.status(self.known.mask(&message));
    }

    async fn progress(&self, value: Value) -> Result<(), ProviderError> {
        self.known.progress.lock().unwrap_or_else(PoisonError::into_inner).push(value.clone());
        self.reporter.progress(value).await
    }
}
