//! Policies that most stacks want to keep: `stack.policy(policies::no_open_database_ports(Enforcement::Mandatory))`.

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

/// The ports that databases usually listen on.
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

/// No security group lets the whole world reach a port that a database usually listens on.
pub fn no_open_database_ports(enforcement: Enforcement) -> Policy {
    Policy::typed("no-open-database-ports", enforcement, |_, group: &SecurityGroup| {
        let rules = group.ingress.iter().enumerate().filter(|(_, rule)| is_open(rule));
        rules
            .filter_map(|(at, rule)| open_database(rule).map(|(port, database)| (at, port, database)))
            .map(|(at, port, database)| {
                Violation::new(format!("the whole world may reach port {port}, where {database} listens"))
                    .property(format!("ingress[{at}]"))
                    .remedy("let in a security group (`from_group`) or a network (`from_cidr`) instead")
            })
            .collect()
    })
}

/// What can be encrypted is: parameters are secure, listeners have a certificate or send their clients to HTTPS.
pub fn encryption_required(enforcement: Enforcement) -> Policy {
    Policy::resource("encryption-required", enforcement, |declared| {
        let parameter = declared.resource::<Parameter>().filter(|parameter| !parameter.secure);
        let parameter = parameter.map(|_| {
            Violation::new("the parameter is kept in the clear").property("secure").remedy("use `Parameter::secure`")
        });
        let listener = declared.resource::<Listener>().filter(|listener| !listener.is_encrypted());
        let listener = listener.map(|_| {
            Violation::new("the listener speaks HTTP without encryption").property("certificate").remedy(
                "give it a certificate: `Listener::https`, or send its clients to one: `Listener::redirect_to_https`",
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

/// Everything that is declared by hand and takes tags of one's own carries these, with a value. What a machine brings
/// along, such as its role and parameters, is not asked.
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
    fn ranges_and_everything_count() {
        let open = |rule: Rule| is_open(&rule).then(|| open_database(&rule)).flatten().map(|(port, _)| port);
        assert_eq!(open(Rule::tcp(5432).from_anywhere()), Some(5432));
        assert_eq!(open(Rule::tcp(3000..=3400).from_cidr("::/0")), Some(3306));
        assert_eq!(open(Rule::all().from_anywhere()), Some(1433));
        assert_eq!(open(Rule::tcp(5432).from_cidr("10.0.0.0/8")), None);
        assert_eq!(open(Rule::udp(5432).from_anywhere()), None);
        assert_eq!(open(Rule::tcp(443).from_anywhere()), None);
    }
}
