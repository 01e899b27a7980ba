//! One instance as a host: boots it, keeps its services running as systemd would, and stops it.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::background::{Phase, PhaseWatch};
use super::engine::Engine;
use super::network::NetworkHandle;
use super::service::{Restarts, Unit};
use super::{images, inside, service};
use crate::domain::machine;
use crate::model::Cloud;
use crate::model::ec2::gateway::Holder;
use crate::model::ec2::instance::{Instance, InstanceState, Service, ServiceState, StateReason};
use crate::model::machine::{MachineDocument, MachineFile};
use crate::model::process::ProcessIdentity;
use crate::state::Shared;
use crate::state::console;

/// EC2's reason for an instance that shut itself down.
const SHUTDOWN: &str = "Client.InstanceInitiatedShutdown: Instance initiated shutdown";

/// Interval of checks on processes.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// Time limit for services to exit after SIGTERM.
const END_GRACE: Duration = Duration::from_secs(10);

/// The task of one instance.
pub(crate) struct Host {
    shared: Shared,
    network: NetworkHandle,
    region: String,
    id: String,
    phase: PhaseWatch,
    changes: watch::Receiver<u64>,
    directory: PathBuf,
    units: BTreeMap<String, (Unit, Restarts)>,
    reboots: u32,
}

impl Host {
    pub(crate) fn new(shared: Shared, network: NetworkHandle, region: String, id: String, phase: PhaseWatch) -> Host {
        let directory = console::directory(shared.directory(), &id);
        let places: [&[&str]; 3] = [
            &["regions", &region, "ec2", "instances", &id],
            &["regions", &region, "lost_zones"],
            &["regions", &region, "ec2", "images"],
        ];
        let changes = shared.changes_below(&places);
        Host { shared, network, region, id, phase, changes, directory, units: BTreeMap::new(), reboots: 0 }
    }

    /// Runs until the instance is stopped, terminated or forgotten, or the cloud stops.
    pub(crate) async fn run(mut self) {
        let Some(instance) = self.instance() else { return };
        self.reboots = instance.runtime.reboots;
        if let Err(error) = images::unpack(&self.shared, &instance, &self.directory).await {
            self.write_console(&format!("what the image {} holds cannot be copied: {error}", instance.image_id));
        }
        self.wait_until_connected(&instance.network_interface_id).await;
        self.units = self.plan(&instance);
        // The user data may have changed while the instance was stopped. A service that still runs is stopped later.
        let is_stale =
            |(name, service): (&String, &Service)| service.process.is_none() && !self.units.contains_key(name);
        if instance.runtime.services.iter().any(is_stale) {
            self.change(|instance| instance.runtime.services.retain(|name, service| !is_stale((name, service))));
        }
        loop {
            match self.phase.now() {
                Phase::Running => {}
                Phase::Detaching => return,
                Phase::Stopping => return self.stop_services().await,
            }
            self.changes.borrow_and_update();
            let Some(instance) = self.instance() else { return };
            if self.is_lost(&instance) {
                self.kill_all(&instance);
                self.wait().await;
                continue;
            }
            match instance.state {
                InstanceState::Terminated | InstanceState::Stopped => return,
                InstanceState::ShuttingDown => {
                    self.stop_services().await;
                    return self.terminated();
                }
                InstanceState::Stopping => {
                    self.stop_services().await;
                    return self.change(|instance| instance.state = InstanceState::Stopped);
                }
                // Nothing may write to the disk while it is copied.
                InstanceState::Pending if !images::due(&self.shared, &self.region, &self.id).is_empty() => {}
                InstanceState::Pending => {
                    let powers_off = !instance.runtime.configured && machine::powers_off(&instance.decoded_user_data());
                    if powers_off && self.install(&instance).await {
                        self.power_off();
                        continue;
                    }
                    if !powers_off {
                        self.supervise_services(true).await;
                    }
                    self.write_console("the instance is up");
                    self.change(|instance| {
                        instance.runtime.configured = true;
                        if instance.state == InstanceState::Pending {
                            instance.state = InstanceState::Running;
                        }
                    });
                }
                InstanceState::Running => {
                    if instance.runtime.impaired {
                        self.write_console("the machine is back: the instance boots");
                        self.change(|instance| instance.runtime.impaired = false);
                        self.forget_restarts();
                    }
                    if instance.runtime.reboots != self.reboots {
                        self.reboots = instance.runtime.reboots;
                        self.write_console("the instance reboots");
                        self.stop_services().await;
                        self.forget_restarts();
                    }
                    for image in images::due(&self.shared, &self.region, &self.id) {
                        if !image.no_reboot {
                            self.write_console(&format!("the instance reboots for the image {}", image.id));
                            self.stop_services().await;
                            self.forget_restarts();
                        }
                        images::capture(&self.shared, &self.region, &image, &self.directory).await;
                    }
                    self.supervise_services(false).await;
                }
            }
            self.wait().await;
        }
    }

