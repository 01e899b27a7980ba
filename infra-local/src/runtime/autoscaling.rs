//! Reconciles Auto Scaling groups: launches, replaces, refreshes, scales.
//!
//! # Layout
//!
//! A step is a function of the model and the time; it does not inspect processes.
//! - [`schedule`]: scheduled changes of the size
//! - [`members`]: the lifecycle of each instance; [`hooks`]: its waits for lifecycle hooks
//! - [`lifetime`]: replaces members after the maximum instance lifetime
//! - [`maintenance`]: replacements within the instance maintenance policy
//! - [`refresh`]: instance refreshes
//! - [`tracking`]: target tracking
//! - [`capacity`]: launches and terminates instances to reach the desired capacity
//! - [`metrics`]: the metrics that scaling policies and alarms use

mod capacity;
mod hooks;
mod lifetime;
mod maintenance;
mod members;
mod metrics;
mod refresh;
mod schedule;
#[cfg(test)]
mod tests;
mod tracking;

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::background::PhaseWatch;
use super::engine;
use crate::domain::autoscaling::alarms;
use crate::domain::ec2::launch_template;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::clock::TimeScale;
use crate::model::cloudwatch::metrics::Metrics as Published;
use crate::model::ec2::launch_template::{LaunchTemplate, TemplateReference};
use crate::state::Shared;
use crate::state::address::AddressBlock;
use crate::wire::Outcome;
pub(crate) use metrics::CORES_PER_VCPU;
use metrics::Metrics;

/// Interval of steps without a change of the model, for waiting periods that end.
const TICK: Duration = Duration::from_millis(200);

/// Reconciles the groups until the cloud stops. `time_scale` divides AWS's waiting periods.
pub(crate) async fn run(shared: Shared, time_scale: f64, mut phase: PhaseWatch) {
    let mut declared = shared.changes();
    let mut metrics = Metrics::new(time_scale);
    let custom = shared.read(|cloud| cloud.metrics.clone());
    loop {
        declared.borrow_and_update();
        if shared.read(|cloud| cloud.regions.values().any(|region| !region.autoscaling.groups.is_empty())) {
            // Launches need the result.
            engine::discover();
            let now = Utc::now();
            if metrics.is_due(now) {
                let sources = shared.read(metrics::sources);
                metrics.sample(&sources, shared.traffic(), now);
            }
            let env = Env {
                now,
                time_scale,
                addresses: shared.addresses(),
                directory: shared.directory(),
                metrics: &metrics,
                custom: &custom,
            };
            shared.update(|cloud| step_all(cloud, &env));
        }
        tokio::select! {
            _ = declared.changed() => {}
            () = tokio::time::sleep(TICK) => {}
            _ = phase.ended() => return,
        }
    }
}

/// Resolves a group's reference to a template and a version. The reference has the template's id and name.
fn resolve<'a>(region: &'a Region, reference: &TemplateReference) -> Outcome<(&'a LaunchTemplate, u64)> {
    let name = reference.name.clone().filter(|_| reference.id.is_none());
    let (template, number, _) = launch_template::resolve(region, &TemplateReference { name, ..reference.clone() })?;
    Ok((template, number))
}

/// Inputs of a step besides the model.
struct Env<'a> {
    now: DateTime<Utc>,
    time_scale: f64,
    addresses: &'a AddressBlock,
    /// The cloud's directory.
    directory: &'a Path,
    metrics: &'a Metrics,
    /// Published metrics.
    custom: &'a Published,
}

impl Env<'_> {
    fn clock(&self) -> TimeScale {
        TimeScale(self.time_scale)
    }

    /// Returns whether a waiting period of AWS is over.
    fn over(&self, since: DateTime<Utc>, seconds: u32) -> bool {
        self.clock().over(since, seconds, self.now)
    }
}

/// Converts a waiting period of AWS to real time.
pub(crate) fn scaled(seconds: f64, time_scale: f64) -> TimeDelta {
    TimeScale(time_scale).scaled(seconds)
}

fn step_all(cloud: &mut Cloud, env: &Env<'_>) {
    let names: Vec<(String, String)> = cloud
        .regions
        .values()
        .flat_map(|region| region.autoscaling.groups.keys().map(|group| (region.name.clone(), group.clone())))
        .collect();
    for (region, group) in names {
        step(cloud, &region, &group, env);
    }
}

/// Advances a group by one step.
fn step(cloud: &mut Cloud, region_name: &str, name: &str, env: &Env<'_>) {
    let Some(region) = cloud.regions.get_mut(region_name) else { return };
    // A launch needs the whole cloud, so the group is removed from it meanwhile.
    let Some(mut group) = region.autoscaling.groups.remove(name) else { return };
    schedule::advance(&mut group, env);
    members::observe(&mut group, region, env);
    refresh::advance(&mut group, region, env);
    lifetime::replace_expired(&mut group, region, env);
    tracking::scale(&mut group, region, env);
    capacity::balance(&mut group, cloud, region_name, env);
    let Some(region) = cloud.regions.get_mut(region_name) else { return };
    if group.deleting && group.members.is_empty() {
        alarms::remove_all(region, &group);
    } else {
        region.autoscaling.groups.insert(name.to_owned(), group);
    }
}
