//! An engine on a scratch cloud.

use crate::RehearsalError;
use crate::answers::{Answering, Answers, REFERENCES};
use crate::breaker::{Breaker, Breaking};
use crate::report::Unrehearsed;
use crate::schemas::Schemas;
use crate::scratch::Scratch;
use crate::seed::seed;
use crate::stand_in::Synthesis;
use crate::translation::Translation;
use infra_core::{
    Config, Engine, Stack, Target,
    config::ConfigValue,
    policy::Policy,
    provider::{Provider, Providers},
    state::State,
    store::MemoryStore,
};
use infra_local::Account;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// A program: the function that declares the resources.
pub type Script<'p> = &'p (dyn Fn(&Stack, &Config) -> infra_core::Result + Sync);

/// The name of the provider whose calls reach the scratch cloud.
pub(crate) const REHEARSED: &str = "aws";

/// The names of providers that act on nothing outside of the process.
const PURE: &[&str] = &["random"];

/// A stack that is rehearsed.
#[derive(Clone)]
pub struct Deployment<'p> {
    /// Name of the program.
    pub program: String,
    /// Name of the stack.
    pub stack: String,
    /// Name of the target, `aws` or `local`, which programs may read.
    pub target: String,
    /// The account that the stack is deployed to; `None` for the account of local clouds that choose none.
    pub account: Option<Account>,
    /// The function that declares the resources.
    pub script: Script<'p>,
    /// Configuration values.
    pub config: BTreeMap<String, ConfigValue>,
    /// Policies besides those of the program.
    pub policies: Vec<Policy>,
    /// The recorded state; `None` before the first run.
    pub recorded: Option<State>,
    /// The other stacks of the store, which the program may refer to.
    pub neighbours: Vec<Neighbour>,
    /// The types whose resources are recorded.
    pub schemas: Schemas,
}

/// Another stack in the store of a rehearsed stack.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// The recorded state.
    pub state: State,
    /// True when its resources exist in the target of the rehearsed stack. They are recreated, so that lookups find them and
    /// equal names collide.
    pub same_target: bool,
}

/// A scratch cloud with the resources of the other stacks.
pub(crate) struct Surroundings {
    target: Target,
    /// The states of the other stacks, with the values of the scratch cloud.
    states: Vec<State>,
    translation: Translation,
    /// Programs and stacks that were recreated.
    recreated: BTreeSet<(String, String)>,
    /// Number of recreated resources.
    count: usize,
    /// Resources that could not be recreated.
    missing: Vec<Unrehearsed>,
    /// Number of the last call.
    pub(crate) last_call: u64,
    /// The providers of the first engine. All engines have the same target, and a client of the SDK takes some time to
    /// create.
    known: Known,
}

type Known = Arc<Mutex<BTreeMap<String, Arc<dyn Provider>>>>;

/// A scratch cloud and an engine with the recorded resources.
pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) engine: Engine,
    pub(crate) answers: Arc<Answers>,
    pub(crate) contents: Contents,
    /// Number of the last call before the rehearsal.
    pub(crate) first_call: u64,
}

/// The recreated resources of a scratch cloud.
#[derive(Default)]
pub(crate) struct Contents {
    /// Number of recreated resources of the stack.
    pub(crate) seeded: usize,
    /// Number of recreated resources of other stacks.
    pub(crate) neighbours: usize,
    /// Resources of other stacks that could not be recreated.
    pub(crate) missing_neighbours: Vec<Unrehearsed>,
}

