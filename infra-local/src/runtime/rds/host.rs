//! Reconciles one instance: starts, configures, watches and stops its server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::Instant;

use super::view::{Role, View};
use super::{backend, endpoints, replication, roles, snapshots};
use crate::domain::postgres::installed;
use crate::domain::rds::settings::Following;
use crate::domain::rds::{rename, settings};
use crate::model::Region;
use crate::model::process::ProcessIdentity;
use crate::model::rds::{DbInstance, Pending, Seed, Stage, Trouble};
use crate::runtime::background::{Phase, PhaseWatch};
use crate::runtime::network::Site;
use crate::runtime::postgres;
use crate::runtime::postgres::{Launch, PostgresError, Server, Tls};
use crate::runtime::server_home::{CertificateAuthority, Login};
use crate::state::Shared;
use crate::state::address::AddressBlock;
use crate::state::paths::database as directory;

/// Interval of checks on the process.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// Interval of checks on the replication of a standby.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Number of consecutive failed checks after which a standby's data is copied again.
const PATIENCE: u32 = 6;

/// Number of consecutive failures before the instance reports a problem: some problems last only seconds.
const FAILURES: u32 = 6;

/// The task of one instance.
pub(super) struct Host {
    pub(super) shared: Shared,
    pub(super) region: String,
    pub(super) resource_id: String,
    phase: PhaseWatch,
    changes: watch::Receiver<u64>,
    server: Option<Arc<Server>>,
    authority: Arc<CertificateAuthority>,
    /// Content of the settings file.
    settings: Option<String>,
    /// TLS of the running server.
    secured: Option<Secured>,
    rebooting: bool,
    failures: u32,
    asked: Instant,
    missed_checks: u32,
}

/// TLS of a server: the addresses in its certificate, and whether it refuses connections without TLS.
#[derive(Clone, PartialEq, Eq)]
struct Secured {
    addresses: BTreeSet<Ipv4Addr>,
    forced: bool,
}

/// Result of a step.
pub(super) enum Flow {
    /// No further step for now.
    Wait,
    /// The step changed something, so another one follows at once.
    Again,
    /// The instance no longer exists.
    Ended,
}

impl Host {
    pub(super) fn new(
        shared: Shared,
        authority: Arc<CertificateAuthority>,
        region: String,
        resource_id: String,
        phase: PhaseWatch,
    ) -> Host {
        let changes = shared.changes();
        Host {
            shared,
            region,
            resource_id,
            phase,
            changes,
            server: None,
            authority,
            settings: None,
            secured: None,
            rebooting: false,
            failures: 0,
            asked: Instant::now(),
            missed_checks: 0,
        }
    }

    /// Runs until the instance is deleted, or the cloud stops.
    pub(super) async fn run(mut self) {
        loop {
            match self.phase.now() {
                Phase::Running => {}
                Phase::Detaching => return,
                Phase::Stopping => return self.halt().await,
            }
            self.changes.borrow_and_update();
            let Some(view) = View::of(&self.shared, &self.region, &self.resource_id) else { return };
            match self.reconcile(&view).await {
                Ok(Flow::Ended) => return self.shared.databases().set_lag(&self.resource_id, None),
                Ok(Flow::Again) => {}
                Ok(Flow::Wait) => self.wait().await,
                Err(error) => {
                    self.failed(&view, &error);
                    self.pause(WATCH_EVERY * 2_u32.pow(self.failures.min(5))).await;
                }
            }
        }
    }

    async fn reconcile(&mut self, view: &View) -> Result<Flow, PostgresError> {
        match view.instance.stage {
            // A writer with readers fails over before its deletion.
            Stage::Deleting if !(view.is_writer() && view.demoted.is_some()) => return self.delete(view).await,
            Stage::Stopping => {
                self.halt().await;
                self.change(|instance| instance.stage = Stage::Stopped);
                return Ok(Flow::Again);
            }
            Stage::Stopped | Stage::Failed => {
                self.halt().await;
                return Ok(Flow::Wait);
            }
            Stage::Rebooting if !self.rebooting => {
                self.rebooting = true;
                self.halt().await;
                return Ok(Flow::Again);
            }
            _ => {}
        }
        if view.is_lost {
            return self.handle_zone_failure(view).await;
        }
        let runtime = &view.instance.runtime;
        match runtime.process {
            None => self.start(view).await,
            Some(process) if !process.is_alive() => {
                self.server()?.kill_remaining().await;
                self.died(view);
                Ok(Flow::Again)
            }
            Some(_) if runtime.backend != Some(backend(&view.instance.place)) => {
                self.halt().await;
                Ok(Flow::Again)
            }
            Some(process) => self.supervise(view, process).await,
        }
    }

