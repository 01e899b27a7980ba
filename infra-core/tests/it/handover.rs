//! Replacements hand over the data of the previous generation, and every loss of data is announced.

use crate::common::{Log, logging, providing};
use infra_core::{
    Config, Engine, Output, Resource, Result, Schema, Stack,
    engine::Run,
    event::Event,
    options::Options,
    plan::Selection,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, ProviderError, Recovery},
    store::MemoryStore,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// A host that hands the content of its disk over to its replacement.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Host {
    /// Forces a replacement.
    place: String,
    keep: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct HostOutputs {
    id: Output<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Machine {
    disk: &'static str,
    running: bool,
}

#[derive(Clone, Default)]
struct World(Arc<Mutex<Hosts>>);

#[derive(Default)]
struct Hosts {
    machines: BTreeMap<String, Machine>,
    made: u32,
    /// The failure of creates.
    fault: Option<ErrorKind>,
}

impl Resource for Host {
    const TYPE: &'static str = "world:Host";
    type Outputs = HostOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["place"]).untracked(["keep"])
    }
}

impl Handler for Host {
    type Client = World;

    fn loses(&self, next: Option<&Self>) -> Option<String> {
        (!next.is_some_and(|next| next.keep)).then(|| "the content of its disk".to_owned())
    }

    async fn create(cx: &Context<'_, World>, inputs: &Self) -> std::result::Result<Created<Self>, ProviderError> {
        let mut disk = "empty";
        if let Some(old) = cx.replaces::<Self>()?.filter(|_| inputs.keep) {
            cx.milestone(&old.id).await?;
            let mut hosts = cx.client().0.lock().unwrap();
            let machine = hosts.machines.get_mut(&old.id).unwrap();
            machine.running = false;
            disk = machine.disk;
        }
        let mut hosts = cx.client().0.lock().unwrap();
        if let Some(kind) = hosts.fault {
            return Err(ProviderError::of(kind, "the request was lost"));
        }
        hosts.made += 1;
        let id = format!("host-{}", hosts.made);
        hosts.machines.insert(id.clone(), Machine { disk, running: true });
        Ok(Created::new(&id, HostOutputs { id: id.clone().into() }))
    }

    async fn read(
        _: &Context<'_, World>,
        prior: &Prior<Self>,
    ) -> std::result::Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(
        cx: &Context<'_, World>,
        prior: &Prior<Self>,
        _: &Self,
    ) -> std::result::Result<HostOutputs, ProviderError> {
        cx.client().0.lock().unwrap().machines.get_mut(&prior.id).unwrap().running = true;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, World>, prior: &Prior<Self>) -> std::result::Result<(), ProviderError> {
        cx.client().0.lock().unwrap().machines.remove(&prior.id);
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        // A late request can still use the disk of a machine that is stopped.
        Recovery::phased(|cx: &Context<'_, World>, _| {
            let stopped: Option<String> = cx.earlier().pop();
            let hosts = cx.client().0.lock().unwrap();
            let runs = stopped.and_then(|id| hosts.machines.get(&id)).is_some_and(|machine| machine.running);
            let found = if runs { Found::Never } else { Found::Absent };
            Box::pin(async move { Ok(found) })
        })
    }
}

#[derive(Default)]
struct Life {
    world: World,
    store: MemoryStore,
    told: Log,
}

impl Life {
    /// Creates a stack with a host whose disk contains data.
    async fn with_data() -> Self {
        let life = Self::default();
        assert!(life.noted(life.engine().up(&life.program("here"))).await.unwrap().is_success());
        life.world.0.lock().unwrap().machines.get_mut("host-1").unwrap().disk = "full";
        life
    }

    fn engine(&self) -> Engine {
        Engine::new("program", "dev", self.store.clone())
    }

