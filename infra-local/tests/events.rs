//! The events of the cloud, as administrators read them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use hyper::{Method, Request};
use infra_local::{LocalCloud, Options};
use regex_lite::Regex;
use serde_json::{Value, json};

use support::api::{exchange, token};
use support::{ec2, element};

/// Sends a request to an administration path.
async fn administer(
    cloud: &LocalCloud,
    directory: &tempfile::TempDir,
    method: Method,
    path: &str,
    body: String,
) -> Value {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}/_infra/{path}", cloud.endpoint()))
        .header("authorization", format!("Bearer {}", token(directory.path())));
    let (status, text) = exchange(request.body(body.into()).unwrap()).await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn redacted(events: &Value) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"\d\d:\d\d:\d\d", "[time]"),
        (r"\bi-[0-9a-f]{17}\b", "i-[id]"),
        (r"\bus-east-1[a-c]\b", "[zone]"),
    ];
    let lines: Vec<String> = events.as_array().unwrap().iter().map(Value::to_string).collect();
    rules.iter().fold(lines.join("\n"), |text, (pattern, redaction)| {
        Regex::new(pattern).unwrap().replace_all(&text, *redaction).into_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_instances_are_events_and_existing_instances_are_the_first_ones_of_a_restarted_cloud() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let get = async |path: &str| administer(&cloud, &directory, Method::GET, path, String::new()).await;
    let inject = async |fault: &Value| administer(&cloud, &directory, Method::POST, "fault", fault.to_string()).await;
    assert_eq!(get("events").await, json!({"next": 0, "events": []}));

    inject(&json!({"fault": "throttle", "operation": "ec2:DescribeVpcs", "count": 1})).await;
    assert_eq!(ec2(&cloud, &[("Action", "DescribeVpcs")]).await.0, 503);
    let page = get("events?after=0").await;
    insta::assert_snapshot!(redacted(&page["events"]), @r#"
    {"at":"[time]","kind":"fault","number":1,"region":null,"subject":"ec2:DescribeVpcs","text":"A fault begins: ec2:DescribeVpcs are throttled, for 1 of them"}
    {"at":"[time]","began":"[time]","kind":"fault","number":2,"region":null,"subject":"ec2:DescribeVpcs","text":"A fault ends that began at [time]: ec2:DescribeVpcs are throttled"}
    "#);
    let next = page["next"].as_u64().unwrap();

    let (_, images) = ec2(&cloud, &[("Action", "DescribeImages")]).await;
    let kept = support::run(&cloud, &element(&images, "imageId"), None).await;
    let next = get(&format!("events?after={next}")).await["next"].as_u64().unwrap();
    let id = support::run(&cloud, &element(&images, "imageId"), None).await;
    inject(&json!({"fault": "kill-instance", "instance": id})).await;
    let page = get(&format!("events?after={next}")).await;
    insta::assert_snapshot!(redacted(&page["events"]), @r#"
    {"at":"[time]","kind":"instance","number":4,"region":"us-east-1","subject":"i-[id]","text":"The instance i-[id] is launched in [zone]"}
    {"at":"[time]","kind":"fault","number":5,"region":"us-east-1","subject":"i-[id]","text":"The instance i-[id] loses its host"}
    {"at":"[time]","kind":"instance","number":6,"region":"us-east-1","subject":"i-[id]","text":"The instance i-[id] is terminated: Server.InternalError: Internal error: the host failed"}
    "#);
    cloud.shutdown().await;

    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let page = administer(&cloud, &directory, Method::GET, "events", String::new()).await;
    let launched = page["events"].as_array().unwrap().iter().map(|event| event["subject"].as_str().unwrap());
    assert_eq!(launched.collect::<Vec<_>>(), [kept], "{page}");
    cloud.shutdown().await;
}
