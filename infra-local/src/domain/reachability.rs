//! Reachability between sources and destinations, by route tables, peering connections and security groups. The addresses
//! of all of them are loopback addresses, which the system itself does not separate.
//!
//! Its callers forward connections: balancers, elastic addresses, endpoints of databases.

use crate::model::Region;
use crate::model::cidr::Cidr;
use crate::model::ec2::instance::Instance;
use crate::model::ec2::route_table::RouteTarget;
use crate::model::ec2::vpc::{Peer, Rule};
use crate::model::elbv2::LoadBalancer;
use crate::model::rds::Place;

/// One end of a connection: something with network interfaces in a VPC.
#[derive(Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) region: &'a Region,
    pub(crate) vpc_id: &'a str,
    /// Subnets of its interfaces.
    pub(crate) subnets: &'a [String],
    pub(crate) security_groups: &'a [String],
}

impl<'a> Party<'a> {
    pub(crate) fn instance(region: &'a Region, instance: &'a Instance) -> Party<'a> {
        Party {
            region,
            vpc_id: &instance.vpc_id,
            subnets: std::slice::from_ref(&instance.subnet_id),
            security_groups: &instance.security_groups,
        }
    }

    pub(crate) fn balancer(region: &'a Region, balancer: &'a LoadBalancer) -> Party<'a> {
        Party {
            region,
            vpc_id: &balancer.vpc_id,
            subnets: &balancer.subnets,
            security_groups: &balancer.security_groups,
        }
    }

    fn ranges(&self) -> Vec<Cidr> {
        let subnets = self.subnets.iter().filter_map(|id| self.region.ec2.subnets.get(id));
        subnets.filter_map(|subnet| Cidr::parse(&subnet.cidr)).collect()
    }

    fn rules(&self, egress: bool) -> impl Iterator<Item = &'a Rule> + use<'a> {
        let region = self.region;
        let groups = self.security_groups.iter().filter_map(|id| region.ec2.security_groups.get(id));
        groups.flat_map(|group| group.rules.values()).filter(move |rule| rule.egress == egress)
    }
}

/// Returns whether `from` may connect to this TCP port of `to`: routes exist in both directions, and the security
/// groups of both permit the connection.
pub(crate) fn reaches(from: Party<'_>, to: Party<'_>, port: u16) -> bool {
    is_routed(from, to) && is_routed(to, from) && permits(from, true, port, to) && permits(to, false, port, from)
}

/// Returns whether clients on the internet may connect to this TCP port of a resource with a public address.
pub(crate) fn internet_reaches(to: Party<'_>, port: u16) -> bool {
    let routed = to.subnets.iter().any(|subnet| is_public(to.region, subnet));
    routed && to.rules(false).any(|rule| covers(rule, port) && !matches!(rule.peer, Peer::Group(_)))
}

/// Returns whether a host in this subnet may connect to the internet: by an internet gateway, which requires a public
/// address, or by a public NAT gateway.
pub(crate) fn reaches_internet(from: Party<'_>, has_public_address: bool) -> bool {
    let out = |subnet: &String| match internet_route(from.region, subnet) {
        Some(RouteTarget::InternetGateway(_)) => has_public_address,
        Some(RouteTarget::NatGateway(id)) => {
            let gateway = from.region.ec2.nat_gateways.get(id);
            gateway.is_some_and(|gateway| gateway.public_ip.is_some() && is_public(from.region, &gateway.subnet_id))
        }
        _ => false,
    };
    // The APIs of AWS are called over HTTPS.
    let allowed = from.rules(true).any(|rule| covers(rule, 443) && !matches!(rule.peer, Peer::Group(_)));
    allowed && from.subnets.iter().any(out)
}

/// Returns whether clients may connect to this port of a balancer.
///
/// Clients run on this machine, and count as clients on the internet. For an internal balancer, they also count as
/// members of all security groups.
pub(crate) fn clients_reach(region: &Region, balancer: &LoadBalancer, port: u16) -> bool {
    let party = Party::balancer(region, balancer);
    match balancer.scheme.as_str() {
        "internal" => party.rules(false).any(|rule| covers(rule, port)),
        _ => internet_reaches(party, port),
    }
}

