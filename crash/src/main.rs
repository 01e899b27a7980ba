//! The command line of the harness.

use clap::{Args, Parser, Subcommand};
use crash::{
    Result,
    broken::Broken,
    disk::Watch,
    harness::{COMMANDS, COUNTS, Failure, Harness, Outcome, Settings},
    life::{Life, When},
    moment::{self, Moment},
    place::{Command, Place, Store, name},
};
use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode, thread, time::Instant};

/// Kills runs of the engine at every moment, and checks that nothing is lost.
///
/// Without arguments: every boundary, and 100 random lives. Exit code 0 when nothing was lost; with --broken, when the
/// harness has noticed.
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
    /// Kill at every boundary: four lives for each
    #[arg(long)]
    all: bool,
    /// Live so many lives that are killed at random moments, up to three times each
    #[arg(long, value_name = "LIVES", default_value_t = 0)]
    random: usize,
    /// Live this life alone, as a failure has printed it
    #[arg(long)]
    life: Option<Life>,
    /// Live each life so many times: random moments never fall twice into the same place
    #[arg(long, value_name = "N", default_value_t = 1)]
    times: usize,
    /// What everything random derives from; drawn and printed unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How many lives are lived at once; as many as there are processors unless given
    #[arg(long)]
    jobs: Option<usize>,
    #[command(flatten)]
    conditions: Conditions,
}

#[derive(Args)]
struct Conditions {
    /// How many operations of a run run at once
    #[arg(long, default_value_t = 4)]
    parallel: usize,
    /// Which store keeps the state
    #[arg(long, value_enum, default_value_t = Store::Files)]
    store: Store,
    /// Break recovery on purpose, which the harness has to notice
    #[arg(long, value_enum)]
    broken: Option<Broken>,
}

#[derive(Subcommand)]
enum Child {
    /// Runs one command, and dies when it is told to
    #[command(hide = true)]
    Child {
        #[arg(long)]
        directory: PathBuf,
        #[arg(long, value_enum)]
        run: Command,
        #[arg(long)]
        die: Option<Moment>,
        #[command(flatten)]
        conditions: Conditions,
    },
}

fn main() -> ExitCode {
    let Arguments { harness, child } = Arguments::parse();
    let outcome = match child {
        Some(Child::Child { directory, run, die, conditions }) => {
            let Conditions { parallel, store, broken } = conditions;
            run_child(&Place { program: PathBuf::new(), directory, store, parallel, broken }, run, die)
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

/// One command, in a process that may be killed.
fn run_child(place: &Place, command: Command, die: Option<Moment>) -> Result<ExitCode> {
    let watch = Watch::begin(place)?;
    moment::listen(die, move |boundary| {
        if let Some(watch) = &watch {
            watch.reached(boundary);
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(place.run(command))?;
    for failure in &report.failures {
        eprintln!("{failure}");
    }
    fs::write(place.directory.join(COUNTS), serde_json::to_vec(&moment::counts())?)?;
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_harness(arguments: HarnessArguments) -> Result<ExitCode> {
    let begun = Instant::now();
    let settings = Settings {
        program: std::env::current_exe()?,
        store: arguments.conditions.store,
        broken: arguments.conditions.broken,
        parallel: arguments.conditions.parallel,
        jobs: arguments.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)),
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        keep: 5,
    };
    println!("seed {}", settings.seed);
    let harness = Harness::prepare(settings.clone())?;
    let mut lives: Vec<Life> = arguments.life.into_iter().collect();
    if arguments.all {
        lives.extend(harness.enumerated(harness.moments()));
    }
    lives.extend(harness.random(arguments.random));
    match (lives.is_empty(), settings.broken) {
        (false, _) => {}
        (true, Some(_)) => lives.extend(harness.enumerated(harness.spread(100))),
        (true, None) => {
            lives.extend(harness.enumerated(harness.moments()));
            lives.extend(harness.random(100));
        }
    }
    let lives: Vec<Life> = (0..arguments.times).flat_map(|_| lives.clone()).collect();

    let mut table = Table::default();
    harness.live(lives, |outcome| {
        if let Some(failure) = &outcome.failure {
            explain(&outcome.life, failure, &settings);
        }
        table.add(&outcome);
    })?;
    table.print();
    let (lives, failed) = (table.lives(), table.failed());
    println!("{lives} lives in {:.1} s, {failed} failed", begun.elapsed().as_secs_f64());
    let Some(broken) = settings.broken else {
        return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    if failed == 0 {
        println!("recovery is broken ({}), and the harness has not noticed", name(&broken));
        return Ok(ExitCode::FAILURE);
    }
    println!("recovery is broken ({}), and the harness has noticed", name(&broken));
    Ok(ExitCode::SUCCESS)
}

/// What was lost, and how to lose it again.
fn explain(life: &Life, failure: &Failure, settings: &Settings) {
    let Failure { what, evidence, directory } = failure;
    let Some(directory) = directory else {
        return println!("FAILED {life}");
    };
    let broken = settings.broken.map(|broken| format!(" --broken {}", name(&broken))).unwrap_or_default();
    let Settings { seed, parallel, .. } = settings;
    println!("\nFAILED {life}\n{what}\n{evidence}  kept: {}", directory.display());
    println!("  again: cargo run -p crash -- --seed {seed} --parallel {parallel}{broken} --life {life}\n");
}

/// Lives by the boundary at which they died.
#[derive(Default)]
struct Table(BTreeMap<String, Row>);

#[derive(Default)]
struct Row {
    by_command: BTreeMap<Command, usize>,
    lives: usize,
    unharmed: usize,
    failed: usize,
}

impl Table {
    fn add(&mut self, outcome: &Outcome) {
        let Outcome { life, fallen, failure } = outcome;
        let name = match &life.blows[..] {
            [blow] => match &blow.when {
                When::At(moment) => moment.name.clone(),
                When::After(_) => "(random moment)".to_owned(),
            },
            blows => format!("({} deaths)", blows.len()),
        };
        let row = self.0.entry(name).or_default();
        *row.by_command.entry(life.command).or_default() += 1;
        row.lives += 1;
        row.unharmed += usize::from(*fallen == 0);
        row.failed += usize::from(failure.is_some());
    }

    fn lives(&self) -> usize {
        self.0.values().map(|row| row.lives).sum()
    }

    fn failed(&self) -> usize {
        self.0.values().map(|row| row.failed).sum()
    }

    fn print(&self) {
        let commands = COMMANDS.map(|command| format!("{:>8}", command.to_string()));
        println!("{:<16}{}   lives      ok  failed  (ended before the kill)", "killed at", commands.concat());
        for (name, row) in &self.0 {
            let by_command = COMMANDS.map(|command| {
                let lives = row.by_command.get(&command).copied().unwrap_or_default();
                format!("{lives:>8}")
            });
            let Row { lives, unharmed, failed, .. } = row;
            println!("{name:<16}{}{lives:>8}{:>8}{failed:>8}{unharmed:>8}", by_command.concat(), lives - failed);
        }
    }
}
