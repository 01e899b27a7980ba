//! A running cloud: its parts, started and stopped together.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::calls::Calls;
use super::credentials::{Generated, Token};
use super::directory::{lock, prepare_directory};
use super::faults::{self, Fault, FaultError};
use super::host_roles::{self, HostRole};
use super::options::{NetworkChoice, Options};
use super::permissions::{self, InvalidPolicy};
use super::start_error::StartError;
use super::status::Status;
use super::{endpoint, inventory, resource_requests};
use crate::access::{Credentials, RootKeys};
use crate::model::clock::TimeScale;
use crate::model::{Account, Cloud};
use crate::runtime;
use crate::runtime::background::{Background, Phase};
use crate::runtime::confinement::ConfinementStatus;
#[cfg(target_os = "linux")]
use crate::runtime::network::namespaces::{self, Namespaces};
use crate::runtime::network::{Loopback, NetworkHandle};
use crate::state::Shared;
use crate::state::address::AddressBlock;

/// Interval of the checks that the directory still exists.
const DIRECTORY_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A running local cloud. Dropping it without [`LocalCloud::shutdown`] leaves its instances running, like
/// [`LocalCloud::detach`]; the next start in the same directory finds them.
pub struct LocalCloud {
    shared: Shared,
    network: NetworkHandle,
    calls: Arc<Calls>,
    background: Background,
    root_key: Credentials,
    stop_requested: Arc<Notify>,
    /// Lock of the directory, held while the cloud runs.
    lock: File,
}

/// State of the control plane of a cloud at a moment.
pub struct Snapshot {
    cloud: Cloud,
    /// The objects of S3.
    objects: Vec<String>,
}

impl LocalCloud {
    /// Starts the cloud of a directory: claims addresses, loads the state, adopts running processes, and serves.
    pub async fn start(options: Options) -> Result<LocalCloud, StartError> {
        if runtime::executable::is_task() {
            return Err(StartError::Launcher);
        }
        runtime::descriptors::raise();
        let delegate = options.delegate()?;
        let directory = prepare_directory(&options.directory)?;
        let lock = lock(&directory).await?;
        let addresses =
            AddressBlock::claim(&directory).map_err(|error| StartError::Addresses { message: error.to_string() })?;
        let unusable = |source| StartError::Directory { path: directory.clone(), source };
        let shared = Shared::load(&directory, options.account.unwrap_or_default(), addresses).map_err(unusable)?;
        if let Some(requested) = options.account.filter(|account| *account != shared.account()) {
            return Err(StartError::Account { path: directory, existing: shared.account(), requested });
        }
        if options.control_plane_only {
            shared.run_no_services();
        }
        let network = if options.control_plane_only {
            NetworkHandle::new(Loopback)
        } else {
            connect(&shared, options.network).await?
        };
        shared.update(|cloud| {
            cloud.time_scale = TimeScale(options.time_scale);
            if network.is_private() {
                cloud.use_private_addresses();
            }
        });
        let listener = listen(&shared, options.port).await?;

        // The probe of the machine's confinement runs in the background, so that no status request waits for it.
        tokio::task::spawn_blocking(ConfinementStatus::of_this_machine);
        let stop_requested = Arc::new(Notify::new());
        let generated = Generated::ensure(&directory).map_err(unusable)?;
        let root_key = generated.key.clone();
        let known = std::iter::once(generated.key).chain(options.access_keys).collect();
        let enforce_iam = options.enforce_iam;
        let root = RootKeys { known, accept_any: options.accept_any_key };
        shared.set_delegate(options.delegate.clone());
        let access = endpoint::Access { root, token: Token::new(generated.token), enforce_iam, delegate };
        if options.unconfined {
            tracing::warn!("services are not confined: they can read and write everything that this user can");
            shared.unconfine();
        }
        if options.accept_any_key {
            tracing::warn!("any access key is accepted: every local process can run programs as this user");
        }
        let server =
            Arc::new(endpoint::Server::new(shared.clone(), network.clone(), access, Arc::clone(&stop_requested)));
        let calls = server.calls();
        let mut background = Background::new();
        background.spawn(|phase| runtime::network::run(shared.clone(), network.clone(), phase));
        background.spawn(|phase| Arc::clone(&server).run(listener, phase));
        background.spawn(|phase| Arc::clone(&server).record_events(phase));
        background.spawn(|phase| server.run_inside(network.clone(), phase));
        background.spawn(|phase| runtime::instances::run(shared.clone(), network.clone(), options.time_scale, phase));
        background.spawn(|phase| runtime::images::run(shared.clone(), phase));
        background.spawn(|phase| runtime::logs::run(shared.clone(), phase));
        background.spawn(|phase| runtime::s3::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| runtime::ssm::run(shared.clone(), phase));
        background.spawn(|phase| runtime::gateways::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| runtime::autoscaling::run(shared.clone(), options.time_scale, phase));
        background.spawn(|phase| resource_requests::run(shared.clone(), enforce_iam, phase));
        if options.control_plane_only {
            background.spawn(|phase| runtime::control_plane::run(shared.clone(), phase));
        } else {
            background.spawn(|phase| runtime::metadata::run(shared.clone(), network.clone(), phase));
            background.spawn(|phase| runtime::resolver::run(shared.clone(), network.clone(), phase));
            background.spawn(|phase| runtime::elbv2::run(shared.clone(), network.clone(), options.time_scale, phase));
            background.spawn(|phase| runtime::public_address::run(shared.clone(), network.clone(), phase));
            background.spawn(|phase| runtime::rds::run(shared.clone(), network.clone(), phase));
            background.spawn(|phase| runtime::cloudwatch::run(shared.clone(), options.time_scale, phase));
        }
        tracing::info!(endpoint = %shared.endpoint(), directory = %directory.display(), "the local cloud is up");
        Ok(LocalCloud { shared, network, calls, background, root_key, stop_requested, lock })
    }

