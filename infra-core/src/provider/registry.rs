//! The registry of handlers, which erases their types.

use super::{
    Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter, ResourceKind,
    handler::{Context, Created, Found, Handler, LookupHandler, found, live, lower_known, prior},
};
use crate::{
    diagnostic::Diagnostic,
    state::{Live, Request},
    urn::Urn,
    value::{self, Value},
};
use async_trait::async_trait;
use std::{collections::HashMap, marker::PhantomData};

/// A provider made of typed handlers that share a client.
pub struct Registry<C> {
    client: C,
    resources: HashMap<&'static str, Box<dyn ErasedHandler<C>>>,
    lookups: HashMap<&'static str, Box<dyn ErasedLookup<C>>>,
    families: Vec<(&'static str, Box<dyn ErasedHandler<C>>)>,
    regional: Option<fn(&str) -> String>,
    endpoint: Option<String>,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// Creates a provider without handlers.
    pub fn new(client: C) -> Self {
        Self {
            client,
            resources: HashMap::new(),
            lookups: HashMap::new(),
            families: Vec::new(),
            regional: None,
            endpoint: None,
        }
    }

    /// Declares that every resource of this provider belongs to a region, so that `import` can ask for a missing one.
    /// `scope` returns the Rust expression of the scope of a region, with the variable `stack`.
    pub fn regional(mut self, scope: fn(&str) -> String) -> Self {
        self.regional = Some(scope);
        self
    }

    /// Declares that the client sends all requests to the endpoint with this URL ([`Inspect::endpoint`]).
    pub fn calling(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Adds a kind of resource.
    pub fn resource<R: Handler<Client = C>>(mut self) -> Self {
        self.resources.insert(R::TYPE, Box::new(Erased::<R>(PhantomData)));
        self
    }

    /// Adds the handler of all types whose tokens begin with `prefix` and that have no kind of their own. Their inputs and
    /// outputs are those of `R`.
    pub fn family<R: Handler<Client = C>>(mut self, prefix: &'static str) -> Self {
        self.families.push((prefix, Box::new(Erased::<R>(PhantomData))));
        self
    }

    /// Adds a kind of lookup.
    pub fn lookup<L: LookupHandler<Client = C>>(mut self) -> Self {
        self.lookups.insert(L::TYPE, Box::new(Erased::<L>(PhantomData)));
        self
    }

    /// Returns the type tokens that are served, sorted.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.resources.keys().chain(self.lookups.keys()).copied().collect();
        kinds.sort_unstable();
        kinds
    }

    fn handler(&self, urn: &Urn) -> Result<&dyn ErasedHandler<C>, ProviderError> {
        let family =
            || self.families.iter().find(|(prefix, _)| urn.kind().starts_with(prefix)).map(|(_, handler)| handler);
        self.resources.get(urn.kind()).or_else(family).map(AsRef::as_ref).ok_or_else(|| unknown_kind(urn))
    }

    fn context<'a>(&'a self, request: &'a Request, earlier: &'a [Value], reporter: &'a dyn Reporter) -> Context<'a, C> {
        Context { client: &self.client, request, earlier, reporter }
    }
}

fn unknown_kind(urn: &Urn) -> ProviderError {
    ProviderError::refused(format!("the provider `{}` has no kind `{}`", urn.provider(), urn.kind()))
        .hint("add the kind to the provider's registry, or use a version that has it")
}

#[async_trait]
impl<C: Send + Sync + 'static> Inspect for Registry<C> {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        if self.lookups.contains_key(urn.kind()) {
            return Vec::new();
        }
        match self.handler(urn) {
            Ok(handler) => handler.check(urn, inputs, prior),
            Err(error) => vec![error.diagnostic(urn)],
        }
    }

    fn loses(&self, urn: &Urn, inputs: &Value, next: Option<&Value>) -> Option<String> {
        self.handler(urn).ok()?.loses(inputs, next)
    }

    fn recovery(&self, urn: &Urn) -> Option<RecoveryKind> {
        Some(self.handler(urn).ok()?.recovery())
    }

    async fn read(&self, request: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        let cx = self.context(request, &[], &Silent);
        self.handler(&request.urn)?.read(&cx, prior).await
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        let cx = self.context(request, &[], &Silent);
        let Some((live, declaration)) = self.handler(&request.urn)?.import(&cx).await? else { return Ok(None) };
        let scope = match (self.regional, &request.region) {
            (Some(scope), Some(region)) => scope(region),
            _ => "stack".to_owned(),
        };
        Ok(Some(Imported { live, declaration, scope }))
    }

    async fn find(&self, request: &Request, progress: &[Value]) -> Result<Outcome, ProviderError> {
        let cx = self.context(request, progress, &Silent);
        self.handler(&request.urn)?.find(&cx).await
    }

    async fn lookup(&self, request: &Request, reporter: &dyn Reporter) -> Result<Value, ProviderError> {
        let lookup = self.lookups.get(request.urn.kind());
        let lookup = lookup.ok_or_else(|| unknown_kind(&request.urn))?;
        lookup.read(&self.context(request, &[], reporter)).await
    }

    fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    fn resource_kinds(&self) -> Vec<ResourceKind> {
        let kinds = self.resources.iter().map(|(token, handler)| ResourceKind {
            token: (*token).to_owned(),
            regional: self.regional.is_some(),
            importable: handler.is_importable(),
        });
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_unstable();
        kinds
    }
}

