//! Kinds of things in the [`World`], one for each way in which a lost create can be found again.

use crate::{
    broken::Broken,
    world::{Lag, Record, Refusal, Wanted, World},
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

/// What the kinds' calls go through.
pub struct Client {
    /// Where things exist.
    pub world: World,
    /// What is done wrong on purpose.
    pub broken: Option<Broken>,
}

/// A thing of the world; `S` says how a lost create of it is found again.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Thing<S> {
    /// Forces replacement.
    pub place: Input<String>,
    /// Changed in place.
    pub size: u32,
    /// Ids of the things it uses; changed in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Input<String>>,
    /// A secret; changed in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Input<String>>,
    #[serde(skip)]
    strategy: PhantomData<fn() -> S>,
}

/// What a [`Thing`] tells.
#[derive(Clone, Serialize, Deserialize)]
pub struct ThingOutputs {
    /// Its id.
    pub id: Output<String>,
    /// A key that was drawn while it was made and lives in the state alone; empty but for [`Phased`] things.
    pub key: Output<String>,
}

/// A lookup whose answer depends on nothing but the question.
#[derive(Serialize, Deserialize)]
pub struct Zone {
    /// The question.
    pub of: Input<String>,
}

/// What a [`Zone`] tells.
#[derive(Clone, Serialize, Deserialize)]
pub struct ZoneOutputs {
    /// The answer.
    pub name: Output<String>,
}

/// By the operation id as idempotency token.
pub struct Token;
/// By a unique name, and the operation id as tag.
pub struct Name;
/// By a natural key that only one thing can have: its replacement has to wait until it is gone.
pub struct Key;
/// By the operation id as tag, in an index that lags behind for a moment.
pub struct Tag;
/// By the operation id as tag, in an index that lags behind for longer than anyone waits.
pub struct LateTag;
/// By what was written down between its calls: a key, the thing itself, a part of it.
pub struct Phased;

/// How the things of a kind bear the operation that makes them, and how they are found by it.
pub trait Strategy: Sized + Send + Sync + 'static {
    /// The type token.
    const TYPE: &'static str;
    /// Whether the old thing has to go before the new one can come.
    const EXCLUSIVE: bool = false;

    /// Writes the operation into what is asked for.
    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted);

    /// How a lost create is found again.
    fn recovery() -> Recovery<Thing<Self>>;

    /// Makes the thing.
    fn create(
        cx: &Context<'_, Client>,
        inputs: &Thing<Self>,
    ) -> impl Future<Output = Result<Created<Thing<Self>>, ProviderError>> + Send {
        async move {
            let record = cx.client().world.make(wanted::<Self>(cx, inputs)?).await?;
            created(&record, String::new())
        }
    }
}

/// The provider of these kinds, to be declared as `world`.
pub fn provider(world: World, broken: Option<Broken>) -> Arc<dyn Provider> {
    let registry = Registry::new(Client { world, broken })
        .resource::<Thing<Token>>()
        .resource::<Thing<Name>>()
        .resource::<Thing<Key>>()
        .resource::<Thing<Tag>>()
        .resource::<Thing<LateTag>>()
        .resource::<Thing<Phased>>()
        .lookup::<Zone>();
    Arc::new(registry)
}

impl<S> Thing<S> {
    /// A thing of size 1 at a place.
    pub fn at(place: impl Into<Input<String>>) -> Self {
        Self { place: place.into(), size: 1, uses: Vec::new(), password: None, strategy: PhantomData }
    }

    /// Says how big it is.
    pub fn sized(mut self, size: u32) -> Self {
        self.size = size;
        self
    }

    /// Says what it uses.
    pub fn using<const N: usize>(mut self, ids: [&Output<String>; N]) -> Self {
        self.uses = ids.map(Clone::clone).into();
        self
    }

    /// Gives it a secret.
    pub fn with_password(mut self, password: &Output<String>) -> Self {
        self.password = Some(password.clone());
        self
    }
}

impl<S: Strategy> Resource for Thing<S> {
    const TYPE: &'static str = S::TYPE;
    type Outputs = ThingOutputs;

    fn schema() -> Schema {
        let schema = Schema::new().replace_on(["place"]).secret(["password", "key"]);
        if S::EXCLUSIVE { schema.delete_before_replace() } else { schema }
    }
}

