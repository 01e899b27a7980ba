//! The state of the cloud as one serialisable tree, with one module per service.

pub(crate) mod account;
pub(crate) mod acm;
pub(crate) mod autoscaling;
pub(crate) mod changes;
pub(crate) mod cidr;
pub(crate) mod clock;
pub(crate) mod cloudcontrol;
pub(crate) mod cloudwatch;
pub(crate) mod earlier;
pub(crate) mod ec2;
pub(crate) mod elbv2;
pub(crate) mod faults;
pub(crate) mod iam;
pub(crate) mod ids;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod process;
pub(crate) mod rds;
pub(crate) mod s3;
pub(crate) mod ssm;
pub(crate) mod table;
pub(crate) mod tags;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use account::{Account, ArnScope};
pub(crate) use ids::new_id;
pub(crate) use table::Table;
pub(crate) use tags::Tags;

use crate::wire::{ApiError, Outcome};

/// AWS's regions with at most three of their zones each. A new region needs only a line here.
pub(crate) const REGIONS: &[(&str, &[&str])] = &[
    ("af-south-1", ABC),
    ("ap-east-1", ABC),
    ("ap-east-2", ABC),
    ("ap-northeast-1", &["a", "c", "d"]),
    ("ap-northeast-2", ABC),
    ("ap-northeast-3", ABC),
    ("ap-south-1", ABC),
    ("ap-south-2", ABC),
    ("ap-southeast-1", ABC),
    ("ap-southeast-2", ABC),
    ("ap-southeast-3", ABC),
    ("ap-southeast-4", ABC),
    ("ap-southeast-5", ABC),
    ("ap-southeast-6", ABC),
    ("ap-southeast-7", ABC),
    ("ca-central-1", &["a", "b", "d"]),
    ("ca-west-1", ABC),
    ("eu-central-1", ABC),
    ("eu-central-2", ABC),
    ("eu-north-1", ABC),
    ("eu-south-1", ABC),
    ("eu-south-2", ABC),
    ("eu-west-1", ABC),
    ("eu-west-2", ABC),
    ("eu-west-3", ABC),
    ("il-central-1", ABC),
    ("me-central-1", ABC),
    ("me-south-1", ABC),
    ("mx-central-1", ABC),
    ("sa-east-1", ABC),
    ("us-east-1", ABC),
    ("us-east-2", ABC),
    ("us-west-1", &["a", "c"]),
    ("us-west-2", ABC),
];

const ABC: &[&str] = &["a", "b", "c"];

/// Regions of a new state. The others are added by the first request to them: each takes three of the 255 address
/// ranges for its default subnets.
const FIRST_REGIONS: &[&str] = &["us-east-1", "us-east-2"];

/// The whole state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cloud {
    /// Random id of the cloud, `cloud-…`, which distinguishes its resources from those of another state.
    pub(crate) id: String,
    /// The account of all resources.
    pub(crate) account: Account,
    /// The endpoint's port, kept across restarts.
    pub(crate) port: Option<u16>,
    pub(crate) regions: BTreeMap<String, Region>,
    pub(crate) iam: iam::Iam,
    /// Injected faults.
    pub(crate) faults: faults::Faults,
    /// Index of the address range of the newest subnet.
    pub(crate) last_subnet_index: Option<u8>,
    /// Host number of the newest elastic address.
    pub(crate) last_elastic_host: u8,
    /// Generation of the network namespaces in which programs of instances run; 0 is the loopback interface.
    pub(crate) network_generation: u64,
    /// Metrics, which are not in the file and are shared by all copies.
    #[serde(skip)]
    pub(crate) metrics: cloudwatch::metrics::Metrics,
    /// Metrics that CloudWatch publishes only once they are enabled, and that administrators can always read.
    #[serde(skip)]
    pub(crate) always_recorded_metrics: cloudwatch::metrics::Metrics,
    /// Time scale; not in the file.
    #[serde(skip)]
    pub(crate) time_scale: clock::TimeScale,
    /// True when interfaces have private addresses from their subnets' ranges; not in the file. See
    /// [`Region::private_address`].
    #[serde(skip)]
    private_addresses: bool,
}

