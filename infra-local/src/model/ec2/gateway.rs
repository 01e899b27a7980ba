//! Internet gateways, NAT gateways, and elastic IP addresses.

use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::instance::{Instance, InstanceState};
use crate::model::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InternetGateway {
    pub(crate) id: String,
    /// The VPC it is attached to.
    pub(crate) vpc_id: Option<String>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// Clippy would rename fields; the names are those of AWS's API.
#[allow(clippy::struct_field_names)]
pub(crate) struct NatGateway {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    pub(crate) subnet_id: String,
    pub(crate) state: NatState,
    /// The elastic address, or `None` for a private gateway.
    pub(crate) allocation_id: Option<String>,
    /// The gateway's last public address, described until the gateway is forgotten.
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) association_id: Option<String>,
    /// Its private address in the subnet.
    pub(crate) private_ip: Ipv4Addr,
    pub(crate) network_interface_id: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) ended: Option<DateTime<Utc>>,
    pub(crate) tags: Tags,
}

/// EC2's states of a NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NatState {
    Pending,
    /// A code and a message.
    Failed(String, String),
    Available,
    Deleting,
    Deleted,
}

/// An elastic IP address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ElasticAddress {
    pub(crate) allocation_id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) association: Option<Association>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) holder: Holder,
    /// The secondary address of the holder's interface, in the cloud's range; `None` for the primary address.
    #[serde(default)]
    pub(crate) secondary: Option<Ipv4Addr>,
}

/// Owner of an elastic address, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Holder {
    /// An instance, by its primary interface.
    Instance(String),
    /// An interface that is no instance's primary one.
    NetworkInterface(String),
    NatGateway(String),
}

/// An egress-only internet gateway. It is recorded and described: no packet of the local cloud has an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EgressOnlyGateway {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    pub(crate) tags: Tags,
}

impl NatState {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            NatState::Pending => "pending",
            NatState::Failed(..) => "failed",
            NatState::Available => "available",
            NatState::Deleting => "deleting",
            NatState::Deleted => "deleted",
        }
    }

    /// Returns whether the gateway no longer needs its subnet and its address.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, NatState::Failed(..) | NatState::Deleted)
    }
}

impl InternetGateway {
    /// Returns a new gateway, detached or attached to a VPC.
    pub(crate) fn new(vpc_id: Option<String>) -> InternetGateway {
        InternetGateway { id: new_id("igw"), vpc_id, tags: Tags::new() }
    }
}

impl Region {
    /// Returns the internet gateway of a VPC.
    pub(crate) fn internet_gateway_of(&self, vpc_id: &str) -> Option<&InternetGateway> {
        self.ec2.internet_gateways.values().find(|gateway| gateway.vpc_id.as_deref() == Some(vpc_id))
    }

    /// Returns the elastic address that is associated with an instance.
    pub(crate) fn elastic_address_of(&self, instance: &str) -> Option<&ElasticAddress> {
        self.elastic_address_at(&Holder::Instance(instance.to_owned()))
    }

    /// Returns the elastic address of this holder's primary address.
    pub(crate) fn elastic_address_at(&self, holder: &Holder) -> Option<&ElasticAddress> {
        self.elastic_address_where(|held| held.holder == *holder && held.secondary.is_none())
    }

    /// Returns the elastic address of a secondary address, which is in the cloud's range.
    pub(crate) fn elastic_address_of_secondary(&self, secondary: Ipv4Addr) -> Option<&ElasticAddress> {
        self.elastic_address_where(|held| held.secondary == Some(secondary))
    }

    fn elastic_address_where(&self, matches: impl Fn(&Association) -> bool) -> Option<&ElasticAddress> {
        self.ec2.addresses.values().find(|address| address.association.as_ref().is_some_and(&matches))
    }

    /// Moves the associations of elastic addresses to another holder. They keep their ids.
    pub(crate) fn move_addresses(&mut self, from: &Holder, to: &Holder) {
        let associations = self.ec2.addresses.values_mut().filter_map(|address| address.association.as_mut());
        for association in associations.filter(|association| association.holder == *from) {
            association.holder = to.clone();
        }
    }

    /// Moves the association of a secondary address to another holder, which has the address now.
    pub(crate) fn move_address_of_secondary(&mut self, secondary: Ipv4Addr, to: &Holder) {
        let associations = self.ec2.addresses.values_mut().filter_map(|address| address.association.as_mut());
        for association in associations.filter(|association| association.secondary == Some(secondary)) {
            association.holder = to.clone();
        }
    }

    /// Disassociates the elastic addresses whose association matches.
    pub(crate) fn disassociate(&mut self, matches: impl Fn(&Association) -> bool) {
        for address in self.ec2.addresses.values_mut() {
            address.association.take_if(|association| matches(association));
        }
    }

    /// Returns the public address of an instance: its elastic address, or else the one that it was launched with.
    pub(crate) fn public_address_of(&self, instance: &Instance) -> Option<Ipv4Addr> {
        if instance.state == InstanceState::Terminated {
            return None;
        }
        if let Some(elastic) = self.elastic_address_of(&instance.id) {
            return Some(elastic.address);
        }
        // A public address that is not elastic is released when the instance stops.
        let up = matches!(instance.state, InstanceState::Pending | InstanceState::Running);
        (up && instance.public_ip).then_some(instance.address)
    }

    /// Disassociates the elastic addresses of this holder.
    pub(crate) fn take_addresses_from(&mut self, holder: &Holder) {
        self.disassociate(|association| association.holder == *holder);
    }

    /// Deletes a NAT gateway: releases its address in the subnet and its elastic address.
    pub(crate) fn delete_nat_gateway(&mut self, id: &str, state: NatState, now: DateTime<Utc>) {
        let Some(gateway) = self.ec2.nat_gateways.get_mut(id) else { return };
        gateway.state = state;
        gateway.ended = Some(now);
        if let Some(subnet) = self.ec2.subnets.get_mut(&gateway.subnet_id) {
            subnet.release_hosts(id);
        }
        self.take_addresses_from(&Holder::NatGateway(id.to_owned()));
    }
}
