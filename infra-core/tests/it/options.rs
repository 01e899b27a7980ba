//! Each option of a declaration in the lifecycle of a stack.

use crate::common::{Lifecycle, Thing, placed, sized, using};
use infra_core::{
    Config, Options, Result, Stack,
    diff::Action,
    options::{Condition, Hook},
    testing::Fault,
    value::all,
};
use insta::assert_snapshot;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

#[tokio::test]
async fn depends_on_orders_independent_resources() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let group = stack.component("group");
        group.add("first", sized(1));
        group.add("second", sized(1));
        let after = stack.with(Options::new().depends_on(&group));
        let last = after.add("last", sized(1));
        stack.with(Options::new().depends_on(&last.id)).add("very-last", sized(1));
        Ok(())
    };
    assert_snapshot!(life.apply(&program).await, @"
    create group/first
    create group/second
    create last
    create very-last
    ");
    assert_snapshot!(life.destroy().await, @"
    delete very-last
    delete last
    delete group/second
    delete group/first
    ");
}

#[tokio::test]
async fn protected_resource_is_neither_deleted_nor_replaced() {
    let life = Lifecycle::new();
    let program = |protect: Option<bool>, place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let options = protect.map_or_else(Options::new, |protect| Options::new().protect(protect));
            stack.with(options).add("net", placed(place));
            Ok(())
        }
    };
    life.apply(&program(Some(true), "a")).await;
    assert_snapshot!(life.preview(&program(Some(true), "b")).await, @r#"
    error: the resource is protected and would be replaced
      at: urn:infra:dev::program::fake:Thing::net
      why: ~ place: "a" => "b"  (forces replacement)
      hint: to allow this, run `state unprotect net`, or set `protect(false)` in the program
    "#);
    // A program that omits the option changes nothing.
    life.apply(&program(None, "a")).await;
    assert_snapshot!(life.preview(&|_, _| Ok(())).await, @"
    error: the resource is protected and would be deleted
      at: urn:infra:dev::program::fake:Thing::net
      hint: to allow this, run `state unprotect net`, or set `protect(false)` in the program
    ");
    let refused = life.engine().destroy(&life.wrap(&|_, _| Ok(()))).await.unwrap_err();
    assert_snapshot!(refused, @"
    error: the resource is protected and would be deleted
      at: urn:infra:dev::program::fake:Thing::net
      hint: to allow this, run `state unprotect net`, or set `protect(false)` in the program
    ");
    assert_eq!(life.cloud.resources().len(), 1);
    // `protect(false)` changes it and removes the protection.
    life.apply(&program(Some(false), "b")).await;
    life.destroy().await;
}

#[tokio::test]
async fn retained_resource_is_not_deleted() {
    let life = Lifecycle::new();
    let program = |place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            stack.with(Options::new().retain_on_delete(true)).add("net", placed(place));
            Ok(())
        }
    };
    life.apply(&program("a")).await;
    assert_snapshot!(life.preview(&program("b")).await, @r#"
    +/- replace Thing net  (the previous generation is not deleted: retain_on_delete)
        ~ place: "a" => "b"  (forces replacement)
    1 replace
    "#);
    // The check for orphans would report the retained resource.
    life.engine().up(&life.wrap(&program("b"))).await.unwrap();
    assert_snapshot!(life.preview(&|_, _| Ok(())).await, @"
    < forget Thing net  (not deleted: retain_on_delete)
    1 forget
    ");
    life.engine().up(&life.wrap(&|_, _| Ok(()))).await.unwrap();
    assert_eq!(life.cloud.resources().values().map(Vec::len).sum::<usize>(), 2);
    assert!(life.engine().state().await.unwrap().unwrap().resources.is_empty());
}

#[tokio::test]
async fn changes_can_be_ignored_or_force_a_replacement() {
    let life = Lifecycle::new();
    let program = |size: u32, place: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let thing = || Thing { size: Some(size), ..placed(place) };
            stack.with(Options::new().ignore_changes(["size", "place"])).add("steady", thing());
            stack.with(Options::new().replace_on_changes(["size"]).ignore_changes(["place"])).add("fresh", thing());
            let first = Options::new().delete_before_replace(true).ignore_changes(["size"]);
            stack.with(first).add("single", thing());
            Ok(())
        }
    };
    life.apply(&program(1, "a")).await;
    assert_snapshot!(life.preview(&program(2, "b")).await, @r#"
    +/- replace Thing fresh
        ~ size: 1 => 2  (forces replacement)
    -/+ replace Thing single
        ~ place: "a" => "b"  (forces replacement)
    1 same, 2 replace
    "#);
    assert_snapshot!(life.apply(&program(2, "b")).await, @"
    replace fresh
    delete single
    delete fresh
    replace single
    ");
    assert_snapshot!(life.preview(&program(2, "b")).await, @"3 same");
    let state = life.engine().state().await.unwrap().unwrap();
    let steady = state.resources.iter().find(|(urn, _)| urn.name() == "steady").unwrap().1;
    assert_snapshot!(steady.current.as_ref().unwrap().inputs, @r#"{"place":"a","size":1}"#);
}

#[tokio::test]
async fn contradictory_options_are_refused() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let part = Options::new().ignore_changes(["tags.build"]).replace_on_changes(["tags"]);
        let net = stack.with(part).add("net", sized(1));
        let whole = Options::new().ignore_changes(["place"]).replace_on_changes(["place"]);
        stack.with(whole).add("stuck", sized(1));
        stack.with(Options::new().retain_on_delete(true).deleted_with(&net.id)).add("torn", sized(1));
        Ok(())
    };
    assert_snapshot!(life.preview(&program).await, @"
    error: `Thing stuck` ignores changes of `place` and is replaced for changes of `place`: remove one of the two options
    error: `Thing torn` is retained when it is no longer declared and is deleted with `Thing net`: remove one of the two options
    ");
}

#[tokio::test]
async fn renamed_resources_and_moved_components_are_not_replaced() {
    let life = Lifecycle::new();
    life.apply(&|stack, _| {
        let net = stack.add("net", placed("a"));
        let old = stack.component("old");
        let host = old.component("inner").add("host", using(&net.id));
        old.add("disk", using(&host.id));
        Ok(())
    })
    .await;
    let renamed = |stack: &Stack, _: &Config| -> Result {
        let net = stack.with(Options::new().alias("net")).add("network", placed("a"));
        let new = stack.with(Options::new().alias("old")).component("new");
        let host = new.component("inner").add("host", using(&net.id));
        new.add("disk", using(&host.id));
        Ok(())
    };
    assert_snapshot!(life.preview(&renamed).await, @"
      same Thing network  (was Thing net)
      same Thing new/inner/host  (was Thing old/inner/host)
      same Thing new/disk  (was Thing old/disk)
    3 same
    ");
    assert_snapshot!(life.engine().up(&life.wrap(&renamed)).await.unwrap().counts.len(), @"1");
    assert_snapshot!(life.preview(&renamed).await, @"3 same");
    let state = life.engine().state().await.unwrap().unwrap();
    let names: Vec<String> = state.resources.keys().map(|urn| urn.name().to_owned()).collect();
    assert_eq!(names, ["network", "new/disk", "new/inner/host"]);
    state.verify().unwrap();
    let report = life.engine().destroy(&life.wrap(&|_, _| Ok(()))).await.unwrap();
    assert!(report.is_success());
    assert!(life.cloud.resources().is_empty());
}

#[tokio::test]
async fn content_of_a_deleted_container_is_not_deleted_one_by_one() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let folder = stack.add("folder", placed("a"));
        let inside = Options::new().deleted_with(&folder.id);
        let file = stack.with(inside.clone()).add("file", using(&folder.id));
        stack.add("reader", using(&file.id));
        stack.with(inside).add("other", using(&folder.id));
        Ok(())
    };
    life.apply(&program).await;
    let folder_alone = |stack: &Stack, _: &Config| -> Result {
        stack.add("folder", placed("a"));
        Ok(())
    };
    // If the container stays, its content is deleted one by one.
    assert_snapshot!(life.preview(&folder_alone).await, @"
    - delete Thing reader
    - delete Thing other
    - delete Thing file
    1 same, 3 delete
    ");
    life.cloud.take_calls();
    life.log.lock().unwrap().clear();
    let report = life.engine().destroy(&life.wrap(&|_, _| Ok(()))).await.unwrap();
    assert!(report.is_success());
    assert_snapshot!(life.log(), @"
    delete reader
    delete folder
    ");
    assert_eq!(life.cloud.take_calls(), ["delete reader", "delete folder"]);
    assert!(life.engine().state().await.unwrap().unwrap().resources.is_empty());
}

#[tokio::test]
async fn failed_deletion_of_a_container_keeps_its_content_in_the_state() {
    let life = Lifecycle::new();
    life.apply(&|stack, _| {
        let folder = stack.add("folder", placed("a"));
        stack.with(Options::new().deleted_with(&folder.id)).add("file", using(&folder.id));
        Ok(())
    })
    .await;
    life.cloud.faults(|_| Some(Fault::Before));
    let report = life.engine().destroy(&life.wrap(&|_, _| Ok(()))).await.unwrap();
    assert!(!report.is_success());
    assert_eq!(life.engine().state().await.unwrap().unwrap().resources.len(), 2);
}

#[tokio::test]
async fn hooks_run_before_and_after_an_action_and_are_retried() {
    let life = Lifecycle::new();
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let failures = Arc::new(AtomicU32::new(2));
    let program = {
        let log = log.clone();
        move |stack: &Stack, _: &Config| -> Result {
            let hook = |when: &'static str, action| {
                let (log, failures) = (log.clone(), failures.clone());
                let run = move |context: infra_core::options::HookContext| {
                    let (log, failures) = (log.clone(), failures.clone());
                    async move {
                        if failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                            return Err("not now".into());
                        }
                        let id = context.id.unwrap_or_else(|| "nothing yet".into());
                        log.lock().unwrap().push(format!("{when} {} {}: {id}", context.action, context.urn.name()));
                        Ok(())
                    }
                };
                let hook = if when == "before" { Hook::before(action, run) } else { Hook::after(action, run) };
                hook.retry(3, Duration::from_millis(1))
            };
            let options =
                [Action::Create, Action::Update, Action::Delete].into_iter().fold(Options::new(), |options, action| {
                    options.hook(hook("before", action)).hook(hook("after", action))
                });
            let net = stack.with(options).add("net", sized(1));
            stack.add("user", using(&net.id));
            Ok(())
        }
    };
    life.apply(&program).await;
    let report = life.engine().destroy(&life.wrap(&program)).await.unwrap();
    assert!(report.is_success());
    assert_snapshot!(log.lock().unwrap().join("\n"), @"
    before create net: nothing yet
    after create net: net-1
    before delete net: net-1
    after delete net: nothing yet
    ");
}

#[tokio::test]
async fn failed_hook_prevents_its_step_or_the_steps_of_dependents() {
    for (before, things) in [(true, 0), (false, 1)] {
        let life = Lifecycle::new();
        let program = move |stack: &Stack, _: &Config| -> Result {
            let refuse = |_| async { Err("the moon is full".into()) };
            let hook = if before { Hook::before(Action::Create, refuse) } else { Hook::after(Action::Create, refuse) };
            let net = stack.with(Options::new().hook(hook)).add("net", sized(1));
            stack.add("user", using(&net.id));
            Ok(())
        };
        let report = life.up(&program).await.unwrap();
        let failure = report.failures[0].to_string();
        assert!(failure.contains("the moon is full"), "{failure}");
        assert_eq!((report.skipped, life.cloud.resources().len()), (1, things));
        let open = life.engine().state().await.unwrap().unwrap().open;
        assert!(open.is_empty(), "no operation was started: {open:?}");
    }
}

#[tokio::test]
async fn refused_operation_is_retried_and_an_unsure_one_is_not() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.with(Options::new().retry(3, Duration::from_millis(1))).add("net", sized(1));
        Ok(())
    };
    let mut refusals = 2;
    life.cloud.faults(move |_| {
        refusals -= 1;
        (refusals >= 0).then_some(Fault::Before)
    });
    life.apply(&program).await;
    assert_eq!(life.cloud.take_calls(), ["create net"; 3]);
    life.destroy().await;
    life.cloud.take_calls();
    life.cloud.faults(|_| Some(Fault::After));
    let report = life.up(&program).await.unwrap();
    assert_eq!((report.failures.len(), life.cloud.take_calls().len()), (1, 1));
}

