//! The OpenAPI document, and the answers of the routes that it describes.

use crate::{
    harness::Serving,
    schema::{dangling, violations},
    shop::{Shop, URN},
};
use axum::http::Method;
use infra_console::Settings;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

async fn fixture() -> Serving {
    serve(&Shop::deployed().await).await
}

async fn serve(shop: &Shop) -> Serving {
    Serving::start(shop.source.clone(), Settings { port: Some(0), allow_changes: true }).await
}

/// Returns the operations of the document: path, method, description.
fn operations(document: &Json) -> Vec<(&String, &String, &Json)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| methods.as_object().unwrap().iter().map(move |(name, each)| (path, name, each)))
        .collect()
}

/// Requests an operation of the document with valid parameters.
async fn request(shop: &Shop, fixture: &Serving, path: &str, method: &str) -> (u16, Json) {
    let path = path.replace("{urn}", URN).replace("{number}", "1").replace("{id}", &shop.run());
    let path = match path.as_str() {
        "/api/metrics" | "/api/events" => format!("{path}?from=2026-11-30T09:00&to=2026-11-30T09:05"),
        "/api/comparison" => format!("{path}?one={run}&other={run}", run = shop.run()),
        _ => path,
    };
    let body = if path == "/api/faults" { json!({ "fault": "clear" }) } else { json!({}) };
    let answer = match method {
        "get" => fixture.get(&path).await,
        _ => fixture.post(&path, "application/json", body.to_string()).await,
    };
    (answer.status, answer.json())
}

