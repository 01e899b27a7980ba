//! A Docker engine in this process, which runs the service `acts` as a process instead of a container.
//!
//! It serves the part of the API that the orchestrator uses. A published port becomes the address of the process.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::UnixListener, sync::oneshot};

use super::system::signal;

/// The only image.
pub(super) const IMAGE: &str = "acts:test";

/// A running engine. Its containers are killed when it is dropped.
pub(super) struct Engine {
    socket: PathBuf,
    containers: Containers,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Containers = Arc<Mutex<BTreeMap<String, Container>>>;

struct Container {
    config: Value,
    process: Option<Child>,
}

impl Engine {
    pub(super) fn start(socket: PathBuf) -> Self {
        let containers = Containers::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (path, shared) = (socket.clone(), Arc::clone(&containers));
        let thread = thread::spawn(move || {
            crate::block_on(async move {
                let listener = UnixListener::bind(path).unwrap();
                ready.send(()).unwrap();
                tokio::select! { () = serve(listener, shared) => (), _ = stopped => () }
            });
        });
        is_ready.recv().unwrap();
        Self { socket, containers, stop: Some(stop), thread: Some(thread) }
    }

    /// Returns the value of `DOCKER_HOST`.
    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Returns the configurations of all containers.
    pub(super) fn configs(&self) -> Vec<Value> {
        self.containers.lock().unwrap().values().map(|container| container.config.clone()).collect()
    }

    /// Returns the IDs of all containers.
    pub(super) fn ids(&self) -> Vec<String> {
        self.containers.lock().unwrap().keys().cloned().collect()
    }

    /// Kills the process of a container.
    pub(super) fn kill(&self, id: &str) {
        let mut containers = self.containers.lock().unwrap();
        containers.get_mut(id).unwrap().process.as_mut().unwrap().kill().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.take();
        // A second panic would hide the first one.
        let _ = self.thread.take().unwrap().join();
        for container in self.containers.lock().unwrap().values_mut() {
            terminate(container.process.take(), Duration::ZERO);
        }
    }
}

impl Container {
    fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    /// Starts the service with the variables of the configuration only.
    fn start(&mut self) {
        let variables = self.config["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap());
        let variables: BTreeMap<_, _> = variables.filter_map(|variable| variable.split_once('=')).collect();
        let (_, port) = variables["LISTEN"].rsplit_once(':').unwrap();
        let binding = &self.config["HostConfig"]["PortBindings"][format!("{port}/tcp")][0];
        let listen = match binding["HostIp"].as_str() {
            Some(host) => format!("{host}:{}", binding["HostPort"].as_str().unwrap()),
            None => variables["LISTEN"].to_owned(),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_acts"));
        command.env_clear().envs(variables).env("LISTEN", listen).stdout(Stdio::null());
        self.process = Some(command.spawn().unwrap());
    }
}

async fn serve(listener: UnixListener, containers: Containers) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let containers = Arc::clone(&containers);
        let respond = move |request: Request<Incoming>| {
            let containers = Arc::clone(&containers);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                // A stop waits for the process, and other requests must not wait for it.
                let answer = tokio::task::spawn_blocking(move || {
                    let query = head.uri.query().unwrap_or_default().to_owned();
                    respond(&head.method, head.uri.path(), &query, &body, &containers)
                });
                let (status, value) = answer.await.unwrap();
                let body = if value.is_null() { Bytes::new() } else { value.to_string().into() };
                let response = Response::builder().status(status).header("content-type", "application/json");
                Ok::<_, hyper::Error>(response.body(Full::new(body)).unwrap())
            }
        };
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond)));
    }
}

