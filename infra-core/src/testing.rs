//! Tests of programs: their declarations, and their lifecycle on a cloud in memory.
//!
//! [`declare`] runs a program without a cloud and a store, and returns its declarations:
//!
//! ```
//! # use infra_core::{Config, Result, Stack, random::Password, testing};
//! fn program(stack: &Stack, config: &Config) -> Result {
//!     stack.add("password", Password::of_length(config.get_or("length", 20_u32)?));
//!     Ok(())
//! }
//!
//! let declared = testing::declare(&program).unwrap();
//! assert_eq!(declared.resource::<Password>("password").unwrap().length, 20);
//! ```
//!
//! [`FakeCloud`] serves every kind, for the whole lifecycle of a stack:
//!
//! ```
//! # use infra_core::{Config, Engine, Result, Stack, store::MemoryStore, testing::FakeCloud};
//! # use std::sync::Arc;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let cloud = FakeCloud::new();
//! let engine = Engine::new("program", "dev", MemoryStore::new());
//! let program = |stack: &Stack, _: &Config| -> Result {
//!     let cloud = cloud.clone();
//!     stack.provide("aws", move || Arc::new(cloud));
//!     // … declares resources whose type tokens begin with `aws:`
//!     Ok(())
//! };
//! assert!(engine.up(&program).await.unwrap().is_success());
//! assert!(cloud.resources().is_empty());
//! # }
//! ```

mod program;

pub use program::{DeclaredProgram, NotDeclared, declare, declare_with};

use crate::{
    diagnostic::Diagnostic,
    provider::{ErrorKind, Imported, Inspect, Outcome, Provider, ProviderError, RecoveryKind, Reporter},
    state::{Live, OperationId, Request},
    urn::Urn,
    value::{Map, Value},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A provider that keeps resources in memory and serves every type. Clones share the resources.
///
/// The outputs of a resource are its inputs and `id`, unless [`FakeCloud::outputs`] sets a function. Creates are
/// idempotent by operation id, as with a provider that accepts tokens.
#[derive(Clone, Default)]
pub struct FakeCloud(Arc<Mutex<World>>);

type Outputs = dyn Fn(&Request, &str) -> serde_json::Value + Send;
type Faults = dyn FnMut(&Request) -> Option<Fault> + Send;

#[derive(Default)]
struct World {
    resources: BTreeMap<String, Request>,
    calls: Vec<String>,
    made: u64,
    outputs: HashMap<String, Box<Outputs>>,
    faults: Option<Box<Faults>>,
    /// Number of lookups that do not find a created resource yet.
    lag: u32,
    looks: HashMap<OperationId, u32>,
}

/// The failure of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is refused, and nothing changes.
    Before,
    /// The call succeeds, and the response is lost.
    After,
    /// The call is refused, and the message repeats the inputs.
    Repeat,
    /// The request is lost.
    Lost,
    /// The call succeeds and never returns.
    Hang,
}

impl FakeCloud {
    /// Creates an empty cloud.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the function that computes the outputs of resources and lookups of a type from the request and the id.
    pub fn outputs(self, kind: &str, outputs: impl Fn(&Request, &str) -> serde_json::Value + Send + 'static) -> Self {
        self.world().outputs.insert(kind.to_owned(), Box::new(outputs));
        self
    }

    /// Sets the function that selects the failure of each create, update and delete.
    pub fn faults(&self, faults: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.world().faults = Some(Box::new(faults));
    }

    /// Sets the number of lookups that do not find a created resource yet, as if reads lagged behind writes.
    pub fn lag(&self, looks: u32) {
        self.world().lag = looks;
    }

    /// Removes all faults.
    pub fn heal(&self) {
        let mut world = self.world();
        world.faults = None;
        world.lag = 0;
    }

    /// Returns all existing resources: URN → ids.
    pub fn resources(&self) -> BTreeMap<Urn, Vec<String>> {
        let mut resources: BTreeMap<Urn, Vec<String>> = BTreeMap::new();
        for (id, request) in &self.world().resources {
            resources.entry(request.urn.clone()).or_default().push(id.clone());
        }
        resources
    }

    /// Deletes a resource outside of the engine.
    pub fn delete_resource(&self, id: &str) {
        self.world().resources.remove(id);
    }

