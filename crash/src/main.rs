//! The command line of the harness.

use clap::{Args, Parser, Subcommand};
use crash::{
    Result,
    broken::Broken,
    disk::Watch,
    harness::{COMMANDS, COUNTS, Failure, Harness, Outcome, Settings},
    moment::{self, Moment},
    sandbox::{Command, Sandbox, Store, name},
    scenario::{Scenario, Trigger},
};
use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode, thread, time::Instant};

/// Kill runs of the engine at any moment and check that no resource is lost
///
/// Without arguments, runs scenarios for every boundary and 100 random ones. Exits with code 0 if no scenario fails; with
/// --broken, if the harness detects the defect.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    harness: HarnessArguments,
    #[command(subcommand)]
    child: Option<Child>,
}

#[derive(Args)]
struct HarnessArguments {
    /// Kill at every boundary, in four scenarios each
    #[arg(long)]
    all: bool,
    /// Run this number of scenarios with up to three kills at random moments
    #[arg(long, value_name = "SCENARIOS", default_value_t = 0)]
    random: usize,
    /// Run only this scenario, as printed with a failure
    #[arg(long)]
    scenario: Option<Scenario>,
    /// Repeat each scenario this number of times, because a kill after a delay is not reproducible
    #[arg(long, value_name = "N", default_value_t = 1)]
    times: usize,
    /// Seed of the random numbers; generated and printed by default
    #[arg(long)]
    seed: Option<u64>,
    /// Number of scenarios that run in parallel; the number of processors by default
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    conditions: Conditions,
}

#[derive(Args)]
struct Conditions {
    /// Maximum number of concurrent operations of a run
    #[arg(long, default_value_t = 4)]
    parallel: usize,
    /// Store of the state
    #[arg(long, value_enum, default_value_t = Store::Files)]
    store: Store,
    /// Break recovery deliberately; the harness must detect it
    #[arg(long, value_enum)]
    broken: Option<Broken>,
}

#[derive(Subcommand)]
enum Child {
    /// Run a command and kill the process at a boundary
    #[command(hide = true)]
    Child {
        #[arg(long)]
        directory: PathBuf,
        #[arg(long, value_enum)]
        run: Command,
        #[arg(long)]
        kill_at: Option<Moment>,
        #[command(flatten)]
        conditions: Conditions,
    },
}

fn main() -> ExitCode {
    let Arguments { harness, child } = Arguments::parse();
    let outcome = match child {
        Some(Child::Child { directory, run, kill_at, conditions }) => {
            let Conditions { parallel, store, broken } = conditions;
            run_child(&Sandbox { executable: PathBuf::new(), directory, store, parallel, broken }, run, kill_at)
        }
        None => run_harness(harness),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command in a process that may be killed.
fn run_child(sandbox: &Sandbox, command: Command, kill_at: Option<Moment>) -> Result<ExitCode> {
    let watch = Watch::begin(sandbox)?;
    moment::listen(kill_at, move |boundary| {
        if let Some(watch) = &watch {
            watch.reached(boundary);
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(sandbox.run(command))?;
    for failure in &report.failures {
        eprintln!("{failure}");
    }
    fs::write(sandbox.directory.join(COUNTS), serde_json::to_vec(&moment::counts())?)?;
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_harness(arguments: HarnessArguments) -> Result<ExitCode> {
    let started = Instant::now();
    let settings = Settings {
        executable: std::env::current_exe()?,
        store: arguments.conditions.store,
        broken: arguments.conditions.broken,
        parallel: arguments.conditions.parallel,
        jobs: arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)),
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        keep: 5,
    };
    println!("seed {}", settings.seed);
    let harness = Harness::prepare(settings.clone())?;
    let mut scenarios: Vec<Scenario> = arguments.scenario.into_iter().collect();
    if arguments.all {
        scenarios.extend(harness.enumerated(harness.moments()));
    }
    scenarios.extend(harness.random(arguments.random));
    match (scenarios.is_empty(), settings.broken) {
        (false, _) => {}
        (true, Some(_)) => scenarios.extend(harness.enumerated(harness.spread(100))),
        (true, None) => {
            scenarios.extend(harness.enumerated(harness.moments()));
            scenarios.extend(harness.random(100));
        }
    }
    let scenarios: Vec<Scenario> = (0..arguments.times).flat_map(|_| scenarios.clone()).collect();

    let mut table = Table::default();
    harness.run(scenarios, |outcome| {
        if let Some(failure) = &outcome.failure {
            explain(&outcome.scenario, failure, &settings);
        }
        table.add(&outcome);
    })?;
    table.print();
    let (scenarios, failed) = (table.scenarios(), table.failed());
    println!("{scenarios} scenarios in {:.1} s, {failed} failed", started.elapsed().as_secs_f64());
    let Some(broken) = settings.broken else {
        return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    if failed == 0 {
        println!("the harness has not detected that recovery is broken ({})", name(&broken));
        return Ok(ExitCode::FAILURE);
    }
    println!("the harness has detected that recovery is broken ({})", name(&broken));
    Ok(ExitCode::SUCCESS)
}

/// Prints a failure and the command that repeats it.
fn explain(scenario: &Scenario, failure: &Failure, settings: &Settings) {
    let Failure { message, evidence, directory } = failure;
    let Some(directory) = directory else {
        return println!("FAILED {scenario}");
    };
    let broken = settings.broken.map(|broken| format!(" --broken {}", name(&broken))).unwrap_or_default();
    let Settings { seed, parallel, store, .. } = settings;
    println!("\nFAILED {scenario}\n{message}\n{evidence}  directory: {}", directory.display());
    println!(
        "  repeat with: cargo run -p crash -- --seed {seed} --parallel {parallel} --store {}{broken} --scenario {scenario}\n",
        name(store)
    );
}

/// Numbers of scenarios by the boundary of the kill.
#[derive(Default)]
struct Table(BTreeMap<String, Row>);

#[derive(Default)]
struct Row {
    by_command: BTreeMap<Command, usize>,
    scenarios: usize,
    finished: usize,
    failed: usize,
}

impl Table {
    fn add(&mut self, outcome: &Outcome) {
        let Outcome { scenario, kills, failure } = outcome;
        let name = match &scenario.kills[..] {
            [kill] => match &kill.trigger {
                Trigger::Boundary(moment) => moment.name.clone(),
                Trigger::Delay(_) => "(random moment)".to_owned(),
            },
            kills => format!("({} kills)", kills.len()),
        };
        let row = self.0.entry(name).or_default();
        *row.by_command.entry(scenario.command).or_default() += 1;
        row.scenarios += 1;
        row.finished += usize::from(*kills == 0);
        row.failed += usize::from(failure.is_some());
    }

    fn scenarios(&self) -> usize {
        self.0.values().map(|row| row.scenarios).sum()
    }

    fn failed(&self) -> usize {
        self.0.values().map(|row| row.failed).sum()
    }

    fn print(&self) {
        let commands = COMMANDS.map(|command| format!("{:>8}", command.to_string()));
        println!("{:<16}{}   total      ok  failed  (finished before the kill)", "killed at", commands.concat());
        for (name, row) in &self.0 {
            let by_command = COMMANDS.map(|command| {
                let scenarios = row.by_command.get(&command).copied().unwrap_or_default();
                format!("{scenarios:>8}")
            });
            let Row { scenarios, finished, failed, .. } = row;
            println!(
                "{name:<16}{}{scenarios:>8}{:>8}{failed:>8}{finished:>8}",
                by_command.concat(),
                scenarios - failed
            );
        }
    }
}