#[async_trait]
impl<C: Send + Sync + 'static> Provider for Registry<C> {
    async fn create(
        &self,
        request: &Request,
        progress: &[Value],
        reporter: &dyn Reporter,
    ) -> Result<Live, ProviderError> {
        let cx = self.context(request, progress, reporter);
        self.handler(&request.urn)?.create(&cx).await
    }

    async fn update(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<Live, ProviderError> {
        let cx = self.context(request, &[], reporter);
        self.handler(&request.urn)?.update(&cx, prior).await
    }

    async fn delete(&self, request: &Request, prior: &Live, reporter: &dyn Reporter) -> Result<(), ProviderError> {
        let cx = self.context(request, &[], reporter);
        let deleted = self.handler(&request.urn)?.delete(&cx, prior).await;
        found(deleted).map(|_| ())
    }
}

#[async_trait]
trait ErasedHandler<C>: Send + Sync {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic>;
    fn loses(&self, inputs: &Value, next: Option<&Value>) -> Option<String>;
    fn recovery(&self) -> RecoveryKind;
    fn is_importable(&self) -> bool;
    async fn create(&self, cx: &Context<'_, C>) -> Result<Live, ProviderError>;
    async fn read(&self, cx: &Context<'_, C>, prior: &Live) -> Result<Option<Live>, ProviderError>;
    async fn update(&self, cx: &Context<'_, C>, prior: &Live) -> Result<Live, ProviderError>;
    async fn delete(&self, cx: &Context<'_, C>, prior: &Live) -> Result<(), ProviderError>;
    /// Returns an existing resource and the Rust expression of its struct.
    async fn import(&self, cx: &Context<'_, C>) -> Result<Option<(Live, String)>, ProviderError>;
    async fn find(&self, cx: &Context<'_, C>) -> Result<Outcome, ProviderError>;
}

#[async_trait]
trait ErasedLookup<C>: Send + Sync {
    async fn read(&self, cx: &Context<'_, C>) -> Result<Value, ProviderError>;
}

struct Erased<R>(PhantomData<fn() -> R>);

#[async_trait]
impl<R: Handler> ErasedHandler<R::Client> for Erased<R> {
    fn check(&self, urn: &Urn, inputs: &Value, prior: Option<&Value>) -> Vec<Diagnostic> {
        let resource = match value::from_value::<R>(inputs) {
            Ok(resource) => resource,
            Err(error) => return vec![Diagnostic::error(error.to_string()).about(urn)],
        };
        let mut problems = resource.check();
        // Inputs that an earlier version has recorded may lack properties.
        let prior = prior.and_then(|prior| value::from_value::<R>(prior).ok());
        problems.extend(prior.into_iter().flat_map(|prior| resource.check_update(&prior)));
        let diagnostics = problems.into_iter().map(|problem| {
            let summary = format!("`{}`: {}", problem.property, problem.message);
            let mut diagnostic = Diagnostic::error(summary).about(urn);
            diagnostic.hint = problem.hint;
            diagnostic
        });
        diagnostics.collect()
    }

    fn loses(&self, inputs: &Value, next: Option<&Value>) -> Option<String> {
        let next = next.map(value::from_value::<R>).transpose().ok()?;
        value::from_value::<R>(inputs).ok()?.loses(next.as_ref())
    }

    fn recovery(&self) -> RecoveryKind {
        R::recovery().kind
    }

    fn is_importable(&self) -> bool {
        R::IMPORTABLE
    }

    async fn create(&self, cx: &Context<'_, R::Client>) -> Result<Live, ProviderError> {
        let inputs: R = value::from_value(&cx.request.inputs)?;
        Ok(live(R::create(cx, &inputs).await?)?)
    }

    async fn read(&self, cx: &Context<'_, R::Client>, known: &Live) -> Result<Option<Live>, ProviderError> {
        match found(R::read(cx, &prior(known)?).await)?.flatten() {
            Some(created) => Ok(Some(live(created)?)),
            None => Ok(None),
        }
    }

    async fn update(&self, cx: &Context<'_, R::Client>, known: &Live) -> Result<Live, ProviderError> {
        let inputs: R = value::from_value(&cx.request.inputs)?;
        let outputs = R::update(cx, &prior(known)?, &inputs).await?;
        Ok(live(Created::<R>::new(known.id.clone(), outputs))?)
    }

    async fn delete(&self, cx: &Context<'_, R::Client>, known: &Live) -> Result<(), ProviderError> {
        R::delete(cx, &prior(known)?).await
    }

    async fn import(&self, cx: &Context<'_, R::Client>) -> Result<Option<(Live, String)>, ProviderError> {
        let id = cx.request.id.as_deref().unwrap_or_default();
        let Some(created) = found(R::import(cx, id).await)?.flatten() else {
            return Ok(None);
        };
        let Some(inputs) = &created.inputs else {
            return Err(ProviderError::refused(format!("the import of {} returned no inputs", R::TYPE)));
        };
        // Secrets that a provider returned must not become part of a program's source.
        let masked = lower_known(inputs, &R::schema())?.masked();
        let declaration = value::source(&value::from_value::<R>(&Value::from_json(masked))?)?;
        Ok(Some((live(created)?, declaration)))
    }

    async fn find(&self, cx: &Context<'_, R::Client>) -> Result<Outcome, ProviderError> {
        let Some(find) = R::recovery().find else {
            return Ok(Outcome::Absent);
        };
        let inputs: R = value::from_value(&cx.request.inputs)?;
        Ok(match find(cx, &inputs).await? {
            Found::Found(created) => Outcome::Found(live(created)?),
            Found::Absent => Outcome::Absent,
            Found::Never => Outcome::Never,
            Found::Unknown => Outcome::Unknown,
        })
    }
}

#[async_trait]
impl<L: LookupHandler> ErasedLookup<L::Client> for Erased<L> {
    async fn read(&self, cx: &Context<'_, L::Client>) -> Result<Value, ProviderError> {
        let arguments: L = value::from_value(&cx.request.inputs)?;
        Ok(lower_known(&L::read(cx, &arguments).await?, &L::schema())?)
    }
}

/// A reporter without a receiver, for read-only calls.
struct Silent;

#[async_trait]
impl Reporter for Silent {
    fn status(&self, _: String) {}

    async fn progress(&self, _: Value) -> Result<(), ProviderError> {
        Err(ProviderError::refused("looking must not change anything"))
    }
}
