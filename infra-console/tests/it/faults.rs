//! The page of the faults and its JSON.

use crate::harness::{Answer, FakeCloud, Fixture};
use axum::http::Method;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

const FORM: &str = "application/x-www-form-urlencoded";

fn status(namespaces: bool) -> Json {
    let instance =
        |id: &str, state: &str, zone: &str| json!({ "id": id, "name": "<b>web</b>", "state": state, "zone": zone });
    json!({
        "faults": ["the zone us-east-1a is lost", "20% of \"ec2:Run*\" are throttled", "answers are 500 ms old"],
        "network": { "namespaces": namespaces, "reason": "the kernel does not allow them" },
        "regions": { "us-east-1": {
            "balancers": [{ "name": "front", "state": "active" }],
            "groups": [{ "name": "web" }],
            "instances": [instance("i-1", "running", "us-east-1a"), instance("i-2", "terminated", "us-east-1c")],
            "databases": [{ "id": "orders", "state": "available", "zone": "us-east-1b" }],
        } },
    })
}

fn cloud(namespaces: bool) -> FakeCloud {
    let event = |number: u64, kind: &str, text: &str| {
        let at = "2026-11-30T09:00:00Z";
        json!({ "number": number, "at": at, "region": "us-east-1", "kind": kind, "subject": "x", "text": text })
    };
    let events = [event(1, "fault", "the zone us-east-1a fails <i>"), event(2, "scaling", "not a fault")];
    FakeCloud::default()
        .answer("GET status", 200, status(namespaces))
        .answer("GET metrics", 200, json!({ "now": 0, "series": [] }))
        .answer("GET events", 200, json!({ "next": 2, "events": events }))
        .answer("POST fault", 200, json!({ "done": "the host of i-1 fails, with <2> processes" }))
}

async fn console(cloud: &FakeCloud, allow_changes: bool) -> Fixture {
    Fixture::start("local", Some(cloud.clone()), allow_changes).await
}

/// Follows the redirect of a change to the page with the outcome.
async fn followed(fixture: &Fixture, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text);
    let page = fixture.get(answer.header("location")).await;
    assert_eq!(page.status, 200);
    let outcome = page.text.lines().find(|line| line.contains("class=\"outcome ")).unwrap_or_default();
    outcome.to_owned()
}

