//! Runs a host task for each active instance, and forgets terminated instances after some time.

use std::collections::HashSet;
use std::time::Duration;

use chrono::Utc;
use tokio::task::JoinSet;

use super::background::{Phase, PhaseWatch};
use super::network::NetworkHandle;
use super::{artifact, engine, host};
use crate::model::ec2::instance::InstanceState;
use crate::state::Shared;
use crate::state::console;

/// Time for which a terminated instance is shown, at time scale 1.
const SHOWN_AFTER_END: Duration = Duration::from_mins(1);

/// Lower bound of that time at any time scale. Clients that poll every ten seconds must be able to see the termination;
/// otherwise they consider the instance lost.
const SHOWN_AT_LEAST: Duration = Duration::from_secs(25);

/// Interval of checks on terminated instances, at time scale 1.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// Lower bound of that interval at any time scale.
const FORGET_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// An instance's region and id.
type Key = (String, String);

/// Runs until the cloud stops and all hosts have finished; `time_scale` divides the time for which terminated instances
/// are shown.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, time_scale: f64, mut phase: PhaseWatch) {
    let mut changes = shared.changes_of_instances();
    // Ids of the instances with a host task.
    let mut hosted: HashSet<String> = HashSet::new();
    let mut hosts: JoinSet<String> = JoinSet::new();
    let mut forget = tokio::time::interval(FORGET_EVERY.div_f64(time_scale).max(FORGET_AT_MOST_EVERY));
    loop {
        changes.borrow_and_update();
        for (region, id) in without_host(&shared, &hosted) {
            hosted.insert(id.clone());
            let host = host::Host::new(shared.clone(), network.clone(), region, id.clone(), phase.clone());
            hosts.spawn(async move {
                host.run().await;
                id
            });
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(ended) = hosts.join_next() => match ended {
                Ok(id) => { hosted.remove(&id); }
                Err(error) => tracing::error!(%error, "the host of an instance failed"),
            },
            _ = forget.tick() => forget_ended(&shared, SHOWN_AFTER_END.div_f64(time_scale).max(SHOWN_AT_LEAST)),
            _ = phase.ended() => break,
        }
    }
    while hosts.join_next().await.is_some() {}
    if phase.now() == Phase::Stopping {
        forget_ended(&shared, Duration::ZERO);
        if let Err(error) = artifact::forget_unused(shared.directory()) {
            tracing::warn!(%error, "unused programs could not be removed");
        }
    }
}

/// Returns the instances that run, or are about to, and have no host task yet.
fn without_host(shared: &Shared, hosted: &HashSet<String>) -> Vec<Key> {
    shared.read(|cloud| {
        let all = cloud
            .regions
            .values()
            .flat_map(|region| region.ec2.instances.values().map(move |instance| (region, instance)));
        all.filter(|(_, instance)| !matches!(instance.state, InstanceState::Terminated | InstanceState::Stopped))
            .filter(|(_, instance)| !hosted.contains(&instance.id))
            .map(|(region, instance)| (region.name.clone(), instance.id.clone()))
            .collect()
    })
}

fn forget_ended(shared: &Shared, shown: Duration) {
    let now = Utc::now();
    let old = |ended: Option<chrono::DateTime<Utc>>| {
        ended.is_some_and(|ended| (now - ended).to_std().is_ok_and(|age| age > shown))
    };
    let forgotten: Vec<String> = shared.read(|cloud| {
        let instances = cloud.regions.values().flat_map(|region| region.ec2.instances.values());
        instances.filter(|instance| old(instance.terminated_at)).map(|instance| instance.id.clone()).collect()
    });
    if forgotten.is_empty() {
        return;
    }
    shared.update(|cloud| {
        for region in cloud.regions.values_mut() {
            region.ec2.instances.retain(|id, _| !forgotten.contains(id));
            let known = &region.ec2.instances;
            region.ec2.launches.retain(|_, launch| launch.instances.iter().any(|id| known.contains_key(id)));
        }
    });
    for id in forgotten {
        let directory = console::directory(shared.directory(), &id);
        if let Err(error) = engine::remove_disk(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, instance = id, "a terminated instance's directory could not be removed");
        }
    }
}