/// A region: its zones, and one part per service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Region {
    pub(crate) name: String,
    /// Short names of the zones: `a`, `b`…
    pub(crate) zones: Vec<String>,
    /// Full names of the failed zones.
    pub(crate) lost_zones: BTreeSet<String>,
    /// The cloud's account; not in the file.
    #[serde(skip)]
    pub(crate) account: Account,
    /// As [`Cloud::use_private_addresses`] sets it; not in the file.
    #[serde(skip)]
    pub(crate) private_addresses: bool,
    pub(crate) ec2: ec2::Ec2,
    pub(crate) elbv2: elbv2::Elbv2,
    pub(crate) acm: acm::Acm,
    pub(crate) autoscaling: autoscaling::AutoScaling,
    pub(crate) rds: rds::Rds,
    pub(crate) ssm: ssm::Ssm,
    pub(crate) cloudwatch: cloudwatch::CloudWatch,
    pub(crate) logs: logs::Logs,
    pub(crate) cloudcontrol: cloudcontrol::CloudControl,
}

changes::record_by_field!(Cloud {
    whole: [id, account, port, faults, last_subnet_index, last_elastic_host, network_generation],
    maps: [],
    parts: [iam],
    children: [regions],
    apart: [metrics, always_recorded_metrics, time_scale, private_addresses],
});

changes::record_by_field!(Region {
    whole: [name, zones, lost_zones],
    maps: [],
    parts: [ec2, elbv2, acm, autoscaling, rds, ssm, cloudwatch, logs, cloudcontrol],
    children: [],
    apart: [account, private_addresses],
});

impl Cloud {
    /// Adds missing parts of a new state, or of a state of an earlier version: the id, the first regions, parts of
    /// networks.
    pub(crate) fn complete(&mut self) {
        if self.id.is_empty() {
            self.id = new_id("cloud");
        }
        self.set_account(self.account);
        REGIONS.iter().filter(|(name, _)| FIRST_REGIONS.contains(name)).for_each(|entry| self.add_region(*entry));
        for region in self.regions.values_mut() {
            ec2::vpc::complete_networks(region);
            ec2::volume::complete_volumes(region);
        }
    }

    /// Adds one of AWS's regions with its default network, unless the state has it.
    pub(crate) fn open_region(&mut self, name: &str) -> Outcome<()> {
        let entry = REGIONS.iter().find(|(known, _)| *known == name).ok_or_else(|| unknown_region(name))?;
        self.add_region(*entry);
        Ok(())
    }

    /// Gives interfaces private addresses from their subnets' ranges, instead of addresses of the loopback interface.
    pub(crate) fn use_private_addresses(&mut self) {
        self.private_addresses = true;
        self.regions.values_mut().for_each(|region| region.private_addresses = true);
    }

    /// Returns the cloud with private addresses, on each network.
    pub(crate) fn with_private_addresses(&self) -> Cow<'_, Cloud> {
        if self.private_addresses {
            return Cow::Borrowed(self);
        }
        let mut cloud = self.clone();
        cloud.use_private_addresses();
        Cow::Owned(cloud)
    }

    fn add_region(&mut self, (name, zones): (&str, &[&str])) {
        if self.regions.contains_key(name) {
            return;
        }
        let mut region = Region {
            name: name.to_owned(),
            zones: zones.iter().map(|zone| (*zone).to_owned()).collect(),
            account: self.account,
            private_addresses: self.private_addresses,
            ..Region::default()
        };
        let indexes: Vec<u8> = zones.iter().filter_map(|_| self.take_subnet_index()).collect();
        ec2::vpc::add_default_network(&mut region, &indexes);
        ec2::vpc::complete_networks(&mut region);
        self.regions.insert(name.to_owned(), region);
    }

    /// Assigns a range of the cloud's addresses to a new subnet. A released range is reused last.
    pub(crate) fn take_subnet_index(&mut self) -> Option<u8> {
        let subnets = self.regions.values().flat_map(|region| region.ec2.subnets.values());
        let taken: BTreeSet<u8> = subnets.map(|subnet| subnet.index).collect();
        let next = self.last_subnet_index.map_or(0, |last| last.saturating_add(1));
        let index = (next..ec2::vpc::ELASTIC_INDEX).chain(0..next).find(|index| !taken.contains(index))?;
        self.last_subnet_index = Some(index);
        Some(index)
    }

    /// Assigns a number to a new elastic address. A released number is reused last.
    pub(crate) fn take_elastic_host(&mut self) -> Option<u8> {
        let addresses = self.regions.values().flat_map(|region| region.ec2.addresses.values());
        let taken: BTreeSet<u8> = addresses.map(|address| address.address.octets()[3]).collect();
        let last = self.last_elastic_host;
        let host = (last.saturating_add(1)..=254).chain(1..=last).find(|host| !taken.contains(host))?;
        self.last_elastic_host = host;
        Some(host)
    }

    /// Records the events of the changes since `before`.
    pub(crate) fn record_events(&mut self, before: &Cloud, now: DateTime<Utc>) {
        for (name, region) in &mut self.regions {
            if let Some(before) = before.regions.get(name) {
                region.rds.record_events(&before.rds, name, now);
            }
        }
    }

    pub(crate) fn region(&self, name: &str) -> Outcome<&Region> {
        self.regions.get(name).ok_or_else(|| unknown_region(name))
    }

    pub(crate) fn region_mut(&mut self, name: &str) -> Outcome<&mut Region> {
        self.regions.get_mut(name).ok_or_else(|| unknown_region(name))
    }
}

