//! Typed handlers of resource kinds and lookups.

use super::{ErrorKind, ProviderError, RecoveryKind, Reporter};
use crate::{
    names,
    resource::{Lookup, Resource, Schema},
    state::{Live, OperationId, Request},
    value::{self, LowerError, Value},
};
use futures::future::BoxFuture;
use serde::Serialize;
use std::{collections::BTreeMap, future::Future, time::Duration};

/// The operations of one kind of resource.
///
/// Implemented on the resource struct itself. In `create` and `update` every input is known. `recovery` has no default:
/// a kind without a way to recover a lost create does not compile.
pub trait Handler: Resource {
    /// Client of the provider's API.
    type Client: Send + Sync + 'static;

    /// `true` if [`Handler::import`] is implemented. A kind that keeps the default `import` sets it to `false`.
    const IMPORTABLE: bool = true;

    /// Returns the problems of inputs that no operation can succeed with, before anything is changed. Inputs may be
    /// unknown.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Returns the problems of an update from the `prior` inputs to these, such as a size that cannot be reduced, in addition
    /// to those of [`Handler::check`]. Inputs may be unknown.
    fn check_update(&self, prior: &Self) -> Vec<Problem> {
        let _ = prior;
        Vec::new()
    }

    /// Returns a description of the data that is lost when the resource is deleted, or replaced by `next` while it
    /// exists. Plans show it as a warning: "replacing it loses the database on its disk". Inputs may be unknown here.
    fn loses(&self, next: Option<&Self>) -> Option<String> {
        let _ = next;
        None
    }

    /// Creates the resource and returns once it is usable.
    fn create(
        cx: &Context<'_, Self::Client>,
        inputs: &Self,
    ) -> impl Future<Output = Result<Created<Self>, ProviderError>> + Send;

    /// Reads the actual state; `None` if the resource no longer exists.
    fn read(
        cx: &Context<'_, Self::Client>,
        prior: &Prior<Self>,
    ) -> impl Future<Output = Result<Option<Created<Self>>, ProviderError>> + Send;

    /// Updates the resource to `inputs`, some of which may hold already, and returns its outputs.
    fn update(
        cx: &Context<'_, Self::Client>,
        prior: &Prior<Self>,
        inputs: &Self,
    ) -> impl Future<Output = Result<Self::Outputs, ProviderError>> + Send;

    /// Deletes the resource and returns once it no longer exists; [`ErrorKind::NotFound`] counts as success.
    fn delete(
        cx: &Context<'_, Self::Client>,
        prior: &Prior<Self>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// Returns the existing resource with this id for an import; `None` if it does not exist. The default refuses the
    /// import.
    fn import(
        cx: &Context<'_, Self::Client>,
        id: &str,
    ) -> impl Future<Output = Result<Option<Created<Self>>, ProviderError>> + Send {
        let refused = not_importable::<Self>(id);
        let _ = cx;
        async move { Err(refused) }
    }

    /// Returns how a create whose response was lost is recovered.
    fn recovery() -> Recovery<Self>;
}

/// The operation of one kind of lookup.
pub trait LookupHandler: Lookup {
    /// Client of the provider's API.
    type Client: Send + Sync + 'static;

    /// Returns the result of the lookup.
    fn read(
        cx: &Context<'_, Self::Client>,
        arguments: &Self,
    ) -> impl Future<Output = Result<Self::Outputs, ProviderError>> + Send;
}

/// An existing resource.
pub struct Created<R: Resource> {
    /// The provider's id.
    pub id: String,
    /// The actual inputs, if the provider returns them. Otherwise the recorded inputs are kept.
    pub inputs: Option<R>,
    /// The outputs.
    pub outputs: R::Outputs,
}

impl<R: Resource> Created<R> {
    /// Creates the description of a resource that has the requested inputs.
    pub fn new(id: impl Into<String>, outputs: R::Outputs) -> Self {
        Self { id: id.into(), inputs: None, outputs }
    }