/// Returns whether clients may connect to a database's endpoint.
///
/// Clients run on this machine, and count as members of all security groups and all ranges.
pub(crate) fn clients_reach_database(region: &Region, place: &Place) -> bool {
    let party = Party { region, vpc_id: "", subnets: &[], security_groups: &place.security_groups };
    party.rules(false).any(|rule| covers(rule, place.port))
}

/// Returns whether the security groups of a balancer and an instance permit connections of the balancer to this port.
pub(crate) fn balancer_reaches(region: &Region, balancer: &LoadBalancer, instance: &Instance, port: u16) -> bool {
    reaches(Party::balancer(region, balancer), Party::instance(region, instance), port)
}

/// Returns whether a subnet's packets to the internet go through an internet gateway.
pub(crate) fn is_public(region: &Region, subnet_id: &str) -> bool {
    matches!(internet_route(region, subnet_id), Some(RouteTarget::InternetGateway(_)))
}

/// Returns the target of a subnet's route to the internet, if it exists.
fn internet_route<'a>(region: &'a Region, subnet_id: &str) -> Option<&'a RouteTarget> {
    let vpc_id = &region.ec2.subnets.get(subnet_id)?.vpc_id;
    let route = region.route(subnet_id, Cidr::parse("0.0.0.0/0")?)?;
    region.is_alive(vpc_id, &route.target).then_some(&route.target)
}

/// Returns whether routes connect the two: always within a VPC, and between VPCs by a peering connection.
fn is_routed(from: Party<'_>, to: Party<'_>) -> bool {
    if from.vpc_id == to.vpc_id {
        return true;
    }
    let ranges = to.ranges();
    let has_route = |subnet: &String, range: Cidr| {
        from.region.route(subnet, range).is_some_and(|route| match &route.target {
            RouteTarget::Peering(id) => {
                let peering = from.region.ec2.peerings.get(id);
                from.region.is_alive(from.vpc_id, &route.target)
                    && peering
                        .and_then(|peering| peering.other_side(from.vpc_id))
                        .is_some_and(|side| side.vpc_id == to.vpc_id && side.region == to.region.name)
            }
            _ => false,
        })
    };
    from.subnets.iter().any(|subnet| ranges.iter().any(|range| has_route(subnet, *range)))
}

/// Returns whether the groups of `side` permit this port with `other`. Groups of a VPC in another region are unknown.
fn permits(side: Party<'_>, egress: bool, port: u16, other: Party<'_>) -> bool {
    let ranges = other.ranges();
    let same_region = side.region.name == other.region.name;
    side.rules(egress).any(|rule| {
        covers(rule, port)
            && match &rule.peer {
                Peer::Ipv4(range) => {
                    Cidr::parse(range).is_some_and(|range| ranges.iter().any(|other| range.overlaps(*other)))
                }
                Peer::Ipv6(_) => false,
                Peer::Group(group) => same_region && other.security_groups.contains(group),
            }
    })
}

