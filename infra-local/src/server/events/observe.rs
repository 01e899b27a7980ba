//! Events as differences between two states.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{EventKind, Occurrence};
use crate::model::autoscaling::{Activity, ActivityStatus, Group};
use crate::model::changes::Entries as _;
use crate::model::cloudwatch::alarm::{HistoryItem, HistoryKind};
use crate::model::ec2::instance::{HOST_FAILED, Instance, InstanceState};
use crate::model::faults::{NetworkFault, RequestFault};
use crate::model::rds::{DbCluster, DbInstance};
use crate::model::{Cloud, Region};

/// The previous state, and the times at which its faults were observed first.
#[derive(Default)]
pub(super) struct Observer {
    before: Cloud,
    faults: Vec<ActiveFault>,
}

/// A fault that is in effect.
#[derive(Debug, Clone, PartialEq)]
struct ActiveFault {
    /// Region of a zone.
    region: Option<String>,
    /// Zone, operations, or places.
    subject: String,
    text: String,
    /// Description that does not change while the fault lasts.
    identity: String,
    began: DateTime<Utc>,
}

impl Observer {
    /// Returns the events between the previous state and this one, the oldest first.
    pub(super) fn observe(&mut self, now: Cloud, at: DateTime<Utc>) -> Vec<Occurrence> {
        let mut events = self.observe_faults(&now, at);
        let nothing = Region::default();
        for (name, region) in &now.regions {
            let before = self.before.regions.get(name).unwrap_or(&nothing);
            let difference = Difference { region, before, at };
            difference.instances(&mut events);
            difference.groups(&mut events);
            difference.alarms(&mut events);
            difference.databases(&mut events);
        }
        events.sort_by_key(|event| event.at);
        self.before = now;
        events
    }

    fn observe_faults(&mut self, now: &Cloud, at: DateTime<Utc>) -> Vec<Occurrence> {
        let mut events = Vec::new();
        let mut earlier = std::mem::take(&mut self.faults);
        for mut fault in active_faults(now, at) {
            match earlier.iter().position(|known| known.identity == fault.identity) {
                Some(known) => fault.began = earlier.remove(known).began,
                None => events.push(fault.event(format!("A fault begins: {}", fault.text), at, None)),
            }
            self.faults.push(fault);
        }
        let ended = earlier.iter().map(|fault| {
            let text = format!("A fault ends that began at {}: {}", fault.began.format("%H:%M:%S"), fault.identity);
            fault.event(text, at, Some(fault.began))
        });
        events.extend(ended);
        events
    }
}

impl ActiveFault {
    fn event(&self, text: String, at: DateTime<Utc>, began: Option<DateTime<Utc>>) -> Occurrence {
        let (region, subject) = (self.region.clone(), self.subject.clone());
        Occurrence { at, region, kind: EventKind::Fault, subject, text, began }
    }
}

/// Returns the faults in effect. `began` is the time of those that were not known before.
fn active_faults(cloud: &Cloud, began: DateTime<Utc>) -> Vec<ActiveFault> {
    let fault =
        |subject: String, text: String| ActiveFault { region: None, subject, identity: text.clone(), text, began };
    let lost = cloud.regions.values().flat_map(|region| region.lost_zones.iter().map(move |zone| (region, zone)));
    let lost = lost.map(|(region, zone)| ActiveFault {
        region: Some(region.name.clone()),
        ..fault(zone.clone(), format!("the zone {zone} is lost"))
    });
    // The number of remaining requests decreases while the fault lasts.
    let requests = cloud.faults.requests.iter().map(|request| ActiveFault {
        identity: RequestFault { remaining: None, ..request.clone() }.describe(),
        ..fault(request.operation.clone(), request.describe())
    });
    let lag = Some(cloud.faults.lag_milliseconds).filter(|lag| *lag > 0);
    let lag = lag.map(|lag| fault("*".to_owned(), format!("reads return the state of {lag} ms ago")));
    let network = cloud.faults.network.iter().map(|network| fault(places(network), network.describe()));
    lost.chain(requests).chain(lag).chain(network).collect()
}

fn places(fault: &NetworkFault) -> String {
    let [one, other] = &fault.between;
    format!("{} – {}", one.name(), other.name())
}

/// Two states of a region.
struct Difference<'a> {
    region: &'a Region,
    before: &'a Region,
    /// Time of the observation.
    at: DateTime<Utc>,
}

