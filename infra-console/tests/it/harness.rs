//! A console with a stack in memory and a local cloud that answers recorded documents.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Request, StatusCode, Uri, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use infra_console::{CloudAccess, Console, EngineSource, Settings, Source};
use infra_core::{
    Config, Result as Declared, Stack,
    state::{Entry, State as StackState},
    store::MemoryStore,
    store::StateStore,
    target::Credentials,
};
use infra_records::Subject;
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

const TOKEN: &str = "token-of-the-cloud";

/// ID of the access key of the services.
const KEY: &str = "AKIAROOT";

/// The administration paths of a local cloud.
#[derive(Clone, Default)]
pub(crate) struct FakeCloud(Arc<Mutex<World>>);

/// Returns the document of a path below `/_infra/` and a query; `None` if there is no such path.
type Respond = Box<dyn Fn(&str, &str) -> Option<Json> + Send>;

#[derive(Default)]
struct World {
    /// Status and document by method and path, such as `GET status`.
    answers: BTreeMap<String, (u16, Json)>,
    /// Computes the document of a GET request from its path and its query.
    respond: Option<Respond>,
    /// Method, path with query, and body of all requests.
    requests: Vec<String>,
}

impl FakeCloud {
    /// Sets the answer to requests of a method and path, such as `GET status`.
    pub(crate) fn answer(self, request: &str, status: u16, document: Json) -> Self {
        self.0.lock().unwrap().answers.insert(request.to_owned(), (status, document));
        self
    }

    /// Sets the function that answers GET requests without a fixed answer.
    pub(crate) fn respond(self, respond: impl Fn(&str, &str) -> Option<Json> + Send + 'static) -> Self {
        self.0.lock().unwrap().respond = Some(Box::new(respond));
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
        CloudAccess { endpoint, token: TOKEN.to_owned(), credentials: Some(Credentials::new(KEY, "secret")) }
    }
}

async fn respond(
    State(cloud): State<FakeCloud>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    if let Some(scope) = authorization.strip_prefix(&format!("AWS4-HMAC-SHA256 Credential={KEY}/")) {
        return cloud.service(scope.split('/').nth(2).unwrap(), &body);
    }
    if authorization != format!("Bearer {TOKEN}") {
        return (StatusCode::FORBIDDEN, axum::Json(json!({ "error": "no token" }))).into_response();
    }
    let mut world = cloud.0.lock().unwrap();
    let path = uri.path().trim_start_matches("/_infra/");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    world.requests.push(format!("{method} {path}{query} {body}").trim().to_owned());
    let missing = (404, json!({ "error": "there are GET /_infra/health, GET /_infra/status" }));
    let fixed = world.answers.get(&format!("{method} {path}")).cloned();
    let computed = || Some((200, world.respond.as_ref()?(path, uri.query().unwrap_or_default())?));
    let (status, document) = fixed.or_else(computed).unwrap_or(missing);
    (StatusCode::from_u16(status).unwrap(), axum::Json(document)).into_response()
}

impl FakeCloud {
    /// Answers a call to a service, such as `POST ec2`, with a text.
    fn service(&self, service: &str, body: &str) -> Response {
        let mut world = self.0.lock().unwrap();
        world.requests.push(format!("POST {service} {body}"));
        let (status, document) = world.answers.get(&format!("POST {service}")).cloned().unwrap_or((200, json!("")));
        (StatusCode::from_u16(status).unwrap(), document.as_str().unwrap().to_owned()).into_response()
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

    /// Requests a page that exists as a program.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// Requests a document that exists as a program.
    pub(crate) async fn json(&self, path: &str) -> Json {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    /// Requests a page that shows a problem, and returns the status and the text without markup.
    pub(crate) async fn problem(&self, path: &str) -> String {
        let Answer { status, text: body, .. } = self.get(path).await;
        assert!(status >= 400, "{body}");
        let (_, main) = body.split_once("<section class=\"problem\"").unwrap();
        let (_, main) = main.split_once('>').unwrap();
        let (main, _) = main.split_once("</section>").unwrap();
        format!("{status}\n{}", text(main))
    }

    /// Listens to the announcements of changes.
    pub(crate) async fn changes(&self) -> Changes {
        let request = Request::get(format!("http://{}/live", self.address));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token)).body(Body::empty()).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        Changes { body: Body::new(response.into_body()), text: String::new() }
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

/// Announcements of changes.
pub(crate) struct Changes {
    body: Body,
    text: String,
}

impl Changes {
    /// Waits for the next announcement and returns its topics.
    pub(crate) async fn next(&mut self) -> Vec<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                let rest = rest.len();
                self.text.drain(..self.text.len() - rest);
                if let Some(data) = data {
                    return data.split(' ').map(str::to_owned).collect();
                }
            } else {
                let frame = self.body.frame().await.unwrap().unwrap();
                self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
            }
        }
    }
}

/// Returns the lines of a part of a page without markup.
pub(crate) fn text(html: &str) -> String {
    let mut plain = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        plain.push_str(before);
        plain.push(' ');
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let lines = plain.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A console of a stack without declared resources.
pub(crate) struct Fixture {
    directory: TempDir,
    store: MemoryStore,
    /// The local cloud, while it runs.
    cloud: Arc<Mutex<Option<CloudAccess>>>,
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
        Self::in_directory(tempfile::tempdir().unwrap(), target, cloud, allow_changes).await
    }

    /// Starts a console of a directory with files of a local cloud.
    pub(crate) async fn in_directory(
        directory: TempDir,
        target: &'static str,
        cloud: Option<FakeCloud>,
        allow_changes: bool,
    ) -> Self {
        let cloud = match cloud {
            Some(cloud) => Some(cloud.serve().await),
            None => None,
        };
        let (cloud, store) = (Arc::new(Mutex::new(cloud)), MemoryStore::new());
        let nothing = |_: &Stack, _: &Config| -> Declared { Ok(()) };
        let found = cloud.clone();
        let source = EngineSource::new(subject(directory.path(), "shop", target), Arc::new(store.clone()), nothing);
        let source = source.with_cloud(move || found.lock().unwrap().clone());
        let serving = Serving::start(Arc::new(source), Settings { port: Some(0), allow_changes }).await;
        Self { directory, store, cloud, serving }
    }

    /// Returns the directory of the stack.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Sets the recorded state.
    pub(crate) async fn record(&self, mut state: StackState) {
        let session = self.store.open("shop", "dev").await.unwrap();
        // A session without an entry writes no snapshot.
        session.journal.note(Entry::Outputs(state.outputs.clone())).unwrap();
        session.finish(&mut state).await.unwrap();
    }

    /// Lets the local cloud stop.
    pub(crate) fn stop_cloud(&self) {
        *self.cloud.lock().unwrap() = None;
    }

    /// Returns the lines of the audit file.
    pub(crate) fn audit(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.directory().join("console-audit.jsonl"));
        text.unwrap_or_default().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Describes the stack `dev` of a program.
pub(crate) fn subject(directory: &Path, program: &str, target: &str) -> Subject {
    Subject { directory: directory.into(), program: program.into(), stack: "dev".into(), target: target.into() }
}