    /// Waits until the instance's interface is connected, or until the instance or the cloud stops. Its processes may
    /// already run, started by an earlier cloud.
    async fn wait_until_connected(&mut self, interface: &str) {
        loop {
            self.changes.borrow_and_update();
            let starts =
                |instance: &Instance| matches!(instance.state, InstanceState::Pending | InstanceState::Running);
            if self.phase.now() != Phase::Running || !self.instance().is_some_and(|instance| starts(&instance)) {
                return;
            }
            tokio::select! {
                () = self.network.wait_until_connected(interface) => return,
                _ = self.changes.changed() => {}
                _ = self.phase.ended() => {}
            }
        }
    }

    /// Returns whether the instance should run, but its zone has failed.
    fn is_lost(&self, instance: &Instance) -> bool {
        let runs = matches!(instance.state, InstanceState::Pending | InstanceState::Running);
        let lost =
            |cloud: &Cloud| cloud.region(&self.region).is_ok_and(|region| region.lost_zones.contains(&instance.zone));
        runs && self.shared.read(lost)
    }

    /// Kills all processes of the instance at once, as a power failure would.
    fn kill_all(&self, instance: &Instance) {
        if instance.runtime.impaired {
            return;
        }
        self.write_console(&format!("the instance stops: the zone {} has failed", instance.zone));
        instance.runtime.services.values().filter_map(|service| service.process).for_each(|process| process.kill());
        self.change(|instance| {
            instance.runtime.impaired = true;
            for service in instance.runtime.services.values_mut() {
                service.process = None;
                service.state = ServiceState::Stopped;
            }
        });
    }

    fn forget_restarts(&mut self) {
        for (_, restarts) in self.units.values_mut() {
            *restarts = Restarts::default();
        }
    }

    /// Waits until the host has to check its instance again.
    async fn wait(&mut self) {
        // An instance without services has no process that could exit.
        let pause = if self.units.is_empty() { Duration::from_hours(1) } else { WATCH_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = self.changes.changed() => {}
            _ = self.phase.ended() => {}
        }
    }

    /// Reads the Machine document and prepares the instance's directory. As on AWS, an instance with invalid user data
    /// runs without services, and its console output contains the error.
    fn plan(&self, instance: &Instance) -> BTreeMap<String, (Unit, Restarts)> {
        if let Err(error) = prepare_directory(&self.directory) {
            tracing::error!(instance = self.id, %error, "cannot create the directory of an instance");
            return BTreeMap::new();
        }
        let machine = match MachineDocument::of(instance) {
            Ok(Some(machine)) => machine,
            Ok(None) => {
                self.write_console("there is no Machine in the user data or the image: the instance is idle");
                return BTreeMap::new();
            }
            Err(error) => {
                self.write_console(&format!("the Machine in the user data cannot be used: {error}"));
                return BTreeMap::new();
            }
        };
        for file in &machine.files {
            if let Err(error) = write_file(&self.directory.join("root"), file) {
                self.write_console(&format!("the file {} cannot be written: {error}", file.path));
            }
        }
        let mut units = BTreeMap::new();
        if !self.shared.runs_services() {
            return units;
        }
        for (engine, database) in [(Engine::Postgres, machine.postgres), (Engine::MariaDb, machine.mariadb)] {
            if let Some(database) = database {
                units.insert(engine.name().to_owned(), (Unit::database(engine, database), Restarts::default()));
            }
        }
        for service in machine.services {
            units.insert(service.name.clone(), (Unit::service(service), Restarts::default()));
        }
        units
    }

    /// Downloads the programs without running them. Returns false, with a message in the console output, when that
    /// fails.
    async fn install(&self, instance: &Instance) -> bool {
        if !self.shared.runs_services() {
            return true;
        }
        let host = service::Host {
            shared: &self.shared,
            network: &self.network,
            region: &self.region,
            instance,
            directory: &self.directory,
        };
        for (name, (unit, _)) in &self.units {
            if let Err(error) = unit.install(&host).await {
                self.write_console(&format!("infra-setup failed: {name}: {error}"));
                return false;
            }
        }
        true
    }