impl Difference<'_> {
    fn event(&self, kind: EventKind, subject: &str, text: String) -> Occurrence {
        let (region, subject) = (Some(self.region.name.clone()), subject.to_owned());
        Occurrence { at: self.at, region, kind, subject, text, began: None }
    }

    fn instances(&self, events: &mut Vec<Occurrence>) {
        self.region.ec2.instances.differing(&self.before.ec2.instances, |id, instance| {
            if let Some(instance) = instance {
                self.instance(self.before.ec2.instances.get(id), instance, events);
            }
        });
    }

    fn instance(&self, before: Option<&Instance>, now: &Instance, events: &mut Vec<Occurrence>) {
        let event = |kind, text: &str| self.event(kind, &now.id, format!("The {} {text}", described(now)));
        if before.is_none() {
            let launched = event(EventKind::Instance, &format!("is launched in {}", now.zone));
            events.push(Occurrence { at: now.launch_time, ..launched });
        }
        let state = before.map_or(InstanceState::Pending, |before| before.state);
        if now.state.is_ending() && !state.is_ending() {
            let reason = now.reason.as_ref();
            let at = now.terminated_at.unwrap_or(self.at);
            if reason.is_some_and(|reason| reason.message == HOST_FAILED) {
                events.push(Occurrence { at, ..event(EventKind::Fault, "loses its host") });
            }
            let message = reason.map(|reason| format!(": {}", reason.message)).unwrap_or_default();
            events.push(Occurrence { at, ..event(EventKind::Instance, &format!("is terminated{message}")) });
        } else if now.state == InstanceState::Stopped && state != InstanceState::Stopped {
            events.push(event(EventKind::Instance, "is stopped"));
        } else if state == InstanceState::Stopped && now.state != InstanceState::Stopped {
            events.push(event(EventKind::Instance, "is started"));
        }
    }

    fn groups(&self, events: &mut Vec<Occurrence>) {
        let before = &self.before.autoscaling.groups;
        self.region.autoscaling.groups.differing(before, |name, group| {
            if let Some(group) = group {
                self.group(before.get(name), group, events);
            }
        });
    }

    fn group(&self, before: Option<&Group>, now: &Group, events: &mut Vec<Occurrence>) {
        if let Some(before) = before.filter(|before| before.desired != now.desired) {
            let text = format!(
                "The group {} changes its desired capacity from {} to {}",
                now.name, before.desired, now.desired
            );
            let at = now.scaled_at.filter(|_| now.scaled_at != before.scaled_at).unwrap_or(self.at);
            events.push(Occurrence { at, ..self.event(EventKind::Scaling, &now.name, text) });
        }
        let known: BTreeMap<&str, &Activity> = before.map_or_else(BTreeMap::new, |before| {
            before.activities.iter().map(|activity| (activity.id.as_str(), activity)).collect()
        });
        for activity in &now.activities {
            let earlier = known.get(activity.id.as_str());
            if earlier.is_none() {
                let event =
                    self.event(EventKind::Scaling, &now.name, format!("{}: {}", now.name, activity.description));
                events.push(Occurrence { at: activity.started, ..event });
            }
            let has_ended = activity.ended.filter(|_| earlier.is_none_or(|earlier| earlier.ended.is_none()));
            if let (Some(at), ActivityStatus::Failed | ActivityStatus::Cancelled) = (has_ended, activity.status) {
                let outcome = if activity.status == ActivityStatus::Failed { "failed" } else { "cancelled" };
                let message = activity.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
                let text = format!("{}: {} ({outcome}{message})", now.name, activity.description);
                events.push(Occurrence { at, ..self.event(EventKind::Scaling, &now.name, text) });
            }
        }
    }

    fn alarms(&self, events: &mut Vec<Occurrence>) {
        let (history, before) = (&self.region.cloudwatch.history, &self.before.cloudwatch.history);
        // Items are only appended, and the oldest ones are dropped.
        let known = before.last().and_then(|last| history.iter().rposition(|item| item == last));
        let new = history.iter().skip(known.map_or(0, |known| known + 1));
        for item in new.filter(|item| item.kind == HistoryKind::StateUpdate) {
            let event = self.event(EventKind::Alarm, &item.alarm, transition(item));
            events.push(Occurrence { at: item.time, ..event });
        }
    }

    fn databases(&self, events: &mut Vec<Occurrence>) {
        let (now, before) = (&self.region.rds, &self.before.rds);
        let mut moved = BTreeSet::new();
        now.clusters.differing(&before.clusters, |id, cluster| {
            let writers = |cluster: Option<&DbCluster>| cluster.and_then(|cluster| cluster.writer.clone());
            if let (Some(from), Some(to)) = (writers(before.clusters.get(id)), writers(cluster))
                && from != to
            {
                moved.insert((id.to_owned(), format!("The cluster {id} fails over from {from} to {to}")));
            }
        });
        now.instances.differing(&before.instances, |id, instance| {
            let zones =
                |instance: &DbInstance| instance.second_zone.clone().map(|second| (instance.zone.clone(), second));
            if let (Some((from, second)), Some((to, _))) =
                (before.instances.get(id).and_then(zones), instance.and_then(zones))
                && to == second
            {
                moved.insert((id.to_owned(), format!("The database {id} fails over from {from} to {to}")));
            }
        });
        events.extend(moved.into_iter().map(|(id, text)| self.event(EventKind::Failover, &id, text)));
    }
}

/// Returns the id and the name of an instance.
fn described(instance: &Instance) -> String {
    match instance.tags.get("Name") {
        Some(name) => format!("instance {} ({name})", instance.id),
        None => format!("instance {}", instance.id),
    }
}

/// Returns the transition of an alarm, and its reason.
fn transition(item: &HistoryItem) -> String {
    let data: Value = serde_json::from_str(&item.data).unwrap_or_default();
    let state = |name: &str| data[name]["stateValue"].as_str().unwrap_or("unknown").to_owned();
    let reason = data["newState"]["stateReason"].as_str().unwrap_or_default();
    format!("The alarm {} changes from {} to {}: {reason}", item.alarm, state("oldState"), state("newState"))
}