    /// Changes the inputs of a resource outside of the engine.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut serde_json::Value)) {
        if let Some(thing) = self.world().resources.get_mut(id) {
            let mut inputs = thing.inputs.to_json();
            change(&mut inputs);
            thing.inputs = Value::from_json(inputs);
        }
    }

    /// Returns the calls since the previous call of this function, in order: `create access`.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world().calls)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        request: &Request,
        act: impl FnOnce(&mut World) -> Result<Live, ProviderError>,
    ) -> Result<Live, ProviderError> {
        // Yields, so that concurrent operations interleave.
        tokio::task::yield_now().await;
        let (answer, fault) = {
            let mut world = self.world();
            let verb = format!("{:?}", request.verb).to_lowercase();
            world.calls.push(format!("{verb} {}", request.urn.name()));
            let fault = world.faults.as_mut().and_then(|faults| faults(request));
            if fault == Some(Fault::Before) {
                return Err(ProviderError::refused("injected: refused"));
            }
            if fault == Some(Fault::Repeat) {
                return Err(ProviderError::refused(format!("injected: refused {}", request.inputs.to_json())));
            }
            if fault == Some(Fault::Lost) {
                return Err(ProviderError::unsure("injected: the request was lost"));
            }
            (act(&mut world), fault)
        };
        tokio::task::yield_now().await;
        match fault {
            None | Some(Fault::Before | Fault::Repeat | Fault::Lost) => answer,
            Some(Fault::After) => Err(ProviderError::unsure("injected: the response was lost")),
            Some(Fault::Hang) => {
                tokio::time::sleep(Duration::from_hours(24)).await;
                answer
            }
        }
    }
}

impl World {
    fn live(&self, id: &str) -> Option<Live> {
        let request = self.resources.get(id)?;
        let outputs = match self.outputs.get(request.urn.kind()) {
            Some(outputs) => Value::from_json(outputs(request, id)),
            None => with_id(&request.inputs, id),
        };
        Some(Live { id: id.to_owned(), inputs: Some(request.inputs.clone()), outputs })
    }

    fn of_operation(&self, request: &Request) -> Option<Live> {
        let made = |(_, thing): &(&String, &Request)| thing.operation == request.operation;
        let (id, _) = self.resources.iter().find(made)?;
        self.live(id)
    }
}

fn with_id(inputs: &Value, id: &str) -> Value {
    let mut outputs: Map<Value> = inputs.entries().map(|(name, value)| (name.clone(), value.clone())).collect();
    outputs.insert("id", Value::from(id));
    Value::Map(outputs)
}

#[async_trait]
impl Inspect for FakeCloud {
    fn check(&self, _: &Urn, _: &Value, _: Option<&Value>) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn recovery(&self, _: &Urn) -> Option<RecoveryKind> {
        let lifetime = Duration::from_hours(24);
        Some(RecoveryKind::Token { lifetime })
    }

    async fn read(&self, _: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
        Ok(self.world().live(&prior.id))
    }

    async fn import(&self, request: &Request) -> Result<Option<Imported>, ProviderError> {
        let world = self.world();
        let id = request.id.as_deref().unwrap_or_default();
        let thing = world.resources.get(id).filter(|thing| thing.urn.kind() == request.urn.kind());
        let Some((thing, live)) = thing.zip(world.live(id)) else {
            return Ok(None);
        };
        Ok(Some(Imported { live, declaration: thing.inputs.to_string(), scope: "stack".to_owned() }))
    }

    async fn find(&self, request: &Request, _: &[Value]) -> Result<Outcome, ProviderError> {
        let mut world = self.world();
        let lag = world.lag;
        let looks = world.looks.entry(request.operation.clone()).or_default();
        *looks += 1;
        let found = (*looks > lag).then(|| world.of_operation(request)).flatten();
        Ok(found.map_or(Outcome::Absent, Outcome::Found))
    }

    async fn lookup(&self, request: &Request, _: &dyn Reporter) -> Result<Value, ProviderError> {
        let world = self.world();
        Ok(match world.outputs.get(request.urn.kind()) {
            Some(outputs) => Value::from_json(outputs(request, "")),
            None => request.inputs.clone(),
        })
    }
}

#[async_trait]
impl Provider for FakeCloud {
    async fn create(&self, request: &Request, _: &[Value], _: &dyn Reporter) -> Result<Live, ProviderError> {
        self.call(request, |world| {
            if let Some(live) = world.of_operation(request) {
                return Ok(live);
            }
            world.made += 1;
            let id = format!("{}-{}", request.urn.name().replace('/', "-"), world.made);
            world.resources.insert(id.clone(), request.clone());
            world.live(&id).ok_or_else(|| ProviderError::refused("nothing was made"))
        })
        .await
    }

    async fn update(&self, request: &Request, prior: &Live, _: &dyn Reporter) -> Result<Live, ProviderError> {
        self.call(request, |world| {
            let missing = || ProviderError::of(ErrorKind::NotFound, format!("{} does not exist", prior.id));
            world.resources.get_mut(&prior.id).ok_or_else(missing)?.inputs = request.inputs.clone();
            world.live(&prior.id).ok_or_else(missing)
        })
        .await
    }

    async fn delete(&self, request: &Request, prior: &Live, _: &dyn Reporter) -> Result<(), ProviderError> {
        self.call(request, |world| {
            let live = world.live(&prior.id).unwrap_or_else(|| prior.clone());
            world.resources.remove(&prior.id);
            Ok(live)
        })
        .await
        .map(|_| ())
    }
}
