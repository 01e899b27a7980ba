//! The history of a stack, and rollbacks.

use crate::common::{Lifecycle, Thing, placed, sized, using};
use infra_core::{Config, Output, Result, Stack, engine::HistoryEntry};
use insta::assert_snapshot;

fn told(history: &[HistoryEntry]) -> String {
    let lines = history.iter().map(|HistoryEntry { serial, command, success, counts, failures, declared, .. }| {
        let counts: Vec<String> = counts.iter().map(|(action, count)| format!("{count} {action}")).collect();
        format!(
            "{serial} {command} success: {success} [{}] {} declared: {declared}",
            counts.join(", "),
            failures.join("; ")
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn program(place: &'static str, size: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let net = stack.add("net", placed(place));
        let name: Output<String> = net.id.map(|id| format!("<{id}>"));
        stack.add(
            "host",
            Thing { password: Some(Output::from("hunter2").secret()), size: Some(size), ..using(&net.id) },
        );
        stack.add("sign", Thing { uses: Some(name), ..sized(size) });
        stack.export("net", net.id);
        Ok(())
    }
}

#[tokio::test]
async fn changing_run_is_added_to_the_history() {
    let life = Lifecycle::new();
    life.apply(&program("a", 1)).await;
    life.apply(&program("a", 1)).await;
    life.cloud.faults(|_| Some(infra_core::testing::Fault::Before));
    life.up(&program("a", 2)).await.unwrap();
    life.cloud.heal();
    life.apply(&program("a", 2)).await;
    life.destroy().await;
    let history = life.engine().history().await.unwrap();
    assert_snapshot!(told(&history), @"
    1 up success: true [3 create]  declared: true
    2 up success: false [1 same] injected: refused declared: false
    3 up success: true [1 same, 2 update]  declared: true
    4 destroy success: true [3 delete]  declared: false
    ");
    assert!(history.iter().all(|entry| !entry.by.is_empty() && entry.at.ends_with('Z')));
}

#[tokio::test]
async fn rollback_applies_an_earlier_declaration() {
    let life = Lifecycle::new();
    life.apply(&program("a", 1)).await;
    life.apply(&|stack, _| {
        stack.add("net", placed("a"));
        stack.add("host", sized(9));
        Ok(())
    })
    .await;
    let engine = life.engine();
    let none = |_: &Stack, _: &Config| -> Result { Ok(()) };
    let wrapped = life.wrap(&none);
    let plan = engine.preview_rollback(1, &wrapped).await.unwrap();
    assert_snapshot!(plan, @r#"
    ~ update Thing host
        + password: [secret]
        ~ size: 9 => 1
        + uses: "net-1"
    + create Thing sign
          size: 1
          uses: "<net-1>"
    1 same, 1 create, 1 update
    net = "net-1"
    "#);
    let warnings: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n"), @"
    warning: it is created again, without its previous content
      at: urn:infra:dev::program::fake:Thing::sign
    ");
    let report = engine.rollback(1, &wrapped).await.unwrap();
    assert!(report.is_success());
    assert_snapshot!(life.preview(&program("a", 1)).await, @r#"
    3 same
    net = "net-1"
    "#);
    assert_snapshot!(told(&engine.history().await.unwrap()), @"
    1 up success: true [3 create]  declared: true
    2 up success: true [1 same, 1 update, 1 delete]  declared: true
    3 rollback success: true [1 same, 1 create, 1 update]  declared: true
    ");
}

#[tokio::test]
async fn rollback_refuses_closures_with_a_changed_input() {
    let life = Lifecycle::new();
    life.apply(&program("a", 1)).await;
    life.apply(&program("b", 1)).await;
    let none = |_: &Stack, _: &Config| -> Result { Ok(()) };
    let wrapped = life.wrap(&none);
    let engine = life.engine();
    assert_snapshot!(engine.rollback(1, &wrapped).await.unwrap_err(), @"
    error: its value was computed by a closure of the earlier program from ${net.id}, whose value has changed since: it cannot be computed again
      at: urn:infra:dev::program::fake:Thing::sign
      hint: check the inputs of this resource in the program
    ");
    assert_snapshot!(engine.rollback(7, &wrapped).await.unwrap_err(), @"
    error: the stack cannot be rolled back to serial 7
      hint: it can be rolled back to 1, 2
    ");
    assert_snapshot!(life.preview(&program("b", 1)).await, @r#"
    3 same
    net = "net-4"
    "#);
}