    /// Creates, copies or repairs the data, and starts the server on it.
    async fn start(&mut self, view: &View) -> Result<Flow, PostgresError> {
        let server = self.server()?;
        let instance = &view.instance;
        server.stop_leftover().await;
        let mut parameters = settings::effective(&view.wanted, &instance.runtime.parameters, true);
        let mut following = Following::default();
        match &view.role {
            Role::Unknown => return Ok(Flow::Wait),
            Role::Primary => self.prepare_primary(view, &server).await?,
            Role::Standby(upstream) => {
                if !upstream.ready {
                    return Ok(Flow::Wait);
                }
                if !server.has_data() || self.missed_checks >= PATIENCE {
                    server.copy_from(&Site::Host, &upstream.login).await?;
                } else if !server.is_standby() {
                    replication::rejoin(&server, &upstream.login).await?;
                }
                server.become_standby()?;
                settings::raise(&mut parameters, &upstream.parameters);
                following.connection = Some(upstream.login.following(&instance.id));
            }
        }
        let text = settings::file(&parameters, &following);
        server.write("postgresql.conf", &text)?;
        let (address, port) = backend(&instance.place);
        let site = &Site::Host;
        let secured = Secured::new(view, &parameters);
        let (user, database, tls) = (roles::SERVICE, "postgres", secured.tls(&self.authority));
        let process = server.launch(&Launch { site, address, port, user, database, settings: &[], tls }).await?;
        tracing::info!(instance = instance.id, pid = process.pid, "a database server is up");
        self.settings = Some(text);
        self.secured = Some(secured);
        self.missed_checks = 0;
        self.failures = 0;
        let as_wanted = matches!(view.role, Role::Standby(_)) == server.is_standby();
        let password = (!server.is_standby()).then(|| view.account.password.clone());
        self.change(|instance| {
            let runtime = &mut instance.runtime;
            runtime.process = Some(process);
            runtime.backend = Some((address, port));
            runtime.parameters = parameters;
            runtime.password = password.or(runtime.password.take());
            runtime.ready = as_wanted;
            runtime.trouble.take_if(|trouble| trouble.status != endpoints::NETWORK);
        });
        Ok(Flow::Again)
    }

    async fn prepare_primary(&self, view: &View, server: &Server) -> Result<(), PostgresError> {
        let instance = &view.instance;
        let mut fresh = instance.stage == Stage::Creating && instance.seed == Seed::Empty;
        if let Some(volume) = self.volume(view)? {
            server.become_data(&volume.data())?;
            fresh = false;
        }
        if !server.has_data() {
            match &instance.seed {
                Seed::Snapshot(snapshot) => snapshots::restore(&self.shared, snapshot, server).await?,
                Seed::Empty | Seed::Following => {}
            }
        }
        if !server.has_data() {
            if instance.stage != Stage::Creating {
                return Err(PostgresError::Setup { step: "the start", output: "its data is gone".to_owned() });
            }
            server.initialise(roles::SERVICE).await?;
        }
        let in_effect = instance.runtime.password.as_ref() == Some(&view.account.password);
        if !server.is_standby() && !in_effect {
            roles::prepare(server, &view.account, fresh).await?;
        }
        Ok(())
    }

    /// Returns the data of the cluster while no instance uses it.
    fn volume(&self, view: &View) -> Result<Option<Server>, PostgresError> {
        let directory = view.cluster_resource_id.as_ref().map(|id| directory(self.shared.directory(), id));
        let Some(directory) = directory.filter(|directory| directory.exists()) else { return Ok(None) };
        Ok(Some(Server::open(&directory)?).filter(Server::has_data))
    }

    /// Watches and configures a running server.
    async fn supervise(&mut self, view: &View, process: ProcessIdentity) -> Result<Flow, PostgresError> {
        let server = self.server()?;
        let instance = &view.instance;
        let login = view.own_login();
        let mut parameters = settings::effective(&view.wanted, &instance.runtime.parameters, false);
        let mut following = Following::default();
        match &view.role {
            Role::Unknown => return Ok(Flow::Wait),
            Role::Primary if server.is_standby() => return self.promote(view, &server, process).await,
            Role::Primary => {}
            Role::Standby(upstream) => {
                let outgrown = settings::too_small(&instance.runtime.parameters, &upstream.parameters);
                if !server.is_standby() || outgrown || self.is_stalled(&server, &login, upstream.ready).await {
                    self.halt().await;
                    return Ok(Flow::Again);
                }
                settings::raise(&mut parameters, &upstream.parameters);
                following.connection = Some(upstream.login.following(&instance.id));
            }
        }
        self.configure(&server, process, settings::file(&parameters, &following))?;
        let secured = Secured::new(view, &parameters);
        if self.secured.as_ref() != Some(&secured) {
            server.secure(&Site::Host, secured.tls(&self.authority)).await?;
            process.signal(Signal::HUP);
            self.secured = Some(secured);
        }
        if parameters != instance.runtime.parameters || !instance.runtime.ready {
            self.change(|instance| {
                instance.runtime.parameters = parameters;
                instance.runtime.ready = true;
            });
        }
        if view.role == Role::Primary {
            if instance.runtime.password.as_ref() != Some(&view.account.password) {
                roles::set_password(&server, &login, &view.account).await?;
                self.change(|instance| instance.runtime.password = Some(view.account.password.clone()));
            }
            for snapshot in &view.snapshots {
                snapshots::take(&self.shared, &self.region, snapshot, &server, Some(&login)).await;
            }
        }
        if view.applies_pending() {
            return Ok(self.apply_pending(view).await);
        }
        self.settle(view);
        Ok(Flow::Wait)
    }

