//! Runs of a part of a program.

use crate::common::{Lifecycle, Program, placed, sized, using};
use infra_core::{Config, Result, Stack, plan::Selection};
use insta::assert_snapshot;

fn program(place: &'static str, size: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let net = stack.add("net", placed(place));
        let web = stack.component("web");
        let host = web.add("host", using(&net.id));
        web.add("disk", sized(size));
        stack.add("monitor", using(&host.id));
        stack.add("log", sized(size));
        Ok(())
    }
}

fn patterns(texts: &[&str]) -> Vec<infra_core::urn::Pattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn only(targets: &[&str]) -> Selection {
    Selection { targets: patterns(targets), ..Selection::default() }
}

fn without(exclude: &[&str]) -> Selection {
    Selection { exclude: patterns(exclude), ..Selection::default() }
}

async fn preview(life: &Lifecycle, selection: Selection, program: &Program) -> String {
    match life.engine().preview(&life.wrap(program)).select(selection).await {
        Ok(plan) => plan.to_string(),
        Err(error) => error.to_string(),
    }
}

async fn up(life: &Lifecycle, selection: Selection, program: &Program) -> String {
    life.log.lock().unwrap().clear();
    let report = life.engine().up(&life.wrap(program)).select(selection).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    life.check().await;
    life.log()
}

#[tokio::test]
async fn target_includes_its_dependencies() {
    let life = Lifecycle::new();
    assert_snapshot!(up(&life, only(&["web/host"]), &program("a", 1)).await, @"
    create net
    create web/host
    ");
    assert_snapshot!(up(&life, only(&["web"]), &program("a", 1)).await, @"create web/disk");
    assert_snapshot!(preview(&life, only(&["lo*"]), &program("a", 2)).await, @"
    + create Thing log
          size: 2
    1 create
    ");
    let dependents = Selection { dependents: true, ..only(&["web/host"]) };
    assert_snapshot!(up(&life, dependents, &program("a", 1)).await, @"create monitor");
    assert_snapshot!(preview(&life, Selection::default(), &program("a", 1)).await, @"
    + create Thing log
          size: 1
    4 same, 1 create
    ");
}

#[tokio::test]
async fn selection_that_would_break_dependents_is_refused() {
    let life = Lifecycle::new();
    life.apply(&program("a", 1)).await;
    assert_snapshot!(preview(&life, only(&["net"]), &program("b", 1)).await, @"
    error: the resource depends on Thing net, which the plan would replace, and is not selected
      at: urn:infra:dev::program::fake:Thing::web/host
      hint: add `--dependents`, or select it as well
    ");
    let dependents = Selection { dependents: true, ..only(&["net"]) };
    assert_snapshot!(preview(&life, dependents, &program("b", 2)).await, @r#"
    +/- replace Thing net
        ~ place: "a" => "b"  (forces replacement)
    ~ update Thing web/host
        ~ uses: "net-1" => (known after apply)
    1 same, 1 update, 1 replace
    "#);
    assert_snapshot!(preview(&life, without(&["net"]), &program("b", 2)).await, @"
    ~ update Thing web/disk
        ~ size: 1 => 2
    ~ update Thing log
        ~ size: 1 => 2
    2 same, 2 update
    ");
    assert_snapshot!(preview(&life, only(&["net"]), &|_, _| Ok(())).await, @"
    error: the resource depends on Thing net, which the plan would delete, and is not selected
      at: urn:infra:dev::program::fake:Thing::web/host
      hint: add `--dependents`, or select it as well
    ");
    assert_snapshot!(preview(&life, only(&["log"]), &|_, _| Ok(())).await, @"
    - delete Thing log
    1 delete
    ");
    let empty = Lifecycle::new();
    assert_snapshot!(preview(&empty, without(&["net"]), &program("a", 1)).await, @"
    error: the resource depends on Thing net, which is excluded and does not exist yet
      at: urn:infra:dev::program::fake:Thing::web/host
      hint: add `--dependents`, or select it as well
    ");
    let excluded = Selection { dependents: true, ..without(&["net"]) };
    assert_snapshot!(up(&empty, excluded, &program("a", 1)).await, @"
    create web/disk
    create log
    ");
}

#[tokio::test]
async fn selected_resources_are_replaced() {
    let life = Lifecycle::new();
    life.apply(&program("a", 1)).await;
    let replace = |names: &[&str]| Selection { replace: patterns(names), ..Selection::default() };
    assert_snapshot!(preview(&life, replace(&["web"]), &program("a", 1)).await, @r#"
    +/- replace Thing web/host  (asked for)
    +/- replace Thing web/disk  (asked for)
    ~ update Thing monitor
        ~ uses: "web-host-4" => (known after apply)
    2 same, 1 update, 2 replace
    "#);
    assert_snapshot!(up(&life, replace(&["web"]), &program("a", 1)).await, @"
    replace web/host
    replace web/disk
    update monitor
    delete web/disk
    delete web/host
    ");
    assert_snapshot!(preview(&life, Selection::default(), &program("a", 1)).await, @"5 same");
}

#[tokio::test]
async fn misspelt_relaunchable_name_is_corrected() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let host = stack.add("host", sized(1));
        stack.relaunchable("database", &host.id, "another host");
        Ok(())
    };
    let replace = |name: &str| Selection { replace: patterns(&[name]), ..Selection::default() };
    assert_snapshot!(preview(&life, replace("databse"), &program).await, @"
    error: no resource matches `databse`
      hint: did you mean `database`?
    ");
    assert_snapshot!(preview(&life, replace("zebra"), &program).await, @"
    error: no resource matches `zebra`
      hint: `database` can be relaunched; `state list` and `preview --diff` show the names; `*` matches any characters
    ");
    assert_snapshot!(preview(&life, only(&["databse"]), &program).await, @"
    error: no resource matches `databse`
      hint: `state list` and `preview --diff` show the names; `*` matches any characters
    ");
}

#[tokio::test]
async fn pattern_without_a_match_is_refused() {
    let life = Lifecycle::new();
    assert_snapshot!(preview(&life, only(&["web/hosst", "zebra"]), &program("a", 1)).await, @"
    error: no resource matches `web/hosst`
      hint: did you mean `web/host`?
    error: no resource matches `zebra`
      hint: `state list` and `preview --diff` show the names; `*` matches any characters
    ");
    let both = Selection { replace: patterns(&["net"]), ..without(&["net"]) };
    assert_snapshot!(preview(&life, both, &program("a", 1)).await, @"
    error: the resource is both selected for replacement and excluded
      at: urn:infra:dev::program::fake:Thing::net
    ");
    let nothing = Selection { exclude: patterns(&["*"]), ..only(&["net"]) };
    assert_snapshot!(preview(&life, nothing, &program("a", 1)).await, @"error: all selected resources are excluded, so nothing would be done");
    let dependents = Selection { dependents: true, ..Selection::default() };
    assert_snapshot!(preview(&life, dependents, &program("a", 1)).await, @"
    error: `--dependents` has no effect without `--target-urn` or `--exclude`
      hint: add `--target-urn PATTERN`, to select a resource and its dependents
    ");
}
