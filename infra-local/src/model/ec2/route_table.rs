//! Route tables, which route the packets of subnets.

use serde::{Deserialize, Serialize};

use super::gateway::NatState;
use super::instance::{Instance, InstanceState};
use super::peering::PeeringState;
use crate::model::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteTable {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    pub(crate) associations: Vec<TableAssociation>,
    /// Routes besides the local route of the VPC's range, which every table has.
    pub(crate) routes: Vec<Route>,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TableAssociation {
    pub(crate) id: String,
    /// The associated subnet. `None` makes the table the main one, which all other subnets of the VPC use.
    pub(crate) subnet_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Route {
    /// A canonical range of IPv4 or IPv6 addresses, or the id of a prefix list. A range of IPv6 addresses matches no packet.
    pub(crate) destination: String,
    pub(crate) target: RouteTarget,
}

/// Target of a route, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteTarget {
    InternetGateway(String),
    NatGateway(String),
    Peering(String),
    EgressOnly(String),
    /// An interface of an instance.
    NetworkInterface(String),
}

impl RouteTarget {
    pub(crate) fn id(&self) -> &String {
        match self {
            RouteTarget::InternetGateway(id)
            | RouteTarget::NatGateway(id)
            | RouteTarget::Peering(id)
            | RouteTarget::EgressOnly(id)
            | RouteTarget::NetworkInterface(id) => id,
        }
    }
}

impl RouteTable {
    pub(crate) fn new(vpc_id: &str) -> RouteTable {
        RouteTable {
            id: new_id("rtb"),
            vpc_id: vpc_id.to_owned(),
            associations: Vec::new(),
            routes: Vec::new(),
            tags: Tags::new(),
        }
    }

    /// Returns the main table of a new VPC.
    pub(crate) fn main(vpc_id: &str) -> RouteTable {
        RouteTable { associations: vec![TableAssociation::new(None)], ..RouteTable::new(vpc_id) }
    }

    pub(crate) fn is_main(&self) -> bool {
        self.associations.iter().any(|association| association.subnet_id.is_none())
    }
}

impl TableAssociation {
    pub(crate) fn new(subnet_id: Option<String>) -> TableAssociation {
        TableAssociation { id: new_id("rtbassoc"), subnet_id }
    }
}

impl Region {
    /// Returns the route table of a subnet: the associated one, or else the VPC's main table.
    pub(crate) fn route_table_of(&self, subnet_id: &str) -> Option<&RouteTable> {
        let own = self.ec2.route_tables.values().find(|table| {
            table.associations.iter().any(|association| association.subnet_id.as_deref() == Some(subnet_id))
        });
        own.or_else(|| {
            let vpc_id = &self.ec2.subnets.get(subnet_id)?.vpc_id;
            self.ec2.route_tables.values().find(|table| table.vpc_id == *vpc_id && table.is_main())
        })
    }

    /// Returns the instance that an interface is attached to, unless it is terminated.
    pub(crate) fn instance_of_interface(&self, id: &str) -> Option<&Instance> {
        let held = self.ec2.network_interfaces.get(id)?.attachment.as_ref()?;
        self.ec2.instances.get(&held.instance_id).filter(|instance| instance.state != InstanceState::Terminated)
    }

    /// Returns whether a route's target exists and works. Otherwise the route is a blackhole.
    pub(crate) fn is_alive(&self, vpc_id: &str, target: &RouteTarget) -> bool {
        match target {
            RouteTarget::InternetGateway(id) => {
                self.ec2.internet_gateways.get(id).is_some_and(|gateway| gateway.vpc_id.as_deref() == Some(vpc_id))
            }
            RouteTarget::NatGateway(id) => {
                self.ec2.nat_gateways.get(id).is_some_and(|gateway| gateway.state == NatState::Available)
            }
            RouteTarget::EgressOnly(id) => self.ec2.egress_only_gateways.contains_key(id),
            RouteTarget::Peering(id) => {
                self.ec2.peerings.get(id).is_some_and(|peering| peering.state == PeeringState::Active)
            }
            RouteTarget::NetworkInterface(id) => {
                self.instance_of_interface(id).is_some_and(|instance| instance.state != InstanceState::Stopped)
            }
        }
    }
}