#[tokio::test]
async fn declaration_waits_for_its_condition() {
    let life = Lifecycle::new();
    let asked = Arc::new(AtomicU32::new(0));
    let program = {
        let asked = asked.clone();
        move |stack: &Stack, _: &Config| -> Result {
            let database = stack.add("database", sized(1));
            let asked = asked.clone();
            let answers = Condition::new("the database answers", &database.id, move |id: String| {
                let times = asked.fetch_add(1, Ordering::Relaxed);
                async move { id == "database-1" && times == 2 }
            });
            stack.with(Options::new().ready_when(answers)).add("application", sized(1));
            let never = Condition::new("pigs fly", &database.id, |_: String| async { false });
            let never = never.timeout(Duration::from_millis(1));
            stack.with(Options::new().ready_when(never)).add("sty", sized(1));
            Ok(())
        }
    };
    let report = life.up(&program).await.unwrap();
    assert_snapshot!(life.log(), @"
    create database
    create application
    create sty failed: `Thing sty` timed out after 1ms, waiting until pigs fly
    ");
    assert_eq!((report.failures.len(), asked.load(Ordering::Relaxed)), (1, 3));
}

#[tokio::test]
async fn transforms_receive_every_declaration_of_their_scope() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let bigger = Options::new().transform(|declaring| {
            let name = declaring.urn().name().to_owned();
            if let Some(thing) = declaring.resource::<Thing>() {
                thing.size = thing.size.map(|size| size * 10);
            }
            if name.ends_with("keep") {
                declaring.options().clone_from(&Options::new().protect(true));
            }
        });
        let inside = stack.with(bigger).component("inside");
        inside.add("keep", sized(1));
        inside.component("deep").add("plain", sized(2));
        stack.add("outside", sized(3));
        Ok(())
    };
    assert_snapshot!(life.preview(&program).await, @"
    + create Thing inside/keep
          size: 10
    + create Thing inside/deep/plain
          size: 20
    + create Thing outside
          size: 3
    3 create
    ");
    life.apply(&program).await;
    let state = life.engine().state().await.unwrap().unwrap();
    let protected: Vec<&str> =
        state.generations().filter(|(_, thing)| thing.marks.protect).map(|(urn, _)| urn.name()).collect();
    assert_eq!(protected, ["inside/keep"]);
}

