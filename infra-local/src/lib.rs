//! A local AWS in one process: it speaks AWS's wire protocols and really runs what is declared.
//!
//! Start one with [`LocalCloud::start`] and point any AWS client (SDK, CLI, boto3, Terraform) at [`LocalCloud::endpoint`], with
//! the key of [`LocalCloud::credentials`].
//!
//! # Layout
//! - `server`: the HTTP endpoint; dispatches by the credential scope of the signature
//! - `access`: authentication and authorisation: signatures, IAM's policies, web pages
//! - `credentials`: the generated access key and administration token
//! - `wire`: the EC2, Query, JSON and REST-XML protocols, and operations as tables
//! - `model`, `cloud`: the state, on disk after each change as `<directory>/cloud.json` and `cloud.journal`
//! - `ec2`, `elasticloadbalancing`, `acm`, `autoscaling`, `cloudwatch`, `logs`, `iam`, `rds`, `sts`, `ssm`, `s3`: the
//!   control plane, one module per service, one file per resource kind; `cloudcontrol`: the same by CloudFormation's names
//! - `private`: opening the directory's files: owner only, no links
//! - `data`: the data plane: runs instances as processes, and reconciles
//! - [`enable_launcher`]: confinement of the programs that instances run
//! - [`daemon`]: the same cloud as a background process
//! - [`Fault`]: what goes wrong on demand
//! - `capabilities`: what this machine can provide, for a check before anything is created
//! - `status`: what runs, for people and tests; `inventory`: the identifiers of everything that exists
//! - `usage`: which commands use the cloud, so that none stops it under another one

mod access;
mod acm;
mod autoscaling;
mod body;
mod capabilities;
mod cloud;
mod cloudcontrol;
mod cloudwatch;
mod credentials;
pub mod daemon;
mod data;
mod ec2;
mod elasticloadbalancing;
mod faults;
mod iam;
mod inventory;
mod logs;
mod model;
mod options;
mod private;
mod rds;
mod remote;
mod s3;
mod server;
mod ssm;
mod status;
mod sts;
#[cfg(test)]
mod testing;
mod usage;
mod wire;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;

pub use capabilities::{Capabilities, Obstacle};
pub use credentials::{Credentials, credentials};
pub use data::confinement::{ConfinementStatus, enable_launcher};
pub use faults::{Fault, FaultError, Requests};
pub use options::Options;
pub use status::{
    BalancerStatus, DatabaseClusterStatus, DatabaseStatus, GroupStatus, InstanceStatus, RegionStatus, ServiceStatus,
    Status, TargetGroupStatus,
};
pub use usage::{SoleUsage, Usage};

use access::RootKeys;
use cloud::Shared;
use credentials::{Generated, Token};
use data::address::AddressBlock;
use data::background::{Background, Phase};
use model::clock::TimeScale;