impl<S: Strategy> Handler for Thing<S> {
    type Client = Client;

    async fn create(cx: &Context<'_, Client>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        S::create(cx, inputs).await
    }

    async fn read(cx: &Context<'_, Client>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let record = cx.client().world.by_id(&prior.id).await?;
        record.map(|record| created(&record, prior.outputs.key.known()?)).transpose()
    }

    async fn update(
        cx: &Context<'_, Client>,
        prior: &Prior<Self>,
        inputs: &Self,
    ) -> Result<ThingOutputs, ProviderError> {
        let key: String = prior.outputs.key.known()?;
        if !key.is_empty() {
            complete(cx, &prior.id).await?;
        }
        let mut properties = properties(inputs)?;
        properties.extend(fingerprint(&key));
        cx.client().world.change(&prior.id, properties).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Client>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let world = &cx.client().world;
        if let Some(part) = world.part_of(&prior.id).await? {
            world.remove(&part.id).await?;
        }
        // What has to go before its replacement can come goes while others still use it.
        let gone = if S::EXCLUSIVE { world.wrench(&prior.id).await } else { world.remove(&prior.id).await };
        Ok(gone?)
    }

    fn recovery() -> Recovery<Self> {
        S::recovery()
    }
}

impl Strategy for Token {
    const TYPE: &'static str = "world:Token";

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        wanted.token = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::token(Duration::from_hours(24), |cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, cx.client().world.by_token(cx.operation().as_str()).await?) })
        })
    }
}

impl Strategy for Name {
    const TYPE: &'static str = "world:Name";

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        wanted.name = Some(cx.unique_name(40));
        wanted.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::name(|cx: &Context<'_, Client>, _| {
            Box::pin(async move {
                let record = cx.client().world.by_name("Name", &cx.unique_name(40)).await?;
                let ours = |record: &Record| record.wanted.tag.as_deref() == Some(cx.operation().as_str());
                found(cx, record.filter(ours))
            })
        })
    }
}

impl Strategy for Key {
    const TYPE: &'static str = "world:Key";
    const EXCLUSIVE: bool = true;

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        // Like a route: table and destination, and no place for a tag.
        wanted.name = Some(cx.urn().name().to_owned());
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::key(|cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, cx.client().world.by_name("Key", cx.urn().name()).await?) })
        })
    }
}

impl Strategy for Tag {
    const TYPE: &'static str = "world:Tag";

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        wanted.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::tag(|cx: &Context<'_, Client>, _| {
            Box::pin(async move { found(cx, patiently(cx, Lag::Looks).await?) })
        })
    }
}

impl Strategy for LateTag {
    const TYPE: &'static str = "world:LateTag";

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        wanted.tag = Some(cx.operation().to_string());
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::tag(|cx: &Context<'_, Client>, _| Box::pin(async move { found(cx, patiently(cx, Lag::Runs).await?) }))
    }
}

impl Strategy for Phased {
    const TYPE: &'static str = "world:Phased";

    fn mark(cx: &Context<'_, Client>, wanted: &mut Wanted) {
        wanted.tag = Some(cx.operation().to_string());
    }

    /// Draws a key, writes it down, makes the thing that knows the key's fingerprint, then a part of it.
    async fn create(cx: &Context<'_, Client>, inputs: &Thing<Self>) -> Result<Created<Thing<Self>>, ProviderError> {
        let key = match cx.earlier::<String>().pop() {
            Some(key) => key,
            None => {
                let key = OperationId::random().map_err(|error| ProviderError::refused(error.to_string()))?.to_string();
                cx.progress(&key).await?;
                key
            }
        };
        let world = &cx.client().world;
        let record = match world.by_tag(cx.operation().as_str(), Lag::None).await? {
            Some(record) => record,
            None => {
                let mut wanted = wanted::<Self>(cx, inputs)?;
                wanted.properties.extend(fingerprint(&key));
                world.make(wanted).await?
            }
        };
        complete(cx, &record.id).await?;
        created(&record, key)
    }