impl Deployment<'_> {
    /// Starts a scratch cloud and recreates the recorded resources in it.
    pub(crate) async fn stage(&self) -> Result<Stage, RehearsalError> {
        if let Some(state) = self.recorded.as_ref().filter(|state| !state.open.is_empty()) {
            return Err(RehearsalError::OpenOperations(state.open.len()));
        }
        let scratch = Scratch::start(self.account, &self.schemas, false).await?;
        match self.furnish(&scratch).await {
            Ok((engine, answers, contents, first_call)) => Ok(Stage { scratch, engine, answers, contents, first_call }),
            Err(error) => {
                scratch.stop().await;
                Err(error)
            }
        }
    }

    /// Recreates the recorded resources, and returns the engine with their state.
    async fn furnish(&self, scratch: &Scratch) -> Result<(Engine, Arc<Answers>, Contents, u64), RehearsalError> {
        let mut surroundings = self.surround(scratch).await?;
        let recorded = self.recorded.clone().unwrap_or_else(|| self.empty());
        let providers = self.providers(&surroundings.target)?;
        let seeded = seed(&recorded, &providers, REHEARSED, scratch, &mut surroundings.translation).await;
        let declared = self.basic(&surroundings.target, MemoryStore::new()).declared(self.script)?;
        let answers = surroundings.answers(scratch).recorded(&seeded.state, &seeded.foreign);
        let answers = answers.without(&seeded.state, &seeded.missing);
        let answers = Arc::new(answers.synthesising(Synthesis::new(declared, scratch.cloud().account())));
        let engine = self.engine(&surroundings, &seeded.state, &answers)?;
        let contents =
            Contents { seeded: seeded.count, neighbours: surroundings.count, missing_neighbours: surroundings.missing };
        Ok((engine, answers, contents, scratch.last_call()))
    }

    /// Recreates the resources of the other stacks.
    pub(crate) async fn surround(&self, scratch: &Scratch) -> Result<Surroundings, RehearsalError> {
        let target = scratch.target(&self.target);
        let mut around = Surroundings {
            target: target.clone(),
            states: Vec::new(),
            translation: Translation::default(),
            recreated: BTreeSet::new(),
            count: 0,
            missing: Vec::new(),
            last_call: 0,
            known: Known::default(),
        };
        if self.neighbours.is_empty() {
            return Ok(around);
        }
        let providers = self.providers(&target)?;
        for Neighbour { state, same_target } in &self.neighbours {
            if !same_target {
                around.states.push(state.clone());
                continue;
            }
            let mut seeded = seed(state, &providers, REHEARSED, scratch, &mut around.translation).await;
            for output in seeded.state.outputs.values_mut() {
                *output = around.translation.of(output);
            }
            around.recreated.insert((state.program.clone(), state.stack.clone()));
            around.count += seeded.count;
            let missing = seeded.missing.iter().map(|((urn, _), reason)| Unrehearsed::new(urn, reason));
            around.missing.extend(missing);
            around.states.push(seeded.state);
        }
        around.last_call = scratch.last_call();
        Ok(around)
    }

    /// Returns the providers of the program for the scratch cloud.
    fn providers(&self, target: &Target) -> Result<Providers, RehearsalError> {
        let engine = self.basic(target, MemoryStore::new());
        Ok(engine.wrap_providers(Confinement::of(target).wrap()).providers(self.script))
    }

    /// Returns the engine of the stack with this recorded state in these surroundings. Its providers act on nothing but the
    /// scratch cloud.
    pub(crate) fn engine(
        &self,
        surroundings: &Surroundings,
        state: &State,
        answers: &Arc<Answers>,
    ) -> Result<Engine, RehearsalError> {
        let store = MemoryStore::containing(surroundings.states.iter().chain([state]))?;
        let confinement = Confinement { answers: Some(answers.clone()), ..Confinement::of(&surroundings.target) };
        let (wrap, known) = (confinement.wrap(), surroundings.known.clone());
        Ok(self.basic(&surroundings.target, store).wrap_providers(move |name, provider| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(name.to_owned()).or_insert_with(|| wrap(name, provider)).clone()
        }))
    }

    /// Returns the engine of a stage, whose changes the breaker counts.
    pub(crate) fn breaking(&self, stage: &Stage, breaker: &Arc<Breaker>) -> Engine {
        let confinement = Confinement {
            answers: Some(stage.answers.clone()),
            breaker: Some(breaker.clone()),
            ..Confinement::of(&stage.scratch.target(&self.target))
        };
        stage.engine.clone().wrap_providers(confinement.wrap())
    }

    fn basic(&self, target: &Target, store: MemoryStore) -> Engine {
        let engine = Engine::new(&self.program, &self.stack, store).target(target.clone());
        engine.config(self.config.clone()).policies(self.policies.clone())
    }

    /// Returns the state before the first run.
    pub(crate) fn empty(&self) -> State {
        State::new(&self.program, &self.stack, "rehearsal".to_owned())
    }
}

impl Surroundings {
    /// Returns the answers of a stack before its first run.
    pub(crate) fn answers(&self, scratch: &Scratch) -> Answers {
        Answers::none(scratch.requests()).beside(self.recreated.clone())
    }

    /// Returns the surroundings for a caller with these credentials.
    pub(crate) fn seen_by(self, target: Target) -> Surroundings {
        Surroundings { target, known: Known::default(), ..self }
    }
}

/// Keeps providers from acting on anything but a scratch cloud.
struct Confinement {
    endpoint: Option<String>,
    answers: Option<Arc<Answers>>,
    breaker: Option<Arc<Breaker>>,
}

impl Confinement {
    fn of(target: &Target) -> Confinement {
        Confinement { endpoint: target.endpoint.clone(), answers: None, breaker: None }
    }

    /// Returns the function for [`Engine::wrap_providers`].
    fn wrap(self) -> impl Fn(&str, Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync + 'static {
        move |name, provider| match name {
            pure if PURE.contains(&pure) => provider,
            // References read the store of the rehearsal.
            REFERENCES => self.answering(provider, None),
            REHEARSED if provider.endpoint() == self.endpoint.as_deref() => {
                let provider = self.answering(provider, None);
                match &self.breaker {
                    Some(breaker) => Arc::new(Breaking { provider, breaker: breaker.clone() }),
                    None => provider,
                }
            }
            REHEARSED => {
                let place = provider.endpoint().unwrap_or("AWS");
                let reason = format!("has clients of its own, which call {place},");
                self.answering(provider, Some(reason))
            }
            _ => self.answering(provider, Some("acts on another target".to_owned())),
        }
    }

    fn answering(&self, provider: Arc<dyn Provider>, silenced: Option<String>) -> Arc<dyn Provider> {
        Arc::new(Answering { provider, silenced, answers: self.answers.clone() })
    }
}