#[tokio::test]
async fn the_document_has_every_route() {
    let document = fixture().await.get("/api/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let list = operations(&document);
    let lines: Vec<String> = list
        .iter()
        .map(|(path, method, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.map(|each| each["name"].as_str().unwrap());
            let name = operation["operationId"].as_str().unwrap();
            format!("{name}: {method} {path} {}", parameters.collect::<Vec<_>>().join(" ")).trim_end().to_owned()
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    calls: get /api/calls before caller denied errors limit operation q resource service
    call: get /api/calls/{number} number
    compare_runs: get /api/comparison one other
    control_resource: post /api/controls
    events: get /api/events from range to
    faults: get /api/faults
    inject_fault: post /api/faults
    graph: get /api/graph search status
    logs: get /api/logs field from level limit of q range to
    metrics: get /api/metrics from of range region to
    network: get /api/network
    openapi: get /api/openapi.json
    overview: get /api/overview
    preview: post /api/preview
    resource: get /api/resources/{urn} urn
    runs: get /api/runs
    run: get /api/runs/{id} after id limit outcome q
    sign_in: post /api/sign-in
    ");
}

#[tokio::test]
async fn references_resolve_and_names_are_unique() {
    let document = fixture().await.get("/api/openapi.json").await.json();
    assert_eq!(dangling(&document), [""; 0]);
    let list = operations(&document);
    let names: BTreeSet<&str> = list.iter().map(|(.., each)| each["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), list.len());
    for (path, _, operation) in &list {
        let parameters: Vec<&Json> = operation["parameters"].as_array().into_iter().flatten().collect();
        let in_path = parameters.iter().filter(|each| each["in"] == "path").map(|each| each["name"].as_str().unwrap());
        let named = path.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0);
        assert_eq!(in_path.collect::<BTreeSet<_>>(), named.collect::<BTreeSet<_>>(), "{path}");
        for parameter in parameters {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{path}: {parameter}");
        }
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{path}");
    }
    // schemars appends a number to the name of a type if another type has the same name.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.keys().all(|name| !name.ends_with(|last: char| last.is_ascii_digit())), "{:?}", schemas.keys());
}

#[tokio::test]
async fn answers_match_their_schemas() {
    let shop = Shop::deployed().await;
    let fixture = serve(&shop).await;
    let document = fixture.get("/api/openapi.json").await.json();
    // The stack has no resource with controls; the tests of the controls compare their answer.
    let others = operations(&document).into_iter().filter(|(path, ..)| *path != "/api/controls");
    for (path, method, operation) in others {
        let (status, answer) = request(&shop, &fixture, path, method).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(violations(&document, schema, &answer), [""; 0], "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn problems_match_their_schema() {
    let fixture = fixture().await;
    let document = fixture.get("/api/openapi.json").await.json();
    let schema = &document["components"]["responses"]["Problem"]["content"]["application/json"]["schema"];
    let cases = [
        ("/api/resources/urn:infra:dev::shop::cloud:Server::wab", 404, "the stack has no resource"),
        ("/api/none", 404, "the API has no route `/none`"),
        ("/api/graph?status=lost", 400, "the parameters of the request are not valid"),
        ("/api/graph?colour=red", 400, "there is no parameter `colour`"),
        ("/api/metrics?off=web", 400, "there is no parameter `off`"),
        ("/api/network?of=web", 400, "there is no parameter `of`"),
        ("/api/calls/one", 400, "the parameters of the request are not valid"),
        ("/api/logs?from=never", 400, "the parameter `from` cannot be `never`"),
    ];
    for (path, status, summary) in cases {
        let answer = fixture.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let problem = answer.json();
        assert!(problem["summary"].as_str().unwrap().starts_with(summary), "{path}: {problem}");
        assert!(problem["hint"].is_string(), "{path}: {problem}");
        assert_eq!(violations(&document, schema, &problem), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn the_graph_is_searched() {
    let fixture = serve(&Shop::with_servers(3).await).await;
    let count = async |query: &str| {
        let graph = fixture.get(&format!("/api/graph{query}")).await.json();
        graph["resources"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 4);
    assert_eq!(count("?search=SERVER-0").await, 3);
    assert_eq!(count("?search=web&status=deployed").await, 1);
    assert_eq!(count("?status=undeclared").await, 0);
}

#[tokio::test]
async fn a_preview_needs_the_token_of_the_session() {
    let fixture = fixture().await;
    let preview = fixture.post("/api/preview", "application/json", r#"{"replace":["web"]}"#).await.json();
    assert_eq!((&preview["steps"][0]["action"], &preview["destructive"]), (&json!("replace"), &json!(true)));
    assert!(
        preview["how_to_apply"]
            .as_str()
            .unwrap()
            .starts_with("a person runs `stack --program shop --stack dev --target local up` in a terminal")
    );
    let origin = format!("http://{}", fixture.address);
    let path = fixture.url.strip_prefix(&origin).unwrap();
    let signed_in = fixture.send(Method::GET, path, &[], String::new()).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str()), ("content-type", "application/json")];
    for path in ["/api/preview", "/api/sign-in"] {
        let refused = fixture.send(Method::POST, path, &headers, "{}".to_owned()).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.text);
    }
    let anonymous = fixture.send(Method::GET, "/api/overview", &[], String::new()).await;
    assert_eq!(anonymous.status, 401);
}

#[tokio::test]
async fn programs_invite_browsers() {
    let fixture = fixture().await;
    let url = fixture.post("/api/sign-in", "application/json", "").await.json()["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&format!("http://{}", fixture.address)).unwrap();
    let signed_in = fixture.send(Method::GET, path, &[], String::new()).await;
    assert_eq!(signed_in.status, 200);
    assert!(signed_in.header("set-cookie").starts_with("infra-console="));
}

#[tokio::test]
async fn the_page_lists_the_routes() {
    let fixture = fixture().await;
    let page = fixture.get("/api").await;
    assert_eq!(page.status, 200);
    let document = fixture.get("/api/openapi.json").await.json();
    for (path, method, _) in operations(&document) {
        let row = format!("data-key=\"{} {path}\"", method.to_uppercase());
        assert!(page.text.contains(&row), "{row}: {}", page.text);
    }
    assert!(page.text.contains(&format!("http://{}/api/overview", fixture.address)));
    assert!(page.text.contains("claude mcp add infra --"));
}