    /// Powers the instance off, as a shutdown from inside of it does.
    fn power_off(&self) {
        self.write_console("the host has configured itself and powers off");
        self.change(|instance| {
            instance.runtime.configured = true;
            if instance.shutdown_terminates {
                instance.terminate("Client.InstanceInitiatedShutdown", SHUTDOWN);
            } else if instance.state == InstanceState::Pending {
                instance.state = InstanceState::Stopping;
                let code = "Client.InstanceInitiatedShutdown".to_owned();
                instance.reason = Some(StateReason { code, message: SHUTDOWN.to_owned() });
            }
        });
    }

    /// Starts services that do not run. `at_boot`, databases start before services that may need it.
    async fn supervise_services(&mut self, at_boot: bool) {
        let Some(instance) = self.instance() else { return };
        let now = Instant::now();
        let mut due: Vec<String> = Vec::new();
        for (name, (_, restarts)) in &mut self.units {
            let recorded = instance.runtime.services.get(name);
            let process = recorded.and_then(|service| service.process);
            match process {
                Some(process) if process.is_alive() => restarts.runs(now),
                Some(_) => {
                    // The exit is recorded once.
                    restarts.ended(now);
                    console::write(self.shared.directory(), &self.id, &format!("{name} ended"));
                    update_service(&self.shared, &self.region, &self.id, name, |service| {
                        service.process = None;
                        service.state =
                            if restarts.exhausted() { ServiceState::Failed } else { ServiceState::Restarting };
                    });
                    if restarts.exhausted() {
                        let line = format!("{name} stopped too often in a short time and is not restarted");
                        console::write(self.shared.directory(), &self.id, &line);
                    }
                }
                None if restarts.is_due(now) => due.push(name.clone()),
                None => {}
            }
        }
        if at_boot {
            due.sort_by_key(|name| Engine::named(name).is_none());
        }
        for name in due {
            self.start(&name, &instance).await;
        }
    }

    async fn start(&mut self, name: &str, instance: &Instance) {
        let Some((unit, restarts)) = self.units.get_mut(name) else { return };
        restarts.starts(Instant::now());
        let (port, log) = (unit.port(), unit.log(&self.directory));
        let host = service::Host {
            shared: &self.shared,
            network: &self.network,
            region: &self.region,
            instance,
            directory: &self.directory,
        };
        match unit.start(&host).await {
            Ok(service::Started { process, report }) => {
                restarts.started();
                let count = restarts.count();
                self.write_console(&format!("{name} started as process {}", process.pid));
                report.into_iter().for_each(|line| self.write_console(line));
                update_service(&self.shared, &self.region, &self.id, name, |service| {
                    *service =
                        Service { state: ServiceState::Running, process: Some(process), port, log, restarts: count };
                });
            }
            Err(error) => {
                restarts.failed_to_start(Instant::now());
                let line = format!("{name} cannot be started: {error}");
                if restarts.is_new_message(&line) {
                    self.write_console(&line);
                    update_service(&self.shared, &self.region, &self.id, name, |service| {
                        *service = Service { port, log, ..service.clone() };
                        service.state = ServiceState::Starting;
                    });
                }
            }
        }
    }

    /// Ends all processes at once, in order.
    async fn stop_services(&self) {
        let Some(instance) = self.instance() else { return };
        let running: Vec<(String, ProcessIdentity)> = instance
            .runtime
            .services
            .iter()
            .filter_map(|(name, service)| Some((name.clone(), service.process?)))
            .collect();
        join_all(running.into_iter().map(|(name, process)| async move {
            match Engine::named(&name) {
                Some(engine) => engine.stop(process).await,
                None => process.terminate(END_GRACE).await,
            }
        }))
        .await;
        self.change(|instance| {
            for service in instance.runtime.services.values_mut() {
                service.process = None;
                service.state = ServiceState::Stopped;
            }
        });
    }

    fn terminated(&self) {
        self.write_console("the instance is terminated");
        let id = self.id.clone();
        self.shared.update(|cloud| {
            let Ok(region) = cloud.region_mut(&self.region) else { return };
            if let Some(instance) = region.ec2.instances.get_mut(&id) {
                instance.state = InstanceState::Terminated;
                instance.terminated_at = Some(Utc::now());
                region.detach_from_terminated(&id);
                region.release_volumes_of(&id);
                region.take_addresses_from(&Holder::Instance(id.clone()));
            }
        });
    }

