//! Kinds whose resources an API describes by id.

use super::handler::{Context, Created, Find, Found, Handler, Prior, Problem, Recovery};
use super::{ErrorKind, ProviderError};
use crate::resource::Resource;
use std::{borrow::Cow, future::Future, time::Duration};

/// An API that the operations of a kind call, such as the client of one service in the region of the resource.
pub trait Api<C>: Sized + Send + Sync {
    /// Returns the API for an operation in this context.
    fn of(cx: &Context<'_, C>) -> impl Future<Output = Result<Self, ProviderError>> + Send;
}

/// A kind whose resources an API describes by id, and finds by the tag, name or key with which they were created.
///
/// Implemented instead of [`Handler`]: reading, importing, recovery and the response to a conflict follow from
/// `describe`, `find_created` and `normalize`.
pub trait Described: Resource {
    /// The provider's client.
    type Client: Send + Sync + 'static;
    /// The API that the operations call.
    type Api: Api<Self::Client>;
    /// The API's description of one resource.
    type Description: Send + Sync;

    /// The property by which recovery finds the resource of a create whose response was lost.
    const FOUND_BY: FoundBy;
    /// `true` if existing resources can be imported.
    const IMPORTABLE: bool = true;
    /// Hint for the case that another resource has the same name or key.
    const CONFLICT: &'static str = "choose another name, import the existing resource, or delete it";

    /// See [`Handler::check`].
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// See [`Handler::check_update`].
    fn check_update(&self, prior: &Self) -> Vec<Problem> {
        let _ = prior;
        Vec::new()
    }

    /// See [`Handler::loses`].
    fn loses(&self, next: Option<&Self>) -> Option<String> {
        let _ = next;
        None
    }

    /// Refuses to import a resource that no declaration can express.
    fn check_import(description: &Self::Description) -> Result<(), ProviderError> {
        let _ = description;
        Ok(())
    }

    /// Sends the create request and returns the description of the new resource. Parts that the response does not
    /// contain may be empty when [`Described::apply`] returns the outputs.
    ///
    /// A request that finds the name or the key in use fails with [`ErrorKind::AlreadyExists`].
    fn create(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        inputs: &Self,
    ) -> impl Future<Output = Result<Self::Description, ProviderError>> + Send;

    /// Waits until an existing resource is usable, updates it to its new inputs, and returns its outputs.
    ///
    /// Called after a create, and as the only step of an update. If it fails after a create, the resource is recorded
    /// as created, and the next run calls it again.
    fn apply(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        update: Update<'_, Self>,
    ) -> impl Future<Output = Result<Self::Outputs, ProviderError>> + Send {
        let _ = (cx, api);
        let outputs = update.outputs.clone();
        async move { Ok(outputs) }
    }

    /// Deletes the resource and returns once it is deleted; [`ErrorKind::NotFound`] counts as success.
    fn delete(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        prior: &Prior<Self>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// Returns the description of the resource with this id; `None` when it does not exist.
    fn describe(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        id: &str,
    ) -> impl Future<Output = Result<Option<Self::Description>, ProviderError>> + Send;

    /// Returns the description of the resource that this operation has created, if it has created one.
    fn find_created(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        inputs: &Self,
    ) -> impl Future<Output = Result<Option<Self::Description>, ProviderError>> + Send;

    /// Converts a description into the inputs and outputs of the resource.
    ///
    /// The inputs keep the `recorded` spelling of equal values and omit what the program leaves to the API, so that a
    /// refresh reports no false drift. An import has no recorded inputs: its inputs contain all that a declaration can.
    fn normalize(description: &Self::Description, recorded: Option<&Self>) -> Created<Self>;

    /// Returns the id of a recorded resource, as [`Described::describe`] and [`Described::apply`] expect it. A kind whose
    /// ids had another form in earlier versions converts them here, so that recorded resources stay usable.
    fn id_of(prior: &Prior<Self>) -> Cow<'_, str> {
        Cow::Borrowed(&prior.id)
    }

    /// Returns the description of a resource that has to exist.
    fn require(
        cx: &Context<'_, Self::Client>,
        api: &Self::Api,
        id: &str,
    ) -> impl Future<Output = Result<Self::Description, ProviderError>> + Send {
        async move { Self::describe(cx, api, id).await?.ok_or_else(|| missing::<Self>(id)) }
    }
}

/// The property by which recovery finds the resource of a create whose response was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// A tag with the operation id. The API has no idempotency token, so a create looks for the resource first.
    Tag,
    /// The unique name and a tag with the operation id.
    Name,
    /// The natural key, such as the balancer and the port of a listener.
    Key,
    /// A tag with the operation id, which is also the API's idempotency token for this long.
    Token(Duration),
}