    /// Applies the settings to a running server.
    fn configure(&mut self, server: &Server, process: ProcessIdentity, text: String) -> Result<(), PostgresError> {
        if self.settings.as_ref() != Some(&text) {
            server.write("postgresql.conf", &text)?;
            process.signal(Signal::HUP);
            self.settings = Some(text);
        }
        Ok(())
    }

    /// Promotes the standby, once the primary cannot write any more and all of its writes have been received.
    async fn promote(&mut self, view: &View, server: &Server, process: ProcessIdentity) -> Result<Flow, PostgresError> {
        let mut former = None;
        if let Some(demoted) = &view.demoted {
            if demoted.runs {
                return Ok(Flow::Wait);
            }
            former = Some(Server::open(&directory(self.shared.directory(), &demoted.resource_id))?.data());
        }
        let restore_command = former.as_deref().map(replication::drain);
        let following = Following { restore_command, ..Following::default() };
        self.configure(server, process, settings::file(&view.instance.runtime.parameters, &following))?;
        replication::promote(server, &view.own_login(), former.as_deref()).await?;
        tracing::info!(instance = view.instance.id, "a database server is a primary now");
        self.shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return };
            let databases = &mut region.rds;
            let mut instances = databases.instances.values_mut();
            let Some(instance) = instances.find(|it| it.resource_id == self.resource_id) else { return };
            instance.runtime.ready = true;
            let cluster = instance.cluster.as_ref().and_then(|cluster| databases.clusters.get_mut(cluster));
            if let Some(cluster) = cluster.filter(|cluster| cluster.writer.as_ref() == Some(&instance.id)) {
                cluster.demoted = None;
            }
        });
        Ok(Flow::Again)
    }

    /// Returns whether a standby has received nothing for so long that its data has to be copied again. Records its lag.
    async fn is_stalled(&mut self, server: &Server, login: &Login, upstream_ready: bool) -> bool {
        if self.asked.elapsed() >= ASK_EVERY {
            self.asked = Instant::now();
            let lag = replication::lag(server, login).await;
            self.shared.databases().set_lag(&self.resource_id, lag);
            self.missed_checks = if !upstream_ready || lag.is_some() { 0 } else { self.missed_checks + 1 };
        }
        self.missed_checks >= PATIENCE
    }

    /// Applies pending changes. A new class means a new host, on which the server is started; a new identifier, a reboot.
    async fn apply_pending(&mut self, view: &View) -> Flow {
        let pending = &view.instance.pending;
        if pending.class.is_some() || (pending.id.is_some() && !view.id_is_taken) {
            self.halt().await;
        }
        self.shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return };
            let mut instances = region.rds.instances.values();
            let found = instances.find(|instance| instance.resource_id == self.resource_id);
            if let Some(id) = found.map(|instance| instance.id.clone()) {
                apply_pending(region, &id, self.shared.addresses());
            }
        });
        Flow::Again
    }

    /// Completes the instance's current transition when it has finished.
    fn settle(&mut self, view: &View) {
        let done = match view.instance.stage {
            Stage::Creating | Stage::Starting | Stage::Modifying | Stage::BackingUp | Stage::Rebooting => {
                view.instance.runtime.ready
            }
            _ => false,
        };
        if done {
            self.rebooting = false;
            self.change(|instance| instance.stage = Stage::Available);
        }
    }

    /// Handles an unexpected exit of the process. A writer with readers fails over to one of them.
    fn died(&mut self, view: &View) {
        tracing::warn!(instance = view.instance.id, "a database server has ended unexpectedly");
        self.change(|instance| {
            instance.runtime.process = None;
            instance.runtime.ready = false;
            instance.runtime.restarts += 1;
        });
        self.fail_over_to_reader(view);
    }

    /// Handles the failure of the machine: a Multi-AZ instance fails over to its second zone, a writer with readers
    /// fails over to one of them, and any other instance waits for its zone.
    async fn handle_zone_failure(&mut self, view: &View) -> Result<Flow, PostgresError> {
        if let Some(process) = view.instance.runtime.process {
            process.kill();
            self.server()?.kill_remaining().await;
            self.settings = None;
            self.died(view);
            return Ok(Flow::Again);
        }
        let moved = self.shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return false };
            let instances = &mut region.rds.instances;
            let Some(instance) = instances.get_mut(&view.instance.id) else { return false };
            match &mut instance.second_zone {
                Some(second) if !region.lost_zones.contains(second) => {
                    std::mem::swap(second, &mut instance.zone);
                    true
                }
                _ => false,
            }
        });
        if moved {
            return Ok(Flow::Again);
        }
        self.fail_over_to_reader(view);
        Ok(Flow::Wait)
    }

    /// Fails over to a reader, if one serves.
    fn fail_over_to_reader(&self, view: &View) {
        if let Some(cluster) = view.instance.cluster.as_ref().filter(|_| view.is_writer() && view.demoted.is_none()) {
            self.shared.update(|cloud| {
                cloud
                    .region_mut(&self.region)
                    .is_ok_and(|region| region.rds.fail_over(cluster, None, ProcessIdentity::is_alive))
            });
        }
    }

    /// Stops the process, if there is one.
    pub(super) async fn halt(&mut self) {
        let process = View::of(&self.shared, &self.region, &self.resource_id);
        let process = process.and_then(|view| view.instance.runtime.process);
        let Some(process) = process else { return };
        self.change(|instance| instance.runtime.ready = false);
        postgres::stop(process).await;
        if let Ok(server) = self.server() {
            server.kill_remaining().await;
        }
        self.settings = None;
        self.change(|instance| instance.runtime.process = None);
    }

    fn failed(&mut self, view: &View, error: &PostgresError) {
        self.failures += 1;
        tracing::warn!(instance = view.instance.id, %error, "a database server is not as it should be");
        if self.failures == FAILURES {
            let parameters = matches!(error, PostgresError::NotAccepting { .. }) && !view.wanted.is_empty();
            let status = if parameters { "incompatible-parameters" } else { "failed" }.to_owned();
            let trouble = Trouble { status, message: error.to_string() };
            self.change(|instance| instance.runtime.trouble = Some(trouble));
        }
    }

    /// Returns the server's directory and programs.
    pub(super) fn server(&mut self) -> Result<Arc<Server>, PostgresError> {
        if let Some(server) = &self.server {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::open(&self.directory())?);
        Ok(Arc::clone(self.server.insert(server)))
    }

    pub(super) fn directory(&self) -> PathBuf {
        directory(self.shared.directory(), &self.resource_id)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut DbInstance)) {
        self.shared.update(|cloud| {
            let region = cloud.region_mut(&self.region).ok();
            let mut instances = region.into_iter().flat_map(|region| region.rds.instances.values_mut());
            if let Some(instance) = instances.find(|instance| instance.resource_id == self.resource_id) {
                change(instance);
            }
        });
    }

    /// Waits until something may have changed.
    async fn wait(&mut self) {
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => {}
            _ = self.changes.changed() => {}
            _ = self.phase.ended() => {}
        }
    }

    /// Waits until a failed step may be retried.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.phase.ended() => {}
        }
    }
}

