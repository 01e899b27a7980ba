//! A component with a VPC, its public subnets and a route to the internet.

use crate::{
    AvailabilityZones, InternetGateway, Region, Route, RouteTable, Rule, SecurityGroup, SecurityGroupId, Subnet,
    SubnetId, Vpc, VpcId, VpcOutputs, VpcPeering,
};
use infra_core::{Options, Output, ProgramError, Result};

/// A component with a VPC, its internet gateway, public subnets in several availability zones and their route table.
///
/// Hosts in the subnets have public addresses; security groups control the access to them.
///
/// ```
/// use infra_aws::{self as aws, Network};
/// use infra_core::{Result, Stack};
///
/// fn program(stack: &Stack) -> Result {
///     let mut here = Network::new(&aws::region(stack, "us-east-1"), "network", "10.1.0.0/16", 2)?;
///     let mut there = Network::new(&aws::region(stack, "us-east-2"), "network", "10.2.0.0/16", 1)?;
///     here.peer_with(&mut there);
///     let (here, there) = (here.declare(), there.declare());
///     Ok(())
/// }
/// ```
#[must_use = "call `declare` to declare the routes"]
pub struct Network {
    region: Region,
    parts: Region,
    name: String,
    cidr: String,
    vpc: VpcOutputs,
    subnets: Vec<Output<SubnetId>>,
    routes: Vec<Route>,
}

/// Outputs of a [`Network`].
pub struct NetworkOutputs {
    /// Region of the network. Resources that are declared through it depend on the routes.
    pub region: Region,
    /// Id of the VPC.
    pub vpc_id: Output<VpcId>,
    /// CIDR block of the VPC.
    pub cidr: Output<String>,
    /// Ids of the subnets, one in each availability zone.
    pub subnets: Output<Vec<SubnetId>>,
}

/// The CIDR block cannot be divided into the subnets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the network `{name}` cannot be divided into {zones} subnets of {cidr}: use a range such as `10.1.0.0/16` and one to six zones"
)]
struct NotDivisible {
    name: String,
    cidr: String,
    zones: usize,
}

impl Network {
    /// Creates a network with this CIDR block, a `/16`, and a `/24` subnet in each of this many availability zones.
    pub fn new(region: &Region, name: &str, cidr: &str, zones: usize) -> Result<Self> {
        let prefix = cidr.strip_suffix(".0.0/16").filter(|prefix| {
            let octets: Vec<_> = prefix.split('.').map(str::parse::<u8>).collect();
            octets.len() == 2 && octets.iter().all(Result::is_ok) && (1..=6).contains(&zones)
        });
        let prefix = prefix
            .ok_or_else(|| ProgramError::from(NotDivisible { name: name.to_owned(), cidr: cidr.to_owned(), zones }))?;
        let parts = region.component(name);
        let names = region.lookup(AvailabilityZones).names;
        let vpc = parts.add("vpc", Vpc::new(cidr).dns_hostnames());
        let gateway = parts.add("gateway", InternetGateway::of(&vpc.id));
        let subnets = (0..zones).map(|index| {
            let subnet = Subnet::of(&vpc.id, format!("{prefix}.{index}.0/24")).in_zone(names.index(index)).public();
            parts.add(&format!("subnet-{index}"), subnet).id
        });
        Ok(Self {
            region: region.clone(),
            name: name.to_owned(),
            cidr: cidr.to_owned(),
            subnets: subnets.collect(),
            routes: vec![Route::to("0.0.0.0/0").by_internet_gateway(gateway.id)],
            vpc,
            parts,
        })
    }

    /// Peers the VPCs and adds routes, so that hosts of both networks reach each other at their private addresses. The
    /// CIDR blocks must not overlap.
    pub fn peer_with(&mut self, other: &mut Self) {
        let name = format!("peering-{}-{}", other.region.name(), other.name);
        let peering = self.parts.add(&name, VpcPeering::across(&self.vpc.id, &other.region, &other.vpc.id)).id;
        self.routes.push(Route::to(&*other.cidr).by_peering(peering.clone()));
        other.routes.push(Route::to(&*self.cidr).by_peering(peering));
    }

    /// Declares the routes and returns the outputs.
    pub fn declare(self) -> NetworkOutputs {
        let table = RouteTable::of(&self.vpc.id);
        let table =
            self.parts.add("routes", RouteTable { routes: self.routes, subnets: self.subnets.clone(), ..table });
        NetworkOutputs {
            region: self.region.with(Options::new().depends_on(&table.id)),
            vpc_id: self.vpc.id,
            cidr: self.vpc.cidr,
            subnets: Output::list(self.subnets),
        }
    }
}

impl NetworkOutputs {
    /// Declares a security group of the VPC with these ingress rules, and returns its ID.
    pub fn security_group(
        &self,
        name: &str,
        description: &str,
        ingress: impl IntoIterator<Item = Rule>,
    ) -> Output<SecurityGroupId> {
        let group = SecurityGroup {
            description: description.into(),
            ingress: ingress.into_iter().collect(),
            ..SecurityGroup::in_vpc(&self.vpc_id)
        };
        self.region.add(name, group).id
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{Config, Target, provider::Providers, stack::declare};

    #[test]
    fn peered_networks_route_to_each_other() {
        let declared =
            declare("web", "dev", Target::aws(), &Config::default(), Providers::default(), &|stack, _| -> Result {
                let mut here = Network::new(&crate::region(stack, "us-east-1"), "here", "10.1.0.0/16", 2)?;
                let mut there = Network::new(&crate::region(stack, "us-east-2"), "there", "10.2.0.0/16", 1)?;
                here.peer_with(&mut there);
                let (here, _) = (here.declare(), there.declare());
                here.region.add("late", Vpc::new("10.3.0.0/16"));
                Ok(())
            });
        let graph = declared.graph.unwrap();
        let order: Vec<_> = graph.in_order().map(|node| node.urn.short()).collect();
        let place = |name: &str| order.iter().position(|other| other == name).unwrap_or_else(|| panic!("{order:?}"));
        assert!(place("Vpc late") > place("RouteTable here/routes"));
        assert!(place("RouteTable there/routes") > place("VpcPeering here/peering-us-east-2-there"));
        assert_eq!(order.iter().filter(|name| name.starts_with("Subnet ")).count(), 3);
    }

    #[test]
    fn cidr_must_be_divisible_into_subnets() {
        let declared =
            declare("web", "dev", Target::aws(), &Config::default(), Providers::default(), &|stack, _| -> Result {
                Network::new(&crate::region(stack, "us-east-1"), "web", "10.1.0.0/20", 2).map(drop)
            });
        let errors = declared.graph.unwrap_err();
        assert!(errors[0].to_string().contains("use a range such as `10.1.0.0/16`"), "{errors:?}");
    }
}