    /// Returns the URL of the cloud's endpoint, for any AWS client.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.shared.endpoint())
    }

    /// Returns the access key of the account's root user, generated at the first start in this directory.
    pub fn credentials(&self) -> Credentials {
        self.root_key.clone()
    }

    /// Returns the id of the cloud: random, and kept until the directory is [`reset`](crate::reset).
    pub fn id(&self) -> String {
        self.shared.read(|cloud| cloud.id.clone())
    }

    /// Returns the account of the cloud's resources.
    pub fn account(&self) -> Account {
        self.shared.account()
    }

    /// Returns the status of the cloud's resources and processes.
    #[allow(clippy::unused_async)]
    pub async fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Returns the identifiers of all resources of the cloud, such as `us-east-1/snapshots/snap-0123`. Two inventories
    /// are equal when nothing was created or deleted in between.
    pub fn inventory(&self) -> BTreeSet<String> {
        inventory::of(&self.shared)
    }

    /// Returns the recorded requests after the one with this number, at most `limit` of the oldest, in the form of
    /// `GET /_infra/calls`: `number`, `at`, `service`, `operation`, `region`, `resource`, `caller`, `parameters`, `status`,
    /// `error`, `microseconds` and `decisions`.
    pub fn calls_after(&self, number: u64, limit: usize) -> Vec<serde_json::Value> {
        self.calls.after(number, limit).iter().filter_map(|call| serde_json::to_value(&**call).ok()).collect()
    }

    /// Returns the number of the last recorded request, or 0.
    pub fn last_call(&self) -> u64 {
        self.calls.last_number()
    }

    /// Returns the last recorded request for a declaration whose response is an error, if its number is larger than `number`,
    /// in the form of [`LocalCloud::calls_after`].
    pub fn last_failed_call(&self, declaration: &str, number: u64) -> Option<serde_json::Value> {
        let call = self.calls.last_failed(declaration, number)?;
        serde_json::to_value(&*call).ok()
    }

    /// Returns whether a recorded request was sent for a declaration, which its header `x-infra-resource` names.
    pub fn has_received_calls_for(&self, declaration: &str) -> bool {
        self.calls.contain(declaration)
    }

    /// Chooses the identifiers of the resources that the requests of a declaration create, such as
    /// `vpc-0123456789abcdef0`, or the 16 digits at the end of an ARN. A request names its declaration in the header
    /// `x-infra-resource`. An empty list ends the choice.
    ///
    /// A rehearsal recreates recorded resources with their identifiers. No request to the endpoint can choose any.
    pub fn choose_ids(&self, declaration: &str, ids: Vec<String>) {
        self.shared.choose_ids(declaration, ids);
    }

    /// Creates a user with exactly this policy, in place of an earlier one with the same name, and returns its access key.
    /// Effective in a cloud that enforces policies.
    pub fn admit(&self, user: &str, policy: &str) -> Result<Credentials, InvalidPolicy> {
        permissions::admit(&self.shared, user, policy)
    }

    /// Returns the roles that instances and launch templates use, with the actions that their hosts need.
    pub fn host_roles(&self) -> Vec<HostRole> {
        host_roles::of(&self.shared)
    }

    /// Returns the present state of the control plane, for [`LocalCloud::restore`].
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { cloud: self.shared.read(Clone::clone), objects: self.shared.objects().paths() }
    }

    /// Restores an earlier state of the control plane. The objects of S3 are not part of it: if some were created or deleted
    /// since, nothing changes, and the result is false.
    pub fn restore(&self, snapshot: &Snapshot) -> bool {
        let is_complete = self.shared.objects().paths() == snapshot.objects;
        if is_complete {
            self.shared.update(|cloud| *cloud = snapshot.cloud.clone());
        }
        is_complete
    }

    /// Injects a fault, waits until packets are affected if it is one of the network, and returns a description of its
    /// effect.
    pub async fn inject_and_wait(&self, fault: &Fault) -> Result<String, FaultError> {
        faults::network::inject(&self.shared, &self.network, fault).await
    }

    /// Injects a fault other than one of the network, and returns a description of its effect.
    pub fn inject(&self, fault: &Fault) -> Result<String, FaultError> {
        self.shared.inject(fault)
    }

    /// Waits until a client requests that the cloud stops (`POST /_infra/shutdown`).
    pub async fn stop_requested(&self) {
        self.stop_requested.notified().await;
    }

    /// Waits until the directory, or the state in it, has been removed. The state cannot be saved any longer.
    pub async fn directory_removed(&self) {
        while self.shared.is_in_place() {
            tokio::time::sleep(DIRECTORY_CHECK_INTERVAL).await;
        }
    }

    /// Stops all processes and keeps the state: the next start in this directory starts them again.
    pub async fn shutdown(self) {
        self.end(Phase::Stopping).await;
    }

    /// Stops the endpoint and leaves instances running: the next start in this directory adopts them.
    pub async fn detach(self) {
        self.end(Phase::Detaching).await;
    }

    /// Stops all tasks, and returns the lock of the directory, which the caller holds until it has finished.
    pub(super) async fn end(self, phase: Phase) -> File {
        self.background.end(phase).await;
        if phase == Phase::Stopping {
            self.network.shutdown().await;
        }
        if let Err(error) = self.shared.fold() {
            tracing::warn!(%error, "the state stays in two files: cloud.json and cloud.journal");
        }
        self.lock
    }
}

