//! All the lives: every boundary of every command, and random moments.

use crate::{
    Result,
    broken::Broken,
    check,
    life::{AT_DEATH, Blow, Ending, Life, When},
    moment::{Counts, Moment},
    place::{self, Command, Place, Store},
    world::World,
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

/// The commands of the life that is interrupted, in order.
pub const COMMANDS: [Command; 4] = [Command::UpA, Command::UpB, Command::Refresh, Command::Destroy];

/// How a harness works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that runs the commands: this one.
    pub program: PathBuf,
    /// Which store keeps the states.
    pub store: Store,
    /// What is done wrong on purpose.
    pub broken: Option<Broken>,
    /// How many operations of a run run at once.
    pub parallel: usize,
    /// How many lives are lived at once.
    pub jobs: usize,
    /// What everything random derives from.
    pub seed: u64,
    /// How many directories of failed lives are kept.
    pub keep: usize,
}

/// Everything that lives need: each command's beginning, its boundaries, its duration.
pub struct Harness {
    settings: Settings,
    stages: BTreeMap<Command, Stage>,
    directory: TempDir,
    kept: AtomicUsize,
}

struct Stage {
    place: Place,
    counts: Counts,
    duration: Duration,
}

/// What became of a life.
#[derive(Debug)]
pub struct Outcome {
    /// The life.
    pub life: Life,
    /// How many blows fell before the process had come to its end.
    pub fallen: usize,
    /// What was wrong.
    pub failure: Option<Failure>,
}

/// A life that lost something.
#[derive(Debug)]
pub struct Failure {
    /// What, in words.
    pub what: String,
    /// What was open when it died, and what differs now.
    pub evidence: String,
    /// Its directory, if it was kept.
    pub directory: Option<PathBuf>,
}

impl Harness {
    /// Runs the life once without interruption, and keeps what each command found.
    pub fn prepare(settings: Settings) -> Result<Self> {
        // In memory where that is possible: what a disk would have kept is noted by `disk`, not tried.
        let memory = Path::new("/dev/shm");
        let builder = || tempfile::Builder::new().prefix("crash-").to_owned();
        let directory = builder().tempdir_in(memory).or_else(|_| builder().tempdir())?;
        let mut stages = BTreeMap::new();
        let here = Place {
            program: settings.program.clone(),
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
            let place = here.copy_to(&directory.path().join(command.to_string()))?;
            let begun = Instant::now();
            here.command(command)?;
            let duration = begun.elapsed();
            let counts = serde_json::from_slice(&fs::read(here.directory.join(COUNTS))?)?;
            stages.insert(command, Stage { place, counts, duration });
        }
        Ok(Self { settings, stages, directory, kept: AtomicUsize::new(0) })
    }

    /// Every boundary of every command.
    pub fn moments(&self) -> Vec<(Command, Moment)> {
        let of_stages = self.stages.iter().map(|(command, stage)| (command, moments_of(&stage.counts)));
        of_stages.flat_map(|(&command, moments)| moments.into_iter().map(move |moment| (command, moment))).collect()
    }

    /// So many of them, spread evenly.
    pub fn spread(&self, moments: usize) -> Vec<(Command, Moment)> {
        let all = self.moments();
        let wanted = moments.min(all.len());
        (0..wanted).map(|number| all[number * all.len() / wanted].clone()).collect()
    }

    /// Each moment as four lives: killed and brought in order, taken back, or destroyed at once; and with the power cut.
    pub fn enumerated(&self, moments: impl IntoIterator<Item = (Command, Moment)>) -> Vec<Life> {
        let ways = [(false, Ending::Up), (false, Ending::Back), (false, Ending::Destroy), (true, Ending::Up)];
        let lives = moments.into_iter().flat_map(|(command, moment)| {
            ways.map(|(cut, ending)| {
                let blow = Blow { when: When::At(moment.clone()), cut };
                Life { command, blows: vec![blow], ending }
            })
        });
        lives.collect()
    }

    /// Lives that are killed at random moments, up to three times each.
    pub fn random(&self, lives: usize) -> Vec<Life> {
        let mut rng = Rng::with_seed(self.settings.seed);
        let mut random = Vec::new();
        for _ in 0..lives {
            let command = COMMANDS[rng.usize(..COMMANDS.len())];
            let ending = [Ending::Up, Ending::Back, Ending::Destroy][rng.usize(..3)];
            let blows = [1, 1, 1, 2, 2, 3][rng.usize(..6)];
            let Stage { duration, counts, .. } = &self.stages[&command];
            let moments = moments_of(counts);
            let blow = |rng: &mut Rng| {
                // Two of three by the clock, which falls between boundaries as well.
                let when = if rng.u8(..3) == 0 {
                    When::At(moments[rng.usize(..moments.len())].clone())
                } else {
                    When::After(Duration::from_micros(rng.u64(..duration.as_micros() as u64)))
                };
                Blow { when, cut: rng.u8(..3) == 0 }
            };
            let blows = (0..blows).map(|_| blow(&mut rng)).collect();
            random.push(Life { command, blows, ending });
        }
        random
    }

