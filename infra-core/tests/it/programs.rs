//! Policies, references between stacks, and the helpers for tests of programs.

use crate::common::{Lifecycle, Thing, placed, sized, using};
use infra_core::{
    Config, Engine, Options, Output, Result, Stack,
    policy::{Enforcement, Policy, Violation},
    random::Password,
    testing::{self, Fault},
};
use insta::assert_snapshot;
use serde::{Deserialize, Serialize};

fn small() -> Policy {
    Policy::typed("small", Enforcement::Mandatory, |_, thing: &Thing| {
        let big = thing.size.is_some_and(|size| size > 10);
        let violation = || Violation::new("it is too big").property("size").remedy("take 10 at most");
        big.then(violation).into_iter().collect()
    })
}

/// Returns a policy that cannot decide while the zone is unknown.
fn not_in_b() -> Policy {
    Policy::typed("not-in-b", Enforcement::Mandatory, |_, thing: &Thing| {
        let place = thing.place.as_ref().and_then(|place| place.known().ok());
        let there = place.filter(|place| place.starts_with('b'));
        there.map(|place| Violation::new(format!("it would be in {place}")).property("place")).into_iter().collect()
    })
}

fn few() -> Policy {
    Policy::graph("few", Enforcement::Advisory, |all| {
        let many = all.len() > 2;
        let violation = |urn| Violation::new(format!("there are {} things", all.len())).about(urn).remedy("merge some");
        many.then(|| violation(all[2].urn)).into_iter().collect()
    })
}

fn secretive() -> Policy {
    Policy::resource("no-hunter", Enforcement::Advisory, |declared| {
        let text = declared.inputs.field("password").and_then(|value| value.as_str().map(str::to_owned));
        text.map(|text| Violation::new(format!("the password is {text}"))).into_iter().collect()
    })
}

#[tokio::test]
async fn plan_must_satisfy_its_policies() {
    let life = Lifecycle::new();
    let program = |size: u32| {
        move |stack: &Stack, _: &Config| -> Result {
            stack.policy(few());
            stack.policy(secretive());
            let net = stack.add("net", sized(size));
            stack.add("host", using(&net.id));
            let password = Some(Output::from("hunter2").secret());
            stack.add("vault", Thing { password, ..Thing::default() });
            Ok(())
        }
    };
    let engine = || life.engine().policies([small()]);
    let refused = engine().preview(&life.wrap(&program(11))).await.unwrap_err();
    assert_snapshot!(refused, @"
    error: `size`: it is too big
      at: urn:infra:dev::program::fake:Thing::net
      why: the policy `small` requires it
      hint: take 10 at most
    ");
    engine().up(&life.wrap(&program(11))).await.unwrap_err();
    assert!(life.cloud.resources().is_empty());
    let plan = engine().preview(&life.wrap(&program(10))).await.unwrap();
    let warnings: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n"), @"
    warning: there are 3 things
      at: urn:infra:dev::program::fake:Thing::vault
      why: the policy `few` requires it
      hint: merge some
    warning: the password is [secret]
      at: urn:infra:dev::program::fake:Thing::vault
      why: the policy `no-hunter` requires it
    ");
}

#[tokio::test]
async fn policy_checks_unknown_inputs_before_the_step() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        let boat = stack.add("boat", sized(1));
        stack.add("host", Thing { place: Some(boat.id), ..Thing::default() });
        Ok(())
    };
    let engine = life.engine().policies([not_in_b()]);
    assert!(engine.preview(&life.wrap(&program)).await.is_ok());
    let report = engine.up(&life.wrap(&program)).await.unwrap();
    assert_snapshot!(report.failures[0], @"
    error: `place`: it would be in boat-1
      at: urn:infra:dev::program::fake:Thing::host
      why: the policy `not-in-b` requires it
    ");
    assert_eq!(life.cloud.resources().len(), 1);
    assert!(life.engine().state().await.unwrap().unwrap().open.is_empty());
}