    /// Returns a failure after which this resource exists. It is recorded, and the next run repairs it.
    pub fn failed(self, mut error: ProviderError) -> ProviderError {
        if let Ok(live) = live(self) {
            error.live = Some(Box::new(live));
        }
        error
    }
}

/// The recorded state of a resource.
pub struct Prior<R: Resource> {
    /// The provider's id.
    pub id: String,
    /// The last known inputs.
    pub inputs: R,
    /// The recorded outputs.
    pub outputs: R::Outputs,
}

/// A problem of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The input.
    pub property: String,
    /// The problem.
    pub message: String,
    /// The hint.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates a problem of an input.
    pub fn new(property: impl Into<String>, message: impl Into<String>) -> Self {
        Self { property: property.into(), message: message.into(), hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The result of looking for a lost create.
pub enum Found<R: Resource> {
    /// The create succeeded.
    Found(Created<R>),
    /// The resource does not exist (yet).
    Absent,
    /// The create did not succeed and cannot succeed any more, because its request was not sent.
    Never,
    /// The outcome cannot be determined.
    Unknown,
}

impl<R: Resource> From<Option<Created<R>>> for Found<R> {
    fn from(found: Option<Created<R>>) -> Self {
        found.map_or(Self::Absent, Self::Found)
    }
}

/// Looks for the resource of a create. Parameters: the context of the lost operation and its inputs.
pub type Find<R> =
    for<'a> fn(&'a Context<'a, <R as Handler>::Client>, &'a R) -> BoxFuture<'a, Result<Found<R>, ProviderError>>;

/// The way in which a create whose response was lost is recovered, with the code that does it.
pub struct Recovery<R: Handler> {
    pub(super) kind: RecoveryKind,
    pub(super) find: Option<Find<R>>,
}

impl<R: Handler> Recovery<R> {
    /// Uses the operation id as the provider's idempotency token for `lifetime`; `find` looks for the tag of the
    /// operation.
    pub fn token(lifetime: Duration, find: Find<R>) -> Self {
        Self::of(RecoveryKind::Token { lifetime }, Some(find))
    }

    /// Finds a resource by its unique name. `find` returns the resource only if it has the operation's tag or no other
    /// operation can have created it.
    pub fn name(find: Find<R>) -> Self {
        Self::of(RecoveryKind::Name, Some(find))
    }

    /// Searches by the natural key, such as the balancer and port of a listener.
    pub fn key(find: Find<R>) -> Self {
        Self::of(RecoveryKind::Key, Some(find))
    }

    /// Searches by the tag of the operation. Because reads may lag behind writes, a missing resource may still exist.
    pub fn tag(find: Find<R>) -> Self {
        Self::of(RecoveryKind::Tag, Some(find))
    }

    /// Repeats the create, which has the same effect as a single one; no resource exists outside of the state.
    pub fn idempotent() -> Self {
        Self::of(RecoveryKind::Idempotent, None)
    }

    /// Settles a create of several calls, each preceded by [`Context::progress`]; `find` uses [`Context::earlier`].
    pub fn phased(find: Find<R>) -> Self {
        Self::of(RecoveryKind::Phased, Some(find))
    }

    fn of(kind: RecoveryKind, find: Option<Find<R>>) -> Self {
        Self { kind, find }
    }
}

/// The context of an operation.
pub struct Context<'a, C> {
    pub(super) client: &'a C,
    pub(super) request: &'a Request,
    pub(super) earlier: &'a [Value],
    pub(super) reporter: &'a dyn Reporter,
}

impl<C> Context<'_, C> {
    /// Returns the client of the provider.
    pub fn client(&self) -> &C {
        self.client
    }

    /// Returns the region of the resource.
    pub fn region(&self) -> Result<&str, ProviderError> {
        self.request.region.as_deref().ok_or_else(|| {
            ProviderError::refused(format!("`{}` has no region", self.request.urn.short()))
                .hint("declare it through a region: `aws::region(stack, \"us-east-1\").add(…)`")
        })
    }

    /// Returns the id of the operation, which is its idempotency token.
    pub fn operation(&self) -> &OperationId {
        &self.request.operation
    }

    /// Returns the URN of the declaration.
    pub fn urn(&self) -> &crate::urn::Urn {
        &self.request.urn
    }

    /// Returns the number of the generation that the operation creates, updates, reads or deletes. Generations that
    /// exist at the same time have different numbers.
    pub fn generation(&self) -> u32 {
        self.request.generation
    }