#[tokio::test]
async fn a_single_fault_is_ended_by_the_request_that_the_cloud_names() {
    let mut status = status(true);
    status["active_faults"] = json!([
        { "text": "requests are throttled", "end": { "fault": "end", "number": 4 } },
        { "text": "requests are throttled", "end": { "fault": "end", "number": 5 } },
        { "text": "of a later version", "end": { "fault": "end-softly" } },
        { "text": "of an earlier version", "end": null },
    ]);
    let cloud = cloud(true).answer("GET status", 200, status);
    let fixture = console(&cloud, true).await;
    let active = fixture.json("/api/faults").await["active"].clone();
    let ends: Vec<&Json> = active.as_array().unwrap().iter().map(|fault| &fault["end"]).collect();
    assert_eq!(ends[1..], [&json!({ "fault": "end", "number": 5 }), &Json::Null, &Json::Null]);
    let page = fixture.page("/faults").await;
    assert!(page.contains("<li data-key=\"5\">") && page.contains("name=\"number\" value=\"5\""), "{page}");
    let answer = fixture.post("/faults", FORM, "csrf=&fault=end&number=5").await;
    followed(&fixture, &answer).await;
    assert_eq!(cloud.requests("POST"), [r#"POST fault {"fault":"end","number":5}"#]);
    assert_eq!(fixture.audit()[0]["fault"], json!({ "fault": "end", "number": 5 }));
    let refused = fixture.post("/faults", FORM, "csrf=&fault=end&number=x").await;
    let refused = followed(&fixture, &refused).await;
    assert!(refused.contains("the number of the fault `x` is not a number in its range"), "{refused}");
}

#[tokio::test]
async fn the_json_has_the_faults_and_the_choices() {
    let fixture = console(&cloud(false), true).await;
    let document = fixture.get("/api/faults").await.json();
    assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
    {
      "active": [
        {
          "end": {
            "fault": "restore-zone",
            "zone": "us-east-1a"
          },
          "text": "the zone us-east-1a is lost"
        },
        {
          "end": null,
          "text": "20% of \"ec2:Run*\" are throttled"
        },
        {
          "end": {
            "fault": "lag",
            "milliseconds": 0
          },
          "text": "answers are 500 ms old"
        }
      ],
      "allow_changes": true,
      "instances": [
        {
          "id": "i-1",
          "kind": "instance",
          "name": "<b>web</b>",
          "region": "us-east-1",
          "state": "running"
        }
      ],
      "network_problem": "network faults need network namespaces, but the kernel does not allow them: stop the cloud, and start it with `stack local start --network namespaces`",
      "past": {
        "events": [
          {
            "at": "2026-11-30T09:00:00Z",
            "kind": "fault",
            "number": 1,
            "region": "us-east-1",
            "subject": "x",
            "text": "the zone us-east-1a fails <i>"
          }
        ],
        "omitted": 0
      },
      "past_problem": null,
      "places": [
        {
          "id": "internet",
          "label": "internet"
        },
        {
          "id": "us-east-1a",
          "label": "zone us-east-1a"
        },
        {
          "id": "us-east-1b",
          "label": "zone us-east-1b"
        },
        {
          "id": "front",
          "label": "balancer front"
        },
        {
          "id": "i-1",
          "label": "instance <b>web</b> (i-1)"
        },
        {
          "id": "orders",
          "label": "database orders"
        }
      ],
      "zones": [
        "us-east-1a",
        "us-east-1b"
      ]
    }
    "#);
}

#[tokio::test]
async fn the_page_lists_the_active_and_the_past_faults() {
    let fixture = console(&cloud(true), true).await;
    let page = fixture.get("/faults").await;
    assert_eq!(page.status, 200);
    let active = page.text.lines().filter(|line| line.starts_with("<ul class=\"active\">")).collect::<String>();
    let buttons = active.split("<button >").skip(1).map(|rest| rest.split('<').next().unwrap());
    assert_eq!(buttons.collect::<Vec<_>>(), ["Restore the zone", "End the lag"]);
    assert!(page.text.contains("the zone us-east-1a fails &#60;i&#62;") && !page.text.contains("not a fault"));
    assert!(page.text.contains("&#60;b&#62;web&#60;/b&#62; (i-1), running"), "{}", page.text);
    assert!(!page.text.contains("i-2") && !page.text.contains("<b>web") && !page.text.contains("style="));
    assert!(!page.text.contains("<fieldset disabled"), "all controls are enabled");
    assert_eq!(page.text.matches("<svg class=\"plot\"").count(), 7, "the plots show the effect");
}

#[tokio::test]
async fn a_fault_is_recorded_injected_and_shown() {
    let cloud = cloud(false);
    let fixture = console(&cloud, true).await;
    let answer = fixture.post("/faults", FORM, "fault=kill-instance&instance=i-1").await;
    let outcome = followed(&fixture, &answer).await;
    assert!(outcome.contains("the host of i-1 fails, with &#60;2&#62; processes"), "{outcome}");
    assert_eq!(cloud.requests("POST"), [r#"POST fault {"fault":"kill-instance","instance":"i-1"}"#]);
    let audit = fixture.audit();
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0]["action"], "fault_requested");
    assert_eq!(audit[0]["fault"], json!({ "fault": "kill-instance", "instance": "i-1" }));
}

#[tokio::test]
async fn each_form_is_a_request_to_the_cloud() {
    let cloud = cloud(true);
    let fixture = console(&cloud, true).await;
    for form in [
        "fault=lose-zone&zone=us-east-1b",
        "fault=restore-zone&zone=us-east-1a",
        "fault=throttle&operation=ec2:Run*&percent=20&count=3",
        "fault=errors&operation=*&percent=100&count=",
        "fault=drop-answers&operation=*&percent=100",
        "fault=latency&milliseconds=500&operation=*&percent=100&count=",
        "fault=lag&milliseconds=0",
        "fault=partition&one=front&other=i-1",
        "fault=packet-loss&one=internet&other=us-east-1a&percent=10",
        "fault=network-latency&one=i-1&other=orders&milliseconds=100",
        "fault=clear",
    ] {
        followed(&fixture, &fixture.post("/faults", FORM, form).await).await;
    }
    assert_snapshot!(cloud.requests("POST").join("\n"), @r#"
    POST fault {"fault":"lose-zone","zone":"us-east-1b"}
    POST fault {"fault":"restore-zone","zone":"us-east-1a"}
    POST fault {"count":3,"fault":"throttle","operation":"ec2:Run*","percent":20}
    POST fault {"fault":"errors","operation":"*","percent":100}
    POST fault {"fault":"drop-answers","operation":"*","percent":100}
    POST fault {"fault":"latency","milliseconds":500,"operation":"*","percent":100}
    POST fault {"fault":"lag","milliseconds":0}
    POST fault {"between":["front","i-1"],"fault":"partition"}
    POST fault {"between":["internet","us-east-1a"],"fault":"packet-loss","percent":10}
    POST fault {"between":["i-1","orders"],"fault":"network-latency","milliseconds":100}
    POST fault {"fault":"clear"}
    "#);
}

#[tokio::test]
async fn invalid_forms_and_refusals_are_outcomes() {
    let cloud = cloud(false).answer("POST fault", 400, json!({ "error": "there is no instance `i-9` that runs" }));
    let fixture = console(&cloud, true).await;
    let mut outcomes = Vec::new();
    for form in [
        "fault=throttle&operation=*&percent=0",
        "fault=throttle&operation=*&percent=300",
        "fault=lag&milliseconds=-1",
        "fault=explode",
        "fault=clear&unknown=1",
        "fault=partition&one=front&other=i-1",
    ] {
        outcomes.push(followed(&fixture, &fixture.post("/faults", FORM, form).await).await);
    }
    assert!(cloud.requests("POST").is_empty() && fixture.audit().is_empty(), "nothing was requested");
    outcomes.push(followed(&fixture, &fixture.post("/faults", FORM, "fault=kill-instance&instance=i-9").await).await);
    assert_snapshot!(outcomes.join("\n"), @r#"
    <p class="outcome failed" role="alert">the fault is incomplete or out of range <span class="muted">name a pattern of operations, a percentage from 1 to 100, and at least one request</span></p>
    <p class="outcome failed" role="alert">the percentage `300` is not a number in its range <span class="muted">write digits only</span></p>
    <p class="outcome failed" role="alert">the delay `-1` is not a number in its range <span class="muted">write digits only</span></p>
    <p class="outcome failed" role="alert">there is no fault `explode` <span class="muted">use the controls of this page</span></p>
    <p class="outcome failed" role="alert">the form is invalid <span class="muted">unknown field `unknown`, expected one of `fault`, `instance`, `zone`, `operation`, `percent`, `count`, `milliseconds`, `one`, `other`, `number`</span></p>
    <p class="outcome failed" role="alert">network faults need network namespaces, but the kernel does not allow them: stop the cloud, and start it with `stack local start --network namespaces`</p>
    <p class="outcome failed" role="alert">there is no instance `i-9` that runs</p>
    "#);
}

#[tokio::test]
async fn a_console_without_changes_refuses_faults() {
    let cloud = cloud(true);
    let fixture = console(&cloud, false).await;
    let page = fixture.get("/faults").await.text;
    assert_eq!(page.matches("<fieldset disabled").count(), page.matches("<fieldset").count());
    assert_eq!(page.matches("<button disabled").count() + page.matches("class=\"primary\" disabled").count(), 3);
    let form = fixture.post("/faults", FORM, "fault=clear").await;
    assert_eq!(form.status, 403);
    assert!(form.text.contains("this console only reads: it was started without `--allow-changes`"), "{}", form.text);
    let json = fixture.post("/api/faults", "application/json", r#"{"fault":"clear"}"#).await;
    assert_eq!(json.status, 403);
    assert!(cloud.requests("POST").is_empty() && fixture.audit().is_empty());
}

#[tokio::test]
async fn a_fault_that_cannot_be_recorded_is_not_injected() {
    let cloud = cloud(true);
    let fixture = console(&cloud, true).await;
    std::fs::create_dir(fixture.directory().join("console-audit.jsonl")).unwrap();
    let answer = fixture.post("/faults", FORM, "fault=clear").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text.contains("nothing was changed, because the request cannot be recorded"), "{}", answer.text);
    assert!(cloud.requests("POST").is_empty());
}

#[tokio::test]
async fn a_browser_needs_the_token_of_its_session() {
    let cloud = cloud(true);
    let fixture = console(&cloud, true).await;
    let path = fixture.url.split_once(&fixture.address.to_string()).unwrap().1;
    let signed_in = fixture.send(Method::GET, path, &[], String::new()).await;
    let cookie = signed_in.header("set-cookie").split(';').next().unwrap().to_owned();
    let origin = format!("http://{}", fixture.address);
    let page = fixture.send(Method::GET, "/faults", &[("cookie", &cookie)], String::new()).await;
    // A browser names the origin of a form only if the page's policy allows a referrer to the same origin.
    assert_eq!(page.header("referrer-policy"), "same-origin");
    let csrf = page.text.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();

    let headers = [("cookie", cookie.as_str()), ("origin", &origin), ("content-type", FORM)];
    let post = async |csrf: &str| {
        let answer = fixture.send(Method::POST, "/faults", &headers, format!("fault=clear&csrf={csrf}"));
        answer.await.status
    };
    assert_eq!(post("wrong").await, 403);
    assert!(cloud.requests("POST").is_empty());
    assert_eq!(post(csrf).await, 303);

    let json = async |csrf: &str| {
        let headers = [
            ("cookie", cookie.as_str()),
            ("origin", &origin),
            ("content-type", "application/json"),
            ("x-csrf-token", csrf),
        ];
        fixture.send(Method::POST, "/api/faults", &headers, r#"{"fault":"clear"}"#.to_owned()).await.status
    };
    assert_eq!(json("wrong").await, 403);
    assert_eq!(json(csrf).await, 200);
    assert_eq!(cloud.requests("POST").len(), 2);
}

#[tokio::test]
async fn programs_inject_faults_as_json() {
    let cloud = cloud(true);
    let fixture = console(&cloud, true).await;
    let post = async |body: &str| fixture.post("/api/faults", "application/json", body).await;
    let done = post(r#"{"fault":"latency","milliseconds":5,"operation":"ec2:*"}"#).await;
    assert_eq!(done.json(), json!({ "done": "the host of i-1 fails, with <2> processes" }));
    let requests = [r#"POST fault {"fault":"latency","milliseconds":5,"operation":"ec2:*","percent":100}"#];
    assert_eq!(cloud.requests("POST"), requests);
    let unknown = post(r#"{"fault":"explode"}"#).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.json()["summary"], "the document is no fault");
    assert_eq!(post(r#"{"fault":"packet-loss","between":["a","b"],"percent":0}"#).await.status, 400);
}

#[tokio::test]
async fn clouds_without_events_have_faults() {
    let earlier = FakeCloud::default().answer("GET status", 200, status(true));
    let fixture = console(&earlier, true).await;
    let page = fixture.get("/faults").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("the local cloud has no `events`"), "{}", page.text);
    assert!(page.text.contains("the local cloud has no `metrics`"), "{}", page.text);
    assert!(page.text.contains("the zone us-east-1a is lost"));
    let stopped = Fixture::start("local", None, true).await.get("/faults").await;
    assert_eq!(stopped.status, 503);
    let aws = Fixture::start("aws", None, true).await.post("/faults", FORM, "fault=clear").await;
    assert!(aws.text.contains("the target of the stack is AWS"), "{}", aws.text);
}
