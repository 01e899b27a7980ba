//! Deletions that the provider refuses while another resource needs the resource, without a declared dependency.

use crate::common::{Log, logging, providing};
use infra_core::{
    Config, Engine, Output, Resource, Result, Schema, Stack,
    diff::Action,
    event::Event,
    options::{Hook, Options},
    provider::{Context, Created, ErrorKind, Handler, Prior, ProviderError, Recovery},
    store::MemoryStore,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// A resource that cannot be deleted while `needed_by` exists.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    name: String,
    needed_by: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct PartOutputs {
    id: Output<String>,
}

#[derive(Clone, Default)]
struct World {
    parts: Arc<Mutex<BTreeSet<String>>>,
    /// The part whose deletion fails.
    fails: Arc<Mutex<Option<&'static str>>>,
    /// The parts before whose deletion a hook ran.
    hooked: Arc<Mutex<Vec<String>>>,
}

impl Resource for Part {
    const TYPE: &'static str = "world:Part";
    type Outputs = PartOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"])
    }
}

impl Handler for Part {
    type Client = World;

    async fn create(cx: &Context<'_, World>, inputs: &Self) -> std::result::Result<Created<Self>, ProviderError> {
        cx.client().parts.lock().unwrap().insert(inputs.name.clone());
        Ok(Created::new(&inputs.name, PartOutputs { id: inputs.name.clone().into() }))
    }

    async fn read(
        _: &Context<'_, World>,
        prior: &Prior<Self>,
    ) -> std::result::Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(
        _: &Context<'_, World>,
        prior: &Prior<Self>,
        _: &Self,
    ) -> std::result::Result<PartOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, World>, prior: &Prior<Self>) -> std::result::Result<(), ProviderError> {
        // Every other deletion that can start has started.
        tokio::task::yield_now().await;
        if *cx.client().fails.lock().unwrap() == Some(prior.id.as_str()) {
            return Err(ProviderError::refused("it is locked"));
        }
        let mut parts = cx.client().parts.lock().unwrap();
        if let Some(user) = prior.inputs.needed_by.as_ref().filter(|user| parts.contains(*user)) {
            return Err(ProviderError::of(ErrorKind::Dependency, format!("{user} needs it")));
        }
        parts.remove(&prior.id);
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// Declares three parts, each needed by the previous one. Deletions begin in reverse order of the names, with a blocked
/// one.
fn program(world: &World) -> impl Fn(&Stack, &Config) -> Result + Sync + use<> {
    let (hooked, provide) = (world.hooked.clone(), providing::<Part>(world));
    move |stack, _| {
        provide(stack);
        for (name, needed_by) in [("x", None), ("y", Some("x")), ("z", Some("y"))] {
            let hooked = hooked.clone();
            let hook = Hook::before(Action::Delete, move |part| {
                hooked.lock().unwrap().push(part.urn.name().to_owned());
                async { Ok(()) }
            });
            stack
                .with(Options::new().hook(hook))
                .add(name, Part { name: name.to_owned(), needed_by: needed_by.map(str::to_owned) });
        }
        Ok(())
    }
}

async fn destroyed(parallel: usize, fails: Option<&'static str>) -> (Vec<String>, Vec<String>) {
    let world = World::default();
    let log = Log::default();
    let events = logging(&log, |event| match event {
        Event::StepFinished { urn, .. } => Some(format!("{} deleted", urn.name())),
        Event::StepFailed { urn, diagnostic, .. } => Some(format!("{}: {}", urn.name(), diagnostic.summary)),
        Event::StepSkipped { urn, .. } => Some(format!("{} skipped", urn.name())),
        _ => None,
    });
    let engine = Engine::new("program", "dev", MemoryStore::new());
    assert!(engine.up(&program(&world)).await.unwrap().is_success());
    *world.fails.lock().unwrap() = fails;
    let program = program(&world);
    let destroy = engine.destroy(&program).events(events).parallel(parallel);
    let report = destroy.continue_on_error(fails.is_some()).await.unwrap();
    assert_eq!(report.is_success(), fails.is_none(), "{report:?}");
    let left = world.parts.lock().unwrap().iter().cloned().collect();
    // A refused deletion does not stay open, and its hook ran once, however often it was repeated.
    let mut hooked = world.hooked.lock().unwrap().clone();
    hooked.sort();
    assert_eq!(hooked, ["x", "y", "z"]);
    assert!(engine.state().await.unwrap().unwrap().open.is_empty());
    (log.lock().unwrap().clone(), left)
}

#[tokio::test]
async fn blocked_deletion_is_repeated_after_other_steps() {
    for parallel in [1, 16] {
        let (log, left) = destroyed(parallel, None).await;
        assert_eq!(log, ["x deleted", "y deleted", "z deleted"], "{parallel} at once");
        assert!(left.is_empty());
    }
}

#[tokio::test]
async fn permanently_blocked_deletion_reports_the_blocker() {
    for parallel in [1, 16] {
        let (log, left) = destroyed(parallel, Some("x")).await;
        let mut log = log;
        log.sort();
        assert_eq!(log, ["x: it is locked", "y: x needs it", "z: y needs it"], "{parallel} at once");
        assert_eq!(left, ["x", "y", "z"]);
    }
}
