//! A copy of the parts of the model that concern one instance.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

use super::{backend, roles, snapshots};
use crate::domain::rds::settings;
use crate::domain::rds::settings::Wanted;
use crate::model::Region;
use crate::model::process::ProcessIdentity;
use crate::model::rds::{Account, DbCluster, DbInstance, Rds, Snapshot, Stage};
use crate::runtime::server_home::Login;
use crate::state::Shared;

/// An instance, with the state of related instances.
pub(super) struct View {
    pub(super) instance: DbInstance,
    pub(super) account: Account,
    pub(super) role: Role,
    pub(super) wanted: BTreeMap<String, Wanted>,
    /// Addresses of its endpoint and of those of its cluster, on this machine and in the VPC.
    pub(super) addresses: BTreeSet<Ipv4Addr>,
    pub(super) cluster_resource_id: Option<String>,
    /// The former writer that this instance replaces in its cluster.
    pub(super) demoted: Option<Demoted>,
    /// True while no other member has replaced this one.
    pub(super) is_needed: bool,
    /// True when another instance has the pending identifier.
    pub(super) id_is_taken: bool,
    /// True when the zone, and with it the machine, has failed.
    pub(super) is_lost: bool,
    /// Pending snapshots of the instance's data.
    pub(super) snapshots: Vec<Snapshot>,
}

/// Role of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Standby(Upstream),
    /// The cluster has no writer at present, or no data yet.
    Unknown,
}

/// Upstream of a standby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) login: Login,
    /// True when it is a primary that accepts connections.
    pub(super) ready: bool,
    pub(super) parameters: BTreeMap<String, String>,
}

/// A former writer.
pub(super) struct Demoted {
    pub(super) resource_id: String,
    pub(super) runs: bool,
}

impl View {
    /// Returns a view of an instance; `None` when it has been deleted.
    pub(super) fn of(shared: &Shared, region: &str, resource_id: &str) -> Option<View> {
        shared.read(|cloud| {
            let region = cloud.region(region).ok()?;
            let databases = &region.rds;
            let instance = databases.instances.values().find(|instance| instance.resource_id == resource_id)?;
            let cluster = instance.cluster.as_ref().and_then(|cluster| databases.clusters.get(cluster));
            let writes = cluster.is_some_and(|cluster| cluster.writer.as_ref() == Some(&instance.id));
            let demoted =
                cluster.filter(|_| writes).and_then(|cluster| databases.instances.get(cluster.demoted.as_ref()?));
            let mut due = snapshots::due(databases, resource_id);
            if let Some(cluster) = cluster.filter(|_| writes) {
                due.extend(snapshots::due(databases, &cluster.resource_id));
            }
            Some(View {
                role: if cluster.is_some_and(|cluster| cluster.stage == Stage::Creating) {
                    Role::Unknown
                } else {
                    role(databases, instance, writes)
                },
                account: databases.account(instance).clone(),
                wanted: settings::wanted(region, instance),
                addresses: addresses(region, instance, cluster),
                cluster_resource_id: cluster.map(|cluster| cluster.resource_id.clone()),
                demoted: demoted.map(|demoted| Demoted {
                    resource_id: demoted.resource_id.clone(),
                    runs: demoted.runtime.process.as_ref().is_some_and(ProcessIdentity::is_alive),
                }),
                is_needed: cluster.is_some_and(|cluster| cluster.demoted.as_ref() == Some(&instance.id)),
                id_is_taken: instance.pending.id.as_ref().is_some_and(|id| databases.instances.contains_key(id)),
                is_lost: region.lost_zones.contains(&instance.zone),
                snapshots: due,
                instance: instance.clone(),
            })
        })
    }

    /// Returns whether the instance is its cluster's writer.
    pub(super) fn is_writer(&self) -> bool {
        self.instance.cluster.is_some() && self.role == Role::Primary
    }

    /// Returns whether pending changes are due: because they were requested immediately, or in the maintenance window.
    pub(super) fn applies_pending(&self) -> bool {
        let pending = &self.instance.pending;
        let waits = self.id_is_taken && pending.is_only_blocked();
        !pending.is_empty()
            && !waits
            && (pending.now || is_within(&self.instance.schedule.maintenance_window, Utc::now()))
    }

    /// Returns the service's login on the instance's own server.
    pub(super) fn own_login(&self) -> Login {
        View::login(&self.instance, &self.account)
    }

    /// Returns the service's login on an instance's server.
    fn login(instance: &DbInstance, account: &Account) -> Login {
        let (address, port) = backend(&instance.place);
        Login { address, port, user: roles::SERVICE.to_owned(), password: account.service_password.clone() }
    }
}

fn addresses(region: &Region, instance: &DbInstance, cluster: Option<&DbCluster>) -> BTreeSet<Ipv4Addr> {
    let of_cluster = cluster.into_iter().flat_map(|cluster| [cluster.place.address, cluster.reader_address]);
    let endpoints = std::iter::once(instance.place.address).chain(of_cluster);
    endpoints.flat_map(|address| [address, region.private_address(address)]).collect()
}

fn role(databases: &Rds, instance: &DbInstance, writes: bool) -> Role {
    if writes || (instance.cluster.is_none() && instance.source.is_none()) {
        return Role::Primary;
    }
    let Some(upstream) = databases.upstream(instance) else { return Role::Unknown };
    Role::Standby(Upstream {
        login: View::login(upstream, databases.account(upstream)),
        ready: upstream.runtime.ready,
        parameters: upstream.runtime.parameters.clone(),
    })
}

/// Returns whether a time is in a window such as `sun:05:00-sun:05:30`.
pub(super) fn is_within(window: &str, now: DateTime<Utc>) -> bool {
    let minute_of_week = |text: &str| {
        let mut parts = text.split(':');
        let day: chrono::Weekday = parts.next()?.parse().ok()?;
        let (hour, minute): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some((day.num_days_from_monday() * 24 + hour) * 60 + minute)
    };
    let Some((from, to)) = window.split_once('-') else { return false };
    let (Some(from), Some(to)) = (minute_of_week(from), minute_of_week(to)) else { return false };
    let now = (now.weekday().num_days_from_monday() * 24 + now.hour()) * 60 + now.minute();
    if from <= to { (from..to).contains(&now) } else { now >= from || now < to }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn windows_may_cross_the_end_of_the_week() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
        let (sunday, monday) = (at("2026-11-22T23:45:00Z"), at("2026-11-23T00:10:00Z"));
        assert!(is_within("sun:23:30-mon:00:30", sunday) && is_within("sun:23:30-mon:00:30", monday));
        assert!(is_within("sun:23:30-sun:23:59", sunday) && !is_within("sun:23:30-sun:23:59", monday));
        assert!(!is_within("nonsense", monday));
    }
}
