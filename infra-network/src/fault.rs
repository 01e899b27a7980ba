//! Injected faults of the packets between two sides.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// A fault of the packets between two sides, in both directions. Packets within a side are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Effect on the packets.
    pub symptom: Symptom,
    /// The sides have no interface in common.
    pub sides: [Side; 2],
}

/// Effect of a fault on packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Symptom {
    /// No packet arrives.
    Partition,
    /// This percentage of the packets is lost, at random.
    PacketLoss(u8),
    /// Packets arrive later, by this number of milliseconds.
    Latency(u16),
}

/// One side of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Name for messages.
    pub name: String,
    /// Addresses outside of all VPCs: those of the internet, or none.
    #[serde(default)]
    pub outside: BTreeSet<Ipv4Addr>,
    /// Ids of interfaces.
    #[serde(default)]
    pub interfaces: BTreeSet<String>,
}

impl Fault {
    /// Returns whether no packet at all gets through.
    pub(crate) fn is_total(&self) -> bool {
        matches!(self.symptom, Symptom::Partition | Symptom::PacketLoss(100))
    }

    /// Returns whether it affects packets between two ends: interfaces by id, or the internet (`None`).
    pub(crate) fn is_between(&self, one: Option<&str>, other: Option<&str>) -> bool {
        let [first, second] = &self.sides;
        first.contains(one) && second.contains(other) || first.contains(other) && second.contains(one)
    }
}

impl Side {
    fn contains(&self, end: Option<&str>) -> bool {
        end.map_or(!self.outside.is_empty(), |id| self.interfaces.contains(id))
    }
}