impl Region {
    /// Returns the zones' full names: `us-east-1a`…
    pub(crate) fn zone_names(&self) -> impl Iterator<Item = String> + '_ {
        self.zones.iter().map(|zone| format!("{}{zone}", self.name))
    }
}

/// Returns the zone's id, such as `use1-az1`, which AWS uses because names differ between accounts.
pub(crate) fn zone_id(zone: &str) -> String {
    let (region, letter) = zone.split_at(zone.len().saturating_sub(1));
    let mut parts = region.split('-');
    let (area, direction, number) = (parts.next(), parts.next(), parts.next());
    let position = letter.bytes().next().map_or(0, |letter| letter.saturating_sub(b'a') + 1);
    format!(
        "{}{}{}-az{position}",
        area.unwrap_or_default(),
        direction.unwrap_or_default().get(..1).unwrap_or_default(),
        number.unwrap_or_default()
    )
}

/// Checks that AWS has a region with this name.
pub(crate) fn check_region(name: &str) -> Outcome<()> {
    let known = REGIONS.iter().any(|(known, _)| *known == name);
    if known { Ok(()) } else { Err(unknown_region(name)) }
}

fn unknown_region(name: &str) -> ApiError {
    let known: Vec<&str> = REGIONS.iter().map(|(name, _)| *name).collect();
    ApiError::new("InvalidRegion", format!("The local cloud has no region '{name}'; it has {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_region_is_added_once_with_its_default_network_and_leaves_room_for_subnets() {
        let mut cloud = Cloud::default();
        cloud.complete();
        assert_eq!(cloud.regions.keys().collect::<Vec<_>>(), FIRST_REGIONS);
        for (name, zones) in REGIONS {
            cloud.open_region(name).unwrap();
            assert_eq!(cloud.region(name).unwrap().ec2.subnets.len(), zones.len(), "{name}");
        }
        let all = cloud.clone();
        cloud.open_region("eu-west-1").unwrap();
        assert_eq!(cloud, all);
        let left = std::iter::from_fn(|| {
            let index = cloud.take_subnet_index()?;
            let subnet = cloud.regions["us-east-1"].ec2.subnets.values().next().cloned().unwrap();
            let region = cloud.regions.get_mut("us-east-1").unwrap();
            region.ec2.subnets.insert(format!("subnet-{index}"), ec2::vpc::Subnet { index, ..subnet });
            Some(index)
        });
        assert_eq!(left.count(), 154);
        let refused = cloud.open_region("us-east-9").unwrap_err();
        assert!(refused.message.contains("no region 'us-east-9'") && refused.message.contains("sa-east-1"));
    }

    #[test]
    fn every_state_has_a_unique_id() {
        let (mut one, mut other) = (Cloud::default(), Cloud::default());
        one.complete();
        other.complete();
        assert!(one.id.starts_with("cloud-") && one.id != other.id);
        let id = one.id.clone();
        one.complete();
        assert_eq!(one.id, id);
    }
}
