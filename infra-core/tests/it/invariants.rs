//! Random programs, failures and kills: the invariants hold, and a single run without faults then matches the program.

use crate::common::{Lifecycle, Port, Thing};
use infra_core::{Config, Output, Result, Stack, testing::Fault};
use proptest::prelude::*;

/// One declaration of a random program.
#[derive(Clone, Debug)]
struct Declared {
    name: u8,
    port: bool,
    place: u8,
    size: u32,
    /// The earlier declaration that it uses, and `true` if that forces its replacement.
    uses: Option<(u8, bool)>,
}

fn declared() -> impl Strategy<Value = Declared> {
    (0..6_u8, any::<bool>(), 0..2_u8, 0..3_u32, proptest::option::of((any::<u8>(), any::<bool>())))
        .prop_map(|(name, port, place, size, uses)| Declared { name, port, place, size, uses })
}

fn program(declarations: Vec<Declared>) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let mut ids: Vec<(String, Output<String>)> = Vec::new();
        for Declared { name, port, place, size, uses } in &declarations {
            let name = format!("t{name}");
            if ids.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let used = uses.filter(|_| !ids.is_empty());
            let used = used.map(|(at, forces)| (ids[usize::from(at) % ids.len()].1.clone(), forces));
            let id = if *port {
                stack.add(&name, Port { number: u32::from(*place).into(), uses: used.map(|(id, _)| id) }).id
            } else {
                let (place, uses) = match used {
                    Some((id, true)) => (Some(id), None),
                    other => (Some(format!("place {place}").into()), other.map(|(id, _)| id)),
                };
                stack.add(&name, Thing { size: Some(*size), place, uses, password: None }).id
            };
            ids.push((name, id));
        }
        Ok(())
    }
}

/// The failure of one run: the faults of its calls, and the number of polls after which it is killed.
#[derive(Clone, Debug)]
struct Mishap {
    faults: Vec<u8>,
    /// Number of lookups that do not find a created resource yet.
    lag: u32,
    polls: Option<u8>,
    parallel: usize,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    (proptest::collection::vec(0..8_u8, 0..12), 0..3_u32, proptest::option::of(0..80_u8), 1..5_usize)
        .prop_map(|(faults, lag, polls, parallel)| Mishap { faults, lag, polls, parallel })
}

async fn execute_runs(runs: Vec<(Vec<Declared>, Mishap)>) {
    let life = Lifecycle::new();
    for (declarations, Mishap { mut faults, lag, polls, parallel }) in runs.clone() {
        life.cloud.lag(lag);
        life.cloud.faults(move |_| match faults.pop() {
            // Throttled, or refused.
            Some(0) => Some(Fault::Before),
            Some(1) => Some(Fault::After),
            Some(2) => Some(Fault::Lost),
            // Only a kill ends that.
            Some(3) if polls.is_some() => Some(Fault::Hang),
            _ => None,
        });
        let program = program(declarations);
        let wrapped = life.wrap(&program);
        let run = life.engine().up(&wrapped).parallel(parallel).continue_on_error(parallel % 2 == 0);
        let mut run = run.into_future();
        for _ in 0..polls.map_or(usize::MAX, usize::from) {
            if futures::poll!(&mut run).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(run);
        life.check().await;
    }
    life.cloud.heal();
    let last = program(runs.last().unwrap().0.clone());
    match life.up(&last).await {
        // A dependent leaves a resource that must be deleted before its new dependency can be created: no order allows
        // that in one run. The plan is refused, and the message says so.
        Err(error) => {
            assert!(error.to_string().contains("wait for each other"), "{error}");
            life.apply(&|_, _| Ok(())).await;
            life.apply(&last).await;
        }
        Ok(report) => assert!(report.is_success(), "{:?}", report.failures),
    }
    let plan = life.engine().preview(&life.wrap(&last)).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    let state = life.engine().state().await.unwrap().unwrap();
    assert_eq!(state.live_count(), life.cloud.resources().values().map(Vec::len).sum::<usize>());
    assert!(life.cloud.resources().values().all(|ids| ids.len() == 1), "{:?}", life.cloud.resources());
    life.destroy().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_failures_leave_no_unrecorded_resource(
        runs in proptest::collection::vec((proptest::collection::vec(declared(), 0..8), mishap()), 1..5)
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(execute_runs(runs));
    }
}
