//! Where one life happens: a directory that holds a store, a world and a tree of files.

use crate::{
    Result,
    broken::Broken,
    files, kinds, programs,
    shelf::{Hasty, Shelf},
    world::World,
};
use clap::ValueEnum;
use infra_core::{
    Config, Engine, Stack,
    engine::EngineError,
    execute::Report,
    plan::Plan,
    state::State,
    store::{FileStore, ObjectStateStore, StateStore},
};
use object_store::{ObjectStore, PutMode};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::Arc,
};

/// The program's name, and the stack's.
const PROGRAM: &str = "crash";
const STACK: &str = "test";

/// Which store keeps the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// Local files.
    Files,
    /// An object store with a lease, on a clock that runs ahead.
    Objects,
}

/// What a process is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Command {
    /// `up` of what is declared first.
    UpA,
    /// `up` of what it becomes.
    UpB,
    /// `up` of what was declared first, as if the change were taken back.
    TakeBack,
    /// `refresh`, after things have changed behind the engine's back.
    Refresh,
    /// `destroy`.
    Destroy,
}

/// Where a life happens, and under which conditions.
#[derive(Clone, Debug)]
pub struct Place {
    /// The program that runs commands: this one.
    pub program: PathBuf,
    /// Its directory.
    pub directory: PathBuf,
    /// Which store keeps the state.
    pub store: Store,
    /// How many operations run at once.
    pub parallel: usize,
    /// What is done wrong on purpose.
    pub broken: Option<Broken>,
}

impl Place {
    /// Runs one command to its end, in a process of its own as every run is.
    pub fn command(&self, command: Command) -> Result<()> {
        let output = self.process(command).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{command} did not succeed:\n{told}").into()) }
    }

    /// The process that runs a command.
    pub fn process(&self, command: Command) -> process::Command {
        let mut process = process::Command::new(&self.program);
        process.arg("child").arg("--directory").arg(&self.directory);
        process.args(["--run", &name(&command), "--parallel", &self.parallel.to_string()]);
        process.args(["--store", &name(&self.store)]);
        process.args(self.broken.iter().flat_map(|broken| ["--broken".to_owned(), name(broken)]));
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        process
    }

    /// Runs one command in this process.
    pub async fn run(&self, command: Command) -> Result<Report> {
        let program = self.declared(command, World::next_run(self.world())?);
        let engine = self.engine().await?;
        let report = match command {
            Command::UpA | Command::UpB | Command::TakeBack => engine.up(&program).await,
            Command::Refresh => engine.refresh(&program).await,
            Command::Destroy => engine.destroy(&program).await,
        };
        Ok(report.map_err(told)?)
    }

    /// What `up` of the command's program would do.
    pub async fn preview(&self, command: Command) -> Result<Plan> {
        let program = self.declared(command, World::visit(self.world()));
        Ok(self.engine().await?.preview(&program).await.map_err(told)?)
    }

    /// What the store holds.
    pub async fn state(&self) -> Result<Option<State>> {
        Ok(self.engine().await?.state().await?)
    }

    /// Where the world lies.
    pub fn world(&self) -> PathBuf {
        self.directory.join("world")
    }

    /// Where the tree of files lies.
    pub fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// The directory of the stack's own files, when the store has such.
    pub fn stack_files(&self) -> Option<PathBuf> {
        match self.store {
            Store::Files => Some(self.directory.join("store").join(PROGRAM).join(STACK)),
            Store::Objects => None,
        }
    }

    /// A copy of all of it in another directory.
    pub fn copy_to(&self, directory: &Path) -> io::Result<Self> {
        copy(&self.directory, directory)?;
        Ok(Self { directory: directory.to_owned(), ..self.clone() })
    }

    async fn engine(&self) -> Result<Engine> {
        let store = self.directory.join("store");
        match self.store {
            Store::Files => Ok(self.engine_with(FileStore::new(store))),
            Store::Objects => {
                let objects = Shelf::new(store)?;
                // A key that nothing wraps, as the first versions wrote it: stretching a passphrase takes its time.
                let key = object_store::path::Path::from("states/secrets.key");
                match objects.put_opts(&key, "07".repeat(32).into(), PutMode::Create.into()).await {
                    Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let store = ObjectStateStore::new(Arc::new(objects), "states").clock(Arc::new(Hasty::default()));
                Ok(self.engine_with(store))
            }
        }
    }

    fn engine_with(&self, store: impl StateStore + 'static) -> Engine {
        Engine::new(PROGRAM, STACK, store).parallel(self.parallel)
    }

    fn declared(&self, command: Command, world: World) -> impl Fn(&Stack, &Config) -> infra_core::Result + Sync {
        let (files, broken) = (self.files(), self.broken);
        move |stack, _| {
            stack.provide("world", || kinds::provider(world.clone(), broken));
            stack.provide("files", || files::provider(&files));
            match command {
                Command::UpA => programs::before(stack),
                Command::TakeBack => programs::taken_back(stack),
                Command::UpB | Command::Refresh | Command::Destroy => programs::after(stack),
            }
        }
    }
}

/// Every message of an error, with what to do about it.
fn told(error: EngineError) -> String {
    let messages: Vec<String> = error.diagnostics().iter().map(ToString::to_string).collect();
    messages.join("\n")
}

/// How a value is written on the command line.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Copies a directory and everything below it.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(self))
    }
}
