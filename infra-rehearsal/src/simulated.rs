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
pub(crate) struct Simulated {
    pub(crate) provider: Arc<dyn Provider>,
    /// The reason why the provider is not called, a clause about it.
    pub(crate) reason: String,
}

/// Beginning of the errors of operations that are not rehearsed.
pub(crate) const NOT_REHEARSED: &str = "not rehearsed: ";

impl Simulated {
    fn not_rehearsed(&self, urn: &Urn, operation: &str) -> ProviderError {
        let (provider, reason) = (urn.provider(), &self.reason);
        let summary = format!("the provider `{provider}` {reason} and is not called, so its {operation} is unknown");
        ProviderError::refused(format!("{NOT_REHEARSED}{summary}"))
    }
}

#[async_trait]
impl Inspect for Simulated {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        self.provider.check(urn, inputs, prior)
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.provider.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.provider.recovery(urn)
    }

    async fn read(&self, _: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        Ok(Some(prior.clone()))
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        Err(self.not_rehearsed(&request.urn, "import"))
    }

    async fn find(&self, _: &Request, _: &[Value]) -> Result<Outcome, ProviderError> {
        Ok(Outcome::Unknown)
    }

    async fn lookup(&self, request: &Request, _: &dyn Reporter) -> Result<Value, ProviderError> {
        Err(self.not_rehearsed(&request.urn, "lookup"))
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn create(&self, request: &Request, _: &[Value], _: &dyn Reporter) -> Result<Live, ProviderError> {
        Err(self.not_rehearsed(&request.urn, "create"))
    }

    async fn update(&self, _: &Request, prior: &Live, _: &dyn Reporter) -> Result<Live, ProviderError> {
        Ok(prior.clone())
    }

    async fn delete(&self, _: &Request, _: &Live, _: &dyn Reporter) -> Result<(), ProviderError> {
        Ok(())
    }
}
