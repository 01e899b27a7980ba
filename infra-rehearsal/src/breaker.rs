//! Interruptions of a run at one of its changes.

use async_trait::async_trait;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    provider::{Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter},
    state::{Live, Request},
    value::Value,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// The moment of a change at which a run is interrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The request is not sent.
    Before,
    /// The request is executed, and its response is lost.
    After,
}

/// Counts the changes of a run, and interrupts it at one of them.
pub(crate) struct Breaker {
    calls: AtomicUsize,
    at: usize,
    moment: Moment,
    reached: Notify,
}

impl Breaker {
    pub(crate) fn new(at: usize, moment: Moment) -> Breaker {
        Breaker { calls: AtomicUsize::new(0), at, moment, reached: Notify::new() }
    }

    /// Returns the number of changes.
    pub(crate) fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits until the run has reached the change at which it is interrupted.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Executes a change, or lets the run be interrupted before or after it.
    async fn change<T>(&self, change: impl Future<Output = T>) -> T {
        let is_here = self.calls.fetch_add(1, Ordering::SeqCst) == self.at;
        match self.moment {
            Moment::Before if is_here => self.interrupted().await,
            Moment::After if is_here => {
                change.await;
                self.interrupted().await
            }
            Moment::Before | Moment::After => change.await,
        }
    }

    async fn interrupted<T>(&self) -> T {
        self.reached.notify_one();
        std::future::pending().await
    }
}

/// A provider whose changes a [`Breaker`] counts.
pub(crate) struct Breaking {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) breaker: Arc<Breaker>,
}

#[async_trait]
impl Inspect for Breaking {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        self.provider.check(urn, inputs, prior)
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.provider.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.provider.recovery(urn)
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
        self.provider.lookup(request, reporter).await
    }
}

#[async_trait]
impl Provider for Breaking {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        self.breaker.change(self.provider.create(request, progress, reporter)).await
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        self.breaker.change(self.provider.update(request, prior, reporter)).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        self.breaker.change(self.provider.delete(request, prior, reporter)).await
    }
}