fn respond(method: &Method, path: &str, query: &str, body: &[u8], containers: &Containers) -> (StatusCode, Value) {
    let path = path.trim_start_matches('/');
    // The version of the API.
    let path = path.strip_prefix("v1.").and_then(|rest| rest.split_once('/')).map_or(path, |(_, rest)| rest);
    let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("GET", ["version"]) => {
            (StatusCode::OK, json!({ "ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "0" }))
        }
        ("GET", ["images", name, "json"]) if *name == IMAGE => (StatusCode::OK, json!({ "Id": "sha256:1" })),
        ("GET", ["containers", "json"]) => list(&query, containers),
        ("POST", ["containers", "create"]) => create(body, containers),
        (method, ["containers", id, rest @ ..]) => operate(method, id, rest, &query, containers),
        _ => (StatusCode::NOT_FOUND, json!({ "message": format!("no such image or path: {path}") })),
    }
}

fn list(query: &BTreeMap<String, String>, containers: &Containers) -> (StatusCode, Value) {
    let filters: Value = serde_json::from_str(&query["filters"]).unwrap();
    let labels: Vec<_> = filters["label"].as_array().unwrap().iter().map(|label| label.as_str().unwrap()).collect();
    let mut found = Vec::new();
    for (id, container) in containers.lock().unwrap().iter_mut() {
        let has = |label: &&str| {
            let (name, value) = label.split_once('=').unwrap();
            container.config["Labels"][name] == value
        };
        if labels.iter().all(has) && (query["all"] == "true" || container.is_running()) {
            found.push(json!({ "Id": id, "Labels": container.config["Labels"] }));
        }
    }
    (StatusCode::OK, found.into())
}

fn create(body: &[u8], containers: &Containers) -> (StatusCode, Value) {
    let config: Value = serde_json::from_slice(body).unwrap();
    if config["Image"] != IMAGE {
        return (StatusCode::NOT_FOUND, json!({ "message": "no such image" }));
    }
    let id = new_id();
    containers.lock().unwrap().insert(id.clone(), Container { config, process: None });
    (StatusCode::CREATED, json!({ "Id": id, "Warnings": [] }))
}

fn operate(
    method: &str,
    id: &str,
    rest: &[&str],
    query: &BTreeMap<String, String>,
    containers: &Containers,
) -> (StatusCode, Value) {
    let mut locked = containers.lock().unwrap();
    let Some(container) = locked.get_mut(id) else {
        return (StatusCode::NOT_FOUND, json!({ "message": format!("no such container: {id}") }));
    };
    match (method, rest) {
        ("GET", ["json"]) => (StatusCode::OK, json!({ "Id": id, "State": { "Running": container.is_running() } })),
        ("POST", ["start"]) => {
            container.start();
            (StatusCode::NO_CONTENT, Value::Null)
        }
        ("POST", ["stop"]) if !container.is_running() => (StatusCode::NOT_MODIFIED, Value::Null),
        ("POST", ["stop"]) => {
            let process = container.process.take();
            // The stop of a process does not delay other requests.
            drop(locked);
            terminate(process, Duration::from_secs(query["t"].parse().unwrap()));
            (StatusCode::NO_CONTENT, Value::Null)
        }
        ("DELETE", []) if container.is_running() && query["force"] != "true" => {
            (StatusCode::CONFLICT, json!({ "message": "the container is running" }))
        }
        ("DELETE", []) => {
            terminate(container.process.take(), Duration::ZERO);
            locked.remove(id);
            (StatusCode::NO_CONTENT, Value::Null)
        }
        _ => (StatusCode::NOT_FOUND, json!({ "message": "no such path" })),
    }
}

/// Asks a process to stop, and kills it after the time limit.
fn terminate(process: Option<Child>, limit: Duration) {
    let Some(mut process) = process else {
        return;
    };
    let deadline = Instant::now() + limit;
    if !limit.is_zero() && process.try_wait().unwrap().is_none() {
        signal("-TERM", &process.id().to_string());
        while process.try_wait().unwrap().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
    // The process may have exited.
    let _ = process.kill();
    process.wait().unwrap();
}

/// Returns an ID of 64 digits, as Docker does.
fn new_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:064x}", NEXT.fetch_add(1, Relaxed))
}
