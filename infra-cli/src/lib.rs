//! The `stack` command for user-defined programs.
//!
//! # Tutorial
//! A stack command is a `main` with one or several programs:
//!
//! ```no_run
//! use infra_cli::program;
//! use infra_core::{Config, Result, Stack, random::Password};
//! use std::process::ExitCode;
//!
//! /// Declares a password whose length is configured.
//! fn secrets(stack: &Stack, config: &Config) -> Result {
//!     let password = stack.add("password", Password::of_length(config.get_or("length", 32_u32)?));
//!     stack.export("password", password.value);
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     infra_cli::run([program("secrets", secrets)])
//! }
//! ```
//!
//! The executable previews, applies, inspects and destroys the stacks of its programs:
//!
//! ```console
//! $ cargo run -- preview
//! $ cargo run -- up
//! $ cargo run -- output password --show-secrets
//! $ cargo run -- config set length 40
//! $ cargo run -- --stack test up
//! $ cargo run -- destroy
//! ```
//!
//! The default target is a local cloud, which the command starts when it is needed; `--target aws` deploys to AWS.
//! [`Cli`] adds the parts of a provider: the check of its credentials, its key service for secrets, and its object store for
//! states. The `--help` of each command lists its options, and `docs/src/exit-codes.md` the exit codes.
//!
//! # Layout
//! - `arguments`: argument groups that several commands share
//! - `session`: program, stack, target and directory of a command
//! - `deployed`: the cloud that a stack is deployed to
//! - `files`: files that only their owner can read
//! - `owner`: the check of the directory's owner and mode
//! - `passphrase`: input of passphrases and secret values
//! - `local_cloud`: start, search and stop of the local cloud
//! - `settings`: settings of commands
//! - `schemas`: schemas of CloudFormation types
//! - `deployment`: a stack for rehearsals
//! - `posix_shell`: words and command lines for a shell
//! - `remote`: connections to instances on AWS
//! - `commands`: one file per command
//! - `render`: events as text, in place on a terminal, or as JSON lines
//! - `failure`: errors of commands
//! - `exit`: exit codes

// `println!` and `eprintln!` panic when the reader of a pipe has exited, as in `stack … | head -1`. Commands print
// through these macros, so that they finish and return their own exit code.

/// Prints a line to standard output.
macro_rules! print_line {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($words)*);
    }};
}

/// Prints text to standard output without adding a line break.
macro_rules! print_text {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout().lock(), $($words)*);
    }};
}

/// Prints a line to standard error.
macro_rules! print_error {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($words)*);
    }};
}

mod arguments;
mod commands;
mod deployed;
mod deployment;
mod exit;
mod failure;
mod files;
mod local_cloud;
mod owner;
mod passphrase;
mod posix_shell;
mod remote;
mod render;
mod schemas;
mod session;
mod settings;

use clap::Parser;
use futures::{FutureExt, future::BoxFuture};
use infra_core::{
    Config, Result, Stack, Target, diagnostic::Diagnostic, instances::Instance, monitoring::Monitoring,
    store::WrapperFactory,
};
use object_store::ObjectStore;
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::Arc,
};

/// A program that the command can run.
pub struct Program {
    name: String,
    about: Option<String>,
    demo: Option<Box<Demo>>,
    run: Box<Run>,
}

/// Outputs of a stack, with secrets in plain text.
pub type StackOutputs = BTreeMap<String, infra_core::value::Value>;

type Demo = dyn Fn(StackOutputs) -> BoxFuture<'static, Result<(), Diagnostic>> + Send + Sync;
type Run = dyn Fn(&Stack, &Config) -> Result + Send + Sync;

/// Returns a program that `--program` selects by this name.
pub fn program(name: impl Into<String>, run: impl Fn(&Stack, &Config) -> Result + Send + Sync + 'static) -> Program {
    let name = name.into();
    let subject = name.clone();
    let run = move |stack: &Stack, config: &Config| {
        // A panic would end the command without its own exit code, and leave the local cloud that it has started.
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(stack, config)));
        outcome.unwrap_or_else(|panic| Err(Panicked { program: subject.clone(), message: message(&*panic) }.into()))
    };
    Program { name, about: None, demo: None, run: Box::new(run) }
}

/// The panic of a program. Its place is in the message that the panic has printed.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` panicked: {message}; correct the program at the place that the lines above name")]
struct Panicked {
    program: String,
    message: String,
}

/// Returns the text of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_else(|| "no message".to_owned())
}

