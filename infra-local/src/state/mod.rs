//! The state of the cloud behind a shared handle: it is read, changed in one step, and subscribed to.
//!
//! - [`journal`]: the state on disk
//! - [`topics`]: subscriptions to changes below a place
//! - [`files`]: files for their owner alone; [`address`]: the loopback addresses of the cloud
//! - [`schemas`]: schemas of CloudFormation types, as files
//! - [`objects`]: S3's buckets and objects as files; [`console`]: the files of an instance's console; [`paths`]: other paths
//! - [`traffic`], [`times`]: requests that went through load balancers; [`databases`]: activity of databases

pub(crate) mod address;
pub(crate) mod console;
pub(crate) mod databases;
pub(crate) mod files;
mod journal;
pub(crate) mod objects;
pub(crate) mod paths;
pub(crate) mod schemas;
pub(crate) mod times;
mod topics;
pub(crate) mod traffic;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;

use crate::model::changes::Record;
use crate::model::{Account, Cloud, REGIONS};
use crate::state::address::AddressBlock;
use crate::state::databases::Databases;
use crate::state::objects::Objects;
use crate::state::traffic::Traffic;
use crate::wire::Outcome;
use journal::Journal;
pub use journal::recorded_account;
use topics::Topics;

/// A handle on the cloud's state. Clones are cheap and refer to the same state.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inner>);

struct Inner {
    cloud: Mutex<Cloud>,
    journal: Mutex<Journal>,
    past_states: Mutex<Past>,
    revision: watch::Sender<u64>,
    topics: Topics,
    account: Account,
    directory: PathBuf,
    addresses: AddressBlock,
    objects: Objects,
    endpoint: OnceLock<SocketAddr>,
    /// True when services are confined.
    confines: AtomicBool,
    /// The reason why the loopback interface connects instances, if it does.
    loopback_reason: OnceLock<String>,
    /// False when the cloud only has a control plane.
    runs_services: AtomicBool,
    /// URL of the emulator for services that this cloud does not have.
    delegate: OnceLock<String>,
    /// Identifiers for the resources that a declaration creates, by the declaration; see [`Shared::choose_ids`].
    chosen_ids: Mutex<HashMap<String, Vec<String>>>,
    traffic: Traffic,
    databases: Databases,
}

/// Replaced states, each with the time of its replacement, the oldest first.
type Past = VecDeque<(Instant, Cloud)>;

