//! Providers: the typed [`Handler`] of one kind of resource, and the untyped [`Provider`] that the engine uses.
//!
//! A provider crate implements [`Handler`] for each of its resource structs and adds them to a [`Registry`], which
//! erases the types. Only the engine's side of the registry handles untyped values.

mod current;
mod described;
mod handler;
mod masked;
mod registry;

pub use current::current_resource;
pub use described::{Api, Described, FoundBy, Update};
pub use handler::{Context, Created, Find, Found, Handler, LookupHandler, Prior, Problem, Recovery};
pub use registry::Registry;

use crate::{
    diagnostic::Diagnostic,
    state::{Live, Request},
    urn::Urn,
    value::{LowerError, Unresolved, Value},
};
use async_trait::async_trait;
use masked::Masked;
use serde::Serialize;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// The read-only operations of a provider. Planning has access to no others.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Returns the problems of inputs that no operation can succeed with. Unknown inputs have no problems. `prior` are the
    /// recorded inputs if the operation is an update.
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic>;

    /// Returns a description of the data that is lost when a resource with these inputs is deleted, or replaced by one
    /// with the `next` inputs.
    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        let _ = (urn, inputs, next);
        None
    }

    /// Returns how a lost create of this type is recovered; `None` for an unknown type.
    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind>;

    /// Reads the actual state of a resource; `None` if it no longer exists. `prior` is its recorded state.
    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError>;

    /// Returns the resource with the request's id for an import; `None` if it does not exist.
    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError>;

    /// Looks for the resource of a create whose response was lost.
    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError>;

    /// Reads a lookup.
    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError>;

    /// Returns the URL of the endpoint that receives all requests of the provider; `None` if they are sent to other places.
    /// A rehearsal calls only a provider whose endpoint is the scratch cloud.
    fn endpoint(&self) -> Option<&str> {
        None
    }

    /// Returns the resource types that the provider serves, sorted by their tokens. Empty if the provider has no fixed
    /// list.
    fn resource_kinds(&self) -> Vec<ResourceKind> {
        Vec::new()
    }
}

/// A resource type that a provider serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ResourceKind {
    /// The type token, such as `aws:ec2:SecurityGroup`.
    #[serde(rename = "type")]
    pub token: String,
    /// `true` if every resource of the type belongs to a region.
    pub regional: bool,
    /// `true` if existing resources of the type can be imported.
    pub importable: bool,
}

/// The operations of a provider that change resources. Only execution has access to them.
#[async_trait]
pub trait Provider: Inspect {
    /// Creates the requested resource. A second call with the same operation id creates no second resource.
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError>;

    /// Updates an existing resource to the inputs of the request.
    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError>;

    /// Deletes the resource. A resource that does not exist counts as deleted.
    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError>;
}

/// Receiver of the progress of a running operation.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// Reports the current activity, for display.
    fn status(&self, message: String);

    /// Records a milestone that recovery needs. It is durable when this function returns.
    async fn progress(&self, value: Value) -> Result<(), ProviderError>;
}

/// An existing resource that can be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The resource, including its inputs.
    pub live: Live,
    /// The Rust expression of its struct.
    pub declaration: String,
    /// The Rust expression of the scope that the program declares it in, with the variable `stack`.
    pub scope: String,
}

/// The result of looking for a lost create.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The create succeeded.
    Found(Live),
    /// The resource does not exist (yet).
    Absent,
    /// The create did not succeed and cannot succeed any more, because its request was not sent.
    Never,
    /// The outcome cannot be determined.
    Unknown,
}

/// The way in which a create whose response was lost is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryKind {
    /// The operation id is the provider's idempotency token, honoured for this long.
    Token {
        /// Lifetime of the token.
        lifetime: Duration,
    },
    /// Looks for the unique name.
    Name,
    /// Looks for the natural key.
    Key,
    /// Looks for a tag that contains the operation id.
    Tag,
    /// Repeats the create, which has the same effect as a single one.
    Idempotent,
    /// Continues after the last of several calls that were recorded as progress.
    Phased,
}

/// The failure of an operation.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// The kind of the failure, for the engine.
    pub kind: ErrorKind,
    /// The failure and its cause, for people.
    pub message: String,
    /// The hint.
    pub hint: Option<String>,
    /// The resource that exists despite the failure.
    pub live: Option<Box<Live>>,
}

/// Classification of failures, for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The resource does not exist.
    NotFound,
    /// A resource exists already that this operation did not create.
    AlreadyExists,
    /// Another resource still needs this one.
    Dependency,
    /// The operation certainly did not happen.
    Refused,
    /// The operation may have succeeded: the response was lost, or the timeout expired.
    Unsure,
}

impl ProviderError {
    /// Returns a failure that left everything unchanged.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Refused, message)
    }

    /// Returns a failure of an operation that may have succeeded at the provider.
    pub fn unsure(message: impl Into<String>) -> Self {
        Self::of(ErrorKind::Unsure, message)
    }

    /// Creates a failure of this kind.
    pub fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, live: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns the message for the user.
    pub fn diagnostic(&self, urn: &Urn) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.message.clone()).about(urn);
        diagnostic.hint.clone_from(&self.hint);
        diagnostic
    }
}

impl From<Unresolved> for ProviderError {
    fn from(error: Unresolved) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<LowerError> for ProviderError {
    fn from(error: LowerError) -> Self {
        Self::refused(error.to_string())
    }
}

/// A function that returns the provider to use in place of the one with a name.
pub(crate) type Wrap = dyn Fn(&str, Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync;

/// The providers of a program, by the first segment of the type tokens that they serve.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<String, Arc<dyn Provider>>);

impl Providers {
    /// Adds a provider. A later provider of the same name replaces it.
    pub fn insert(&mut self, name: impl Into<String>, provider: Arc<dyn Provider>) {
        self.0.insert(name.into(), provider);
    }

    /// Returns `true` if a provider of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the provider of this name.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Provider>> {
        self.0.get(name).cloned()
    }

    /// Replaces each provider by what `wrap` returns for its name and the provider.
    pub(crate) fn wrap(&mut self, wrap: &Wrap) {
        for (name, provider) in &mut self.0 {
            *provider = wrap(name, provider.clone());
        }
    }

    fn of(&self, urn: &Urn) -> Result<Masked<'_>, ProviderError> {
        self.0.get(urn.provider()).map(|provider| Masked(provider.as_ref())).ok_or_else(|| {
            ProviderError::refused(format!("no provider serves `{}`", urn.kind()))
                .hint(format!("declare the provider `{}` at the beginning of the program", urn.provider()))
        })
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[async_trait]
impl Inspect for Providers {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        match self.of(urn) {
            Ok(provider) => provider.check(urn, inputs, prior),
            Err(error) => vec![error.diagnostic(urn)],
        }
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.of(urn).ok()?.loses(urn, inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        self.of(urn).ok()?.recovery(urn)
    }

    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.read(request, prior)).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.import(request)).await
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.find(request, progress)).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.lookup(request, reporter)).await
    }

    fn resource_kinds(&self) -> Vec<ResourceKind> {
        let mut kinds: Vec<_> = self.0.values().flat_map(|provider| provider.resource_kinds()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

#[async_trait]
impl Provider for Providers {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.create(request, progress, reporter)).await
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.update(request, prior, reporter)).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        current::within(&request.urn, self.of(&request.urn)?.delete(request, prior, reporter)).await
    }
}
