//! Random programs: a rehearsal has the outcome of the run that follows it.

use infra_aws::{
    self as aws, LogGroup, Parameter, Region, Role, RouteTable, SecurityGroup, Subnet, TargetGroup, Vpc, VpcOutputs,
};
use infra_core::{
    Config, Engine, Result, Stack, Urn,
    diff::Action,
    engine::EngineError,
    event::{Event, Events},
    plan::Selection,
    store::MemoryStore,
};
use infra_local::{LocalCloud, NetworkChoice, Options};
use infra_rehearsal::{Deployment, Rehearsal, RehearsalError, Schemas};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
    test_runner::{Config as Cases, TestRng, TestRunner},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

/// Number of random histories.
const CASES: u32 = 6;

/// Number of programs that a history deploys one after another.
const PROGRAMS: usize = 3;

/// Maximum number of resources beside the VPCs.
const MOST: usize = 12;

/// A declaration of a random program. Numbers select one of few names, ranges and values, so that some of a program collide.
/// Those of different programs never do: whether a name is free before its former owner is deleted is left to chance.
#[derive(Clone, Debug)]
enum Piece {
    Subnet { vpc: usize, range: usize },
    Group { vpc: usize, name: usize },
    Routes { vpc: usize },
    Targets { vpc: usize, name: usize },
    Role { name: usize },
    Parameter { name: usize, value: usize },
    Logs { name: usize, days: u32 },
}

/// A random program: its declarations by label, and the number that distinguishes its names from those of other programs.
#[derive(Clone, Debug)]
struct Random {
    number: usize,
    pieces: Vec<(usize, Piece)>,
}

fn pieces() -> impl Strategy<Value = Piece> {
    prop_oneof![
        (0..2_usize, 0..4_usize).prop_map(|(vpc, range)| Piece::Subnet { vpc, range }),
        (0..2_usize, 0..2_usize).prop_map(|(vpc, name)| Piece::Group { vpc, name }),
        (0..2_usize).prop_map(|vpc| Piece::Routes { vpc }),
        (0..2_usize, 0..2_usize).prop_map(|(vpc, name)| Piece::Targets { vpc, name }),
        (0..2_usize).prop_map(|name| Piece::Role { name }),
        (0..2_usize, 0..3_usize).prop_map(|(name, value)| Piece::Parameter { name, value }),
        (0..2_usize, prop_oneof![Just(1), Just(2), Just(7)]).prop_map(|(name, days)| Piece::Logs { name, days }),
    ]
}

fn programs() -> impl Strategy<Value = Vec<Random>> {
    let number =
        |programs: Vec<_>| programs.into_iter().enumerate().map(|(number, pieces)| Random { number, pieces }).collect();
    vec(vec((0..MOST, pieces()), 0..MOST), PROGRAMS).prop_map(number)
}

fn declare(virginia: &Region, vpcs: &[VpcOutputs], program: usize, (label, piece): (usize, &Piece)) {
    let name = |kind: &str| format!("{kind}-{label}");
    let named = |kind: &str, name: usize| Some(format!("{kind}-{program}-{}", ["a", "b"][name]));
    match *piece {
        Piece::Subnet { vpc, range } => {
            let range = format!("10.{}.{}.0/24", range / 2, 2 * program + range % 2);
            virginia.add(&name("subnet"), Subnet::of(&vpcs[vpc].id, range));
        }
        Piece::Group { vpc, name: group } => {
            let group = SecurityGroup { name: named("group", group), ..SecurityGroup::in_vpc(&vpcs[vpc].id) };
            virginia.add(&name("group"), group);
        }
        Piece::Routes { vpc } => drop(virginia.add(&name("routes"), RouteTable::of(&vpcs[vpc].id))),
        Piece::Targets { vpc, name: group } => {
            let group = TargetGroup { name: named("targets", group), ..TargetGroup::http(80, &vpcs[vpc].id) };
            virginia.add(&name("targets"), group);
        }
        Piece::Role { name: role } => {
            let role = Role { name: named("role", role), ..Role::for_service("ec2.amazonaws.com") };
            virginia.add(&name("role"), role);
        }
        Piece::Parameter { name: parameter, value } => {
            let parameter = Parameter { name: named("/parameter", parameter), ..Parameter::plain(format!("{value}")) };
            virginia.add(&name("parameter"), parameter);
        }
        Piece::Logs { name: group, days } => {
            let group = LogGroup { name: named("logs", group), retention_days: Some(days), ..LogGroup::default() };
            virginia.add(&name("logs"), group);
        }
    }
}

