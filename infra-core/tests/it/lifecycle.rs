//! The lifecycle of a stack on a cloud in memory: every plan is a snapshot, and every preview leaves the state
//! unchanged.

use crate::common::{Lifecycle, Port, Program, Thing, placed, sized, using};
use infra_core::{Config, Options, Output, ProgramError, Result, Stack, random::Password, state::Verb, testing::Fault};
use insta::assert_snapshot;

fn network(stack: &Stack, _: &Config) -> Result {
    let net = stack.add("net", placed("a"));
    let host = stack.add("host", using(&net.id));
    stack.add("disk", sized(1));
    stack.export("host", host.id);
    Ok(())
}

#[tokio::test]
async fn stack_is_created_and_destroyed() {
    let life = Lifecycle::new();
    assert_snapshot!(life.preview(&network).await, @r#"
    + create Thing net
          place: "a"
    + create Thing host
          uses: (known after apply)
    + create Thing disk
          size: 1
    3 create
    host = (known after apply)
    "#);
    assert_snapshot!(life.apply(&network).await, @r"
    create net
    create disk
    create host
    ");
    assert_snapshot!(life.preview(&network).await, @r#"
    3 same
    host = "host-3"
    "#);
    assert_snapshot!(life.apply(&network).await, @"");
    assert_snapshot!(life.destroy().await, @r"
    delete host
    delete disk
    delete net
    ");
}

#[tokio::test]
async fn update_in_place_updates_only_dependents_of_changed_outputs() {
    let life = Lifecycle::new();
    let program = |size: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            let net = stack.add("net", sized(size));
            stack.add("host", using(&net.id));
            let text = infra_core::output_format!("{} wide", net.size);
            stack.add("sign", Thing { uses: Some(text), ..Thing::default() });
            Ok(())
        }
    };
    life.apply(&program(1)).await;
    assert_snapshot!(life.preview(&program(2)).await, @r#"
    ~ update Thing net
        ~ size: 1 => 2
    ~ update Thing sign
        ~ uses: "1 wide" => (known after apply)
    1 same, 2 update
    "#);
    assert_snapshot!(life.apply(&program(2)).await, @r"
    update net
    update sign
    ");
}

#[tokio::test]
async fn replacement_is_created_before_its_dependents_are_updated() {
    let life = Lifecycle::new();
    let program = |place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let net = stack.add("net", placed(place));
            let host = stack.add("host", using(&net.id));
            stack.add("tower", Thing { place: Some(host.id), ..Thing::default() });
            Ok(())
        }
    };
    life.apply(&program("a")).await;
    assert_snapshot!(life.preview(&program("b")).await, @r#"
    +/- replace Thing net
        ~ place: "a" => "b"  (forces replacement)
    ~ update Thing host
        ~ uses: "net-1" => (known after apply)
    1 same, 1 update, 1 replace
    "#);
    assert_snapshot!(life.apply(&program("b")).await, @r"
    replace net
    update host
    delete net
    ");
}

/// An update of a group to a new image fails, and the group returns to the previous image.
#[tokio::test]
async fn previous_generation_is_kept_until_all_dependents_are_applied() {
    let life = Lifecycle::new();
    let program = |place: &'static str, size: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            let net = stack.add("net", placed(place));
            let host = stack.add("host", using(&net.id));
            stack.with(Options::new().depends_on(&host.id)).add("tower", sized(size));
            Ok(())
        }
    };
    life.apply(&program("a", 1)).await;
    life.cloud.faults(|request| (request.urn.name() == "tower").then_some(Fault::Before));
    life.log.lock().unwrap().clear();
    life.up(&program("b", 2)).await.unwrap();
    assert_snapshot!(life.log(), @"
    replace net
    update host
    update tower failed: injected: refused
    delete net skipped
    ");
    life.cloud.heal();
    assert_snapshot!(life.apply(&program("b", 2)).await, @"
    update tower
    delete net
    ");
}

#[tokio::test]
async fn planned_step_is_skipped_if_its_inputs_turn_out_unchanged() {
    let life = Lifecycle::new();
    let program = |size: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            let net = stack.add("net", sized(size));
            let even: Output<String> = net.size.map(|size| if size % 2 == 0 { "even" } else { "odd" }.to_owned());
            stack.add("host", Thing { place: Some(even), ..Thing::default() });
            Ok(())
        }
    };
    life.apply(&program(2)).await;
    assert_snapshot!(life.preview(&program(4)).await, @r#"
    ~ update Thing net
        ~ size: 2 => 4
    +/- replace Thing host
        ~ place: "even" => (known after apply)  (forces replacement)
    1 update, 1 replace
    "#);
    assert_snapshot!(life.apply(&program(4)).await, @r"
    update net
    same host
    ");
    assert_snapshot!(life.apply(&program(5)).await, @r"
    update net
    replace host
    delete host
    ");
}

#[tokio::test]
async fn exclusive_resource_is_deleted_before_its_replacement_and_after_its_dependents() {
    let life = Lifecycle::new();
    let program = |number: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            let port = stack.add("port", Port { number: number.into(), uses: None });
            stack.add("rule", Thing { place: Some(port.id.clone()), ..Thing::default() });
            stack.add("user", using(&port.id));
            Ok(())
        }
    };
    life.apply(&program(80)).await;
    assert_snapshot!(life.preview(&program(81)).await, @r#"
    -/+ replace Port port
        ~ number: 80 => 81  (forces replacement)
    -/+ replace Thing rule
        ~ place: "port-1" => (known after apply)  (forces replacement)
    ~ update Thing user
        ~ uses: "port-1" => (known after apply)
    1 update, 2 replace
    "#);
    assert_snapshot!(life.apply(&program(81)).await, @r"
    delete rule
    delete port
    replace port
    replace rule
    update user
    ");
}

#[tokio::test]
async fn undeclared_resource_is_deleted_once_its_dependents_are_updated() {
    let life = Lifecycle::new();
    life.apply(&|stack, _| {
        let old = stack.add("old", sized(1));
        stack.add("host", using(&old.id));
        Ok(())
    })
    .await;
    let program = |stack: &Stack, _: &Config| -> Result {
        let new = stack.add("new", sized(1));
        stack.add("host", using(&new.id));
        Ok(())
    };
    assert_snapshot!(life.preview(&program).await, @r#"
    + create Thing new
          size: 1
    ~ update Thing host
        ~ uses: "old-1" => (known after apply)
    - delete Thing old
    1 create, 1 update, 1 delete
    "#);
    assert_snapshot!(life.apply(&program).await, @r"
    create new
    update host
    delete old
    ");
}

#[tokio::test]
async fn failure_skips_dependents_and_the_next_run_continues() {
    let life = Lifecycle::new();
    life.cloud.faults(|request| (request.urn.name() == "net").then_some(Fault::Before));
    let report = life.up(&network).await.unwrap();
    assert_snapshot!(report.failures[0], @r"
    error: injected: refused
      at: urn:infra:dev::program::fake:Thing::net
    ");
    assert_snapshot!(life.log(), @r"
    create net failed: injected: refused
    create host skipped
    create disk skipped
    ");
    life.log.lock().unwrap().clear();
    let report = life.engine().up(&life.wrap(&network)).continue_on_error(true).await.unwrap();
    assert!(!report.is_success());
    assert_snapshot!(life.log(), @r"
    create net failed: injected: refused
    create disk
    create host skipped
    ");
    life.cloud.heal();
    assert_snapshot!(life.apply(&network).await, @r"
    create net
    create host
    ");
}

#[tokio::test]
async fn create_with_a_lost_response_creates_no_second_resource() {
    let life = Lifecycle::new();
    life.cloud.faults(|request| (request.urn.name() == "net").then_some(Fault::After));
    assert!(!life.up(&network).await.unwrap().is_success());
    life.cloud.heal();
    assert_snapshot!(life.apply(&network).await, @r"
    net: an interrupted create succeeded: net-1 is adopted
    create host
    create disk
    ");
    assert!(life.cloud.resources().values().all(|ids| ids.len() == 1));
}

#[tokio::test]
async fn open_create_of_an_undeclared_resource_is_deleted() {
    let life = Lifecycle::new();
    life.cloud.faults(|_| Some(Fault::After));
    assert!(!life.up(&network).await.unwrap().is_success());
    life.cloud.heal();
    assert_snapshot!(life.destroy().await, @r"
    net: an interrupted create succeeded: net-1 is adopted
    delete net
    ");
}

#[tokio::test]
async fn interrupted_deletion_is_completed_before_the_resource_is_created_again() {
    let life = Lifecycle::new();
    life.apply(&network).await;
    life.cloud.faults(|request| (request.verb == Verb::Delete).then_some(Fault::After));
    assert!(!life.engine().destroy(&life.wrap(&network)).await.unwrap().is_success());
    life.cloud.heal();
    // In the other order, the deletion of the previous host would delete a new host with the same name or path.
    assert_snapshot!(life.apply(&network).await, @r"
    delete host
    create host
    ");
}

#[tokio::test]
async fn interrupted_deletion_of_a_replacement_is_completed_before_its_creation() {
    let life = Lifecycle::new();
    let program = |number: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            let port = stack.add("port", Port { number: number.into(), uses: None });
            stack.add("rule", Thing { place: Some(port.id.clone()), ..Thing::default() });
            stack.add("user", using(&port.id));
            Ok(())
        }
    };
    life.apply(&program(80)).await;
    life.cloud.faults(|request| (request.verb == Verb::Delete && request.urn.name() == "port").then_some(Fault::After));
    assert!(!life.up(&program(81)).await.unwrap().is_success());
    life.cloud.heal();
    assert_snapshot!(life.apply(&program(81)).await, @r"
    delete port
    create port
    create rule
    update user
    ");
    life.destroy().await;
}

#[tokio::test]
async fn secrets_are_not_readable_in_plan_state_or_events() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let password = stack.add("password", Password::of_length(20));
        let url = infra_core::output_format!("postgres://{}@host", password.value);
        stack.add("host", Thing { password: Some(url.clone()), ..Thing::default() });
        stack.export("url", url);
        Ok(())
    };
    life.apply(&program).await;
    let outputs = life.engine().outputs().await.unwrap();
    let url = outputs["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("postgres://"));
    let state = life.engine().state().await.unwrap().unwrap();
    assert!(!format!("{state:?} {outputs:?}").contains(&url));
    assert_snapshot!(life.preview(&program).await, @r"
    2 same
    url = [secret]
    ");
}

#[tokio::test]
async fn invalid_program_is_refused_with_all_its_errors() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.add("twin", sized(1));
        stack.add("twin", sized(2));
        let a = stack.declared::<Thing>("a");
        let b = stack.add("b", using(&a.id));
        stack.add("a", using(&b.id));
        let ohio = stack.in_region("us-east-2").add("ohio", sized(1));
        stack.in_region("us-east-1").add("virginia", using(&ohio.id));
        let missing = stack.declared::<Thing>("missing");
        stack.add("user", using(&missing.id));
        Ok(())
    };
    assert_snapshot!(life.preview(&program).await, @r"
    error: `urn:infra:dev::program::fake:Thing::twin` is declared twice: give one of them another name
    error: `Thing virginia` in us-east-1 uses `id` of `Thing ohio`, which exists only in us-east-2: declare both in one region, or pass an address instead of an id
    error: `Thing user` uses `id` of `Thing missing`, which is not declared in this program
    error: these resources depend on each other: 
      b needs `id` of a
      a needs `id` of b
    ");
    let bad_name = |stack: &Stack, _: &Config| -> Result {
        stack.add("a name", sized(1));
        Err(ProgramError::from("the program's own error"))
    };
    assert_snapshot!(life.preview(&bad_name).await, @r"
    error: the name `a name` is invalid: use 1 to 100 letters, digits, `-`, `_`, `.` (and its separator)
    error: the program failed: the program's own error
    ");
}

#[tokio::test]
async fn missing_resource_is_created_again_after_a_refresh() {
    let life = Lifecycle::new();
    life.apply(&network).await;
    life.cloud.delete_resource("net-1");
    assert_snapshot!(life.preview(&network).await, @r#"
    3 same
    host = "host-3"
    "#);
    let report = life.engine().refresh(&life.wrap(&network)).await.unwrap();
    assert!(report.is_success());
    assert_snapshot!(life.apply(&network).await, @r"
    create net
    update host
    ");
}

/// Drops the run after this number of polls, as if the process had been killed, then lets the next run finish.
#[tokio::test]
async fn run_killed_at_any_moment_is_completed_by_the_next_one() {
    let program_a = |stack: &Stack, _: &Config| -> Result {
        let net = stack.add("net", placed("a"));
        let host = stack.add("host", using(&net.id));
        let port = stack.add("port", Port { number: 80.into(), uses: Some(host.id) });
        stack.add("gone", using(&port.id));
        Ok(())
    };
    let program_b = |stack: &Stack, _: &Config| -> Result {
        let net = stack.add("net", placed("b"));
        let host = stack.add("host", Thing { size: Some(3), ..using(&net.id) });
        stack.add("port", Port { number: 81.into(), uses: Some(host.id) });
        stack.add("new", using(&net.id));
        Ok(())
    };
    for is_update in [false, true] {
        for polls in 0..60 {
            let life = Lifecycle::new();
            if is_update {
                life.apply(&program_a).await;
            }
            let killed: &Program = if is_update { &program_b } else { &program_a };
            let engine = life.engine();
            let wrapped = life.wrap(killed);
            {
                let mut run = engine.up(&wrapped).parallel(4).into_future();
                for _ in 0..polls {
                    if futures::poll!(&mut run).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            life.check().await;
            life.apply(killed).await;
            let plan = life.engine().preview(&life.wrap(killed)).await.unwrap();
            assert!(!plan.has_changes(), "after {polls} polls: {plan}");
            assert!(
                life.cloud.resources().values().all(|ids| ids.len() == 1),
                "after {polls} polls: {:?}",
                life.cloud.resources()
            );
            life.destroy().await;
        }
    }
}

#[tokio::test]
async fn failed_create_is_not_resumed_for_another_generation() {
    let life = Lifecycle::new();
    let program = |place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            stack.add("net", placed(place));
            Ok(())
        }
    };
    // The first run is killed when its create is recorded. The second program declares another input.
    life.cloud.faults(|_| Some(Fault::Lost));
    life.up(&program("a")).await.unwrap();
    life.cloud.heal();
    life.apply(&program("b")).await;
    // The deletion succeeds and its response is lost. Then the program declares the first input again.
    life.cloud.faults(|_| Some(Fault::Lost));
    life.up(&|_, _| Ok(())).await.unwrap();
    life.cloud.heal();
    life.apply(&program("a")).await;
    assert_snapshot!(life.preview(&program("a")).await, @"1 same");
    life.destroy().await;
}

#[tokio::test]
async fn steps_without_a_possible_order_are_refused_in_the_preview() {
    let life = Lifecycle::new();
    let before = |stack: &Stack, _: &Config| -> Result {
        let port = stack.add("port", Port { number: 1.into(), uses: None });
        let old = stack.add("old", using(&port.id));
        stack.add("user", using(&old.id));
        Ok(())
    };
    let after = |stack: &Stack, _: &Config| -> Result {
        let port = stack.add("port", Port { number: 2.into(), uses: None });
        let new = stack.add("new", using(&port.id));
        stack.add("user", using(&new.id));
        Ok(())
    };
    life.apply(&before).await;
    assert_snapshot!(life.preview(&after).await, @"
    error: these steps of the plan wait for each other
      why: `create Thing new` waits for `replace Port port`: depends on it
           `replace Port port` waits for `delete Port port`: created after the previous generation is deleted
           `update Thing user` waits for `create Thing new`: depends on it
           `delete Thing old` waits for `update Thing user`: used by it until then
           `delete Port port` waits for `delete Thing old`: used by it until then
      hint: make the change in two runs: first remove what is to go, then add what is new
    ");
}