    /// Returns the generation that this create replaces, if it still exists. A create that changes the previous
    /// generation calls [`Context::milestone`] first; if the create then never happens, an update restores that
    /// generation.
    pub fn replaces<R: Resource>(&self) -> Result<Option<Prior<R>>, ProviderError> {
        let replaced = self.request.replaces.as_deref();
        Ok(replaced.map(prior).transpose()?)
    }

    /// Returns the identity under which this generation was created. It differs from [`Context::urn`] once the
    /// declaration has been renamed. The tags of the generation contain it.
    pub fn origin(&self) -> &crate::urn::Urn {
        self.request.origin.as_ref().unwrap_or(&self.request.urn)
    }

    /// Returns a name for this generation that no other resource has; see [`names::unique`].
    pub fn unique_name(&self, longest: usize) -> String {
        let Request { seed, generation, .. } = self.request;
        names::unique(seed, self.origin(), *generation, longest)
    }

    /// Returns the tags of every created resource: program, stack, URN and operation.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let urn = &self.request.urn;
        [
            ("infra:program", urn.program()),
            ("infra:stack", urn.stack()),
            ("infra:urn", urn.as_str()),
            (Self::OPERATION_TAG, self.request.operation.as_str()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// Name of the tag that contains the operation id.
    pub const OPERATION_TAG: &'static str = "infra:operation";

    /// Reports the current activity.
    pub fn status(&self, message: impl Into<String>) {
        self.reporter.status(message.into());
    }

    /// Records a milestone that recovery needs, durably. It may contain key material, so the whole value is stored as a
    /// secret.
    pub async fn progress<T: serde::Serialize + Sync>(&self, value: &T) -> Result<(), ProviderError> {
        self.reporter.progress(as_value(value)?.into_secret()).await
    }

    /// Records a milestone that is not secret, such as the id of a created part.
    pub async fn milestone<T: serde::Serialize + Sync>(&self, value: &T) -> Result<(), ProviderError> {
        self.reporter.progress(as_value(value)?).await
    }

    /// Returns the milestones of an earlier, interrupted run of the same operation.
    pub fn earlier<T: serde::de::DeserializeOwned>(&self) -> Vec<T> {
        self.earlier.iter().filter_map(|value| serde_json::from_value(value.to_json()).ok()).collect()
    }
}

/// Returns the error for an import of a kind without imports.
pub(super) fn not_importable<R: Resource>(id: &str) -> ProviderError {
    ProviderError::refused(format!("{} `{id}` cannot be imported: its kind has no import", R::TYPE))
        .hint("declare a new resource, or implement `Handler::import` for the kind")
}

fn as_value<T: serde::Serialize>(value: &T) -> Result<Value, ProviderError> {
    let json = serde_json::to_value(value).map_err(|error| ProviderError::refused(error.to_string()))?;
    Ok(Value::from_json(json))
}

/// Converts [`ErrorKind::NotFound`] to `None`.
pub(super) fn found<T>(answer: Result<T, ProviderError>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Converts the recorded state of a resource.
pub(super) fn prior<R: Resource>(live: &Live) -> Result<Prior<R>, LowerError> {
    Ok(Prior {
        id: live.id.clone(),
        inputs: value::from_value(live.inputs.as_ref().unwrap_or(&Value::Null))?,
        outputs: value::from_value(&live.outputs)?,
    })
}

/// Converts the result of a handler to the recorded form.
pub(super) fn live<R: Resource>(created: Created<R>) -> Result<Live, LowerError> {
    let schema = R::schema();
    Ok(Live {
        id: created.id,
        inputs: created.inputs.map(|inputs| lower_known(&inputs, &schema)).transpose()?,
        outputs: lower_known(&created.outputs, &schema)?,
    })
}

/// Converts a struct whose outputs are all known to a value, with the schema's secrets marked.
pub(super) fn lower_known<T: Serialize>(typed: &T, schema: &Schema) -> Result<Value, LowerError> {
    let value = value::lower(typed)?.evaluate(&|_| None).unwrap_or(Value::Null);
    Ok(match value {
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(name, value)| {
                    let secret = schema.is_secret(&name);
                    (name, if secret { value.into_secret() } else { value })
                })
                .collect(),
        ),
        other => other,
    })
}
