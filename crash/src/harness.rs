//! Enumeration and parallel execution of scenarios.

use crate::{
    Result,
    broken::Broken,
    check,
    cloud::Cloud,
    moment::{Counts, Moment},
    sandbox::{self, Command, Sandbox, Store},
    scenario::{AT_KILL, Ending, Kill, Scenario, Trigger},
};
use fastrand::Rng;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The commands of an uninterrupted run, in order.
pub const COMMANDS: [Command; 4] = [Command::UpA, Command::UpB, Command::Refresh, Command::Destroy];

/// Settings of a harness.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the executable that runs commands, which is this one.
    pub executable: PathBuf,
    /// Store of the states.
    pub store: Store,
    /// Deliberate defect, if any.
    pub broken: Option<Broken>,
    /// Maximum number of concurrent operations of a run.
    pub parallel: usize,
    /// Number of scenarios that run in parallel.
    pub jobs: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Maximum number of directories of failed scenarios that are kept.
    pub keep: usize,
}

/// The prepared inputs of scenarios: for each command, the sandbox before it, its boundaries and its duration.
pub struct Harness {
    settings: Settings,
    stages: BTreeMap<Command, Stage>,
    directory: TempDir,
    kept: AtomicUsize,
}

struct Stage {
    sandbox: Sandbox,
    counts: Counts,
    duration: Duration,
}

/// The result of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Scenario that was executed.
    pub scenario: Scenario,
    /// Number of kills that reached a running process.
    pub kills: usize,
    /// Failed check, if any.
    pub failure: Option<Failure>,
}

/// The failure of a scenario.
#[derive(Debug)]
pub struct Failure {
    /// Failed check.
    pub message: String,
    /// Open operations at each kill and present differences, as text.
    pub evidence: String,
    /// Directory of the scenario, if it was kept.
    pub directory: Option<PathBuf>,
}

impl Harness {
    /// Runs all commands once without a kill, and keeps a copy of the sandbox before each command.
    pub fn prepare(settings: Settings) -> Result<Self> {
        // In memory where possible: `disk` simulates the loss of unsynced data, so no real disk is needed.
        let memory = Path::new("/dev/shm");
        let builder = || tempfile::Builder::new().prefix("crash-").to_owned();
        let directory = builder().tempdir_in(memory).or_else(|_| builder().tempdir())?;
        let mut stages = BTreeMap::new();
        let here = Sandbox {
            executable: settings.executable.clone(),
            directory: directory.path().join("first"),
            store: settings.store,
            parallel: settings.parallel,
            broken: settings.broken,
        };
        fs::create_dir_all(here.files())?;
        for command in COMMANDS {
            if command == Command::Refresh {
                drift(&here)?;
            }
            let sandbox = here.copy_to(&directory.path().join(command.to_string()))?;
            let started = Instant::now();
            here.command(command)?;
            let duration = started.elapsed();
            let counts = serde_json::from_slice(&fs::read(here.directory.join(COUNTS))?)?;
            stages.insert(command, Stage { sandbox, counts, duration });
        }
        Ok(Self { settings, stages, directory, kept: AtomicUsize::new(0) })
    }

    /// Returns every boundary of every command.
    pub fn moments(&self) -> Vec<(Command, Moment)> {
        let of_stages = self.stages.iter().map(|(command, stage)| (command, moments_of(&stage.counts)));
        of_stages.flat_map(|(&command, moments)| moments.into_iter().map(move |moment| (command, moment))).collect()
    }

    /// Returns this number of boundaries, spread evenly.
    pub fn spread(&self, moments: usize) -> Vec<(Command, Moment)> {
        let all = self.moments();
        let count = moments.min(all.len());
        (0..count).map(|number| all[number * all.len() / count].clone()).collect()
    }

    /// Returns four scenarios for each moment: a kill followed by `up`, by the initial program or by `destroy`, and a kill
    /// with the loss of unsynced data followed by `up`.
    pub fn enumerated(&self, moments: impl IntoIterator<Item = (Command, Moment)>) -> Vec<Scenario> {
        let variants = [(false, Ending::Up), (false, Ending::Revert), (false, Ending::Destroy), (true, Ending::Up)];
        let scenarios = moments.into_iter().flat_map(|(command, moment)| {
            variants.map(|(cut, ending)| {
                let kill = Kill { trigger: Trigger::Boundary(moment.clone()), cut };
                Scenario { command, kills: vec![kill], ending }
            })
        });
        scenarios.collect()
    }

    /// Returns this number of scenarios with up to three kills at random moments.
    pub fn random(&self, scenarios: usize) -> Vec<Scenario> {
        let mut rng = Rng::with_seed(self.settings.seed);
        let mut random = Vec::new();
        for _ in 0..scenarios {
            let command = COMMANDS[rng.usize(..COMMANDS.len())];
            let ending = [Ending::Up, Ending::Revert, Ending::Destroy][rng.usize(..3)];
            let kills = [1, 1, 1, 2, 2, 3][rng.usize(..6)];
            let Stage { duration, counts, .. } = &self.stages[&command];
            let moments = moments_of(counts);
            let kill = |rng: &mut Rng| {
                // Two thirds of the kills follow a delay, so that they also happen between boundaries.
                let trigger = if rng.u8(..3) == 0 {
                    Trigger::Boundary(moments[rng.usize(..moments.len())].clone())
                } else {
                    Trigger::Delay(Duration::from_micros(rng.u64(..duration.as_micros() as u64)))
                };
                Kill { trigger, cut: rng.u8(..3) == 0 }
            };
            let kills = (0..kills).map(|_| kill(&mut rng)).collect();
            random.push(Scenario { command, kills, ending });
        }
        random
    }

