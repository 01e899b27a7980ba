//! Resource kinds of the simulated [`Cloud`], one for each strategy to find a lost create.

use crate::{
    broken::Broken,
    cloud::{Cloud, Lag, Record, Refusal, Request},
};
use infra_core::{
    Input, Lookup, Output, Resource, Schema,
    provider::{
        Context, Created, ErrorKind, Found, Handler, LookupHandler, Prior, Provider, ProviderError, Recovery, Registry,
    },
    state::OperationId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

/// The client of all kinds.
pub struct Client {
    /// Simulated cloud.
    pub cloud: Cloud,
    /// Deliberate defect, if any.
    pub broken: Option<Broken>,
}

/// A resource of the simulated cloud. `S` is the strategy to find a lost create.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Simulated<S> {
    /// Location; a change forces replacement.
    pub location: Input<String>,
    /// Size; updated in place.
    pub size: u32,
    /// Ids of the resources that this one uses; updated in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Input<String>>,
    /// Secret; updated in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Input<String>>,
    #[serde(skip)]
    strategy: PhantomData<fn() -> S>,
}

/// Outputs of a [`Simulated`] resource.
#[derive(Clone, Serialize, Deserialize)]
pub struct SimulatedOutputs {
    /// Id of the resource.
    pub id: Output<String>,
    /// Key that the create generated and that only the state contains; empty except for [`Phased`] resources.
    pub key: Output<String>,
}

/// A lookup whose result depends only on its argument.
#[derive(Serialize, Deserialize)]
pub struct Zone {
    /// Argument of the lookup.
    pub of: Input<String>,
}

/// Outputs of a [`Zone`].
#[derive(Clone, Serialize, Deserialize)]
pub struct ZoneOutputs {
    /// Name of the zone.
    pub name: Output<String>,
}

/// Finds a resource by the operation id as idempotency token.
pub struct Token;
/// Finds a resource by its unique name, with the operation id as tag.
pub struct Name;
/// Finds a resource by a natural key that only one resource can have. Its replacement is created after its deletion.
pub struct Key;
/// Finds a resource by the operation id as tag, in an index that lags behind for a moment.
pub struct Tag;
/// Finds a resource by the operation id as tag, in an index that lags behind for longer than recovery waits.
pub struct LateTag;
/// Finds a resource by the progress that its create recorded between three calls, which generate a key, create the resource
/// and create its part.
pub struct Phased;

/// The strategy by which a kind marks its resources with the operation that creates them, and finds them by it.
pub trait Strategy: Sized + Send + Sync + 'static {
    /// Type token of the kind.
    const TYPE: &'static str;
    /// True when a replacement must be created after the deletion of the previous generation.
    const EXCLUSIVE: bool = false;

    /// Adds the operation id to the request.
    fn mark(cx: &Context<'_, Client>, request: &mut Request);

    /// Returns the recovery of a lost create.
    fn recovery() -> Recovery<Simulated<Self>>;

    /// Creates the resource.
    fn create(
        cx: &Context<'_, Client>,
        inputs: &Simulated<Self>,
    ) -> impl Future<Output = Result<Created<Simulated<Self>>, ProviderError>> + Send {
        async move {
            let record = cx.client().cloud.create(request::<Self>(cx, inputs)?).await?;
            created(&record, String::new())
        }
    }
}

/// Returns the provider of these kinds, which a program declares as `cloud`.
pub fn provider(cloud: Cloud, broken: Option<Broken>) -> Arc<dyn Provider> {
    let registry = Registry::new(Client { cloud, broken })
        .resource::<Simulated<Token>>()
        .resource::<Simulated<Name>>()
        .resource::<Simulated<Key>>()
        .resource::<Simulated<Tag>>()
        .resource::<Simulated<LateTag>>()
        .resource::<Simulated<Phased>>()
        .lookup::<Zone>();
    Arc::new(registry)
}

impl<S> Simulated<S> {
    /// Creates the inputs of a resource of size 1 at a location.
    pub fn at(location: impl Into<Input<String>>) -> Self {
        Self { location: location.into(), size: 1, uses: Vec::new(), password: None, strategy: PhantomData }
    }

    /// Sets the size.
    pub fn sized(mut self, size: u32) -> Self {
        self.size = size;
        self
    }

    /// Sets the ids of the resources that this one uses.
    pub fn using<const N: usize>(mut self, ids: [&Output<String>; N]) -> Self {
        self.uses = ids.map(Clone::clone).into();
        self
    }

    /// Sets the secret.
    pub fn with_password(mut self, password: &Output<String>) -> Self {
        self.password = Some(password.clone());
        self
    }
}

