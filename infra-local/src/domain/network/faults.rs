//! Injected faults of the network: which interfaces are affected.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{CLIENTS, ENDPOINTS};
use crate::domain::ec2::network_interface::{self, NetworkInterface};
use crate::model::Cloud;
use crate::model::faults::{self, NetworkSymptom};

/// A fault of the packets between two sides, in both directions. Packets within a side are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) symptom: NetworkSymptom,
    /// The sides have no interface in common.
    pub(crate) sides: [Side; 2],
}

/// One side of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Side {
    pub(crate) name: String,
    /// Addresses outside of all VPCs: those of the internet, or none.
    #[serde(default)]
    pub(crate) outside: BTreeSet<Ipv4Addr>,
    /// Ids of interfaces.
    #[serde(default)]
    pub(crate) interfaces: BTreeSet<String>,
}

impl Fault {
    /// Returns whether no packet at all gets through.
    pub(super) fn is_total(&self) -> bool {
        matches!(self.symptom, NetworkSymptom::Partition | NetworkSymptom::PacketLoss(100))
    }

    /// Returns whether it affects packets between two ends: interfaces by id, or the internet (`None`).
    pub(super) fn is_between(&self, one: Option<&str>, other: Option<&str>) -> bool {
        let [first, second] = &self.sides;
        first.contains(one) && second.contains(other) || first.contains(other) && second.contains(one)
    }
}

impl Side {
    fn contains(&self, end: Option<&str>) -> bool {
        end.map_or(!self.outside.is_empty(), |id| self.interfaces.contains(id))
    }
}

/// Derives the faults that the model contains.
pub(super) fn of(cloud: &Cloud) -> Vec<Fault> {
    if cloud.faults.network.is_empty() {
        return Vec::new();
    }
    let all: Vec<NetworkInterface<'_>> = cloud.regions.values().flat_map(network_interface::all).collect();
    let faults = cloud.faults.network.iter().map(|fault| {
        let [one, other] = &fault.between;
        let mut sides = [side(one, &all), side(other, &all)];
        // A resource is separated from the rest of its own zone.
        let common: Vec<String> = sides[0].interfaces.intersection(&sides[1].interfaces).cloned().collect();
        let zone = usize::from(matches!(other, faults::Side::Zone(_)));
        sides[zone].interfaces.retain(|id| !common.contains(id));
        Fault { symptom: fault.symptom, sides }
    });
    faults.collect()
}

fn side(of: &faults::Side, all: &[NetworkInterface<'_>]) -> Side {
    let is_in = |interface: &&NetworkInterface<'_>| match of {
        faults::Side::Internet => false,
        faults::Side::Zone(zone) => interface.subnet.zone == *zone,
        faults::Side::Resource { id, .. } => interface.owner.unique_id() == id,
    };
    let outside: &[Ipv4Addr] = if *of == faults::Side::Internet { &[CLIENTS, ENDPOINTS] } else { &[] };
    Side {
        name: of.name().to_owned(),
        outside: outside.iter().copied().collect(),
        interfaces: all.iter().filter(is_in).map(|interface| interface.id.clone()).collect(),
    }
}
