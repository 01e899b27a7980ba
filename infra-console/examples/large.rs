//! Serves the console of a stack with many resources, while a run in another process sends events, as `stack console` does
//! while `stack up` works in another terminal. For measurements of `tests/peers/console-speed`.
//!
//! Usage: `large RESOURCES EVENTS-PER-SECOND`. Prints the address and the token of programs.

use infra_console::{Console, EngineSource, Settings, Source as _};
use infra_core::{
    Config, Input, Output, Outputs, Resource, Result as Declared, Stack,
    diff::Action,
    event::{Event, VERSION},
    store::FileStore,
    testing::FakeCloud,
    urn::Urn,
};
use infra_records::{Recorder, Subject};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    env,
    error::Error,
    ffi::OsStr,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// The allocator of the `stack` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Argument of the process that applies the program and sends the events.
const DEPLOY: &str = "deploy";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [DEPLOY, directory, resources, rate] => deploy(Path::new(directory), resources.parse()?, rate.parse()?).await,
        [resources, rate] => serve(resources.parse()?, rate).await,
        _ => Err("usage: large RESOURCES EVENTS-PER-SECOND".into()),
    }
}

/// Serves the console of the stack that another process deploys.
async fn serve(resources: usize, rate: &str) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut other = Command::new(env::current_exe()?)
        .args([OsStr::new(DEPLOY), directory.path().as_os_str(), resources.to_string().as_ref(), rate.as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let deployed = other.stdout.take().ok_or("the other process has no output")?;
    BufReader::new(deployed).read_line(&mut String::new())?;
    let console =
        Console::bind(Arc::new(source(directory.path(), resources)), Settings { port: Some(0), allow_changes: false });
    let console = console.await?;
    println!("{}", json!({ "address": console.address(), "token": console.token() }));
    console.serve().await?;
    Ok(())
}

/// Applies the program, reports it, and sends the events of a run until standard input is closed.
async fn deploy(directory: &Path, resources: usize, rate: u32) -> Result<(), Box<dyn Error>> {
    let source = source(directory, resources);
    source.up().await.map_err(|error| error.to_string())?;
    let state = source.state().await.map_err(|error| error.to_string())?;
    let urns: Vec<Urn> = state.into_iter().flat_map(|state| state.resources.into_keys()).collect();
    println!("deployed");
    let mut finished = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    let recorder = Recorder::new(subject(directory));
    let events = recorder.events(|_| {});
    let (program, stack) = ("large".into(), "dev".into());
    events.send(Event::RunStarted { version: VERSION, command: "up".into(), program, stack });
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    for number in 0_usize.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut finished => break,
        }
        let urn = urns[number / 2 % urns.len()].clone();
        events.send(if number % 2 == 0 {
            Event::StepStarted { urn, action: Action::Update }
        } else {
            Event::StepFinished { urn, action: Action::Update, id: None, elapsed_ms: 10 }
        });
    }
    Ok(())
}

fn source(directory: &Path, resources: usize) -> EngineSource {
    let store = FileStore::new(directory.join("state"));
    EngineSource::new(subject(directory), Arc::new(store), program(resources))
}

fn subject(directory: &Path) -> Subject {
    Subject { directory: directory.into(), program: "large".into(), stack: "dev".into(), target: "local".into() }
}
