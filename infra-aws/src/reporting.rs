//! A provider that reports throttled requests as the status of the operation, and refuses reserved tags.

use crate::{client::reporting, tags};
use async_trait::async_trait;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    provider::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter, ResourceKind},
    state::{Live, Request},
    value::Value,
};

/// Delegates to the provider `P`, passes messages about its throttled requests to the operation's reporter, and refuses
/// the tags that no kind accepts.
pub(crate) struct Reporting<P>(pub(crate) P);

#[async_trait]
impl<P: Inspect> Inspect for Reporting<P> {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        let mut problems = self.0.check(urn, inputs, prior);
        problems.extend(tags::problems(urn, inputs));
        problems
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.0.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.0.recovery(urn)
    }

    fn endpoint(&self) -> Option<&str> {
        self.0.endpoint()
    }

    fn resource_kinds(&self) -> Vec<ResourceKind> {
        self.0.resource_kinds()
    }

    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        self.0.read(request, prior).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        self.0.import(request).await
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        self.0.find(request, progress).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        reporting(|message| reporter.status(message), self.0.lookup(request, reporter)).await
    }
}

#[async_trait]
impl<P: Provider> Provider for Reporting<P> {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        reporting(|message| reporter.status(message), self.0.create(request, progress, reporter)).await
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        reporting(|message| reporter.status(message), self.0.update(request, prior, reporter)).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        reporting(|message| reporter.status(message), self.0.delete(request, prior, reporter)).await
    }
}