    fn noted<'p, T>(&self, run: Run<'p, T>) -> Run<'p, T> {
        run.events(logging(&self.told, |event| match event {
            Event::Message(diagnostic) => Some(diagnostic.summary),
            _ => None,
        }))
    }

    fn declared(&self, host: Host, options: Options) -> impl Fn(&Stack, &Config) -> Result + Sync + use<> {
        let provide = providing::<Host>(&self.world);
        move |stack, _| {
            provide(stack);
            let database = stack.component("database");
            let host = database.with(options.clone()).add("host", host.clone());
            stack.relaunchable("database", &host.id, "another host");
            Ok(())
        }
    }

    fn program(&self, place: &str) -> impl Fn(&Stack, &Config) -> Result + Sync + use<> {
        self.declared(Host { place: place.to_owned(), keep: true }, Options::new())
    }

    fn machines(&self) -> Vec<String> {
        let hosts = self.world.0.lock().unwrap();
        let tell = |(id, machine): (&String, &Machine)| {
            format!("{id} {} {}", machine.disk, if machine.running { "runs" } else { "is stopped" })
        };
        hosts.machines.iter().map(tell).collect()
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

#[tokio::test]
async fn create_receives_the_generation_that_it_replaces() {
    let life = Life::with_data().await;
    assert!(life.noted(life.engine().up(&life.program("there"))).await.unwrap().is_success());
    assert_eq!(life.machines(), ["host-2 full runs"]);
    assert_eq!(life.told(), [""; 0], "nothing was lost");
}

#[tokio::test]
async fn loss_of_data_is_announced_in_the_plan() {
    let life = Life::with_data().await;
    let forgetful = life.declared(Host { place: "there".to_owned(), keep: false }, Options::new());
    life.noted(life.engine().preview(&forgetful)).await.unwrap();
    assert_eq!(life.told(), ["replacing it loses the content of its disk"]);
    // A generation that is deleted before the create hands nothing over.
    let kept = Host { place: "there".to_owned(), keep: true };
    life.noted(life.engine().preview(&life.declared(kept.clone(), Options::new().delete_before_replace(true))))
        .await
        .unwrap();
    assert_eq!(life.told(), ["replacing it loses the content of its disk"]);
    life.noted(life.engine().preview(&life.declared(kept, Options::new().retain_on_delete(true)))).await.unwrap();
    assert_eq!(life.told(), [""; 0]);
    life.noted(life.engine().destroy(&life.program("here"))).await.unwrap();
    assert_eq!(life.told(), ["deleting it loses the content of its disk"]);
}

#[tokio::test]
async fn existing_resource_is_relaunched_when_the_user_selects_it() {
    let life = Life::default();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let program = life.program("here");
    let up = |answer: bool| {
        let asked = asked.clone();
        life.engine().up(&program).relaunch(move |thing| {
            asked.lock().unwrap().push(format!("{}: {}", thing.name, thing.meaning));
            answer
        })
    };
    up(true).await.unwrap();
    assert!(asked.lock().unwrap().is_empty(), "the cloud is empty");
    up(false).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["database: another host"]);
    assert_eq!(life.machines(), ["host-1 empty runs"]);
    up(true).await.unwrap();
    assert_eq!(life.machines(), ["host-2 empty runs"]);
    // The same with its name, which a component has as well.
    let replace = vec!["database".parse().unwrap()];
    let selection = Selection { replace, ..Selection::default() };
    let report = life.engine().up(&program).select(selection).await.unwrap();
    assert!(report.is_success());
    assert_eq!(life.machines(), ["host-3 empty runs"]);
}

#[tokio::test]
async fn partial_run_offers_no_relaunch() {
    let life = Life::with_data().await;
    let program = life.program("here");
    let targets = vec!["database".parse().unwrap()];
    let part = life.engine().up(&program).select(Selection { targets, ..Selection::default() });
    assert!(part.relaunch(|_| panic!("a planned replacement is not offered")).await.unwrap().is_success());
    assert_eq!(life.machines(), ["host-1 full runs"]);
}

#[tokio::test]
async fn update_restores_the_generation_that_an_unfinished_replacement_changed() {
    // The failure is certain, or its outcome is unknown.
    for kind in [ErrorKind::Unsure, ErrorKind::Refused] {
        let life = Life::with_data().await;
        life.world.0.lock().unwrap().fault = Some(kind);
        assert!(!life.noted(life.engine().up(&life.program("there"))).await.unwrap().is_success());
        assert_eq!(life.machines(), ["host-1 full is stopped"]);
        // The program declares the previous generation after all.
        assert!(life.noted(life.engine().up(&life.program("here"))).await.unwrap().is_success());
        assert_eq!(life.machines(), ["host-1 full runs"], "{kind:?}");
        // This settles the replacement, and nothing is left to do.
        let state = life.engine().state().await.unwrap().unwrap();
        assert_eq!(state.open, []);
        assert!(!life.noted(life.engine().preview(&life.program("here"))).await.unwrap().has_changes());
        // The program still declares the new generation.
        assert!(!life.noted(life.engine().up(&life.program("there"))).await.unwrap().is_success());
        life.world.0.lock().unwrap().fault = None;
        assert!(life.noted(life.engine().up(&life.program("there"))).await.unwrap().is_success());
        assert_eq!(life.machines(), ["host-2 full runs"]);
    }
}