fn covers(rule: &Rule, port: u16) -> bool {
    let spoken = ["tcp", "6", "-1"].contains(&rule.protocol.as_str());
    spoken && rule.ports.is_none_or(|(low, high)| (low..=high).contains(&i32::from(port)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::Utc;

    use super::*;
    use crate::model::ec2::gateway::{InternetGateway, NatGateway, NatState};
    use crate::model::ec2::peering::{Peering, PeeringState, Side};
    use crate::model::ec2::route_table::{Route, RouteTable, TableAssociation};
    use crate::model::ec2::vpc;
    use crate::model::ec2::vpc::{SecurityGroup, Subnet, Vpc};
    use crate::model::{Cloud, Tags};

    /// A VPC with one subnet and a group that lets port 5432 in from `from`.
    struct Site {
        region: &'static str,
        vpc: String,
        subnets: Vec<String>,
        groups: Vec<String>,
    }

    impl Site {
        fn new(cloud: &mut Cloud, region: &'static str, range: &str, from: Peer) -> Site {
            let index = cloud.take_subnet_index().unwrap();
            let place = cloud.regions.get_mut(region).unwrap();
            let vpc = Vpc::new(&format!("{range}/16"));
            let template = place.ec2.subnets.values().next().unwrap().clone();
            let id = format!("subnet-{range}");
            let subnet =
                Subnet { id: id.clone(), vpc_id: vpc.id.clone(), cidr: format!("{range}/24"), index, ..template };
            let mut group = SecurityGroup::new("database", "database", &vpc.id);
            let rule = Rule {
                egress: false,
                protocol: "tcp".to_owned(),
                ports: Some((5432, 5432)),
                peer: from,
                description: None,
                tags: Tags::new(),
            };
            group.rules.insert("sgr-1".to_owned(), rule);
            let site = Site { region, vpc: vpc.id.clone(), subnets: vec![id], groups: vec![group.id.clone()] };
            place.ec2.subnets.insert(subnet.id.clone(), subnet);
            place.ec2.security_groups.insert(group.id.clone(), group);
            vpc::add_vpc(place, vpc);
            site
        }

        fn party<'a>(&'a self, cloud: &'a Cloud) -> Party<'a> {
            Party {
                region: &cloud.regions[self.region],
                vpc_id: &self.vpc,
                subnets: &self.subnets,
                security_groups: &self.groups,
            }
        }

        fn route(&self, cloud: &mut Cloud, destination: &str, target: RouteTarget) {
            let tables = &mut cloud.regions.get_mut(self.region).unwrap().ec2.route_tables;
            let table = tables.values_mut().find(|table| table.vpc_id == self.vpc && table.is_main()).unwrap();
            table.routes.push(Route { destination: destination.to_owned(), target });
        }

        fn side(&self) -> Side {
            Side {
                region: self.region.to_owned(),
                owner: String::new(),
                vpc_id: self.vpc.clone(),
                cidr: None,
                dns_resolution: false,
            }
        }
    }

    fn cloud() -> Cloud {
        let mut cloud = Cloud::default();
        cloud.complete();
        cloud
    }

    fn peer(cloud: &mut Cloud, near: &Site, far: &Site) {
        let peering = Peering {
            id: "pcx-1".to_owned(),
            requester: near.side(),
            accepter: far.side(),
            state: PeeringState::Active,
            created: Utc::now(),
            ended: None,
            tags: Tags::new(),
        };
        for region in [near.region, far.region] {
            cloud.regions.get_mut(region).unwrap().ec2.peerings.insert(peering.id.clone(), peering.clone());
        }
    }

    fn pcx() -> RouteTarget {
        RouteTarget::Peering("pcx-1".to_owned())
    }

    #[test]
    fn a_peering_connection_needs_routes_both_ways() {
        let mut cloud = cloud();
        let application = Site::new(&mut cloud, "us-east-1", "10.0.0.0", Peer::Ipv4("10.1.0.0/16".to_owned()));
        let database = Site::new(&mut cloud, "us-east-2", "10.1.0.0", Peer::Ipv4("10.0.0.0/16".to_owned()));
        let reached = |cloud: &Cloud| reaches(application.party(cloud), database.party(cloud), 5432);
        peer(&mut cloud, &application, &database);
        application.route(&mut cloud, "10.1.0.0/16", pcx());
        assert!(!reached(&cloud), "the answer finds no way back");
        database.route(&mut cloud, "10.0.0.0/16", pcx());
        assert!(reached(&cloud));
        assert!(!reaches(application.party(&cloud), database.party(&cloud), 22), "no rule lets port 22 in");
        application.route(&mut cloud, "10.1.0.0/24", RouteTarget::NatGateway("nat-1".to_owned()));
        assert!(!reached(&cloud), "a longer prefix leads elsewhere");
        let tables = &mut cloud.regions.get_mut("us-east-1").unwrap().ec2.route_tables;
        tables.values_mut().for_each(|table| table.routes.retain(|route| route.destination != "10.1.0.0/24"));
        assert!(reached(&cloud));
        cloud.change_peering("pcx-1", |peering| peering.state = PeeringState::Deleted);
        assert!(!reached(&cloud));
    }

    #[test]
    fn groups_of_a_peer_are_known_only_within_a_region() {
        for (region, known) in [("us-east-1", true), ("us-east-2", false)] {
            let mut cloud = cloud();
            let near = Site::new(&mut cloud, "us-east-1", "10.0.0.0", Peer::Ipv4("0.0.0.0/0".to_owned()));
            let far = Site::new(&mut cloud, region, "10.1.0.0", Peer::Group(near.groups[0].clone()));
            peer(&mut cloud, &near, &far);
            near.route(&mut cloud, "10.1.0.0/16", pcx());
            far.route(&mut cloud, "10.0.0.0/16", pcx());
            assert_eq!(reaches(near.party(&cloud), far.party(&cloud), 5432), known, "{region}");
        }
    }

    #[test]
    fn instances_of_a_vpc_need_a_rule_and_no_route() {
        let mut cloud = cloud();
        let site = Site::new(&mut cloud, "us-east-1", "10.0.0.0", Peer::Ipv4("10.0.0.0/24".to_owned()));
        assert!(reaches(site.party(&cloud), site.party(&cloud), 5432));
        let group = cloud.regions.get_mut("us-east-1").unwrap().ec2.security_groups.get_mut(&site.groups[0]).unwrap();
        group.rules.retain(|_, rule| !rule.egress);
        assert!(!reaches(site.party(&cloud), site.party(&cloud), 5432), "nothing may go out");
    }

    #[test]
    fn internet_clients_need_an_attached_gateway_and_a_route() {
        let mut cloud = cloud();
        let site = Site::new(&mut cloud, "us-east-1", "10.0.0.0", Peer::Ipv4("1.2.3.4/32".to_owned()));
        let gateway = InternetGateway::new(Some(site.vpc.clone()));
        let target = RouteTarget::InternetGateway(gateway.id.clone());
        assert!(!internet_reaches(site.party(&cloud), 5432) && !reaches_internet(site.party(&cloud), true));
        site.route(&mut cloud, "0.0.0.0/0", target);
        assert!(!internet_reaches(site.party(&cloud), 5432), "the route leads into nothing");
        let id = gateway.id.clone();
        cloud.regions.get_mut("us-east-1").unwrap().ec2.internet_gateways.insert(id, gateway);
        assert!(internet_reaches(site.party(&cloud), 5432) && !internet_reaches(site.party(&cloud), 22));
        assert!(reaches_internet(site.party(&cloud), true) && !reaches_internet(site.party(&cloud), false));
    }

    #[test]
    fn a_nat_gateway_reaches_the_internet_if_its_subnet_is_public() {
        let mut cloud = cloud();
        let site = Site::new(&mut cloud, "us-east-1", "10.0.0.0", Peer::Ipv4("0.0.0.0/0".to_owned()));
        let default =
            cloud.regions["us-east-1"].ec2.subnets.values().find(|subnet| subnet.default_for_zone).unwrap().id.clone();
        let nat = NatGateway {
            id: "nat-1".to_owned(),
            vpc_id: site.vpc.clone(),
            subnet_id: default.clone(),
            state: NatState::Available,
            allocation_id: None,
            public_ip: Some(std::net::Ipv4Addr::new(127, 16, 255, 1)),
            association_id: None,
            private_ip: std::net::Ipv4Addr::new(127, 16, 0, 4),
            network_interface_id: "eni-1".to_owned(),
            created: Utc::now(),
            ended: None,
            tags: Tags::new(),
        };
        let region = cloud.regions.get_mut("us-east-1").unwrap();
        region.ec2.nat_gateways.insert(nat.id.clone(), nat);
        site.route(&mut cloud, "0.0.0.0/0", RouteTarget::NatGateway("nat-1".to_owned()));
        assert!(reaches_internet(site.party(&cloud), false) && !internet_reaches(site.party(&cloud), 5432));
        // A second route table disconnects the gateway's subnet from the internet.
        let region = cloud.regions.get_mut("us-east-1").unwrap();
        let vpc = region.ec2.subnets[&default].vpc_id.clone();
        let closed =
            RouteTable { associations: vec![TableAssociation::new(Some(default.clone()))], ..RouteTable::new(&vpc) };
        region.ec2.route_tables.insert(closed.id.clone(), closed);
        assert!(!reaches_internet(site.party(&cloud), false));
    }
}
