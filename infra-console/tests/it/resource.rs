//! The past of a resource and the API calls that were made for it.

use crate::{
    harness::{Fixture, Serving, subject, text},
    shop::{Shop, URN},
};
use infra_console::Settings;
use infra_core::{
    diagnostic::Diagnostic,
    diff::{Action, Diff},
    event::{Event, VERSION},
    state::{OpenOperation, OperationId, Request, State, Verb},
    value::Value as Recorded,
};
use infra_records::Recorder;
use serde_json::{Value as Json, json};

async fn serve(shop: &Shop) -> Serving {
    Serving::start(shop.source.clone(), Settings { port: Some(0), ..Settings::default() }).await
}

async fn resource(console: &Serving) -> Json {
    console.json(&format!("/api/resources/{URN}")).await
}

#[tokio::test]
async fn the_past_has_the_steps_with_their_changes_and_phases() {
    let shop = Shop::deployed().await;
    shop.resize(2);
    assert!(shop.source.up().await.unwrap().is_success());
    let console = serve(&shop).await;
    let past = resource(&console).await["history"].clone();
    let steps: Vec<[&str; 4]> = past
        .as_array()
        .unwrap()
        .iter()
        .map(|past| ["event", "action", "outcome", "id"].map(|name| past[name].as_str().unwrap_or("none")))
        .collect();
    assert_eq!(steps, [["step", "update", "succeeded", "server-1"], ["step", "create", "succeeded", "server-1"]]);
    insta::assert_snapshot!(past[0]["changes"], @r#"[{"new":"2","old":"1","path":"size","replaces":false}]"#);
    let phases = past[0]["phases"].as_array().unwrap();
    let messages: Vec<_> = phases.iter().map(|phase| phase["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["growing", "waiting for the disk"]);
    assert!(phases.iter().all(|phase| phase["elapsed_ms"].is_u64()), "{phases:?}");
    let page = text(&console.page(&format!("/resources/{URN}")).await);
    assert!(page.contains("size: 1 → 2") && page.contains("waiting for the disk"), "{page}");
}

#[tokio::test]
async fn the_past_has_settled_operations_drift_and_errors() {
    let fixture = Fixture::start("local", None, false).await;
    let urn: infra_core::urn::Urn = URN.parse().unwrap();
    let mut state = State::new("shop", "dev", "seed".into());
    let inputs: Recorded = serde_json::from_value(json!({ "size": 3 })).unwrap();
    let mut request = Request::new(OperationId::random().unwrap(), Verb::Update, urn.clone(), inputs, "seed");
    request.id = Some("server-1".to_owned());
    state.open.push(OpenOperation { request, progress: vec![Recorded::Null; 2], undone: false });
    let current = json!({ "id": "server-1", "inputs": { "size": 1 }, "outputs": {} });
    state.resources.insert(urn.clone(), serde_json::from_value(json!({ "current": current })).unwrap());
    fixture.record(state).await;

    let recorder = Recorder::new(subject(fixture.directory(), "shop", "local"));
    let events = recorder.events(|_| {});
    let (program, stack, command) = ("shop".into(), "dev".into(), "up".into());
    events.send(Event::RunStarted { version: VERSION, command, program, stack });
    events.send(Event::Settled { urn: urn.clone(), outcome: "the update was repeated".into() });
    events.send(Event::Drifted { urn: urn.clone(), gone: true, diff: Diff::default() });
    events.send(Event::StepStarted { urn: urn.clone(), action: Action::Update });
    let diagnostic = Diagnostic::error("the disk is full").because("no space").hint("buy a larger one");
    events.send(Event::StepFailed { urn, action: Action::Update, diagnostic, elapsed_ms: 7 });
    recorder.close(Ok(()));

    let document = resource(&fixture).await;
    let mut events: Vec<_> =
        document["history"].as_array().unwrap().iter().map(|past| past["event"].as_str().unwrap()).collect();
    events.sort_unstable();
    assert_eq!(events, ["drifted", "settled", "step"]);
    let open = &document["open"][0];
    assert_eq!((&open["verb"], &open["milestones"], &open["undone"]), (&json!("update"), &json!(2), &json!(false)));
    assert_eq!(open["inputs"][0], json!({ "path": "size", "value": "3", "secret": false }));
    let page = text(&fixture.page(&format!("/resources/{URN}")).await);
    for shown in ["it no longer existed", "the update was repeated", "the disk is full: no space buy a larger one"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[tokio::test]
async fn calls_are_found_by_the_step_and_by_names() {
    let shop = Shop::deployed().await;
    let console = serve(&shop).await;
    let created = resource(&console).await["history"][0]["at"].as_str().unwrap().to_owned();
    let call = |number: u64, at: &str, parameters: Json, answer: &str| {
        json!({
            "number": number, "at": at, "service": "ec2", "operation": format!("Call{number}"), "region": "us-east-1",
            "parameters": parameters, "status": 200, "answer": answer, "microseconds": 10,
        })
    };
    let tag = |urn: &str| json!({ "TagSpecification": [{ "Tag": [{ "Key": "infra:urn", "Value": urn }] }] });
    let (later, answer) = ("2099-01-01T00:00:00.000Z", "<id>server-1</id>");
    let calls = [
        call(1, &created, tag(URN), ""),
        call(2, &created, json!({ "Size": 1 }), answer),
        call(3, &created, tag("urn:infra:dev::shop::cloud:Server::other"), answer),
        call(4, &created, json!({ "Size": 1 }), "<id>server-12</id>"),
        call(5, later, json!({ "Id": ["server-1"] }), ""),
        call(6, later, json!({ "Size": 1 }), answer),
    ];
    let _ = shop.cloud.clone().answer("GET calls", 200, json!({ "next": 6, "calls": calls }));
    let found = |document: &Json| {
        let calls = document["calls"].as_array().unwrap().iter();
        calls.map(|call| format!("{} {}", call["number"], call["relation"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let expected = ["5 named", "2 step", "1 step"];
    assert_eq!(found(&resource(&console).await), expected);
    assert_eq!(found(&console.json(&format!("/api/calls?resource={URN}")).await), expected);
    assert_eq!(found(&console.json(&format!("/api/calls?resource={URN}&operation=Call2")).await), ["2 step"]);
    let all = console.json("/api/calls").await;
    assert_eq!((all["calls"].as_array().unwrap().len(), all["calls"][0].get("relation")), (6, None));
    let page = console.page(&format!("/resources/{URN}")).await;
    assert!(page.contains("<a href=\"/calls/2\">Call2</a>") && !page.contains("Call3"), "{page}");
    let page = console.page(&format!("/calls?resource={URN}")).await;
    assert!(page.contains("name=\"resource\""), "{page}");
    assert_eq!(console.get("/api/calls?resource=urn:infra:dev::shop::cloud:Server::wab").await.status, 404);
}