/// Returns the age of the state that control planes show while a fault delays it.
fn lag(cloud: &Cloud) -> Option<Duration> {
    let milliseconds = cloud.faults.lag_milliseconds;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

impl Shared {
    /// Loads the state of the directory, or starts an empty one in this account.
    pub(crate) fn load(directory: &Path, account: Account, addresses: AddressBlock) -> io::Result<Shared> {
        let (mut journal, found) = Journal::open(directory)?;
        let found = found.unwrap_or_default();
        let mut cloud = found.clone();
        if cloud.id.is_empty() {
            cloud.set_account(account);
        }
        cloud.complete();
        if !journal.is_folded() || !Record::of(&cloud, &found).places().is_empty() {
            journal.fold(&cloud)?;
        }
        Ok(Shared(Arc::new(Inner {
            account: cloud.account,
            cloud: Mutex::new(cloud),
            journal: Mutex::new(journal),
            past_states: Mutex::default(),
            revision: watch::Sender::new(0),
            topics: Topics::default(),
            directory: directory.to_owned(),
            addresses,
            objects: Objects::load(directory.join("s3"))?,
            endpoint: OnceLock::new(),
            confines: AtomicBool::new(true),
            loopback_reason: OnceLock::new(),
            runs_services: AtomicBool::new(true),
            delegate: OnceLock::new(),
            chosen_ids: Mutex::default(),
            traffic: Traffic::default(),
            databases: Databases::default(),
        })))
    }

    /// Returns the account of the cloud.
    pub(crate) fn account(&self) -> Account {
        self.0.account
    }

    /// Returns whether services are confined, which is the default.
    pub(crate) fn confines(&self) -> bool {
        self.0.confines.load(Ordering::Relaxed)
    }

    /// Lets services run with all rights of the user who started the cloud.
    pub(crate) fn unconfine(&self) {
        self.0.confines.store(false, Ordering::Relaxed);
    }

    /// Returns whether instances run their services and databases their servers.
    pub(crate) fn runs_services(&self) -> bool {
        self.0.runs_services.load(Ordering::Relaxed)
    }

    /// Lets instances run no services and databases no servers: the cloud is a control plane.
    pub(crate) fn run_no_services(&self) {
        self.0.runs_services.store(false, Ordering::Relaxed);
    }

    /// Returns the URL of the emulator for services that this cloud does not have.
    pub(crate) fn delegate(&self) -> Option<&str> {
        self.0.delegate.get().map(String::as_str)
    }

    /// Records the emulator for services that this cloud does not have.
    pub(crate) fn set_delegate(&self, url: Option<String>) {
        if let Some(url) = url {
            let _ = self.0.delegate.set(url);
        }
    }

    /// Chooses the identifiers of the resources that the requests of a declaration create, until
    /// [`Shared::chosen_ids`] is called with none left. Only code of this process can choose.
    pub(crate) fn choose_ids(&self, declaration: &str, ids: Vec<String>) {
        let mut chosen = self.0.chosen_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.is_empty() {
            chosen.remove(declaration)
        } else {
            chosen.insert(declaration.to_owned(), ids)
        };
    }

    /// Returns the identifiers chosen for a declaration.
    pub(crate) fn chosen_ids(&self, declaration: &str) -> Vec<String> {
        let chosen = self.0.chosen_ids.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.get(declaration).cloned().unwrap_or_default()
    }

    /// Returns the reason why the loopback interface connects instances, or `None` if they have network namespaces.
    pub(crate) fn loopback_reason(&self) -> Option<&str> {
        self.0.loopback_reason.get().map(String::as_str)
    }

    /// Records why the loopback interface connects instances; later reasons are ignored.
    pub(crate) fn set_loopback_reason(&self, reason: String) {
        let _ = self.0.loopback_reason.set(reason);
    }

    /// Reads the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Cloud) -> T) -> T {
        look(&self.lock())
    }

    /// Reads the state as control planes return it: an earlier one while a fault delays it.
    pub(crate) fn read_delayed<T>(&self, look: impl FnOnce(&Cloud) -> T) -> T {
        let cloud = self.lock();
        let Some(then) = lag(&cloud).and_then(|lag| Instant::now().checked_sub(lag)) else {
            return look(&cloud);
        };
        let past_states = self.past_states();
        // The first state that was replaced after that moment was the current one at that moment.
        match past_states.iter().find(|(replaced, _)| *replaced > then) {
            Some((_, state)) => look(state),
            None => look(&cloud),
        }
    }

    /// Changes the state completely or, when `change` fails, not at all. The change is on disk before this returns.
    pub(crate) fn write<T, E: From<io::Error>>(&self, change: impl FnOnce(&mut Cloud) -> Result<T, E>) -> Result<T, E> {
        let mut cloud = self.lock();
        let mut draft = cloud.clone();
        let value = change(&mut draft)?;
        draft.record_events(&cloud, Utc::now());
        let record = Record::of(&draft, &cloud);
        self.save(&record, &draft)?;
        let before = std::mem::replace(&mut *cloud, draft);
        self.notify(record, before, cloud);
        Ok(value)
    }

    /// Changes the state from a reconciler, which cannot report a full disk to a client: the error is logged, and the
    /// change is kept in memory.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut cloud = self.lock();
        let before = cloud.clone();
        let value = change(&mut cloud);
        cloud.record_events(&before, Utc::now());
        let record = Record::of(&*cloud, &before);
        if let Err(error) = self.save(&record, &cloud) {
            tracing::error!(%error, "the state could not be written to disk");
        }
        self.notify(record, before, cloud);
        value
    }

    /// Adds one of AWS's regions to the state, unless it exists. Control planes with a delayed state show it at once.
    pub(crate) fn open_region(&self, name: &str) -> Outcome<()> {
        if self.read(|cloud| cloud.regions.contains_key(name)) {
            return Ok(());
        }
        let region = self.write(|cloud| {
            cloud.open_region(name)?;
            cloud.region(name).cloned()
        })?;
        for (_, earlier) in self.past_states().iter_mut() {
            earlier.regions.entry(name.to_owned()).or_insert_with(|| region.clone());
        }
        Ok(())
    }

    /// Executes `change` on a copy, which is discarded.
    pub(crate) fn dry_run<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut draft = self.lock().clone();
        change(&mut draft)
    }

    /// Returns a receiver that is notified after every change of the state; reconcilers wait for it.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Returns a receiver that is notified after changes at or below these places, such as `["regions", "us-east-1",
    /// "ec2", "instances"]`.
    pub(crate) fn changes_below(&self, places: &[&[&str]]) -> watch::Receiver<u64> {
        self.0.topics.subscribe(places)
    }

    /// Returns a receiver that is notified after changes of any instance.
    pub(crate) fn changes_of_instances(&self) -> watch::Receiver<u64> {
        let places = REGIONS.iter().map(|(region, _)| ["regions", region, "ec2", "instances"]);
        self.changes_below(&places.collect::<Vec<_>>().iter().map(<[&str; 4]>::as_slice).collect::<Vec<_>>())
    }

    /// Writes the complete state to one readable file.
    pub(crate) fn fold(&self) -> io::Result<()> {
        let cloud = self.lock();
        self.journal().fold(&cloud)
    }

    /// Returns whether the files of the state are still in the directory.
    pub(crate) fn is_in_place(&self) -> bool {
        self.journal().is_in_place()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    pub(crate) fn addresses(&self) -> &AddressBlock {
        &self.0.addresses
    }

    /// Returns the buckets and their objects.
    pub(crate) fn objects(&self) -> &Objects {
        &self.0.objects
    }

    /// Returns the counts of the requests to load balancers since the start of the cloud.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.0.traffic
    }

    /// Returns the observations on database servers.
    pub(crate) fn databases(&self) -> &Databases {
        &self.0.databases
    }

    /// Returns the address of the endpoint, which is unspecified until the server is bound.
    pub(crate) fn endpoint(&self) -> SocketAddr {
        self.0.endpoint.get().copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn bound(&self, endpoint: SocketAddr) {
        self.0.endpoint.get_or_init(|| endpoint);
    }

    /// Keeps a replaced state while control planes may still return it.
    fn keep_past_state(&self, before: Cloud, now: &Cloud) {
        let mut past_states = self.past_states();
        match lag(now) {
            Some(lag) => {
                past_states.retain(|(replaced, _)| replaced.elapsed() <= lag);
                past_states.push_back((Instant::now(), before));
            }
            None => past_states.clear(),
        }
    }

    fn past_states(&self) -> MutexGuard<'_, Past> {
        self.0.past_states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, record: &Record, cloud: &Cloud) -> io::Result<()> {
        if record.places().is_empty() { Ok(()) } else { self.journal().append(record, cloud) }
    }

    /// Notifies the subscribers of the changed places.
    fn notify(&self, record: Record, before: Cloud, cloud: MutexGuard<'_, Cloud>) {
        if record.places().is_empty() {
            return;
        }
        self.keep_past_state(before, &cloud);
        drop(cloud);
        self.0.topics.notify(record.places());
        self.0.revision.send_modify(|revision| *revision += 1);
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Cloud> {
        // Writers work on drafts and reconcilers make small changes, so a panic leaves no inconsistent state.
        self.0.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_opened_region_is_kept_and_shown_at_once_by_delayed_control_planes() {
        let directory = tempfile::tempdir().unwrap();
        let load = || {
            let addresses = AddressBlock::claim(directory.path()).unwrap();
            Shared::load(directory.path(), Account::default(), addresses).unwrap()
        };
        let vpcs = |cloud: &Cloud| cloud.region("eu-west-1").map(|region| region.ec2.vpcs.clone()).ok();
        let shared = load();
        shared.update(|cloud| cloud.faults.lag_milliseconds = 3_600_000);
        shared.update(|cloud| cloud.port = Some(1));
        assert_eq!(shared.read_delayed(vpcs), None);
        shared.open_region("eu-west-1").unwrap();
        let opened = shared.read_delayed(vpcs);
        assert!(opened.is_some());
        assert!(shared.open_region("eu-west-9").is_err());
        drop(shared);
        let again = load();
        again.open_region("eu-west-1").unwrap();
        assert_eq!(again.read(vpcs), opened);
    }
}