impl Random {
    fn run(&self, stack: &Stack, _: &Config) -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let vpcs = [0, 1].map(|number| virginia.add(&format!("vpc-{number}"), Vpc::new(format!("10.{number}.0.0/16"))));
        let mut labels = std::collections::BTreeSet::new();
        for (label, piece) in self.pieces.iter().filter(|(label, _)| labels.insert(*label)) {
            declare(&virginia, &vpcs, self.number, (*label, piece));
        }
        Ok(())
    }
}

/// The number of steps by kind, action and success. Which one of two equal names is created first is left to chance, and so is
/// whether the handler or the API finds the other one, so neither labels nor messages are compared.
#[derive(Debug, Default, PartialEq)]
struct Outcome(BTreeMap<String, usize>);

impl Outcome {
    fn step(&mut self, urn: &Urn, action: Action, succeeded: bool) {
        *self.0.entry(format!("{} {action:?} {succeeded}", urn.kind())).or_default() += 1;
    }

    fn of_rehearsal(rehearsal: &Rehearsal) -> Outcome {
        let mut outcome = Outcome::default();
        rehearsal.steps.iter().for_each(|step| outcome.step(&step.urn, step.action, step.succeeded));
        outcome
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::StepFinished { urn, action, .. } => self.step(urn, *action, true),
            Event::StepFailed { urn, action, .. } => self.step(urn, *action, false),
            _ => {}
        }
    }
}

async fn check(history: &[Random]) {
    let directory = TempDir::new().unwrap();
    let options = Options { network: NetworkChoice::Loopback, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    for program in history {
        let script = |stack: &Stack, config: &Config| program.run(stack, config);
        let deployment = Deployment {
            program: "program".to_owned(),
            stack: "dev".to_owned(),
            target: "aws".to_owned(),
            account: None,
            script: &script,
            config: BTreeMap::new(),
            policies: Vec::new(),
            recorded: engine.state().await.unwrap(),
            neighbours: Vec::new(),
            schemas: Schemas::default(),
        };
        let rehearsal = infra_rehearsal::rehearse(&deployment, Selection::default(), Events::ignored()).await;
        let rehearsal = match rehearsal {
            Ok(rehearsal) => rehearsal,
            Err(RehearsalError::Engine(EngineError::Refused(_))) => {
                assert!(matches!(engine.up(&script).await, Err(EngineError::Refused(_))), "{program:#?}");
                continue;
            }
            Err(error) => panic!("{error}: {program:#?}"),
        };
        assert!(rehearsal.not_rehearsed.iter().all(|it| it.reason.contains("depends on")), "{rehearsal:?}");
        assert!(rehearsal.perpetual.is_empty(), "{:?}", rehearsal.perpetual);
        let observed = Arc::new(Mutex::new(Outcome::default()));
        let observer = observed.clone();
        let events = Events::to(move |event| observer.lock().unwrap().add(&event));
        engine.up(&script).continue_on_error(true).events(events).await.unwrap();
        let observed = std::mem::take(&mut *observed.lock().unwrap());
        assert_eq!(Outcome::of_rehearsal(&rehearsal), observed, "{program:#?}");
    }
    let nothing = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    assert!(engine.destroy(&nothing).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[test]
fn random_programs_run_as_they_were_rehearsed() {
    let cases = Cases { cases: CASES, max_shrink_iters: 20, failure_persistence: None, ..Cases::default() };
    let rng = TestRng::deterministic_rng(cases.rng_algorithm);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new_with_rng(cases, rng);
    let outcome = runner.run(&programs(), |history| {
        runtime.block_on(check(&history));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