    /// Runs the scenarios in parallel and passes each outcome to `report` when it is available.
    pub fn run(&self, scenarios: Vec<Scenario>, mut report: impl FnMut(Outcome)) -> Result<()> {
        let waiting = Mutex::new(scenarios.into_iter());
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..self.settings.jobs.max(1) {
                let sender = sender.clone();
                let waiting = &waiting;
                scope.spawn(move || {
                    loop {
                        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(scenario) = next else {
                            return;
                        };
                        if sender.send(self.run_one(scenario)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            receiver.into_iter().try_for_each(|outcome| outcome.map(&mut report))
        })
    }

    fn run_one(&self, scenario: Scenario) -> Result<Outcome> {
        let stage = &self.stages[&scenario.command];
        let directory = tempfile::Builder::new().prefix("scenario-").tempdir_in(self.directory.path())?;
        let sandbox = stage.sandbox.copy_to(&directory.path().join("scenario"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(scenario.run(&sandbox, self.settings.seed)) {
            Ok(kills) => Ok(Outcome { scenario, kills, failure: None }),
            Err(error) => {
                let evidence = runtime.block_on(evidence(&sandbox)).unwrap_or_else(|error| error.to_string());
                let directory = self.keep(directory.path())?;
                let failure = Failure { message: error.to_string(), evidence, directory };
                let kills = scenario.kills.len();
                Ok(Outcome { scenario, kills, failure: Some(failure) })
            }
        }
    }

    /// Copies the files of a failed scenario out of the harness's directory, which is deleted at the end.
    fn keep(&self, directory: &Path) -> Result<Option<PathBuf>> {
        if self.kept.fetch_add(1, Ordering::Relaxed) >= self.settings.keep {
            return Ok(None);
        }
        let kept = tempfile::Builder::new().prefix("crash-failed-").tempdir()?.keep();
        sandbox::copy(directory, &kept)?;
        Ok(Some(kept))
    }
}

/// Name of the file in which a command that finished writes how often it reached each boundary.
pub const COUNTS: &str = "counts.json";

fn moments_of(counts: &Counts) -> Vec<Moment> {
    let moments = counts.iter().flat_map(|(name, &count)| (1..=count).map(|nth| Moment { name: name.clone(), nth }));
    moments.collect()
}

/// Changes resources outside of the engine: changes the size of one, deletes another, and edits a file.
fn drift(sandbox: &Sandbox) -> Result<()> {
    let mut changed = 0;
    for mut record in Cloud::all_records(&sandbox.cloud())? {
        let path = sandbox.cloud().join(format!("{}.json", record.id));
        match record.request.label.split(' ').next_back() {
            Some("gateway") => {
                record.request.properties.insert("size".to_owned(), 99.into());
                fs::write(path, serde_json::to_vec_pretty(&record)?)?;
            }
            Some("coming") => fs::remove_file(path)?,
            _ => continue,
        }
        changed += 1;
    }
    let edited = sandbox.files().join("pages/index.html");
    match fs::write(edited, "edited by hand") {
        Ok(()) if changed == 2 => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Err("the program does not declare the resources that change before `refresh`".into()),
    }
}

/// Returns the open operations at each kill and the present differences.
async fn evidence(sandbox: &Sandbox) -> Result<String> {
    let mut text = String::new();
    let copies = (1..).map(|number| sandbox.directory.with_file_name(format!("{AT_KILL}{number}")));
    for directory in copies.take_while(|directory| directory.exists()) {
        let at_kill = Sandbox { directory, ..sandbox.clone() };
        match at_kill.state().await {
            Ok(Some(state)) => {
                writeln!(text, "  at the kill: snapshot {}, {} resources", state.serial, state.live_count())?;
                for open in &state.open {
                    let request = &open.request;
                    let (verb, urn) = (format!("{:?}", request.verb).to_lowercase(), request.urn.short());
                    writeln!(text, "    open: {verb} {urn} (operation {})", request.operation)?;
                }
                for difference in check::differences(&at_kill, &state)? {
                    writeln!(text, "    {difference}")?;
                }
            }
            Ok(None) => writeln!(text, "  at the kill: no state yet")?,
            Err(error) => writeln!(text, "  at the kill: the state could not be read: {error}")?,
        }
    }
    match sandbox.state().await {
        Ok(Some(state)) => {
            writeln!(text, "  now: snapshot {}, {} resources", state.serial, state.live_count())?;
            for difference in check::differences(sandbox, &state)? {
                writeln!(text, "    {difference}")?;
            }
        }
        Ok(None) => writeln!(text, "  now: no state")?,
        Err(error) => writeln!(text, "  now: the state cannot be read: {error}")?,
    }
    Ok(text)
}