#[tokio::test]
async fn new_policy_also_applies_to_unchanged_resources() {
    let life = Lifecycle::new();
    let program = |stack: &Stack, _: &Config| -> Result {
        stack.add("net", sized(11));
        Ok(())
    };
    assert!(life.engine().up(&life.wrap(&program)).await.unwrap().is_success());
    let refused = life.engine().policies([small()]).preview(&life.wrap(&program)).await.unwrap_err();
    assert_snapshot!(refused, @"
    error: `size`: it is too big
      at: urn:infra:dev::program::fake:Thing::net
      why: the policy `small` requires it
      hint: take 10 at most
    ");
}

#[derive(Clone, Serialize, Deserialize)]
struct Network {
    net: Output<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Vault {
    password: Output<String>,
}

#[tokio::test]
async fn program_reads_the_exports_of_another_stack() {
    let life = Lifecycle::new();
    let other = Engine::new("network", "prod", life.store.clone());
    let network = |place: &'static str| {
        life.wrap(Box::leak(Box::new(move |stack: &Stack, _: &Config| -> Result {
            stack.export("net", stack.add("net", placed(place)).id);
            stack.export("password", stack.add("password", Password::of_length(12)).value);
            Ok(())
        })))
    };
    let program = |stack: &Stack, _: &Config| -> Result {
        let network: Network = stack.reference("network", "prod");
        let again: Network = stack.reference("network", "prod");
        stack.add("host", using(&network.net));
        stack.add("twin", using(&again.net));
        let vault: Vault = stack.secret_reference("network", "prod", ["password"]);
        stack.add("vault", Thing { password: Some(vault.password), ..Thing::default() });
        stack.export("net", stack.reference_output::<String>("network", "prod", "net"));
        Ok(())
    };
    assert_snapshot!(life.preview(&program).await, @"
    error: there is no stack `prod` of `network` in this store
      at: urn:infra:dev::program::stack:Reference::network-prod-e29412
      hint: run `--program network --stack prod up` first, with the same `--backend`
    error: there is no stack `prod` of `network` in this store
      at: urn:infra:dev::program::stack:Reference::network-prod-b0ee5d
      hint: run `--program network --stack prod up` first, with the same `--backend`
    error: there is no stack `prod` of `network` in this store
      at: urn:infra:dev::program::stack:Reference::network-prod-net
      hint: run `--program network --stack prod up` first, with the same `--backend`
    ");
    other.up(&network("a")).await.unwrap();
    life.engine().up(&life.wrap(&program)).await.unwrap();
    assert_snapshot!(life.preview(&program).await, @r#"
    3 same
    net = "net-1"
    "#);
    // The next run sees changes of the other stack.
    other.up(&network("b")).await.unwrap();
    assert_snapshot!(life.preview(&program).await, @r#"
    > read Reference network-prod-e29412
    ~ update Thing host
        ~ uses: "net-1" => "net-5"
    ~ update Thing twin
        ~ uses: "net-1" => "net-5"
    > read Reference network-prod-net
    1 same, 2 read, 2 update
    net = "net-5"
    "#);
    let wrong = |stack: &Stack, _: &Config| -> Result {
        let open: Vault = stack.reference("network", "prod");
        stack.export("open", open.password);
        stack.export("typo", stack.reference_output::<String>("network", "prod", "nett"));
        stack.export("own", stack.reference_output::<String>("program", "dev", "net"));
        Ok(())
    };
    assert_snapshot!(life.preview(&wrong).await, @r#"
    error: the output `password` of the stack `prod` of `network` is secret
      at: urn:infra:dev::program::stack:Reference::network-prod-435be6
      hint: read it with `stack.secret_reference("network", "prod", ["password"])`
    error: the stack `prod` of `network` exports no `nett`
      at: urn:infra:dev::program::stack:Reference::network-prod-nett
      hint: it exports net, password
    error: a stack cannot refer to itself
      at: urn:infra:dev::program::stack:Reference::program-dev-net
      hint: use the outputs of the resource directly
    "#);
}

#[test]
fn declarations_of_a_program_can_be_asserted() {
    let program = |stack: &Stack, config: &Config| -> Result {
        let net = stack.add("net", sized(config.get_or("size", 3_u32)?));
        let web = stack.with(Options::new().depends_on(&net.id)).component("web");
        let host = web.add("host", Thing { size: Some(5), ..using(&net.id) });
        stack.add("sign", using(&host.id));
        stack.export("url", infra_core::output_format!("http://{}", host.id));
        Ok(())
    };
    let declared = testing::declare(&program).unwrap();
    assert_eq!(declared.names::<Thing>(), ["net", "web/host", "sign"]);
    let host: Thing = declared.resource("web/host").unwrap();
    assert_eq!((host.size, host.uses.unwrap().known().is_err()), (Some(5), true));
    assert!(declared.depends("sign", "net") && !declared.depends("net", "sign"));
    assert_eq!(declared.exports()["url"], "http://${web/host.id}");
    let missing = declared.resource::<Thing>("web").unwrap_err();
    assert_snapshot!(missing, @"the program declares no fake:Thing called `web`; it declares net, web/host, sign");
}

#[tokio::test]
async fn secret_in_a_provider_error_is_masked() {
    let life = Lifecycle::new();
    life.cloud.faults(|_| Some(Fault::Repeat));
    let program = |stack: &Stack, _: &Config| -> Result {
        let password = Some(Output::from("hunter2").secret());
        stack.add("vault", Thing { password, ..Thing::default() });
        Ok(())
    };
    let report = life.up(&program).await.unwrap();
    assert_snapshot!(report.failures[0], @r#"
    error: injected: refused {"password":"[secret]"}
      at: urn:infra:dev::program::fake:Thing::vault
    "#);
}