impl Program {
    /// Sets the description that `stack programs` shows: one line.
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = Some(about.into());
        self
    }

    /// Sets a demonstration, which `up` runs after the first deployment of a stack, unless it has `--no-demo`. It prints
    /// to standard error, because standard output may be JSON.
    pub fn demo<F>(mut self, demo: impl Fn(StackOutputs) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Diagnostic>> + Send + 'static,
    {
        self.demo = Some(Box::new(move |outputs| demo(outputs).boxed()));
        self
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Runs the command line with these programs; the first one is the default.
///
/// Call it first in `main`: the local cloud starts this executable again as the launcher that confines the programs of
/// its instances, see [`infra_local::enable_launcher`].
///
/// `docs/src/exit-codes.md` lists the exit codes.
pub fn run(programs: impl IntoIterator<Item = Program>) -> ExitCode {
    Cli::new(programs).run()
}

/// Builder of a command line with the parts of a provider, on which this crate does not depend:
///
/// ```no_run
/// # use infra_cli::{Backend, Cli};
/// # use infra_core::{Target, diagnostic::Diagnostic};
/// async fn open(url: String) -> Result<Backend, Diagnostic> {
///     // … opens `s3://BUCKET/PREFIX`
///     Err(Diagnostic::error(format!("`{url}` names no bucket")))
/// }
///
/// async fn login(target: Target) -> Result<Vec<(&'static str, String)>, Diagnostic> {
///     Ok(vec![("account", "123456789012".into())])
/// }
///
/// Cli::new([]).backend("s3", open).login(login).run();
/// ```
pub struct Cli {
    programs: Vec<Program>,
    wrappers: BTreeMap<String, WrapperFactory>,
    backends: BTreeMap<String, Box<OpenBackend>>,
    login: Option<Box<CheckLogin>>,
    last_change: Option<Box<LastChange>>,
    schemas: Option<Box<DescribeType>>,
    monitoring: Option<Box<OpenMonitoring>>,
    instances: Option<Box<ListInstances>>,
}

/// Object store of a URL, and the prefix of the states in it.
pub type Backend = (Arc<dyn ObjectStore>, String);

type OpenBackend = dyn Fn(String) -> BoxFuture<'static, Result<Backend, Diagnostic>> + Send + Sync;
type DescribeType = dyn Fn(Target, String, String) -> BoxFuture<'static, Result<String, Diagnostic>> + Send + Sync;
type OpenMonitoring = dyn Fn(&Target) -> Arc<dyn Monitoring> + Send + Sync;
type ListInstances =
    dyn Fn(Target, String, String, String) -> BoxFuture<'static, Result<Vec<Instance>, Diagnostic>> + Send + Sync;
type CheckLogin = dyn Fn(Target) -> BoxFuture<'static, Result<Vec<(&'static str, String)>, Diagnostic>> + Send + Sync;
type LastChange =
    dyn Fn(Target, Option<String>, String) -> BoxFuture<'static, Result<Option<String>, Diagnostic>> + Send + Sync;

impl Cli {
    /// Returns a command line with these programs; the first one is the default.
    pub fn new(programs: impl IntoIterator<Item = Program>) -> Self {
        let programs = programs.into_iter().collect();
        Self {
            programs,
            wrappers: BTreeMap::new(),
            backends: BTreeMap::new(),
            login: None,
            last_change: None,
            schemas: None,
            monitoring: None,
            instances: None,
        }
    }

    /// Adds a key service that can wrap the key of the secrets, by the scheme of its URLs, such as `awskms`.
    pub fn wrapper(mut self, scheme: impl Into<String>, factory: WrapperFactory) -> Self {
        self.wrappers.insert(scheme.into(), factory);
        self
    }

    /// Adds an object store for states, by the scheme of its URLs, such as `s3`.
    pub fn backend<F>(mut self, scheme: impl Into<String>, open: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Backend, Diagnostic>> + Send + 'static,
    {
        self.backends.insert(scheme.into(), Box::new(move |url| open(url).boxed()));
        self
    }

    /// Sets the check of the provider's credentials, which returns the identity as names and values for `login-check`.
    /// The value `account` is recorded with a deployed stack, whose commands are refused in another account.
    pub fn login<F>(mut self, check: impl Fn(Target) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<(&'static str, String)>, Diagnostic>> + Send + 'static,
    {
        self.login = Some(Box::new(move |target| check(target).boxed()));
        self
    }

    /// Sets the search for the last change of a resource in the target's event history, by its region and its id. `watch`
    /// shows the description of the change, which names the caller.
    pub fn last_change<F>(
        mut self,
        search: impl Fn(Target, Option<String>, String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Option<String>, Diagnostic>> + Send + 'static,
    {
        self.last_change = Some(Box::new(move |target, region, id| search(target, region, id).boxed()));
        self
    }

    /// Sets the source of CloudFormation's schemas for `bindings --from-aws`: a function of the target, the region and the
    /// name of the type.
    pub fn schemas<F>(mut self, describe: impl Fn(Target, String, String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String, Diagnostic>> + Send + 'static,
    {
        self.schemas = Some(Box::new(move |target, region, name| describe(target, region, name).boxed()));
        self
    }

    /// Sets the monitoring services of the provider, from which the console shows the metrics and logs of stacks that are not
    /// deployed to a local cloud.
    pub fn monitoring(mut self, open: impl Fn(&Target) -> Arc<dyn Monitoring> + Send + Sync + 'static) -> Self {
        self.monitoring = Some(Box::new(open));
        self
    }

    /// Sets the source of the instances that `exec`, `shell` and `forward` connect to on AWS: a function of the target, the
    /// region, the program and the stack.
    pub fn instances<F>(mut self, list: impl Fn(Target, String, String, String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Instance>, Diagnostic>> + Send + 'static,
    {
        self.instances =
            Some(Box::new(move |target, region, program, stack| list(target, region, program, stack).boxed()));
        self
    }

    /// Runs the command line; see [`run`].
    pub fn run(self) -> ExitCode {
        // The command uses it until the process exits.
        start(Box::leak(Box::new(self)))
    }
}

fn start(cli: &'static Cli) -> ExitCode {
    infra_local::enable_launcher();
    let arguments = commands::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&failure::Failure::failed(format!("no runtime: {error}")), false),
    };
    let json = arguments.global.json;
    match runtime.block_on(commands::run(arguments, cli)) {
        Ok(code) => code,
        Err(failure) => failure::report(&failure, json),
    }
}
