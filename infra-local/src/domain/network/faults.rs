//! Injected faults of the network: which interfaces are affected.

use std::net::Ipv4Addr;

use super::{CLIENTS, ENDPOINTS, Fault, Side};
use crate::domain::ec2::network_interface::{self, NetworkInterface};
use crate::model::Cloud;
use crate::model::faults;

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
