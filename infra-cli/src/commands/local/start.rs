//! `stack local start`

use super::answer;
use crate::{failure::Failure, local_cloud, schemas, session::Session};
use clap::Args;
use infra_core::diagnostic::Diagnostic;
use infra_local::{Account, Credentials, NetworkChoice, Options, daemon, install_schemas, recorded_account};
use std::path::{Path, PathBuf};

/// Start the local cloud, and keep these options for later starts
#[derive(Debug, Args)]
#[command(after_help = "`false` as BOOL turns an option off again.")]
pub(crate) struct StartArgs {
    /// Account of all resources, 12 digits, which the first start chooses [default: 000000000000]
    #[arg(long, value_name = "ID")]
    account: Option<Account>,
    /// Port of the endpoint [default: the previous one, or a free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Shorten the waiting periods of AWS (health intervals, deregistration delays, cooldowns) by this factor
    #[arg(long, value_name = "FACTOR", value_parser = time_scale)]
    time_scale: Option<f64>,
    /// Enforce the IAM policies of users and roles
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    enforce_iam: Option<bool>,
    /// Add a root access key, with its secret from AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "ID")]
    access_key: Option<String>,
    /// Accept every access key without checking signatures (unsafe)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    accept_any_key: Option<bool>,
    /// Run services with all rights of this user, not confined to their instances (unsafe)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", hide_possible_values = true)]
    unconfined: Option<bool>,
    /// Connect instances by network namespaces, in which the kernel enforces security groups, or by the loopback interface
    #[arg(long, value_name = "FABRIC", value_enum)]
    network: Option<Fabric>,
    /// Let another emulator, such as moto or LocalStack, answer for the services that the local cloud does not have; an
    /// empty URL ends it
    #[arg(long, value_name = "URL")]
    delegate: Option<String>,
    /// Let Cloud Control record resources of the types whose CloudFormation schemas are in this directory or zip; nothing
    /// runs them
    #[arg(long, value_name = "PATH")]
    schemas: Option<PathBuf>,
}

/// The fabrics of [`NetworkChoice`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Fabric {
    /// Namespaces where the kernel allows them, else the loopback interface
    Auto,
    Namespaces,
    Loopback,
}

impl From<Fabric> for NetworkChoice {
    fn from(fabric: Fabric) -> Self {
        match fabric {
            Fabric::Auto => NetworkChoice::Auto,
            Fabric::Namespaces => NetworkChoice::Namespaces,
            Fabric::Loopback => NetworkChoice::Loopback,
        }
    }
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (1.0..=1000.0).contains(&scale) => Ok(scale),
        _ => Err("write a number from 1 to 1000".into()),
    }
}

pub(super) async fn run(session: &Session<'_>, directory: &Path, arguments: &StartArgs) -> Result<(), Failure> {
    let before = Options::remembered(directory)?;
    remember(directory, &before, arguments).await?;
    if Options::remembered(directory)?.accept_any_key {
        print_error!(
            "warning: the local cloud accepts any access key: every local process can run programs as this user\n  \
             hint: `stack local start --accept-any-key false` restores the check"
        );
    }
    if let Some(path) = &arguments.schemas {
        install(directory, path)?;
    }
    // Before the start: a command that finishes now would stop the empty cloud.
    local_cloud::prepare(directory)?;
    local_cloud::keep(directory)?;
    let running = match local_cloud::enter(directory).await {
        Ok((running, _)) => running,
        Err(failure) => {
            // The options may be the reason, and later starts would have them too.
            before.remember()?;
            return Err(failure);
        }
    };
    answer(session, &running, || format!("the local cloud answers at {} (process {})", running.endpoint, running.pid))
}

/// Copies schemas into the directory of the cloud, which reads each when a request names its type.
fn install(directory: &Path, path: &Path) -> Result<(), Failure> {
    let catalog = schemas::read(path)?;
    local_cloud::prepare(directory)?;
    let count = install_schemas(directory, schemas::texts(&catalog))?;
    print_error!(
        "Cloud Control of the local cloud records resources of {count} types by their schemas; nothing runs them"
    );
    Ok(())
}

/// Stores the options for this start and later ones.
async fn remember(directory: &Path, before: &Options, arguments: &StartArgs) -> Result<(), Failure> {
    let existing = recorded_account(directory)?;
    refuse_another_account(existing, arguments.account)?;
    let mut access_keys = before.access_keys.clone();
    if let Some(id) = &arguments.access_key {
        access_keys.retain(|key| key.access_key_id != *id);
        access_keys.push(Credentials { access_key_id: id.clone(), secret_access_key: secret_key()? });
    }
    let options = Options {
        account: arguments.account.filter(|_| existing.is_none()).or(before.account),
        port: arguments.port.or(before.port),
        time_scale: arguments.time_scale.unwrap_or(before.time_scale),
        enforce_iam: arguments.enforce_iam.unwrap_or(before.enforce_iam),
        access_keys,
        accept_any_key: arguments.accept_any_key.unwrap_or(before.accept_any_key),
        unconfined: arguments.unconfined.unwrap_or(before.unconfined),
        network: arguments.network.map_or(before.network, NetworkChoice::from),
        control_plane_only: before.control_plane_only,
        delegate: match &arguments.delegate {
            None => before.delegate.clone(),
            Some(url) => Some(url.clone()).filter(|url| !url.is_empty()),
        },
        directory: before.directory.clone(),
    };
    if options == *before {
        return Ok(());
    }
    if daemon::find(directory).await.is_some() {
        let runs = Diagnostic::error("the local cloud already runs with other options");
        return Err(Failure::wrong_use(
            runs.hint("stop it first with `stack local stop`; the next start resumes everything in it"),
        ));
    }
    local_cloud::prepare(directory)?;
    Ok(options.remember()?)
}

/// Refuses another account than that of the existing resources, whose ARNs contain it.
fn refuse_another_account(existing: Option<Account>, requested: Option<Account>) -> Result<(), Failure> {
    match (existing, requested) {
        (Some(existing), Some(requested)) if existing != requested => {
            let differs = format!("the local cloud is the account {existing} and cannot become {requested}");
            let hint = "`stack local reset` deletes everything in it; then start it with the other account";
            Err(Failure::wrong_use(Diagnostic::error(differs).hint(hint)))
        }
        _ => Ok(()),
    }
}

fn secret_key() -> Result<String, Failure> {
    std::env::var("AWS_SECRET_ACCESS_KEY").map_err(|_| {
        let missing = Diagnostic::error("the secret of the access key is missing");
        Failure::wrong_use(missing.hint("set AWS_SECRET_ACCESS_KEY"))
    })
}
