//! A console of a stack in memory, and a server with the administration paths of a local cloud.

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::Body,
    extract::{RawQuery, State as Handled},
    http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION},
};
use http_body_util::BodyExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use infra_console::{CloudAccess, Console, Proposal, Settings, Source};
use infra_core::{
    diagnostic::Diagnostic, engine::HistoryEntry, execute::Report, graph::ResourceGraph, state::State, urn::Pattern,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// Token of the administration paths.
const TOKEN: &str = "cloud-token";

/// Responds to the path below `/_infra/` and the query of a GET request.
pub(crate) type Respond = Box<dyn Fn(&str, &str) -> Option<Value> + Send + Sync>;

/// A console that runs until it is dropped.
pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    token: String,
    address: String,
    stack: Arc<FakeStack>,
}

/// A stack without a program.
struct FakeStack {
    directory: std::path::PathBuf,
    target: &'static str,
    state: Mutex<Option<State>>,
    cloud: Mutex<Option<CloudAccess>>,
}

impl Fixture {
    /// Starts a console without a local cloud.
    pub(crate) async fn of_target(target: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (state, cloud) = (Mutex::default(), Mutex::default());
        let stack = Arc::new(FakeStack { directory: directory.path().to_owned(), target, state, cloud });
        let settings = Settings { port: Some(0), ..Settings::default() };
        let console = Console::bind(stack.clone(), settings).await.unwrap();
        let (address, token) = (console.address().to_string(), console.token().to_owned());
        tokio::spawn(console.serve());
        Self { directory, token, address, stack }
    }

    /// Starts a console, and a local cloud that responds with the documents of a function of the directory.
    pub(crate) async fn with_cloud(respond: impl FnOnce(&Path) -> Respond) -> Self {
        let fixture = Self::of_target("local").await;
        let respond = Arc::new(respond(fixture.directory.path()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(administration).with_state(respond);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let access = CloudAccess { endpoint, token: TOKEN.to_owned() };
        *fixture.stack.cloud.lock().unwrap() = Some(access);
        fixture
    }

    /// Sets the recorded state.
    pub(crate) fn record(&self, state: State) {
        *self.stack.state.lock().unwrap() = Some(state);
    }

    /// Lets the local cloud stop.
    pub(crate) fn stop_cloud(&self) {
        *self.stack.cloud.lock().unwrap() = None;
    }

    /// Requests a path as a program.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(format!("http://{}{path}", self.address));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token)).body(Body::empty()).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Listens to the announcements of changes.
    pub(crate) async fn changes(&self) -> Changes {
        let request = Request::get(format!("http://{}/live", self.address));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token)).body(Body::empty()).unwrap();
        let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
        Changes { body: Body::new(response.into_body()), text: String::new() }
    }

    /// Requests a page that exists.
    pub(crate) async fn page(&self, path: &str) -> String {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Requests a document that exists.
    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    /// Requests a page that shows a problem, and returns the status and the text without markup.
    pub(crate) async fn problem(&self, path: &str) -> String {
        let (status, body) = self.get(path).await;
        assert!(!status.is_success(), "{body}");
        let (_, main) = body.split_once("<section class=\"problem\"").unwrap();
        let (_, main) = main.split_once('>').unwrap();
        let (main, _) = main.split_once("</section>").unwrap();
        format!("{}\n{}", status.as_u16(), text(main))
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

async fn administration(
    Handled(respond): Handled<Arc<Respond>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
    RawQuery(query): RawQuery,
) -> (StatusCode, Json<Value>) {
    if headers.get(AUTHORIZATION).is_none_or(|token| token != &format!("Bearer {TOKEN}")) {
        return (StatusCode::FORBIDDEN, Json(json!({ "error": "no token" })));
    }
    let path = uri.path().strip_prefix("/_infra/").unwrap_or_default();
    match respond(path, &query.unwrap_or_default()) {
        Some(document) => (StatusCode::OK, Json(document)),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": "there are GET /_infra/health and others" }))),
    }
}

#[async_trait]
impl Source for FakeStack {
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
        &self.directory
    }

    async fn declared(&self) -> Result<ResourceGraph, Diagnostic> {
        Err(Diagnostic::error("the program declares nothing"))
    }

    async fn state(&self) -> Result<Option<State>, Diagnostic> {
        Ok(self.state.lock().unwrap().clone())
    }

    async fn history(&self) -> Result<Vec<HistoryEntry>, Diagnostic> {
        Ok(Vec::new())
    }

    async fn preview(&self, _: Vec<Pattern>) -> Result<Proposal, Diagnostic> {
        Err(Diagnostic::error("there is no program"))
    }

    async fn open_plan(&self, _: String) -> Result<Proposal, Diagnostic> {
        Err(Diagnostic::error("there is no program"))
    }

    async fn apply(&self, _: String, _: Vec<Pattern>) -> Result<Report, Diagnostic> {
        Err(Diagnostic::error("there is no program"))
    }

    fn cloud(&self) -> Option<CloudAccess> {
        self.cloud.lock().unwrap().clone()
    }
}