    /// Lives them all, several at once, and tells each outcome as it comes.
    pub fn live(&self, lives: Vec<Life>, mut told: impl FnMut(Outcome)) -> Result<()> {
        let waiting = Mutex::new(lives.into_iter());
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..self.settings.jobs.max(1) {
                let sender = sender.clone();
                let waiting = &waiting;
                scope.spawn(move || {
                    loop {
                        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(life) = next else {
                            return;
                        };
                        if sender.send(self.live_one(life)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            receiver.into_iter().try_for_each(|outcome| outcome.map(&mut told))
        })
    }

    fn live_one(&self, life: Life) -> Result<Outcome> {
        let stage = &self.stages[&life.command];
        let directory = tempfile::Builder::new().prefix("life-").tempdir_in(self.directory.path())?;
        let place = stage.place.copy_to(&directory.path().join("life"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(life.live(&place, self.settings.seed)) {
            Ok(fallen) => Ok(Outcome { life, fallen, failure: None }),
            Err(error) => {
                let evidence = runtime.block_on(evidence(&place)).unwrap_or_else(|error| error.to_string());
                let directory = self.keep(directory.path())?;
                let failure = Failure { what: error.to_string(), evidence, directory };
                let fallen = life.blows.len();
                Ok(Outcome { life, fallen, failure: Some(failure) })
            }
        }
    }

    /// Copies what is left of a life out of the directory that goes with the harness.
    fn keep(&self, directory: &Path) -> Result<Option<PathBuf>> {
        if self.kept.fetch_add(1, Ordering::Relaxed) >= self.settings.keep {
            return Ok(None);
        }
        let kept = tempfile::Builder::new().prefix("crash-failed-").tempdir()?.keep();
        place::copy(directory, &kept)?;
        Ok(Some(kept))
    }
}

/// Where a command that came to its end leaves how often it reached each boundary.
pub const COUNTS: &str = "counts.json";

fn moments_of(counts: &Counts) -> Vec<Moment> {
    let moments = counts.iter().flat_map(|(name, &count)| (1..=count).map(|nth| Moment { name: name.clone(), nth }));
    moments.collect()
}

/// What changes behind the engine's back: one thing grows, one vanishes, a file is edited.
fn drift(place: &Place) -> Result<()> {
    let mut changed = 0;
    for mut record in World::everything(&place.world())? {
        let path = place.world().join(format!("{}.json", record.id));
        match record.wanted.label.split(' ').next_back() {
            Some("gateway") => {
                record.wanted.properties.insert("size".to_owned(), 99.into());
                fs::write(path, serde_json::to_vec_pretty(&record)?)?;
            }
            Some("coming") => fs::remove_file(path)?,
            _ => continue,
        }
        changed += 1;
    }
    let edited = place.files().join("pages/index.html");
    match fs::write(edited, "edited by hand") {
        Ok(()) if changed == 2 => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Err("the program no longer declares what is to be changed behind the engine's back".into()),
    }
}

/// What was open at the last death, and what differs now.
async fn evidence(place: &Place) -> Result<String> {
    let mut text = String::new();
    let deaths = (1..).map(|number| place.directory.with_file_name(format!("{AT_DEATH}{number}")));
    for directory in deaths.take_while(|directory| directory.exists()) {
        let at_death = Place { directory, ..place.clone() };
        match at_death.state().await {
            Ok(Some(state)) => {
                writeln!(text, "  at death: snapshot {}, {} things recorded", state.serial, state.live_count())?;
                for open in &state.open {
                    let request = &open.request;
                    let (verb, urn) = (format!("{:?}", request.verb).to_lowercase(), request.urn.short());
                    writeln!(text, "    open: {verb} {urn} (operation {})", request.operation)?;
                }
                for difference in check::difference(&at_death, &state)? {
                    writeln!(text, "    {difference}")?;
                }
            }
            Ok(None) => writeln!(text, "  at death: no state yet")?,
            Err(error) => writeln!(text, "  at death: the state could not be read: {error}")?,
        }
    }
    match place.state().await {
        Ok(Some(state)) => {
            writeln!(text, "  now: snapshot {}, {} things recorded", state.serial, state.live_count())?;
            for difference in check::difference(place, &state)? {
                writeln!(text, "    {difference}")?;
            }
        }
        Ok(None) => writeln!(text, "  now: no state")?,
        Err(error) => writeln!(text, "  now: the state cannot be read: {error}")?,
    }
    Ok(text)
}