impl<S: Strategy> Resource for Simulated<S> {
    const TYPE: &'static str = S::TYPE;
    type Outputs = SimulatedOutputs;

    fn schema() -> Schema {
        let schema = Schema::new().replace_on(["location"]).secret(["password", "key"]);
        if S::EXCLUSIVE { schema.delete_before_replace() } else { schema }
    }
}

impl<S: Strategy> Handler for Simulated<S> {
    type Client = Client;

    async fn create(cx: &Context<'_, Client>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        S::create(cx, inputs).await
    }

    async fn read(cx: &Context<'_, Client>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let record = cx.client().cloud.by_id(&prior.id).await?;
        record.map(|record| created(&record, prior.outputs.key.known()?)).transpose()
    }

    async fn update(
        cx: &Context<'_, Client>,
        prior: &Prior<Self>,
        inputs: &Self,
    ) -> Result<SimulatedOutputs, ProviderError> {
        let key: String = prior.outputs.key.known()?;
        if !key.is_empty() {
            complete(cx, &prior.id).await?;
        }
        let mut properties = properties(inputs)?;
        properties.extend(fingerprint(&key));
        cx.client().cloud.update(&prior.id, properties).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Client>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let cloud = &cx.client().cloud;
        if let Some(part) = cloud.part_of(&prior.id).await? {
            cloud.delete(&part.id).await?;
        }
        // A resource that is deleted before its replacement is created is still used by its dependents.
        let deleted = if S::EXCLUSIVE { cloud.delete_in_use(&prior.id).await } else { cloud.delete(&prior.id).await };
        Ok(deleted?)
    }

    fn recovery() -> Recovery<Self> {
        S::recovery()
    }
}

impl Strategy for Token {
    const TYPE: &'static str = "cloud:Token";

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        request.token = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::token(Duration::from_hours(24), |cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, cx.client().cloud.by_token(cx.operation().as_str()).await?) })
        })
    }
}

impl Strategy for Name {
    const TYPE: &'static str = "cloud:Name";

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        request.name = Some(cx.unique_name(40));
        request.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::name(|cx: &Context<'_, Client>, _| {
            Box::pin(async move {
                let record = cx.client().cloud.by_name("Name", &cx.unique_name(40)).await?;
                let created_by_this_operation =
                    |record: &Record| record.request.tag.as_deref() == Some(cx.operation().as_str());
                found(cx, record.filter(created_by_this_operation))
            })
        })
    }
}

impl Strategy for Key {
    const TYPE: &'static str = "cloud:Key";
    const EXCLUSIVE: bool = true;

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        // Like a route, which is identified by table and destination and has no tags.
        request.name = Some(cx.urn().name().to_owned());
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::key(|cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, cx.client().cloud.by_name("Key", cx.urn().name()).await?) })
        })
    }
}

impl Strategy for Tag {
    const TYPE: &'static str = "cloud:Tag";

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        request.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::tag(|cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, find_by_tag(cx, Lag::Lookups).await?) })
        })
    }
}

impl Strategy for LateTag {
    const TYPE: &'static str = "cloud:LateTag";

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        request.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::tag(|cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, find_by_tag(cx, Lag::Runs).await?) })
        })
    }
}

impl Strategy for Phased {
    const TYPE: &'static str = "cloud:Phased";

    fn mark(cx: &Context<'_, Client>, request: &mut Request) {
        request.tag = Some(cx.operation().to_string());
    }

    /// Generates a key and records it as progress, creates the resource with the key's fingerprint, and creates its part.
    async fn create(
        cx: &Context<'_, Client>,
        inputs: &Simulated<Self>,
    ) -> Result<Created<Simulated<Self>>, ProviderError> {
        let key = match cx.earlier::<String>().pop() {
            Some(key) => key,
            None => {
                let key = OperationId::random().map_err(|error| ProviderError::refused(error.to_string()))?.to_string();
                cx.progress(&key).await?;
                key
            }
        };
        let cloud = &cx.client().cloud;
        let record = match cloud.by_tag(cx.operation().as_str(), Lag::None).await? {
            Some(record) => record,
            None => {
                let mut request = request::<Self>(cx, inputs)?;
                request.properties.extend(fingerprint(&key));
                cloud.create(request).await?
            }
        };
        complete(cx, &record.id).await?;
        created(&record, key)
    }

