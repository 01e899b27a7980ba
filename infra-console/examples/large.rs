//! Serves the console of a stack with many resources in memory, while a recorded run sends events. For measurements of
//! `tests/peers/console-speed`.
//!
//! Usage: `large RESOURCES EVENTS-PER-SECOND`. Prints the address and the token of programs.

use infra_console::{Console, EngineSource, Settings, Source as _};
use infra_core::{
    Config, Input, Output, Outputs, Resource, Result as Declared, Stack,
    diff::Action,
    event::{Event, VERSION},
    store::MemoryStore,
    testing::FakeCloud,
    urn::Urn,
};
use infra_records::{Recorder, Subject};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{env, error::Error, sync::Arc, time::Duration};

/// Number of resources in a component; each but the first uses its predecessor.
const COMPONENT: usize = 50;

#[derive(Serialize, Deserialize, Resource)]
#[resource(type = "demo:compute:Server")]
struct Server {
    size: u32,
    upstream: Option<Input<String>>,
}

#[derive(Clone, Serialize, Deserialize, Outputs)]
struct ServerOutputs {
    address: Output<String>,
}

/// Returns a program with a number of servers.
fn program(resources: usize) -> impl Fn(&Stack, &Config) -> Declared + Send + Sync {
    let cloud = FakeCloud::new().outputs("demo:compute:Server", |_, id| json!({ "address": id }));
    move |stack, _| {
        let provider = cloud.clone();
        stack.provide("demo", move || Arc::new(provider));
        let mut upstream = None;
        for number in 0..resources {
            if number % COMPONENT == 0 {
                upstream = None;
            }
            let name = format!("component-{}/server-{}", number / COMPONENT, number % COMPONENT);
            let server = stack.add(&name, Server { size: 1, upstream: upstream.take() });
            upstream = Some(Input::from(server.address));
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (resources, rate) = (number(1_000)?, number(100)?);
    let directory = tempfile::tempdir()?;
    let subject = Subject {
        directory: directory.path().into(),
        program: "large".into(),
        stack: "dev".into(),
        target: "local".into(),
    };
    let source = Arc::new(EngineSource::new(subject.clone(), Arc::new(MemoryStore::new()), program(resources)));
    source.up().await.map_err(|error| error.to_string())?;

    let console = Console::bind(source.clone(), Settings { port: Some(0), allow_changes: false }).await?;
    println!("{}", json!({ "address": console.address(), "token": console.token() }));
    let urns: Vec<Urn> =
        source.state().await.ok().flatten().into_iter().flat_map(|state| state.resources.into_keys()).collect();
    let recorder = Recorder::new(subject);
    let events = recorder.events(|_| {});
    tokio::spawn(async move {
        events.send(Event::RunStarted {
            version: VERSION,
            command: "up".into(),
            program: "large".into(),
            stack: "dev".into(),
        });
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(1));
        for number in 0_usize.. {
            ticks.tick().await;
            let urn = urns[number / 2 % urns.len()].clone();
            events.send(if number % 2 == 0 {
                Event::StepStarted { urn, action: Action::Update }
            } else {
                Event::StepFinished { urn, action: Action::Update, id: None, elapsed_ms: 10 }
            });
        }
    });
    console.serve().await?;
    Ok(())
}
