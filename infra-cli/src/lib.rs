//! The `stack` command for programs of one's own:
//!
//! ```no_run
//! use infra_cli::program;
//! use infra_core::{Config, Result, Stack, random::Password};
//!
//! fn secrets(stack: &Stack, _: &Config) -> Result {
//!     let password = stack.add("password", Password::of_length(32));
//!     stack.export("password", password.value);
//!     Ok(())
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     infra_cli::run([program("secrets", secrets)])
//! }
//! ```
//!
//! # Layout
//! - `arguments`: argument groups that several commands share
//! - `session`: what a command works with: program, stack, target, directory
//! - `deployed`: the cloud that a stack's state describes
//! - `files`: files that only their owner may read
//! - `passphrase`: what opens the key of the secrets, and secret values
//! - `local_cloud`: starting and finding the local cloud
//! - `commands`: one file per command
//! - `render`: events as text, in place on a terminal, or as JSON lines
//! - `failure`: what ends a command early
//! - `exit`: the exit codes

// `println!` and `eprintln!` panic when the reader of a pipe has exited, as in `stack … | head -1`. A command prints
// through these macros only: it runs to its end and its exit code stays meaningful.

/// Prints a line to standard output.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($words)*);
    }};
}

/// Prints text to standard output without adding a line break.
macro_rules! show {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout().lock(), $($words)*);
    }};
}

/// Prints a line to standard error.
macro_rules! complain {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($words)*);
    }};
}

mod arguments;
mod commands;
mod deployed;
mod exit;
mod failure;
mod files;
mod local_cloud;
mod owner;
mod passphrase;
mod render;
mod session;

use clap::Parser;
use futures::{FutureExt, future::BoxFuture};
use infra_core::{Config, Result, Stack, Target, diagnostic::Diagnostic, store::WrapperFactory};
use object_store::ObjectStore;
use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

/// A program that the command can run.
pub struct Program {
    name: String,
    run: Box<Run>,
}

type Run = dyn Fn(&Stack, &Config) -> Result + Send + Sync;

/// A program under the name that `--program` takes.
pub fn program(name: impl Into<String>, run: impl Fn(&Stack, &Config) -> Result + Send + Sync + 'static) -> Program {
    Program { name: name.into(), run: Box::new(run) }
}

impl Program {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Runs the command line with these programs; the first one is the default.
///
/// Call it first in `main`: the local cloud starts this executable again to confine what its instances run, see
/// [`infra_local::enable_launcher`].
///
/// `docs/exit-codes.md` lists the exit codes.
pub fn run(programs: impl IntoIterator<Item = Program>) -> ExitCode {
    Cli::new(programs).run()
}

/// A command line that is put together: [`run`] with more than programs.
///
/// What belongs to one provider is handed over here, so that the command line knows none:
///
/// ```no_run
/// # use infra_cli::{Backend, Cli};
/// # use infra_core::{Target, diagnostic::Diagnostic};
/// async fn open(url: String) -> Result<Backend, Diagnostic> {
///     // … the objects of `s3://BUCKET/PREFIX`
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
}

/// The objects of a URL, and the prefix in them.
pub type Backend = (Arc<dyn ObjectStore>, String);

type OpenBackend = dyn Fn(String) -> BoxFuture<'static, Result<Backend, Diagnostic>> + Send + Sync;
type CheckLogin = dyn Fn(Target) -> BoxFuture<'static, Result<Vec<(&'static str, String)>, Diagnostic>> + Send + Sync;

impl Cli {
    /// A command line with these programs; the first one is the default.
    pub fn new(programs: impl IntoIterator<Item = Program>) -> Self {
        let programs = programs.into_iter().collect();
        Self { programs, wrappers: BTreeMap::new(), backends: BTreeMap::new(), login: None }
    }

    /// Lets keys of a key service wrap the key of the secrets: those whose URLs have this scheme, such as `awskms`.
    pub fn wrapper(mut self, scheme: impl Into<String>, factory: WrapperFactory) -> Self {
        self.wrappers.insert(scheme.into(), factory);
        self
    }

    /// Lets states be kept in object stores whose URLs have this scheme, such as `s3`.
    pub fn backend<F>(mut self, scheme: impl Into<String>, open: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Backend, Diagnostic>> + Send + 'static,
    {
        self.backends.insert(scheme.into(), Box::new(move |url| open(url).boxed()));
        self
    }

    /// Lets `login-check` show the identity that the provider's calls would use: names and values, line by line, or why
    /// there is none. The line `account` is recorded for a stack that is deployed, which is refused in another account.
    pub fn login<F>(mut self, check: impl Fn(Target) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<(&'static str, String)>, Diagnostic>> + Send + 'static,
    {
        self.login = Some(Box::new(move |target| check(target).boxed()));
        self
    }

    /// Runs it; see [`run`].
    pub fn run(self) -> ExitCode {
        start(&self)
    }
}

fn start(cli: &Cli) -> ExitCode {
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