impl Secured {
    fn new(view: &View, parameters: &BTreeMap<String, String>) -> Secured {
        let version = installed().ok().and_then(|installed| installed.version.as_deref()).unwrap_or_default();
        let forced = settings::forces_tls(&view.instance.engine, version, parameters);
        Secured { addresses: view.addresses.clone(), forced }
    }

    /// The service's own connections, which stay on this machine, need no TLS.
    fn tls<'a>(&'a self, authority: &'a CertificateAuthority) -> Tls<'a> {
        Tls { certified: Some((authority, &self.addresses)), plaintext_user: self.forced.then_some(roles::SERVICE) }
    }
}

/// Applies the pending changes of an instance to its record.
pub(super) fn apply_pending(region: &mut Region, id: &str, addresses: &AddressBlock) {
    let mut zones = region.zone_names().collect::<Vec<_>>().into_iter();
    let Some(instance) = region.rds.instances.get_mut(id) else { return };
    let Pending { now, id: new, is_blocked, class, storage, port, multi_az } = std::mem::take(&mut instance.pending);
    instance.class = class.unwrap_or_else(|| instance.class.clone());
    instance.storage = storage.unwrap_or_else(|| instance.storage.clone());
    instance.place.port = port.unwrap_or(instance.place.port);
    match multi_az {
        Some(true) => instance.second_zone = zones.find(|zone| *zone != instance.zone),
        Some(false) => instance.second_zone = None,
        None => {}
    }
    if new.is_some() {
        instance.pending = Pending { now, id: new, is_blocked, ..Pending::default() };
        rename::rename_instance(region, id, addresses);
    }
}