    fn instance(&self) -> Option<Arc<Instance>> {
        self.shared.read(|cloud| cloud.region(&self.region).ok()?.ec2.instances.share(&self.id))
    }

    fn change(&self, change: impl FnOnce(&mut Instance)) {
        self.shared.update(|cloud| {
            if let Some(instance) =
                cloud.region_mut(&self.region).ok().and_then(|region| region.ec2.instances.get_mut(&self.id))
            {
                change(instance);
            }
        });
    }

    fn write_console(&self, line: &str) {
        console::write(self.shared.directory(), &self.id, line);
    }
}

/// Updates the record of a service in the model.
fn update_service(shared: &Shared, region: &str, id: &str, name: &str, change: impl FnOnce(&mut Service)) {
    shared.update(|cloud| {
        if let Some(instance) = cloud.region_mut(region).ok().and_then(|region| region.ec2.instances.get_mut(id)) {
            change(instance.runtime.services.entry(name.to_owned()).or_default());
        }
    });
}

fn prepare_directory(directory: &Path) -> std::io::Result<()> {
    let last = directory.join("tmp");
    if last.is_dir() {
        return Ok(());
    }
    for path in [directory.to_owned(), directory.join("root"), directory.join("bin"), last] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    Ok(())
}

/// Writes a file of the Machine document below the instance's root: `/etc/x` is `etc/x` in the services' working
/// directory.
fn write_file(root: &Path, file: &MachineFile) -> std::io::Result<()> {
    // Only the owner uses the files of an instance.
    let mode = u32::from_str_radix(&file.mode, 8).unwrap_or(0o600) & 0o700;
    inside::write(root, Path::new(&file.path), file.content.as_bytes(), mode)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::domain::ec2::launch::Launch;
    use crate::model::Account;
    use crate::model::ec2::image::stock;
    use crate::model::ec2::launch_template::LaunchData;
    use crate::runtime::background::Background;
    use crate::runtime::network::Unconnected;
    use crate::runtime::process::{ProcessSpec, spawn};
    use crate::state::address::AddressBlock;

    const REGION: &str = "us-east-1";

    /// Returns an instance without a connected interface, whose service `sleep` was started by an earlier cloud.
    fn adopted(shared: &Shared, addresses: &AddressBlock, directory: &Path) -> (String, ProcessIdentity) {
        let data = LaunchData {
            image_id: Some(stock(REGION)[0].id.clone()),
            instance_type: Some("t3.micro".to_owned()),
            ..LaunchData::default()
        };
        let launch = Launch { data, template: None, min: 1, max: 1, client_token: None };
        let sleep = ProcessSpec {
            program: "/bin/sleep".into(),
            arguments: vec!["60".to_owned()],
            environment: BTreeMap::new(),
            directory: directory.to_owned(),
            log: directory.join("log"),
            user: None,
            confinement: None,
        };
        let process = spawn(&sleep, None).unwrap();
        let service = Service { state: ServiceState::Running, process: Some(process), ..Service::default() };
        let id = shared.update(|cloud| {
            let id = launch.carry_out(cloud, REGION, addresses, Utc::now()).unwrap().remove(0);
            let instance = cloud.region_mut(REGION).unwrap().ec2.instances.get_mut(&id).unwrap();
            instance.state = InstanceState::Running;
            instance.runtime.services.insert("sleep".to_owned(), service);
            id
        });
        (id, process)
    }

    #[tokio::test]
    async fn an_adopted_process_is_stopped_with_its_instance_or_cloud_before_the_network_is_connected() {
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        let shared = Shared::load(directory.path(), Account::default(), addresses).unwrap();
        let network = NetworkHandle::new(Unconnected);
        let mut background = Background::new();
        let mut host = |id: &str| {
            let (shared, network, id) = (shared.clone(), network.clone(), id.to_owned());
            background.spawn(|phase| Host::new(shared, network, REGION.to_owned(), id, phase).run());
        };
        let (id, process) = adopted(&shared, shared.addresses(), directory.path());
        host(&id);
        shared.update(|cloud| {
            let region = cloud.region_mut(REGION).unwrap();
            region.ec2.instances.get_mut(&id).unwrap().terminate("Client.UserInitiatedShutdown", "stopped by the test");
        });
        assert!(process.exits_within(Duration::from_secs(10)).await);

        let (id, process) = adopted(&shared, shared.addresses(), directory.path());
        host(&id);
        assert!(process.is_alive());
        background.end(Phase::Stopping).await;
        assert!(!process.is_alive());
    }
}
