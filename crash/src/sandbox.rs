//! The directory of a scenario, with a store, a simulated cloud and a tree of files, and the commands that run in it.

use crate::{
    Result,
    broken::Broken,
    cloud::Cloud,
    files, kinds,
    objects::{DirectoryObjects, FastClock},
    programs,
};
use clap::ValueEnum;
use infra_core::{
    Config, Engine, Stack,
    engine::EngineError,
    execute::Report,
    plan::Plan,
    state::State,
    store::{FileStore, ObjectStateStore},
};
use object_store::{ObjectStore, PutMode};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::Arc,
};

/// Names of the program and of the stack.
const PROGRAM: &str = "crash";
const STACK: &str = "test";

/// The store of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// Local files.
    Files,
    /// An object store with a lease and an accelerated clock.
    Objects,
}

/// A command that a process executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Command {
    /// `up` of the initial program.
    UpA,
    /// `up` of the changed program.
    UpB,
    /// `up` of the initial program after a change has been started.
    Revert,
    /// `refresh`, after resources have changed outside of the engine.
    Refresh,
    /// `destroy`.
    Destroy,
}

/// The directory of a scenario, and the conditions under which commands run in it.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Path of the executable that runs commands, which is this one.
    pub executable: PathBuf,
    /// Path of the directory.
    pub directory: PathBuf,
    /// Store of the state.
    pub store: Store,
    /// Maximum number of concurrent operations.
    pub parallel: usize,
    /// Deliberate defect, if any.
    pub broken: Option<Broken>,
}

impl Sandbox {
    /// Runs a command to completion, in a separate process.
    pub fn command(&self, command: Command) -> Result<()> {
        let output = self.process(command).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("{command} failed:\n{errors}").into()) }
    }

    /// Returns the process that runs a command.
    pub fn process(&self, command: Command) -> process::Command {
        let mut process = process::Command::new(&self.executable);
        process.arg("child").arg("--directory").arg(&self.directory);
        process.args(["--run", &name(&command), "--parallel", &self.parallel.to_string()]);
        process.args(["--store", &name(&self.store)]);
        process.args(self.broken.iter().flat_map(|broken| ["--broken".to_owned(), name(broken)]));
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        process
    }

    /// Runs a command in this process.
    pub async fn run(&self, command: Command) -> Result<Report> {
        let program = self.program(command, Cloud::next_run(self.cloud())?);
        let engine = self.engine().await?;
        let report = match command {
            Command::UpA | Command::UpB | Command::Revert => engine.up(&program).parallel(self.parallel).await,
            Command::Refresh => engine.refresh(&program).parallel(self.parallel).await,
            Command::Destroy => engine.destroy(&program).parallel(self.parallel).await,
        };
        Ok(report.map_err(describe)?)
    }

    /// Plans `up` of the command's program.
    pub async fn preview(&self, command: Command) -> Result<Plan> {
        let program = self.program(command, Cloud::read_only(self.cloud()));
        Ok(self.engine().await?.preview(&program).await.map_err(describe)?)
    }

    /// Returns the state in the store.
    pub async fn state(&self) -> Result<Option<State>> {
        Ok(self.engine().await?.state().await?)
    }

    /// Returns the directory of the simulated cloud.
    pub fn cloud(&self) -> PathBuf {
        self.directory.join("cloud")
    }

    /// Returns the root of the tree of files.
    pub fn files(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// Returns the directory of the stack's state files; `None` for the object store.
    pub fn stack_files(&self) -> Option<PathBuf> {
        match self.store {
            Store::Files => Some(self.directory.join("store").join(PROGRAM).join(STACK)),
            Store::Objects => None,
        }
    }

    /// Copies the sandbox to another directory.
    pub fn copy_to(&self, directory: &Path) -> io::Result<Self> {
        copy(&self.directory, directory)?;
        Ok(Self { directory: directory.to_owned(), ..self.clone() })
    }

    async fn engine(&self) -> Result<Engine> {
        let store = self.directory.join("store");
        match self.store {
            Store::Files => Ok(Engine::new(PROGRAM, STACK, FileStore::new(store))),
            Store::Objects => {
                let objects = DirectoryObjects::new(store)?;
                // An unwrapped key in the format of the first versions, because deriving a key from a passphrase is slow.
                let key = object_store::path::Path::from("states/secrets.key");
                match objects.put_opts(&key, "07".repeat(32).into(), PutMode::Create.into()).await {
                    Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                let store = ObjectStateStore::new(Arc::new(objects), "states").clock(Arc::new(FastClock::default()));
                Ok(Engine::new(PROGRAM, STACK, store))
            }
        }
    }

    fn program(&self, command: Command, cloud: Cloud) -> impl Fn(&Stack, &Config) -> infra_core::Result + Sync {
        let (files, broken) = (self.files(), self.broken);
        move |stack, _| {
            stack.provide("cloud", || kinds::provider(cloud.clone(), broken));
            stack.provide("files", || files::provider(&files));
            match command {
                Command::UpA => programs::initial(stack),
                Command::Revert => programs::reverted(stack),
                Command::UpB | Command::Refresh | Command::Destroy => programs::changed(stack),
            }
        }
    }
}

/// Returns all diagnostics of an error with their hints.
fn describe(error: EngineError) -> String {
    let messages: Vec<String> = error.diagnostics().iter().map(ToString::to_string).collect();
    messages.join("\n")
}

/// Returns the form of a value on the command line.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Copies a directory recursively.
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