/// Connects the chosen network. If the kernel forbids namespaces and the choice permits it, the loopback interface is
/// used.
async fn connect(shared: &Shared, choice: NetworkChoice) -> Result<NetworkHandle, StartError> {
    let reason = match choice {
        NetworkChoice::Loopback => "the cloud was started with `--network loopback`".to_owned(),
        NetworkChoice::Auto | NetworkChoice::Namespaces => match namespaces(shared).await {
            Ok(network) => return Ok(network),
            Err(message) if choice == NetworkChoice::Namespaces => return Err(StartError::Network { message }),
            Err(reason) => reason,
        },
    };
    shared.set_loopback_reason(reason);
    Ok(NetworkHandle::new(Loopback))
}

/// Starts the network of namespaces, or returns the reason why this machine cannot have one.
#[cfg(target_os = "linux")]
async fn namespaces(shared: &Shared) -> Result<NetworkHandle, String> {
    let probed = tokio::task::spawn_blocking(namespaces::probe).await.map_err(|error| error.to_string())?;
    probed.map_err(|reason| reason.to_string())?;
    let started = Namespaces::start(shared.directory()).await;
    started.map(NetworkHandle::new).map_err(|error| error.to_string())
}

#[cfg(not(target_os = "linux"))]
async fn namespaces(_: &Shared) -> Result<NetworkHandle, String> {
    Err("only Linux has network namespaces".to_owned())
}

async fn listen(shared: &Shared, port: Option<u16>) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { port, source };
    let listener = endpoint::bind(port, shared.read(|cloud| cloud.port)).await.map_err(failed)?;
    let endpoint = listener.local_addr().map_err(failed)?;
    shared.bound(endpoint);
    shared.update(|cloud| cloud.port = Some(endpoint.port()));
    Ok(listener)
}