    fn recovery() -> Recovery<Simulated<Self>> {
        Recovery::phased(|cx: &Context<'_, Client>, _| {
            Box::pin(async move {
                // The create generates the key before its first call.
                let Some(key) = cx.earlier::<String>().pop() else {
                    return Ok(Found::Absent);
                };
                let cloud = &cx.client().cloud;
                let Some(record) = cloud.by_tag(cx.operation().as_str(), Lag::None).await? else {
                    return Ok(Found::Absent);
                };
                if cx.client().broken == Some(Broken::Blind) {
                    return Ok(Found::Absent);
                }
                let mut found = created::<Self>(&record, key)?;
                if cloud.part_of(&record.id).await?.is_none()
                    && let Some(inputs) = &mut found.inputs
                {
                    // The part is missing. Recorded with a different size, the resource is completed by an update or
                    // deleted, depending on the program.
                    inputs.size = 0;
                }
                Ok(Found::Found(found))
            })
        })
    }
}

impl Lookup for Zone {
    const TYPE: &'static str = "cloud:Zone";
    type Outputs = ZoneOutputs;
}

impl LookupHandler for Zone {
    type Client = Client;

    async fn read(_: &Context<'_, Client>, arguments: &Self) -> Result<ZoneOutputs, ProviderError> {
        Ok(ZoneOutputs { name: format!("zone of {}", arguments.of.known()?).into() })
    }
}

/// Number of lookups by tag before a resource is considered absent.
const ATTEMPTS: u32 = 5;

async fn find_by_tag(cx: &Context<'_, Client>, lag: Lag) -> Result<Option<Record>, ProviderError> {
    for _ in 0..ATTEMPTS {
        let record = cx.client().cloud.by_tag(cx.operation().as_str(), lag).await?;
        if record.is_some() {
            return Ok(record);
        }
    }
    Ok(None)
}

fn found<S: Strategy>(cx: &Context<'_, Client>, record: Option<Record>) -> Result<Found<Simulated<S>>, ProviderError> {
    match record.filter(|_| cx.client().broken != Some(Broken::Blind)) {
        Some(record) => Ok(Found::Found(created(&record, String::new())?)),
        None => Ok(Found::Absent),
    }
}

fn created<S: Strategy>(record: &Record, key: String) -> Result<Created<Simulated<S>>, ProviderError> {
    let properties = record.request.properties.clone().into_iter().collect();
    let inputs = serde_json::from_value(Json::Object(properties)).map_err(refused)?;
    let outputs = SimulatedOutputs { id: record.id.clone().into(), key: key.into() };
    Ok(Created { id: record.id.clone(), inputs: Some(inputs), outputs })
}

fn request<S: Strategy>(cx: &Context<'_, Client>, inputs: &Simulated<S>) -> Result<Request, ProviderError> {
    let kind = S::TYPE.rsplit(':').next().unwrap_or_default().to_owned();
    let mut request = Request { kind, label: cx.urn().short(), properties: properties(inputs)?, ..Request::default() };
    S::mark(cx, &mut request);
    if cx.client().broken == Some(Broken::Anonymous) {
        (request.token, request.tag) = (None, None);
    }
    Ok(request)
}

/// Creates the part of a [`Phased`] resource unless it exists.
async fn complete(cx: &Context<'_, Client>, id: &str) -> Result<(), ProviderError> {
    let cloud = &cx.client().cloud;
    if cloud.part_of(id).await?.is_none() {
        let (kind, label) = ("Part".to_owned(), cx.urn().short());
        cloud.create(Request { kind, label, part_of: Some(id.to_owned()), ..Request::default() }).await?;
    }
    Ok(())
}

fn properties<S: Strategy>(inputs: &Simulated<S>) -> Result<BTreeMap<String, Json>, ProviderError> {
    let json = serde_json::to_value(inputs).map_err(refused)?;
    serde_json::from_value(json).map_err(refused)
}

/// Returns the property in which a [`Phased`] resource stores the fingerprint of its key.
pub fn fingerprint(key: &str) -> Option<(String, Json)> {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (!key.is_empty()).then(|| ("fingerprint".to_owned(), Json::from(format!("{:016x}", hasher.finish()))))
}

fn refused(error: serde_json::Error) -> ProviderError {
    ProviderError::refused(error.to_string())
}

impl From<Refusal> for ProviderError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NameTaken(by) => Self::of(ErrorKind::AlreadyExists, format!("{by} already has the name")),
            Refusal::InUse { id, by } => Self::of(ErrorKind::Dependency, format!("{by} still uses {id}")),
            Refusal::Missing(id) => Self::of(ErrorKind::NotFound, format!("{id} does not exist")),
            Refusal::Io(error) => Self::refused(format!("the simulated cloud cannot be read or written: {error}")),
        }
    }
}