/// Why a local cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be used.
    #[error("the local cloud cannot use {}: {source}", path.display())]
    Directory {
        /// The directory or a file in it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another process runs the cloud of this directory.
    #[error("a local cloud already runs in {}: stop it first, or use another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The process was started as a launcher, and does not begin with [`enable_launcher`].
    #[error("this process was started to become a program of an instance: call enable_launcher first in its main")]
    Launcher,
    /// No loopback addresses could be had.
    #[error("the local cloud cannot get addresses for its instances: {message}")]
    Addresses {
        /// Why not, and what to do.
        message: String,
    },
    /// The endpoint's port cannot be listened on.
    #[error("the local cloud cannot listen on 127.0.0.1 port {}: {source}; choose another port, or none for a free one", port.unwrap_or(0))]
    Listen {
        /// The port that was asked for.
        port: Option<u16>,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Interval of the checks that the directory still exists.
const DIRECTORY_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A running local cloud. Dropping it without [`LocalCloud::shutdown`] leaves its instances running, like
/// [`LocalCloud::detach`]; the next start in the same directory finds them.
pub struct LocalCloud {
    shared: Shared,
    background: Background,
    root_key: Credentials,
    stop_requested: Arc<Notify>,
    /// Held as long as the cloud runs.
    lock: File,
}

impl LocalCloud {
    /// Starts the cloud of a directory: claims addresses, loads the state, takes up what it says runs, and serves.
    pub async fn start(options: Options) -> Result<LocalCloud, StartError> {
        if data::confinement::is_launcher() {
            return Err(StartError::Launcher);
        }
        data::descriptors::raise();
        let directory = prepare_directory(&options.directory)?;
        let lock = lock(&directory).await?;
        let addresses =
            AddressBlock::claim(&directory).map_err(|error| StartError::Addresses { message: error.to_string() })?;
        let unusable = |source| StartError::Directory { path: directory.clone(), source };
        let shared = Shared::load(&directory, addresses).map_err(unusable)?;
        shared.update(|cloud| cloud.time_scale = TimeScale(options.time_scale));
        let listener = listen(&shared, options.port).await?;

        // What the machine enforces is found out now, so that no question for the status waits for it.
        tokio::task::spawn_blocking(ConfinementStatus::of_this_machine);
        let stop_requested = Arc::new(Notify::new());
        let generated = Generated::ensure(&directory).map_err(unusable)?;
        let root_key = generated.key.clone();
        let known = std::iter::once(generated.key).chain(options.access_keys).collect();
        let enforce_iam = options.enforce_iam;
        let root = RootKeys { known, accept_any: options.accept_any_key };
        let access = server::Access { root, token: Token::new(generated.token), enforce_iam };
        if options.unconfined {
            tracing::warn!("services are not confined: they can read and write everything that this user can");
            shared.unconfine();
        }
        if options.accept_any_key {
            tracing::warn!("any access key is accepted: every local process can run programs as this user");
        }
        let server = server::Server::new(shared.clone(), access, Arc::clone(&stop_requested));
        let mut background = Background::new();
        background.spawn(|phase| server.run(listener, phase));
        background.spawn(|phase| data::instances::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| data::images::run(shared.clone(), phase));
        background.spawn(|phase| data::logs::run(shared.clone(), phase));
        background.spawn(|phase| data::metadata::run(shared.clone(), phase));
        background.spawn(|phase| data::balancers::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| data::elastic::run(shared.clone(), phase));
        background.spawn(|phase| data::gateways::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| data::databases::run(shared.clone(), phase));
        background.spawn(|phase| data::groups::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| data::resource_requests::run(shared.clone(), enforce_iam, phase));
        background.spawn(|phase| data::watch::run(shared.clone(), options.time_scale, phase));
        tracing::info!(endpoint = %shared.endpoint(), directory = %directory.display(), "the local cloud is up");
        Ok(LocalCloud { shared, background, root_key, stop_requested, lock })
    }

    /// The URL any AWS client takes as its endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.shared.endpoint())
    }

    /// The access key of the account's root user, generated at the first start in this directory.
    pub fn credentials(&self) -> Credentials {
        self.root_key.clone()
    }

    /// The id of the cloud: random, and kept until the directory is [`reset`].
    pub fn id(&self) -> String {
        self.shared.read(|cloud| cloud.id.clone())
    }

    /// What runs now.
    #[allow(clippy::unused_async)]
    pub async fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Returns the identifiers of everything that the cloud holds, such as `us-east-1/snapshots/snap-0123`. Two of them are
    /// equal when nothing was created or deleted in between.
    pub fn inventory(&self) -> BTreeSet<String> {
        inventory::of(&self.shared)
    }

    /// Injects a fault, and says what it has come to.
    pub fn inject(&self, fault: &Fault) -> Result<String, FaultError> {
        self.shared.inject(fault)
    }

    /// Returns when somebody asked the cloud to stop (`POST /_infra/shutdown`).
    pub async fn stop_requested(&self) {
        self.stop_requested.notified().await;
    }

    /// Waits until the directory, or the state in it, has been removed. The state cannot be kept any longer.
    pub async fn directory_removed(&self) {
        while self.shared.is_in_place() {
            tokio::time::sleep(DIRECTORY_CHECK_INTERVAL).await;
        }
    }

    /// Stops everything that runs and keeps the state: the next start in this directory runs it again.
    pub async fn shutdown(self) {
        self.end(Phase::Stopping).await;
    }

    /// Stops serving and leaves instances running: the next start in this directory adopts them.
    pub async fn detach(self) {
        self.end(Phase::Detaching).await;
    }

    /// Ends everything, and returns the lock of the directory for what is left to do under it.
    async fn end(self, phase: Phase) -> File {
        self.background.end(phase).await;
        if let Err(error) = self.shared.fold() {
            tracing::warn!(%error, "the state stays in two files: cloud.json and cloud.journal");
        }
        self.lock
    }
}

/// Deletes everything in the cloud of a directory but its options and its access key. The cloud must not run.
pub async fn reset(directory: &Path) -> Result<(), StartError> {
    let directory = prepare_directory(directory)?;
    let _lock = lock(&directory).await?;
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Directory { path, source }
    };
    for entry in std::fs::read_dir(&directory).map_err(unusable(&directory))? {
        let path = entry.map_err(unusable(&directory))?.path();
        if [options::FILE, credentials::FILE, LOCK, usage::FILE].iter().any(|kept| path.ends_with(kept)) {
            continue;
        }
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(unusable(&path))?;
    }
    data::postgres::sweep();
    Ok(())
}

/// Lets database servers pass through a directory of ours when they run as another user, which is when this process is
/// root. They may enter it and nothing else.
pub fn admit_databases(directory: &Path) -> std::io::Result<()> {
    data::postgres::admit(directory)
}

/// Creates the directory, only for its owner, and makes its path absolute: processes run elsewhere.
fn prepare_directory(path: &Path) -> Result<PathBuf, StartError> {
    let unusable = |source| StartError::Directory { path: path.to_owned(), source };
    private::create_directory(path).map_err(unusable)?;
    admit_databases(path).map_err(unusable)?;
    path.canonicalize().map_err(unusable)
}

/// The lock file of a cloud's directory.
pub(crate) const LOCK: &str = "lock";

/// How long the lock of a directory may still be held by a process that is just being started: until a child has replaced
/// itself by its program, it holds the locks of its parent.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Takes the lock that keeps two processes from running one directory. It dies with its holder.
async fn lock(directory: &Path) -> Result<File, StartError> {
    let path = directory.join(LOCK);
    let unusable = |source| StartError::Directory { path: path.clone(), source };
    let file = private::open_or_create(&path).map_err(unusable)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // A process that answers does not give the directory up, and nobody may be left waiting to take its place.
            Err(rustix::io::Errno::WOULDBLOCK)
                if Instant::now() < deadline && daemon::find(directory).await.is_none() =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StartError::InUse { path: directory.to_owned() }),
            Err(error) => return Err(unusable(error.into())),
        }
    }
}

async fn listen(shared: &Shared, port: Option<u16>) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { port, source };
    let listener = server::bind(port, shared.read(|cloud| cloud.port)).await.map_err(failed)?;
    let endpoint = listener.local_addr().map_err(failed)?;
    shared.bound(endpoint);
    shared.update(|cloud| cloud.port = Some(endpoint.port()));
    Ok(listener)
}
