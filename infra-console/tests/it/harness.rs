//! A console with a stack in memory and a local cloud that answers recorded documents.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use infra_console::{CloudAccess, Console, Proposal, Settings, Source};
use infra_core::{
    diagnostic::Diagnostic, engine::HistoryEntry, execute::Report, graph::ResourceGraph, state::State as StackState,
    urn::Pattern,
};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

const TOKEN: &str = "token-of-the-cloud";

/// The administration paths of a local cloud.
#[derive(Clone, Default)]
pub(crate) struct FakeCloud(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    /// Status and document by method and path, such as `GET status`.
    answers: BTreeMap<String, (u16, Json)>,
    /// Method, path with query, and body of all requests.
    requests: Vec<String>,
}

impl FakeCloud {
    /// Sets the answer to requests of a method and path, such as `GET status`.
    pub(crate) fn answer(self, request: &str, status: u16, document: Json) -> Self {
        self.0.lock().unwrap().answers.insert(request.to_owned(), (status, document));
        self
    }

    /// Returns the requests of a method so far.
    pub(crate) fn requests(&self, method: &str) -> Vec<String> {
        let world = self.0.lock().unwrap();
        world.requests.iter().filter(|request| request.starts_with(method)).cloned().collect()
    }

    /// Serves the paths until the test ends.
    pub(crate) async fn serve(self) -> CloudAccess {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(respond).with_state(self);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        CloudAccess { endpoint, token: TOKEN.to_owned() }
    }
}

async fn respond(
    State(cloud): State<FakeCloud>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get(AUTHORIZATION).is_none_or(|token| token.as_bytes() != format!("Bearer {TOKEN}").as_bytes()) {
        return (StatusCode::FORBIDDEN, axum::Json(json!({ "error": "no token" }))).into_response();
    }
    let mut world = cloud.0.lock().unwrap();
    let path = uri.path().trim_start_matches("/_infra/");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    world.requests.push(format!("{method} {path}{query} {body}").trim().to_owned());
    let missing = (404, json!({ "error": "there are GET /_infra/health, GET /_infra/status" }));
    let (status, document) = world.answers.get(&format!("{method} {path}")).cloned().unwrap_or(missing);
    (StatusCode::from_u16(status).unwrap(), axum::Json(document)).into_response()
}

/// A stack without resources.
struct FakeSource {
    directory: TempDir,
    target: &'static str,
    cloud: Option<CloudAccess>,
}

#[async_trait::async_trait]
impl Source for FakeSource {
    fn program(&self) -> &'static str {
        "shop"
    }

    fn stack(&self) -> &'static str {
        "dev"
    }

    fn target(&self) -> &str {
        self.target
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        Ok(ResourceGraph::default())
    }

    async fn state(&self) -> Result<Option<StackState>, Diagnostic> {
        Ok(None)
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        Ok(Vec::new())
    }

    async fn preview(&self, _: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        Err(Diagnostic::error("the fake stack has no program"))
    }

    async fn open_plan(&self, _: String) -> Result<Proposal, Diagnostic> {
        Err(Diagnostic::error("the fake stack has no program"))
    }

    async fn apply(&self, _: String, _: Vec<Pattern>) -> Result<Report, Diagnostic> {
        Err(Diagnostic::error("the fake stack has no program"))
    }

    fn cloud(&self) -> Option<CloudAccess> {
        self.cloud.clone()
    }
}

/// A console that serves until it is dropped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    /// URL with which a browser signs in.
    pub(crate) url: String,
    /// Token of programs.
    pub(crate) token: String,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Serving {
    pub(crate) async fn start(source: Arc<dyn Source>, settings: Settings) -> Self {
        let console = Console::bind(source, settings).await.unwrap();
        let (address, token, url) = (console.address(), console.token().to_owned(), console.url().unwrap());
        Self { address, url, token, server: tokio::spawn(console.serve()) }
    }

    /// Sends a GET request as a program.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[(AUTHORIZATION.as_str(), &format!("Bearer {}", self.token))], String::new())
            .await
    }

    /// Requests a page as a program until it contains a text.
    pub(crate) async fn until(&self, path: &str, text: &str) -> String {
        for _ in 0..400 {
            let page = self.get(path).await.text;
            if page.contains(text) {
                return page;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("{path} does not contain `{text}`: {}", self.get(path).await.text);
    }

    /// Sends a POST request as a program.
    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<String>) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let headers = [(AUTHORIZATION.as_str(), authorization.as_str()), ("content-type", content_type)];
        self.send(Method::POST, path, &headers, body.into()).await
    }

    /// Sends a request with these headers only.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }
}

/// A console of a stack without resources.
pub(crate) struct Fixture {
    source: Arc<FakeSource>,
    serving: Serving,
}

impl std::ops::Deref for Fixture {
    type Target = Serving;

    fn deref(&self) -> &Serving {
        &self.serving
    }
}

/// A response of the console.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Fixture {
    /// Starts a console whose target is `local` or `aws`. Without a cloud, the local cloud is stopped.
    pub(crate) async fn start(target: &'static str, cloud: Option<FakeCloud>, allow_changes: bool) -> Self {
        let cloud = match cloud {
            Some(cloud) => Some(cloud.serve().await),
            None => None,
        };
        let source = Arc::new(FakeSource { directory: tempfile::tempdir().unwrap(), target, cloud });
        let serving = Serving::start(source.clone(), Settings { port: Some(0), allow_changes }).await;
        Self { source, serving }
    }

    /// Returns the directory of the stack.
    pub(crate) fn directory(&self) -> &Path {
        self.source.directory.path()
    }

    /// Returns the lines of the audit file.
    pub(crate) fn audit(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.directory().join("console-audit.jsonl"));
        text.unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