    fn recovery() -> Recovery<Thing<Self>> {
        Recovery::phased(|cx: &Context<'_, Client>, _| {
            Box::pin(async move {
                // Without a key nothing was called yet.
                let Some(key) = cx.earlier::<String>().pop() else {
                    return Ok(Found::Absent);
                };
                let world = &cx.client().world;
                let Some(record) = world.by_tag(cx.operation().as_str(), Lag::None).await? else {
                    return Ok(Found::Absent);
                };
                if cx.client().broken == Some(Broken::Blind) {
                    return Ok(Found::Absent);
                }
                let mut found = created::<Self>(&record, key)?;
                if world.part_of(&record.id).await?.is_none()
                    && let Some(inputs) = &mut found.inputs
                {
                    // Half of it is there. Recorded as what it is, it is completed by an update or deleted, whichever
                    // the program asks for.
                    inputs.size = 0;
                }
                Ok(Found::Found(found))
            })
        })
    }
}

impl Lookup for Zone {
    const TYPE: &'static str = "world:Zone";
    type Outputs = ZoneOutputs;
}

impl LookupHandler for Zone {
    type Client = Client;

    async fn read(_: &Context<'_, Client>, arguments: &Self) -> Result<ZoneOutputs, ProviderError> {
        Ok(ZoneOutputs { name: format!("zone of {}", arguments.of.known()?).into() })
    }
}

/// How often a finder looks before it takes absence for an answer.
const PATIENCE: u32 = 5;

async fn patiently(cx: &Context<'_, Client>, lag: Lag) -> Result<Option<Record>, ProviderError> {
    for _ in 0..PATIENCE {
        let record = cx.client().world.by_tag(cx.operation().as_str(), lag).await?;
        if record.is_some() {
            return Ok(record);
        }
    }
    Ok(None)
}

fn found<S: Strategy>(cx: &Context<'_, Client>, record: Option<Record>) -> Result<Found<Thing<S>>, ProviderError> {
    match record.filter(|_| cx.client().broken != Some(Broken::Blind)) {
        Some(record) => Ok(Found::Found(created(&record, String::new())?)),
        None => Ok(Found::Absent),
    }
}

fn created<S: Strategy>(record: &Record, key: String) -> Result<Created<Thing<S>>, ProviderError> {
    let properties = record.wanted.properties.clone().into_iter().collect();
    let inputs = serde_json::from_value(Json::Object(properties)).map_err(refused)?;
    let outputs = ThingOutputs { id: record.id.clone().into(), key: key.into() };
    Ok(Created { id: record.id.clone(), inputs: Some(inputs), outputs })
}

fn wanted<S: Strategy>(cx: &Context<'_, Client>, inputs: &Thing<S>) -> Result<Wanted, ProviderError> {
    let kind = S::TYPE.rsplit(':').next().unwrap_or_default().to_owned();
    let mut wanted = Wanted { kind, label: cx.urn().short(), properties: properties(inputs)?, ..Wanted::default() };
    S::mark(cx, &mut wanted);
    if cx.client().broken == Some(Broken::Anonymous) {
        (wanted.token, wanted.tag) = (None, None);
    }
    Ok(wanted)
}

/// Makes the part of a phased thing, unless it exists.
async fn complete(cx: &Context<'_, Client>, id: &str) -> Result<(), ProviderError> {
    let world = &cx.client().world;
    if world.part_of(id).await?.is_none() {
        let (kind, label) = ("Part".to_owned(), cx.urn().short());
        world.make(Wanted { kind, label, part_of: Some(id.to_owned()), ..Wanted::default() }).await?;
    }
    Ok(())
}

fn properties<S: Strategy>(inputs: &Thing<S>) -> Result<BTreeMap<String, Json>, ProviderError> {
    let json = serde_json::to_value(inputs).map_err(refused)?;
    serde_json::from_value(json).map_err(refused)
}

/// What a phased thing knows of its key.
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
            Refusal::NameTaken(by) => Self::of(ErrorKind::AlreadyExists, format!("{by} has the name already")),
            Refusal::InUse { id, by } => Self::of(ErrorKind::Dependency, format!("{by} still uses {id}")),
            Refusal::Missing(id) => Self::of(ErrorKind::NotFound, format!("{id} does not exist")),
            Refusal::Io(error) => Self::refused(format!("the world: {error}")),
        }
    }
}
