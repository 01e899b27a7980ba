//! Providers that a rehearsal does not call, because they act on something other than the scratch cloud.

use async_trait::async_trait;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    provider::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter},
    state::{Live, Request},
    value::Value,
};
use std::sync::Arc;

/// Stands in for a provider: existing resources stay as recorded, and a create fails with [`NOT_REHEARSED`].
pub(crate) struct Simulated(pub(crate) Arc<dyn Provider>);

/// Beginning of the errors of operations that are not rehearsed.
pub(crate) const NOT_REHEARSED: &str = "not rehearsed: ";

fn not_rehearsed(urn: &Urn, operation: &str) -> ProviderError {
    let provider = urn.provider();
    ProviderError::refused(format!(
        "{NOT_REHEARSED}the provider `{provider}` is not called, so its {operation} is unknown"
    ))
}

#[async_trait]
impl Inspect for Simulated {
    fn check(&self, urn: &Urn, inputs: &Value) -> Vec<Diagnostic> {
        self.0.check(urn, inputs)
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.0.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.0.recovery(urn)
    }

    async fn read(&self, _: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        Err(not_rehearsed(&request.urn, "import"))
    }

    async fn find(&self, _: &Request, _: &[Value]) -> Result<Outcome, ProviderError> {
        Ok(Outcome::Unknown)
    }

    async fn lookup(&self, request: &Request, _: &dyn Reporter) -> Result<Value, ProviderError> {
        Err(not_rehearsed(&request.urn, "lookup"))
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn create(&self, request: &Request, _: &[Value], _: &dyn Reporter) -> Result<Live, ProviderError> {
        Err(not_rehearsed(&request.urn, "create"))
    }

    async fn update(&self, _: &Request, prior: &Live, _: &dyn Reporter) -> Result<Live, ProviderError> {
        Ok(prior.clone())
    }

    async fn delete(&self, _: &Request, _: &Live, _: &dyn Reporter) -> Result<(), ProviderError> {
        Ok(())
    }
}
