//! What the cloud knows: one serialisable tree, one file per service.

pub(crate) mod balancing;
pub(crate) mod databases;
pub(crate) mod db_class;
pub(crate) mod iam;
pub(crate) mod ids;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod key_pair;
pub(crate) mod launch_template;
pub(crate) mod parameter;
pub(crate) mod scaling;
pub(crate) mod tags;
pub(crate) mod vpc;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use ids::new_id;
pub(crate) use tags::Tags;

use crate::wire::{ApiError, Outcome};

/// The account that owns everything here.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The regions and their zones. A region is data: adding a line here adds it.
pub(crate) const REGIONS: &[(&str, &[&str])] = &[("us-east-1", &["a", "b", "c"]), ("us-east-2", &["a", "b", "c"])];

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cloud {
    /// The endpoint's port, kept over restarts.
    pub(crate) port: Option<u16>,
    pub(crate) regions: BTreeMap<String, Region>,
    pub(crate) iam: iam::Iam,
}

/// What belongs to one region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Region {
    pub(crate) name: String,
    /// Short names of the zones: `a`, `b`…
    pub(crate) zones: Vec<String>,
    pub(crate) vpcs: BTreeMap<String, vpc::Vpc>,
    pub(crate) subnets: BTreeMap<String, vpc::Subnet>,
    pub(crate) security_groups: BTreeMap<String, vpc::SecurityGroup>,
    pub(crate) key_pairs: BTreeMap<String, key_pair::KeyPair>,
    pub(crate) launch_templates: BTreeMap<String, launch_template::LaunchTemplate>,
    pub(crate) instances: BTreeMap<String, instance::Instance>,
    /// Finished launches by client token.
    pub(crate) launches: BTreeMap<String, instance::LaunchRecord>,
    /// Other finished requests by operation and client token: a digest of the request, and what it made.
    pub(crate) client_tokens: BTreeMap<String, (String, String)>,
    /// Systems Manager's parameters by name.
    pub(crate) parameters: BTreeMap<String, parameter::Parameter>,
    pub(crate) balancing: balancing::Balancing,
    pub(crate) databases: databases::Databases,
    /// Auto Scaling groups by name.
    pub(crate) scaling: BTreeMap<String, scaling::Group>,
}

impl Cloud {
    /// Creates the regions that a new or an older state does not have yet, each with its default network.
    pub(crate) fn add_missing_regions(&mut self) {
        for (index, (name, zones)) in REGIONS.iter().enumerate() {
            self.regions.entry((*name).to_owned()).or_insert_with(|| {
                let mut region = Region {
                    name: (*name).to_owned(),
                    zones: zones.iter().map(|zone| (*zone).to_owned()).collect(),
                    ..Region::default()
                };
                vpc::add_default_network(&mut region, index as u8);
                region
            });
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
    /// The zones' full names: `us-east-1a`…
    pub(crate) fn zone_names(&self) -> impl Iterator<Item = String> + '_ {
        self.zones.iter().map(|zone| format!("{}{zone}", self.name))
    }
}

/// The zone's id, which AWS uses where names differ between accounts: `use1-az1`.
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

fn unknown_region(name: &str) -> ApiError {
    let known: Vec<&str> = REGIONS.iter().map(|(name, _)| *name).collect();
    ApiError::new("InvalidRegion", format!("The local cloud has no region '{name}'; it has {}", known.join(" and ")))
}
