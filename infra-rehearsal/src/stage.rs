//! An engine on a scratch cloud.

use crate::RehearsalError;
use crate::breaker::{Breaker, Breaking};
use crate::scratch::Scratch;
use crate::seed::{Seeded, seed};
use crate::simulated::Simulated;
use infra_core::{
    Config, Engine, Stack, config::ConfigValue, policy::Policy, provider::Provider, state::State, store::MemoryStore,
};
use std::{collections::BTreeMap, sync::Arc};

/// A program: the function that declares the resources.
pub type Script<'p> = &'p (dyn Fn(&Stack, &Config) -> infra_core::Result + Sync);

/// The name of the provider whose calls reach the scratch cloud.
pub(crate) const REHEARSED: &str = "aws";

/// The names of providers that act on nothing outside of the process.
const PURE: &[&str] = &["random"];

/// Name of the provider of references to other stacks.
const REFERENCES: &str = "stack";

/// A stack that is rehearsed.
#[derive(Clone)]
pub struct Deployment<'p> {
    /// Name of the program.
    pub program: String,
    /// Name of the stack.
    pub stack: String,
    /// Name of the target, `aws` or `local`, which programs may read.
    pub target: String,
    /// The function that declares the resources.
    pub script: Script<'p>,
    /// Configuration values.
    pub config: BTreeMap<String, ConfigValue>,
    /// Policies besides those of the program.
    pub policies: Vec<Policy>,
    /// The recorded state; `None` before the first run.
    pub recorded: Option<State>,
    /// An engine on the stack's store, for references to other stacks. Only their outputs are read.
    pub engine: Engine,
}

/// A scratch cloud and an engine with the recorded resources.
pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) engine: Engine,
    pub(crate) seeded: Seeded,
    /// Number of the last call before the rehearsal.
    pub(crate) first_call: u64,
}

impl Deployment<'_> {
    /// Starts a scratch cloud and recreates the recorded resources in it.
    pub(crate) async fn stage(&self) -> Result<Stage, RehearsalError> {
        if let Some(state) = self.recorded.as_ref().filter(|state| !state.open.is_empty()) {
            return Err(RehearsalError::OpenOperations(state.open.len()));
        }
        let scratch = Scratch::start(false).await?;
        let target = scratch.target(&self.target);
        let empty = State::new(&self.program, &self.stack, "rehearsal".to_owned());
        let recorded = self.recorded.clone().unwrap_or(empty);
        let planner = self.on(MemoryStore::new()).target(target.clone());
        let seeded = seed(&recorded, &planner.providers(self.script), REHEARSED, &scratch).await;
        let engine = self.on(MemoryStore::containing(&seeded.state)?).target(target);
        let first_call = scratch.calls_after(0)?.last().map_or(0, |call| call.number);
        Ok(Stage { scratch, engine, seeded, first_call })
    }

    /// Returns the engine of this stack on another store, whose providers act on nothing but the target of the engine.
    pub(crate) fn on(&self, store: MemoryStore) -> Engine {
        let engine = Engine::new(&self.program, &self.stack, store);
        engine.config(self.config.clone()).policies(self.policies.clone()).wrap_providers(self.confine(None))
    }

    /// Returns the engine of a stage, whose changes the breaker counts.
    pub(crate) fn breaking(&self, stage: &Stage, breaker: &Arc<Breaker>) -> Engine {
        stage.engine.clone().wrap_providers(self.confine(Some(breaker.clone())))
    }

    /// Returns the function that keeps providers from acting on anything but the target of their engine.
    pub(crate) fn confine(
        &self,
        breaker: Option<Arc<Breaker>>,
    ) -> impl Fn(&str, Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync + 'static {
        let references = self.engine.providers(&|_, _| Ok(())).get(REFERENCES);
        move |name, provider| -> Arc<dyn Provider> {
            match name {
                REHEARSED => match &breaker {
                    Some(breaker) => Arc::new(Breaking { provider, breaker: breaker.clone() }),
                    None => provider,
                },
                pure if PURE.contains(&pure) => provider,
                REFERENCES => references.clone().unwrap_or(provider),
                _ => Arc::new(Simulated(provider)),
            }
        }
    }
}
