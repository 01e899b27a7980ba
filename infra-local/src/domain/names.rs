//! DNS names that AWS derives from addresses and ids.
//!
//! Where the loopback interface connects everything, no resolver answers, so the API returns literal addresses in place
//! of these names.
//!
//! Source: VPC User Guide, "DNS attributes for your VPC"; EC2 User Guide, "EC2 instance hostnames and domains".

use std::net::Ipv4Addr;

use crate::model::Region;
use crate::model::ec2::vpc::Vpc;
use crate::model::elbv2::LoadBalancer;

/// Names of balancers contain a number with at most this many digits.
const BALANCER_NUMBERS: u64 = 10_000_000_000;

/// Returns the domain of private names, which is also the search domain of a VPC's DHCP options.
pub(crate) fn private_domain(region: &str) -> String {
    match region {
        "us-east-1" => "ec2.internal".to_owned(),
        other => format!("{other}.compute.internal"),
    }
}

/// Returns the first label of a private name: `ip-10-0-1-5`.
pub(crate) fn private_label(address: Ipv4Addr) -> String {
    format!("ip-{}", dashed(address))
}

/// Returns the name of a private address: `ip-10-0-1-5.ec2.internal`.
pub(crate) fn of_private_address(region: &str, address: Ipv4Addr) -> String {
    format!("{}.{}", private_label(address), private_domain(region))
}

/// Returns the name of a public address: `ec2-203-0-113-5.compute-1.amazonaws.com`.
pub(crate) fn of_public_address(region: &str, address: Ipv4Addr) -> String {
    let label = format!("ec2-{}", dashed(address));
    match region {
        "us-east-1" => format!("{label}.compute-1.amazonaws.com"),
        other => format!("{label}.{other}.compute.amazonaws.com"),
    }
}

/// Returns the name of a balancer: `internal-NAME-1234567890.us-east-1.elb.amazonaws.com`.
pub(crate) fn of_balancer(region: &str, balancer: &LoadBalancer) -> String {
    let id = balancer.arn.rsplit('/').next().and_then(|id| u64::from_str_radix(id, 16).ok()).unwrap_or_default();
    let prefix = if balancer.scheme == "internal" { "internal-" } else { "" };
    format!("{prefix}{}-{}.{region}.elb.amazonaws.com", balancer.name, id % BALANCER_NUMBERS)
}

fn dashed(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}

impl Vpc {
    /// Returns whether its public addresses have names, and its resolver knows the names of its private addresses.
    pub(crate) fn names_hosts(&self) -> bool {
        self.dns_support && self.dns_hostnames
    }
}

impl Region {
    /// Returns the name of a private address.
    pub(crate) fn private_name(&self, address: Ipv4Addr) -> String {
        if self.private_addresses { of_private_address(&self.name, address) } else { address.to_string() }
    }

    /// Returns the name of a public address that an interface of a VPC has, if the VPC gives such names.
    pub(crate) fn public_name(&self, vpc_id: &str, address: Ipv4Addr) -> Option<String> {
        let is_named = self.ec2.vpcs.get(vpc_id).is_some_and(Vpc::names_hosts);
        let name = || if self.private_addresses { of_public_address(&self.name, address) } else { address.to_string() };
        is_named.then(name)
    }

    /// Returns the name of a balancer. An internet-facing one has its literal address as its name, because clients on
    /// this machine have no resolver for AWS's names.
    pub(crate) fn balancer_name(&self, balancer: &LoadBalancer) -> String {
        let has_name = self.private_addresses && balancer.scheme == "internal";
        if has_name { of_balancer(&self.name, balancer) } else { balancer.address.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_forms_of_their_regions() {
        let address = Ipv4Addr::new(10, 0, 1, 5);
        let names = ["us-east-1", "eu-west-1"]
            .map(|region| format!("{}\n{}\n", of_private_address(region, address), of_public_address(region, address)));
        insta::assert_snapshot!(names.concat(), @r"
        ip-10-0-1-5.ec2.internal
        ec2-10-0-1-5.compute-1.amazonaws.com
        ip-10-0-1-5.eu-west-1.compute.internal
        ec2-10-0-1-5.eu-west-1.compute.amazonaws.com
        ");
    }

    #[test]
    fn names_are_literal_addresses_on_the_loopback_interface() {
        let address = Ipv4Addr::new(127, 16, 0, 5);
        let mut vpc = Vpc { dns_hostnames: true, ..Vpc::new("10.0.0.0/16") };
        let mut region = Region { name: "us-east-1".to_owned(), ..Region::default() };
        let id = vpc.id.clone();
        region.ec2.vpcs.insert(id.clone(), vpc.clone());
        assert_eq!(region.private_name(address), "127.16.0.5");
        assert_eq!(region.public_name(&id, address).as_deref(), Some("127.16.0.5"));
        region.private_addresses = true;
        assert_eq!(region.private_name(address), "ip-127-16-0-5.ec2.internal");
        assert_eq!(region.public_name(&id, address).as_deref(), Some("ec2-127-16-0-5.compute-1.amazonaws.com"));
        vpc.dns_support = false;
        region.ec2.vpcs.insert(id.clone(), vpc);
        assert_eq!(region.public_name(&id, address), None);
    }
}