/// An update of an existing resource: a recorded one, or one that has just been created.
pub struct Update<'a, R: Resource> {
    /// The provider's id.
    pub id: &'a str,
    /// Recorded inputs; `None` directly after the create request, which contained the new ones.
    pub old: Option<&'a R>,
    /// Declared inputs.
    pub new: &'a R,
    /// Last known outputs.
    pub outputs: &'a R::Outputs,
}

impl<K: Described> Handler for K {
    type Client = K::Client;

    const IMPORTABLE: bool = K::IMPORTABLE;

    fn check(&self) -> Vec<Problem> {
        Described::check(self)
    }

    fn check_update(&self, prior: &Self) -> Vec<Problem> {
        Described::check_update(self, prior)
    }

    fn loses(&self, next: Option<&Self>) -> Option<String> {
        Described::loses(self, next)
    }

    async fn create(cx: &Context<'_, K::Client>, inputs: &K) -> Result<Created<K>, ProviderError> {
        let api = K::Api::of(cx).await?;
        let description = create(cx, &api, inputs).await?;
        let created = K::normalize(&description, Some(inputs));
        let update = Update { id: &created.id, old: None, new: inputs, outputs: &created.outputs };
        match K::apply(cx, &api, update).await {
            Ok(outputs) => Ok(Created::new(created.id, outputs)),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, K::Client>, prior: &Prior<K>) -> Result<Option<Created<K>>, ProviderError> {
        let api = K::Api::of(cx).await?;
        let description = K::describe(cx, &api, &K::id_of(prior)).await?;
        Ok(description.map(|description| K::normalize(&description, Some(&prior.inputs))))
    }

    async fn update(cx: &Context<'_, K::Client>, prior: &Prior<K>, inputs: &K) -> Result<K::Outputs, ProviderError> {
        let api = K::Api::of(cx).await?;
        let id = K::id_of(prior);
        let update = Update { id: &id, old: Some(&prior.inputs), new: inputs, outputs: &prior.outputs };
        K::apply(cx, &api, update).await
    }

    async fn delete(cx: &Context<'_, K::Client>, prior: &Prior<K>) -> Result<(), ProviderError> {
        let api = K::Api::of(cx).await?;
        K::delete(cx, &api, prior).await
    }

    async fn import(cx: &Context<'_, K::Client>, id: &str) -> Result<Option<Created<K>>, ProviderError> {
        if !K::IMPORTABLE {
            return Err(super::handler::not_importable::<K>(id));
        }
        let api = K::Api::of(cx).await?;
        let Some(description) = K::describe(cx, &api, id).await? else { return Ok(None) };
        K::check_import(&description)?;
        Ok(Some(K::normalize(&description, None)))
    }

    fn recovery() -> Recovery<K> {
        let find: Find<K> = |cx, inputs| {
            Box::pin(async move {
                let api = K::Api::of(cx).await?;
                let description = K::find_created(cx, &api, inputs).await?;
                Ok(Found::from(description.map(|description| K::normalize(&description, Some(inputs)))))
            })
        };
        match K::FOUND_BY {
            FoundBy::Tag => Recovery::tag(find),
            FoundBy::Name => Recovery::name(find),
            FoundBy::Key => Recovery::key(find),
            FoundBy::Token(lifetime) => Recovery::token(lifetime, find),
        }
    }
}

/// Sends the create request, unless this operation has already created the resource.
async fn create<K: Described>(
    cx: &Context<'_, K::Client>,
    api: &K::Api,
    inputs: &K,
) -> Result<K::Description, ProviderError> {
    if K::FOUND_BY == FoundBy::Tag
        && let Some(description) = K::find_created(cx, api, inputs).await?
    {
        return Ok(description);
    }
    match K::create(cx, api, inputs).await {
        // Clients repeat a request whose response was lost, so the resource may be the one that this operation created.
        Err(error) if error.kind == ErrorKind::AlreadyExists => match K::find_created(cx, api, inputs).await {
            Ok(Some(description)) => Ok(description),
            Ok(None) => Err(if error.hint.is_none() { error.hint(K::CONFLICT) } else { error }),
            Err(error) => Err(ProviderError { kind: ErrorKind::Unsure, ..error }),
        },
        response => response,
    }
}

/// Returns the error of an operation on a resource that no longer exists.
fn missing<K: Resource>(id: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("{} `{id}` does not exist any more", K::TYPE))
        .hint("run `refresh`, or `up --refresh`, to record that it was deleted")
}
