//! The page of the logs.

use crate::harness::{Answer, FakeCloud, Fixture, text};
use infra_core::state::State;
use serde_json::{Value, json};
use std::{fmt::Write as _, fs, path::Path};

/// The log of the first tier, whose requests end after those of the second.
const WEB: &str = r#"{"timestamp":"2026-11-30T09:15:00.000000Z","level":"INFO","message":"listening","port":8080}
{"timestamp":"2026-11-30T09:15:02.030000Z","level":"INFO","message":"request","method":"GET","path":"/books","status":200,"duration_ms":30.0,"span":{"request_id":"req-00000001","name":"request"}}
{"timestamp":"2026-11-30T09:15:03.000000Z","level":"ERROR","message":"<script>alert(1)</script> \"quoted\"","user":"</dd><b>x","span":{"request_id":"req-00000002","name":"request"}}
  at handler (stack trace)
"#;

const APP: &str = r#"{"timestamp":"2026-11-30T09:15:02.010000Z","level":"WARN","message":"slow query","table":"books","span":{"request_id":"req-00000001","name":"request"}}
{"timestamp":"2026-11-30T09:15:02.025000Z","level":"INFO","message":"request","method":"GET","path":"/api/books","status":200,"duration_ms":20.0,"span":{"request_id":"req-00000001","name":"request"}}
"#;

/// The log of the balancer in front of the first tier.
const BALANCER: &str = r#"{"timestamp":"2026-11-30T09:15:02.031000Z","level":"INFO","message":"request","method":"GET","path":"/books","status":200,"duration_ms":32.0,"target_ms":31.0,"request_id":"req-00000001"}
"#;

/// Events of a log stream.
const STREAM: &str = r#"{"timestamp":1796030104000,"ingested":1796030104001,"id":1,"message":"{\"level\":\"WARN\",\"message\":\"job is late\"}"}
"#;

const DATABASE: &str = "2026-11-30 09:15:01.000 UTC [7] LOG:  database system is ready to accept connections\n\
                        2026-11-30 09:15:02.008 UTC [9] LOG:  duration: 7.2 ms\n\
                        2026-11-30 09:15:02.008 UTC [9] DETAIL:  parameters: $1 = '3'\n";

/// Lines of sessions that are labelled with their requests.
const LABELLED: &str = "2026-11-30 09:15:02.012 UTC [8] user=shop,db=shop,app=request_id=req-00000009,client=10.0.0.5 LOG:  slow\n\
                        2026-11-30 09:15:02.015 UTC [8] user=shop,db=shop,app=request_id=req-00000001,client=10.0.0.5 ERROR:  deadlock\n\
                        2026-11-30 09:15:02.015 UTC [8] user=shop,db=shop,app=request_id=req-00000001,client=10.0.0.5 STATEMENT:  DELETE\n";

const BOOT: &str = "2026-11-30T09:14:58.500Z the program is downloaded\n";

const CLOUD: &str = "2026-11-30T09:14:59.000000Z  INFO infra_local::server: the cloud is ready\n";