#[tokio::test]
async fn operation_fails_after_its_declared_timeout() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.with(Options::new().create_timeout(Duration::from_millis(1))).add("net", sized(1));
        Ok(())
    };
    life.cloud.faults(|_| Some(Fault::Hang));
    let report = life.up(&program).await.unwrap();
    assert_snapshot!(report.failures[0], @"
    error: the operation did not finish within 1ms
      at: urn:infra:dev::program::fake:Thing::net
      hint: run the command again: it adopts a resource that the operation may have created
    ");
    life.cloud.heal();
    life.apply(&program).await;
    assert_eq!(life.cloud.resources().values().map(Vec::len).sum::<usize>(), 1);
}

#[tokio::test]
async fn size_of_a_set_may_be_known_only_while_applying() {
    let life = Lifecycle::new();
    let program = |zones: &'static str| {
        move |stack: &Stack, _: &Config| -> Result {
            let net = stack.add("net", placed(zones));
            let zones: infra_core::Output<Vec<String>> = all((net.id, infra_core::Output::from(zones.to_owned())))
                .map(|(_, zones): (String, String)| zones.chars().map(String::from).collect());
            let ids = stack.each("subnets", &zones, 4, |scope, zone| {
                let subnet = scope.add("subnet", Thing { uses: Some(zone), ..Thing::default() });
                scope.add("route", using(&subnet.id)).id
            });
            stack.add("sign", Thing { uses: Some(ids.join("+")), ..Thing::default() });
            stack.export("routes", ids);
            Ok(())
        }
    };
    assert_snapshot!(life.preview(&program("ab")).await, @r#"
    + create Thing net
          place: "ab"
    + create Thing sign
          uses: (known after apply)
    ? 0..4 of Thing subnets
    2 create
    routes = (known after apply)
    "#);
    assert_snapshot!(life.apply(&program("ab")).await, @"
    create net
    create subnets/0/subnet
    create subnets/1/subnet
    create subnets/0/route
    create subnets/1/route
    create sign
    ");
    assert_snapshot!(life.preview(&program("ab")).await, @r#"
    6 same
    routes = ["subnets-0-route-4","subnets-1-route-5"]
    "#);
    let outputs = life.engine().outputs().await.unwrap();
    assert_snapshot!(outputs["routes"], @r#"["subnets-0-route-4","subnets-1-route-5"]"#);
    // A replacement of the network makes their number unknown again. It turns out to be one less, and that member is
    // deleted.
    assert_snapshot!(life.preview(&program("c")).await, @r#"
    +/- replace Thing net
        ~ place: "ab" => "c"  (forces replacement)
    ~ update Thing sign
        ~ uses: "subnets-0-route-4+subnets-1-route-5" => (known after apply)
    ? 0..4 of Thing subnets
    1 update, 1 replace
    routes = (known after apply)
    "#);
    assert_snapshot!(life.apply(&program("c")).await, @"
    replace net
    update subnets/0/subnet
    same subnets/0/route
    update sign
    delete subnets/1/route
    delete subnets/1/subnet
    delete net
    ");
    assert_snapshot!(life.preview(&program("c")).await, @r#"
    4 same
    routes = ["subnets-0-route-4"]
    "#);
    let report = life.up(&program("abcde")).await.unwrap();
    assert_snapshot!(report.failures[0], @"
    error: there are 5 items, and the program allows 4: raise the bound given to `each`
      at: urn:infra:dev::program::fake:Thing::subnets/0/subnet
      hint: check the inputs of this resource in the program
    ");
    life.apply(&program("abcd")).await;
    life.destroy().await;
}
