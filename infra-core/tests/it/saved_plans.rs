//! Saved plans, imports, drift, and changes of the recorded state.

use crate::common::{Lifecycle, placed, sized, using};
use infra_core::{
    Config, Options, Output, Result, Stack,
    engine::ImportRequest,
    event::Events,
    execute::{ExecuteContext, ExecuteOptions, execute},
    graph::ResourceGraph,
    plan::{Plan, PlanOptions, plan},
    store::StateStore,
    urn::Pattern,
};
use insta::assert_snapshot;

fn program(size: u32, password: &'static str) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let net = stack.add("net", placed("a"));
        let secret = Output::from(password).secret();
        stack.add("host", crate::common::Thing { password: Some(secret), size: Some(size), ..using(&net.id) });
        Ok(())
    }
}

#[tokio::test]
async fn saved_plan_allows_only_its_own_changes() {
    let life = Lifecycle::new();
    let (_, text) = life.engine().preview_to_save(&life.wrap(&program(1, "hunter2"))).await.unwrap();
    assert!(!text.contains("hunter2"));
    let other = life.engine().up(&life.wrap(&program(2, "hunter2"))).saved_plan(text.as_str()).await.unwrap_err();
    assert_snapshot!(other.diagnostics()[0], @"
    error: the saved plan contains the step `create` with other values
      at: urn:infra:dev::program::fake:Thing::host
      why: + password: [secret]
           + size: 2
           + uses: (known after apply)
      hint: save a new plan with `preview --save-plan FILE`
    ");
    let secret = life.engine().up(&life.wrap(&program(1, "hunter3"))).saved_plan(text.as_str()).await.unwrap_err();
    assert_snapshot!(secret.diagnostics()[0], @"
    error: the saved plan contains the step `create` with other values
      at: urn:infra:dev::program::fake:Thing::host
      why: + password: [secret]
           + size: 1
           + uses: (known after apply)
      hint: save a new plan with `preview --save-plan FILE`
    ");
    assert!(life.cloud.resources().is_empty());
    let done = life.engine().up(&life.wrap(&program(1, "hunter2"))).saved_plan(text.as_str()).await.unwrap();
    assert!(done.is_success());
    let stale = life.engine().up(&life.wrap(&program(1, "hunter2"))).saved_plan(text.as_str()).await.unwrap_err();
    assert!(stale.to_string().contains("the stack has changed since"), "{stale}");
    let garbage = life.engine().up(&life.wrap(&program(1, "hunter2"))).saved_plan("{}").await.unwrap_err();
    assert_snapshot!(garbage.diagnostics()[0], @"
    error: the saved plan cannot be read: its format is null, and this version reads 2
      at: the plan
      hint: save a new plan with `preview --save-plan FILE`, review it, and apply that one
    ");
}

#[tokio::test]
async fn deserialised_plan_is_executed_with_the_same_result() {
    let mut outcomes = Vec::new();
    for read_back in [false, true] {
        let life = Lifecycle::new();
        life.apply(&program(1, "hunter2")).await;
        let next = |stack: &Stack, _: &Config| -> Result {
            let net = stack.with(Options::new().alias("net")).add("net-b", placed("b"));
            stack.add("other", sized(1));
            stack.export("net", net.id);
            Ok(())
        };
        let graph = life.engine().declared(&life.wrap(&next)).unwrap();
        let session = life.store.open("program", "dev").await.unwrap();
        let mut state = session.state.clone();
        let (events, options) = (Events::ignored(), PlanOptions::default());
        let mut plan = plan(&graph, &state, &life.cloud, &options, &events).await.unwrap();
        if read_back {
            let text = serde_json::to_string(&plan).unwrap();
            let again: Plan = serde_json::from_str(&text).unwrap();
            assert_eq!(again, plan);
            plan = again;
        }
        let context = ExecuteContext {
            plan: &plan,
            graph: &graph,
            deleted: &ResourceGraph::default(),
            policies: &[],
            provider: &life.cloud,
            journal: &session.journal,
            events: &events,
        };
        let options = ExecuteOptions { parallel: 1, ..ExecuteOptions::default() };
        let report = execute(&context, &mut state, &options).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        outcomes.push((plan.to_string(), life.cloud.take_calls(), format!("{:?}", state.outputs)));
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert!(outcomes[0].0.contains("(was Thing net)"), "{}", outcomes[0].0);
}

#[tokio::test]
async fn plan_with_an_invalid_order_is_not_deserialised() {
    let life = Lifecycle::new();
    let plan = life.engine().preview(&life.wrap(&program(1, "x"))).await.unwrap();
    let json = serde_json::to_value(&Plan { steps: Vec::new(), ..plan }).unwrap();
    let refused = |edges: serde_json::Value| {
        let mut json = json.clone();
        json["execution"]["edges"] = edges;
        serde_json::from_value::<Plan>(json).unwrap_err().to_string()
    };
    let edge = |before: usize, after: usize| serde_json::json!({"before": {"task": before}, "after": {"task": after}, "reason": "dependency"});
    assert_snapshot!(refused(serde_json::json!([edge(0, 1), edge(0, 99)])), @"its edge 1 refers to task 99, and it has 2 tasks");
    assert_snapshot!(refused(serde_json::json!([edge(0, 1), edge(1, 0)])), @"
    some of its tasks wait for each other: `create Thing host` waits for `create Thing net`: depends on it
    `create Thing net` waits for `create Thing host`: depends on it
    ");
}

#[tokio::test]
async fn drift_is_reported_by_property() {
    let life = Lifecycle::new();
    life.apply(&program(1, "x")).await;
    life.cloud.change("net-1", |inputs| inputs["place"] = "b".into());
    life.cloud.delete_resource("host-2");
    let report = life.engine().refresh(&life.wrap(&program(1, "x"))).await.unwrap();
    let drift: Vec<String> = report
        .drift
        .iter()
        .map(|drift| {
            let lines: Vec<String> = drift.diff.properties.iter().map(ToString::to_string).collect();
            format!("{} gone: {} {}", drift.urn.name(), drift.gone, lines.join(", "))
        })
        .collect();
    assert_snapshot!(drift.join("\n"), @r#"
    host gone: true 
    net gone: false ~ place: "a" => "b"
    "#);
    assert_snapshot!(life.preview(&program(1, "x")).await, @r#"
    +/- replace Thing net
        ~ place: "b" => "a"  (forces replacement)
    + create Thing host
          password: [secret]
          size: 1
          uses: (known after apply)
    1 create, 1 replace
    "#);
}

#[tokio::test]
async fn existing_resource_is_imported_and_protected() {
    let life = Lifecycle::new();
    let other = Lifecycle { store: infra_core::store::MemoryStore::new(), ..life.clone() };
    other.apply(&program(1, "x")).await;
    let request = |name: &str, id: &str| ImportRequest {
        kind: "fake:Thing".into(),
        name: name.into(),
        id: id.into(),
        region: None,
    };
    let none = |_: &Stack, _: &Config| -> Result { Ok(()) };
    let missing = [request("network", "net-1"), request("ghost", "nothing"), request("again", "net-1")];
    let refused = life.engine().import(&life.wrap(&none), &missing).await.unwrap_err();
    assert_snapshot!(refused, @"
    error: there is no fake:Thing with the id `nothing`
      at: urn:infra:dev::program::fake:Thing::ghost
      hint: check the id and the region
    error: the stack already has this resource
      at: urn:infra:dev::program::fake:Thing::again
      hint: choose another name, or remove the other resource with `state rm` first
    ");
    let adopted = life.engine().import(&life.wrap(&none), &missing[..1]).await.unwrap();
    assert_snapshot!(adopted[0].declaration, @r#"stack.add("network", {"place":"a"});"#);
    let plan = |place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            stack.add("network", placed(place));
            Ok(())
        }
    };
    assert_snapshot!(life.preview(&plan("a")).await, @"1 same");
    assert_snapshot!(life.preview(&none).await, @"
    error: the resource is protected and would be deleted
      at: urn:infra:dev::program::fake:Thing::network
      hint: to allow this, run `state unprotect network`, or set `protect(false)` in the program
    ");
}

#[tokio::test]
async fn recorded_resource_can_be_renamed_protected_and_forgotten() {
    let life = Lifecycle::new();
    life.apply(&program(1, "x")).await;
    let pattern = |text: &str| text.parse::<Pattern>().unwrap();
    let engine = life.engine();
    engine.rename(&pattern("net"), "network").await.unwrap();
    engine.rename(&pattern("zebra"), "x").await.unwrap_err();
    engine.rename(&pattern("*"), "x").await.unwrap_err();
    engine.rename(&pattern("host"), "network").await.unwrap_err();
    assert_eq!(engine.protect(&[pattern("network")], true).await.unwrap().len(), 1);
    assert_eq!(engine.protect(&[pattern("network")], true).await.unwrap().len(), 0);
    assert_snapshot!(engine.forget(&[pattern("network")]).await.unwrap_err(), @"
    error: Thing host depends on it
      at: urn:infra:dev::program::fake:Thing::network
      hint: select the dependent resource as well
    ");
    assert_eq!(engine.forget(&[pattern("*")]).await.unwrap().len(), 2);
    assert!(engine.state().await.unwrap().unwrap().resources.is_empty());
    assert_eq!(life.cloud.resources().len(), 2);
}

#[tokio::test]
async fn plan_of_another_stack_is_refused() {
    let life = Lifecycle::new();
    let (_, text) = life
        .engine()
        .preview_to_save(&life.wrap(&|stack, _| {
            stack.add("net", sized(1));
            Ok(())
        }))
        .await
        .unwrap();
    let other = infra_core::Engine::new("program", "prod", life.store.clone());
    let refused = other.up(&life.wrap(&|_, _| Ok(()))).saved_plan(text).await.unwrap_err();
    assert_snapshot!(refused, @"the saved plan is for program/dev on aws, not for program/prod on aws");
}