/// Writes the logs and returns the status that names them.
fn cloud(directory: &Path) -> Value {
    let log = |name: &str, text: &str| {
        let path = directory.join("local").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    log("cloud.log", CLOUD);
    json!({ "regions": { "us-east-1": {
        "instances": [
            { "id": "i-0000000000000aaa1", "name": "web", "state": "running",
              "services": [{ "name": "server", "state": "running", "log": log("web.log", WEB) }] },
            { "id": "i-0000000000000bbb2", "name": "app", "state": "running",
              "services": [{ "name": "server", "state": "running", "log": log("app.log", APP) }] },
        ],
        "databases": [{ "id": "books", "state": "available", "log": log("postgres.log", DATABASE) }],
    } } })
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let cloud = FakeCloud::default().answer("GET status", 200, cloud(directory.path()));
    Fixture::in_directory(directory, "local", Some(cloud), false).await
}

/// Starts a console of a cloud that also has a balancer, a log stream, the boot messages of an instance and labelled
/// sessions of a database.
async fn complete() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let mut status = cloud(directory.path());
    let log = |name: &str, text: &str| {
        let path = directory.path().join("local").join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let region = &mut status["regions"]["us-east-1"];
    region["balancers"] = json!([{ "name": "front", "state": "active", "log": log("front.log", BALANCER) }]);
    region["log_streams"] = json!([{ "group": "/app", "stream": "jobs", "log": log("1.jsonl", STREAM) }]);
    region["instances"][0]["console"] = json!(log("boot.log", BOOT));
    log("postgres.log", &(DATABASE.to_owned() + LABELLED));
    let cloud = FakeCloud::default().answer("GET status", 200, status);
    Fixture::in_directory(directory, "local", Some(cloud), false).await
}

#[tokio::test]
async fn balancers_log_streams_and_boot_messages_are_sources() {
    let fixture = complete().await;
    let found = async |query: &str| lines(&fixture.json(&format!("/api/logs?{query}")).await);
    insta::assert_snapshot!(found("of=/app").await, @"2026-11-30T09:15:04.000000Z /app jobs warn job is late");
    insta::assert_snapshot!(found("of=i-0000000000000aaa1/boot").await, @"2026-11-30T09:14:58.500000Z web boot - the program is downloaded");
    insta::assert_snapshot!(found("of=front&field=target_ms%3D31.0").await, @"2026-11-30T09:15:02.031000Z front info request");
    let document = fixture.json("/api/logs?q=req-00000001").await;
    insta::assert_snapshot!(lines(&document), @r"
    2026-11-30T09:15:02.008000Z +9.0 books info duration: 7.2 ms / DETAIL:  parameters: $1 = '3' nearby
    2026-11-30T09:15:02.010000Z +11.0 app server warn slow query
    2026-11-30T09:15:02.015000Z +16.0 books error deadlock / STATEMENT:  DELETE
    2026-11-30T09:15:02.025000Z +26.0 app server info request
    2026-11-30T09:15:02.030000Z +31.0 web server info request
    2026-11-30T09:15:02.031000Z +32.0 front info request
    ");
    assert_eq!(document["trace"]["logs"], json!(["front", "web server", "app server", "books"]));
    let page = fixture.page("/logs").await;
    for group in ["Load balancers", "Log streams", "Boot messages"] {
        assert!(page.contains(&format!("<optgroup label=\"{group}\">")), "{group}: {page}");
    }
}

/// Returns the lines of a document of the API in a short form.
fn lines(document: &Value) -> String {
    let mut text = String::new();
    for line in document["lines"].as_array().unwrap() {
        let at = line["at"].as_str().unwrap_or("none");
        let (label, message) = (line["label"].as_str().unwrap(), line["message"].as_str().unwrap());
        let level = line["level"].as_str().unwrap_or("-");
        let after = line["after_ms"].as_f64().map_or_else(String::new, |after| format!(" {after:+.1}"));
        let nearby = if line["nearby"] == true { " nearby" } else { "" };
        writeln!(text, "{at}{after} {label} {level} {}{nearby}", message.replace('\n', " / ")).unwrap();
    }
    text
}

#[tokio::test]
async fn logs_of_all_sources_are_merged() {
    let fixture = fixture().await;
    let document = fixture.json("/api/logs").await;
    insta::assert_snapshot!(lines(&document), @r#"
    2026-11-30T09:14:59.000000Z local cloud info infra_local::server: the cloud is ready
    2026-11-30T09:15:00.000000Z web server info listening
    2026-11-30T09:15:01.000000Z books info database system is ready to accept connections
    2026-11-30T09:15:02.008000Z books info duration: 7.2 ms / DETAIL:  parameters: $1 = '3'
    2026-11-30T09:15:02.010000Z app server warn slow query
    2026-11-30T09:15:02.025000Z app server info request
    2026-11-30T09:15:02.030000Z web server info request
    2026-11-30T09:15:03.000000Z web server error <script>alert(1)</script> "quoted" /   at handler (stack trace)
    "#);
    assert_eq!(document["older"], Value::Null);
    let mut line = document["lines"][7].clone();
    assert!(line.as_object_mut().unwrap().remove("key").is_some());
    insta::assert_snapshot!(line, @r#"{"at":"2026-11-30T09:15:03.000000Z","fields":[{"name":"span.name","value":"request"},{"name":"span.request_id","value":"req-00000002"},{"name":"user","value":"</dd><b>x"}],"label":"web server","level":"error","message":"<script>alert(1)</script> \"quoted\"\n  at handler (stack trace)","nearby":false,"request_id":"req-00000002","source":"i-0000000000000aaa1/server"}"#);
    insta::assert_snapshot!(document["sources"][1], @r#"{"id":"i-0000000000000aaa1/server","kind":"service","label":"web server","name":"web","of":"i-0000000000000aaa1","region":"us-east-1","service":"server","state":"running"}"#);
}

#[tokio::test]
async fn filters_select_lines() {
    let fixture = fixture().await;
    let found = async |query: &str| lines(&fixture.json(&format!("/api/logs?{query}")).await);
    insta::assert_snapshot!(found("of=app").await, @"
    2026-11-30T09:15:02.010000Z app server warn slow query
    2026-11-30T09:15:02.025000Z app server info request
    ");
    insta::assert_snapshot!(found("of=i-0000000000000aaa1/server&level=warn").await, @r#"2026-11-30T09:15:03.000000Z web server error <script>alert(1)</script> "quoted" /   at handler (stack trace)"#);
    insta::assert_snapshot!(found("q=SYSTEM+IS").await, @"2026-11-30T09:15:01.000000Z books info database system is ready to accept connections");
    insta::assert_snapshot!(found("field=path%3D/api/books").await, @"2026-11-30T09:15:02.025000Z app server info request");
    insta::assert_snapshot!(found("from=2026-11-30T09:15:02.02&to=2026-11-30T09:15:02.9").await, @"
    2026-11-30T09:15:02.025000Z app server info request
    2026-11-30T09:15:02.030000Z web server info request
    ");
}

#[tokio::test]
async fn older_lines_are_on_further_pages() {
    let fixture = fixture().await;
    let first = fixture.json("/api/logs?limit=3").await;
    insta::assert_snapshot!(lines(&first), @r#"
    2026-11-30T09:15:02.025000Z app server info request
    2026-11-30T09:15:02.030000Z web server info request
    2026-11-30T09:15:03.000000Z web server error <script>alert(1)</script> "quoted" /   at handler (stack trace)
    "#);
    let older = first["older"].as_str().unwrap();
    let second = fixture.json(&format!("/api/logs?limit=3&to={older}")).await;
    insta::assert_snapshot!(lines(&second), @"
    2026-11-30T09:15:02.008000Z books info duration: 7.2 ms / DETAIL:  parameters: $1 = '3'
    2026-11-30T09:15:02.010000Z app server warn slow query
    2026-11-30T09:15:02.025000Z app server info request
    ");
    let page = fixture.page("/logs?limit=3&q=e").await;
    assert!(page.contains("<a href=\"/logs?limit=3&#38;q=e&#38;to=2026-11-30T09%3A15%3A02."), "{page}");
}

#[tokio::test]
async fn a_request_is_followed_through_the_tiers() {
    let fixture = fixture().await;
    let document = fixture.json("/api/logs?q=req-00000001").await;
    insta::assert_snapshot!(lines(&document), @"
    2026-11-30T09:15:02.008000Z +8.0 books info duration: 7.2 ms / DETAIL:  parameters: $1 = '3' nearby
    2026-11-30T09:15:02.010000Z +10.0 app server warn slow query
    2026-11-30T09:15:02.025000Z +25.0 app server info request
    2026-11-30T09:15:02.030000Z +30.0 web server info request
    ");
    insta::assert_snapshot!(document["trace"], @r#"{"logs":["web server","app server"],"milliseconds":30.0,"request_id":"req-00000001"}"#);
    let page = fixture.page("/logs?q=req-00000001").await;
    assert!(page.contains("<h1>Request <code>req-00000001</code></h1>"), "{page}");
    // A text that is no ID of a request is a search.
    assert_eq!(fixture.json("/api/logs?q=request").await["trace"], Value::Null);
}

#[tokio::test]
async fn texts_of_programs_are_escaped() {
    let fixture = fixture().await;
    let page = fixture.page("/logs?level=error&q=%22%3E%3Cscript%3E").await;
    assert!(page.contains("value=\"&#34;&#62;&#60;script&#62;\""), "{page}");
    let page = fixture.page("/logs?level=error").await;
    let (_, line) = page.split_once("class=\"line error\">").unwrap();
    let (line, _) = line.split_once("</li>").unwrap();
    insta::assert_snapshot!(line, @r#"
    <details><summary><time datetime="2026-11-30T09:15:03.000000Z">09:15:03.000</time><span class="source source-1">web server</span><span class="level">error</span><span class="text">&#60;script&#62;alert(1)&#60;/script&#62; &#34;quoted&#34;
      at handler (stack trace) <span class="muted">user=&#60;/dd&#62;&#60;b&#62;x </span></span></summary>
    <dl><dt>time</dt><dd>2026-11-30T09:15:03.000000Z</dd><dt>log</dt><dd><a href="/logs?level=error&#38;of=i-0000000000000aaa1%2Fserver">i-0000000000000aaa1/server</a></dd><dt>request</dt><dd><a href="/logs?q=req-00000002">req-00000002: follow it through all logs</a></dd><dt>span.name</dt><dd><a href="/logs?level=error&#38;field=span.name%3Drequest">request</a></dd><dt>span.request_id</dt><dd><a href="/logs?level=error&#38;field=span.request_id%3Dreq-00000002">req-00000002</a></dd><dt>user</dt><dd><a href="/logs?level=error&#38;field=user%3D%3C%2Fdd%3E%3Cb%3Ex">&#60;/dd&#62;&#60;b&#62;x</a></dd></dl></details>
    "#);
    assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
    assert!(!page.contains("style="), "the content policy forbids it: {page}");
}

#[tokio::test]
async fn an_instance_has_links_to_its_resource_and_metrics() {
    let fixture = fixture().await;
    let mut state = State::new("shop", "dev", "seed".to_owned());
    let current = json!({ "id": "i-0000000000000aaa1", "inputs": {}, "outputs": {} });
    let urn = "urn:infra:dev::shop::aws:ec2:Instance::web".parse().unwrap();
    state.resources.insert(urn, serde_json::from_value(json!({ "current": current })).unwrap());
    fixture.record(state).await;
    let page = fixture.page("/logs?of=web").await;
    let (_, head) = page.split_once("<div class=\"logs-head\">").unwrap();
    let (head, _) = head.split_once("</div>").unwrap();
    insta::assert_snapshot!(head, @r#"

    <h1>Logs of web</h1>
    <a class="button" href="/resources/urn:infra:dev::shop::aws:ec2:Instance::web">Resource</a><a class="button" href="/metrics?of=i-0000000000000aaa1">Metrics</a><a class="button" href="/faults">Faults</a>
    <span class="badge running">live</span><a class="button" href="/logs?of=web&#38;follow=off">Pause</a>
    "#);
}

#[tokio::test]
async fn a_stopped_cloud_leaves_its_own_log() {
    let fixture = fixture().await;
    fixture.stop_cloud();
    let document = fixture.json("/api/logs").await;
    insta::assert_snapshot!(lines(&document), @"2026-11-30T09:14:59.000000Z local cloud info infra_local::server: the cloud is ready");
    insta::assert_snapshot!(document["notices"], @r#"["The local cloud is not running, so only its own log is shown. The logs of its services are kept: `stack local start` starts it."]"#);
    let page = fixture.page("/logs").await;
    assert!(text(&page).contains("The local cloud is not running"), "{page}");
}

#[tokio::test]
async fn problems_are_pages_with_a_hint() {
    let fixture = fixture().await;
    insta::assert_snapshot!(fixture.problem("/logs?of=i-0000000000000aaa").await, @"
    404
    `i-0000000000000aaa` has no log
    did you mean `i-0000000000000aaa1`?
    ");
    insta::assert_snapshot!(fixture.problem("/logs?limit=many").await, @"
    400
    the parameter `limit` cannot be `many`
    use a whole number from 1 to 2000
    ");
    insta::assert_snapshot!(fixture.problem("/logs?path=/etc/passwd").await, @"
    400
    this page has no parameter `path`
    the parameters are of, level, q, field, range, from, to, limit, follow
    ");
    let Answer { status, text: body, .. } = fixture.get("/api/logs?from=never").await;
    insta::assert_snapshot!(format!("{status} {body}"), @r#"400 {"severity":"error","summary":"the parameter `from` cannot be `never`","hint":"use a time of today in UTC such as `09:15` or `09:15:30`, or a date and a time such as `2026-11-30 09:15`"}"#);
    insta::assert_snapshot!(Fixture::start("local", None, false).await.problem("/logs").await, @"
    503
    the local cloud is not running
    start it with `stack local start` or `stack up`
    ");
}

#[tokio::test]
async fn a_log_that_is_a_link_is_not_opened() {
    let fixture = fixture().await;
    let path = fixture.directory().join("local").join("web.log");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let document = fixture.json("/api/logs?of=web").await;
    assert_eq!(document["lines"], json!([]));
    insta::assert_snapshot!(document["notices"], @r#"["The log of web server cannot be read: it is not a regular file."]"#);
}

#[tokio::test]
async fn a_grown_log_is_announced() {
    let fixture = fixture().await;
    let mut changes = fixture.changes().await;
    let path = fixture.directory().join("local").join("app.log");
    // The first announcements are about the state at the beginning.
    let mut line = 0;
    loop {
        line += 1;
        let grown = fs::read_to_string(&path).unwrap() + &format!("line {line}\n");
        fs::write(&path, grown).unwrap();
        let topics = changes.next().await;
        if line > 1 && topics.iter().any(|topic| topic == "logs") {
            break;
        }
        assert!(line < 20, "{topics:?}");
    }
    let document = fixture.json("/api/logs?q=line+1").await;
    assert_eq!(document["lines"][0]["label"], "app server");
}
