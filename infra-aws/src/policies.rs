//! Policies for common rules: `stack.policy(policies::no_open_database_ports(Enforcement::Mandatory))`.

mod open_paths;
mod runs_on;

pub use open_paths::open_paths;
pub use runs_on::runs_on;

#[cfg(feature = "logs")]
use crate::LogGroup;
#[cfg(feature = "cloudwatch")]
use crate::MetricAlarm;
use crate::{
    AutoScalingGroup, BakedImage, Certificate, ElasticIp, Instance, InternetGateway, KeyPair, LaunchTemplate, Listener,
    ListenerRule, LoadBalancer, NatGateway, Parameter, RouteTable, Rule, SecurityGroup, SecurityGroupRule, Subnet,
    TargetGroup, Vpc, VpcPeering,
};
#[cfg(feature = "rds")]
use crate::{DbCluster, DbInstance, DbParameterGroup, DbSubnetGroup};
use infra_core::{
    Resource,
    policy::{Enforcement, Policy, Violation},
};

/// Default ports of database servers.
const DATABASES: [(u16, &str); 9] = [
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (3306, "MySQL"),
    (5432, "PostgreSQL"),
    (6379, "Redis"),
    (7000, "Cassandra"),
    (9042, "Cassandra"),
    (9200, "OpenSearch"),
    (27017, "MongoDB"),
];

/// Returns the policy that no security group admits all addresses to the default port of a database server.
pub fn no_open_database_ports(enforcement: Enforcement) -> Policy {
    Policy::typed("no-open-database-ports", enforcement, |_, group: &SecurityGroup| {
        let rules = group.ingress.iter().enumerate().filter(|(_, rule)| is_open(rule));
        rules
            .filter_map(|(at, rule)| open_database(rule).map(|(port, database)| (at, port, database)))
            .map(|(at, port, database)| {
                Violation::new(format!("port {port}, the default port of {database}, is open to all addresses"))
                    .property(format!("ingress[{at}]"))
                    .remedy("allow a security group (`from_group`) or a network (`from_cidr`) instead")
            })
            .collect()
    })
}

/// Returns the policy that data is encrypted: parameters are secure, and listeners have a certificate or redirect to HTTPS.
pub fn encryption_required(enforcement: Enforcement) -> Policy {
    Policy::resource("encryption-required", enforcement, |declared| {
        let parameter = declared.resource::<Parameter>().filter(|parameter| !parameter.secure);
        let parameter = parameter.map(|_| {
            Violation::new("the parameter is not encrypted").property("secure").remedy("use `Parameter::secure`")
        });
        let listener = declared.resource::<Listener>().filter(|listener| !listener.is_encrypted());
        let listener = listener.map(|_| {
            Violation::new("the listener accepts unencrypted HTTP").property("certificate").remedy(
                "use a certificate (`Listener::https`), or redirect clients to HTTPS (`Listener::redirect_to_https`)",
            )
        });
        parameter.into_iter().chain(listener).collect()
    })
}

/// Kinds with user-defined tags.
const TAGGED: &[&str] = &[
    Instance::TYPE,
    SecurityGroup::TYPE,
    SecurityGroupRule::TYPE,
    KeyPair::TYPE,
    LaunchTemplate::TYPE,
    BakedImage::TYPE,
    AutoScalingGroup::TYPE,
    LoadBalancer::TYPE,
    TargetGroup::TYPE,
    Listener::TYPE,
    ListenerRule::TYPE,
    Certificate::TYPE,
    #[cfg(feature = "rds")]
    DbInstance::TYPE,
    #[cfg(feature = "rds")]
    DbCluster::TYPE,
    #[cfg(feature = "rds")]
    DbSubnetGroup::TYPE,
    #[cfg(feature = "rds")]
    DbParameterGroup::TYPE,
    #[cfg(feature = "cloudwatch")]
    MetricAlarm::TYPE,
    #[cfg(feature = "logs")]
    LogGroup::TYPE,
    Vpc::TYPE,
    Subnet::TYPE,
    InternetGateway::TYPE,
    NatGateway::TYPE,
    RouteTable::TYPE,
    ElasticIp::TYPE,
    VpcPeering::TYPE,
];

/// Returns the policy that resources have these tags with a non-empty value.
///
/// It applies to the kinds with user-defined tags. Resources that a machine declares implicitly, such as its role and
/// parameters, are exempt.
pub fn required_tags(enforcement: Enforcement, tags: impl IntoIterator<Item = &'static str>) -> Policy {
    let required: Vec<&str> = tags.into_iter().collect();
    Policy::resource("required-tags", enforcement, move |declared| {
        if !TAGGED.contains(&declared.urn.kind()) {
            return Vec::new();
        }
        let tags = declared.inputs.field("tags");
        let has = |tag: &str| tags.and_then(|tags| tags.field(tag)?.as_str()).is_some_and(|value| !value.is_empty());
        let missing = required.iter().filter(|tag| !has(tag));
        missing
            .map(|tag| {
                Violation::new(format!("the tag `{tag}` is missing"))
                    .property("tags")
                    .remedy(format!("add it: `tags: [(\"{tag}\".into(), …)].into()`"))
            })
            .collect()
    })
}

fn is_open(rule: &Rule) -> bool {
    let cidr = rule.cidr.as_ref().and_then(|cidr| cidr.known().ok());
    cidr.is_some_and(|cidr| cidr.ends_with("/0"))
}

fn open_database(rule: &Rule) -> Option<(u16, &'static str)> {
    let all = rule.protocol == "-1";
    let (first, last) = if all { (0, u16::MAX) } else { (rule.from_port?, rule.to_port?) };
    let tcp = all || rule.protocol == "tcp";
    DATABASES.into_iter().find(|(port, _)| tcp && (first..=last).contains(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges_and_all_protocols_include_database_ports() {
        let open = |rule: Rule| is_open(&rule).then(|| open_database(&rule)).flatten().map(|(port, _)| port);
        assert_eq!(open(Rule::tcp(5432).from_anywhere()), Some(5432));
        assert_eq!(open(Rule::tcp(3000..=3400).from_cidr("::/0")), Some(3306));
        assert_eq!(open(Rule::all().from_anywhere()), Some(1433));
        assert_eq!(open(Rule::tcp(5432).from_cidr("10.0.0.0/8")), None);
        assert_eq!(open(Rule::udp(5432).from_anywhere()), None);
        assert_eq!(open(Rule::tcp(443).from_anywhere()), None);
    }
}
