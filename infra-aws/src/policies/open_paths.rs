//! The policy that security groups allow the declared network paths.

use crate::{
    AutoScalingGroup, BakedImage, Instance, LaunchTemplate, Listener, LoadBalancer, Parameter, Rule, Scheme,
    SecurityGroup, SecurityGroupRule, TargetGroup, ec2::security_group_rule::Direction,
};
use infra_core::{
    Resource,
    policy::{Declared, Enforcement, Policy, Violation},
    urn::Urn,
};
use std::collections::{BTreeSet, HashMap};

/// Returns the policy that security groups allow every declared path: from clients to the ports of a listener, from a
/// balancer to the instances behind it, and from an application to the PostgreSQL server whose address it uses.
/// [`region`](crate::region) adds it to every stack as an advisory policy.
///
/// It evaluates the resources of the stack only. A path is considered open if one of its security groups is not declared in
/// the stack, or if a rule with a CIDR block covers its port.
pub fn open_paths(enforcement: Enforcement) -> Policy {
    Policy::graph("open-paths", enforcement, |all| closed(all).into_iter().map(|(_, violation)| violation).collect())
}

/// Returns the declared paths that are closed, each once.
fn closed(all: &[Declared<'_>]) -> Vec<(String, Violation)> {
    let by_urn = all.iter().map(|declared| (declared.urn, declared)).collect();
    let program = Program { all, by_urn: &by_urn };
    let paths = program.to_listeners().chain(program.to_targets()).chain(program.to_databases());
    let mut reported = BTreeSet::new();
    paths.filter_map(|path| path.violation(program)).filter(|(text, _)| reported.insert(text.clone())).collect()
}

/// All resources of the stack's program.
#[derive(Clone, Copy)]
struct Program<'a> {
    all: &'a [Declared<'a>],
    by_urn: &'a HashMap<&'a Urn, &'a Declared<'a>>,
}

/// A resource whose security groups are all declared in the stack.
struct End<'a> {
    declared: &'a Declared<'a>,
    groups: Vec<&'a Declared<'a>>,
}

/// A declared path to a TCP port.
struct Path<'a> {
    /// Source; `None` for clients: in the VPC if `inside`, otherwise on the internet.
    from: Option<End<'a>>,
    inside: bool,
    to: End<'a>,
    port: u16,
    /// Resource that declares the path.
    about: &'a Urn,
}

impl<'a> Program<'a> {
    fn of_kind<R: Resource>(self) -> impl Iterator<Item = (&'a Declared<'a>, R)> {
        self.all.iter().filter_map(|declared| Some((declared, declared.resource::<R>()?)))
    }

    /// Returns the dependencies of a resource that are of one kind.
    fn used<R: Resource>(self, by: &'a Declared<'a>) -> impl Iterator<Item = &'a Declared<'a>> {
        let used = by.dependencies.iter().filter(|urn| urn.kind() == R::TYPE);
        used.filter_map(move |urn| self.by_urn.get(urn).copied())
    }

    /// Returns the end of a path at a resource with this many security groups; `None` when some of them are not declared
    /// in the stack, or when the resource uses the VPC's default group.
    fn end(self, declared: &'a Declared<'a>, groups: usize) -> Option<End<'a>> {
        let found: Vec<_> = self.used::<SecurityGroup>(declared).collect();
        (groups > 0 && found.len() == groups).then_some(End { declared, groups: found })
    }

    fn balancer(self, listener: &'a Declared<'a>) -> Option<(End<'a>, LoadBalancer)> {
        let declared = self.used::<LoadBalancer>(listener).next()?;
        let balancer = declared.resource::<LoadBalancer>()?;
        Some((self.end(declared, balancer.security_groups.len())?, balancer))
    }

    fn to_listeners(self) -> impl Iterator<Item = Path<'a>> {
        self.of_kind::<Listener>().filter_map(move |(declared, listener)| {
            let (to, balancer) = self.balancer(declared)?;
            let inside = balancer.scheme != Scheme::InternetFacing;
            Some(Path { from: None, inside, to, port: listener.port, about: declared.urn })
        })
    }

    /// Returns the paths from balancers to the instances of the Auto Scaling groups behind their listeners.
    fn to_targets(self) -> impl Iterator<Item = Path<'a>> {
        let listeners = self.of_kind::<Listener>();
        let targets =
            listeners.flat_map(move |(listener, _)| self.used::<TargetGroup>(listener).map(move |it| (listener, it)));
        targets.flat_map(move |(listener, targets)| {
            let groups = self.of_kind::<AutoScalingGroup>().map(|(declared, _)| declared);
            let behind = groups.filter(|group| group.dependencies.contains(targets.urn));
            behind.filter_map(move |group| {
                let port = targets.resource::<TargetGroup>()?.port;
                let template = self.used::<LaunchTemplate>(group).next()?;
                let to = self.end(template, template.resource::<LaunchTemplate>()?.security_groups.len())?;
                let from = Some(self.balancer(listener)?.0);
                Some(Path { from, inside: true, to, port, about: group.urn })
            })
        })
    }

    /// Returns the paths from hosts to the database servers whose address their machine contains.
    fn to_databases(self) -> impl Iterator<Item = Path<'a>> {
        let templates = self.of_kind::<LaunchTemplate>().map(|(declared, it)| (declared, it.security_groups.len()));
        let instances = self.of_kind::<Instance>().map(|(declared, it)| (declared, it.security_groups.len()));
        templates.chain(instances).flat_map(move |(user, groups)| {
            // Secrets reach a host through parameters.
            let images = self.used::<BakedImage>(user).flat_map(move |it| self.used::<Parameter>(it));
            let parameters = self.used::<Parameter>(user).chain(images).flat_map(move |it| self.used::<Instance>(it));
            let servers = self.used::<Instance>(user).chain(parameters).filter(move |server| server.urn != user.urn);
            servers.flat_map(move |server| {
                let instance = server.resource::<Instance>();
                let ports = instance.iter().flat_map(|it| it.machine.databases()).map(|(_, database)| database.port);
                let paths = ports.filter_map(|port| {
                    let to = self.end(server, instance.as_ref()?.security_groups.len())?;
                    Some(Path { from: Some(self.end(user, groups)?), inside: true, to, port, about: user.urn })
                });
                paths.collect::<Vec<_>>()
            })
        })
    }

    /// Returns the rules of a group in one direction, each with the groups that its declaration refers to.
    fn rules(self, group: &'a Declared<'a>, direction: Direction) -> Vec<(Rule, Vec<&'a Urn>)> {
        let named = |declared: &'a Declared<'a>| -> Vec<&'a Urn> {
            self.used::<SecurityGroup>(declared).map(|it| it.urn).filter(|urn| *urn != group.urn).collect()
        };
        let own = group.resource::<SecurityGroup>().map(|own| match direction {
            Direction::Ingress => own.ingress,
            Direction::Egress => own.egress,
        });
        let own = own.unwrap_or_default().into_iter().map(|rule| (rule, named(group)));
        let single = self.of_kind::<SecurityGroupRule>();
        let single =
            single.filter(|(declared, it)| it.direction == direction && declared.dependencies.contains(group.urn));
        own.chain(single.map(|(declared, it)| (it.rule, named(declared)))).collect()
    }
}

impl<'a> Path<'a> {
    /// Returns the violation when the path is closed, with its text.
    fn violation(&self, program: Program<'a>) -> Option<(String, Violation)> {
        let Self { from, to, port, .. } = self;
        let (reason, remedy) = if let Some(from) = from.as_ref().filter(|from| !self.allows_egress(program, from)) {
            let groups = names(&from.groups);
            let reason = format!("no egress rule of {groups} allows it");
            (reason, format!("add `Rule::tcp({port}).to_anywhere()` to the egress of {groups}"))
        } else if !self.allows_ingress(program) {
            let groups = names(&to.groups);
            (format!("no ingress rule of {groups} allows it"), self.remedy(&groups))
        } else {
            return None;
        };
        let source = from.as_ref().map_or_else(|| "clients".to_owned(), |from| names(&[from.declared]));
        let text = format!("{source} cannot reach port {port} of {}: {reason}", names(&[to.declared]));
        Some((text.clone(), Violation::new(text).about(self.about).remedy(remedy)))
    }

    /// Returns the rule to add so that the groups admit the source.
    fn remedy(&self, groups: &str) -> String {
        let port = self.port;
        match &self.from {
            None if self.inside => format!("add `Rule::tcp({port}).from_cidr(…)` to the ingress of {groups}"),
            None => format!("add `Rule::tcp({port}).from_anywhere()` to the ingress of {groups}"),
            Some(_) if self.is_across_regions() => format!(
                "add `Rule::tcp({port}).from_cidr(…)` to the ingress of {groups}; a `PostgresHost` does so for `reachable_from`"
            ),
            Some(from) => format!(
                "add `Rule::tcp({port}).from_group(…)` with the id of {} to the ingress of {groups}",
                names(&from.groups)
            ),
        }
    }

    fn is_across_regions(&self) -> bool {
        self.from.as_ref().is_some_and(|from| from.declared.region != self.to.declared.region)
    }

    fn allows_ingress(&self, program: Program<'a>) -> bool {
        self.to.groups.iter().any(|group| {
            program
                .rules(group, Direction::Ingress)
                .iter()
                .any(|(rule, named)| self.covers(rule, group, named, self.from.as_ref()))
        })
    }

    fn allows_egress(&self, program: Program<'a>, from: &End<'a>) -> bool {
        from.groups.iter().any(|group| {
            let rules = program.rules(group, Direction::Egress);
            // A new group without declared egress rules keeps AWS's default rule, which allows all outbound traffic.
            rules.is_empty() || rules.iter().any(|(rule, named)| self.covers(rule, group, named, Some(&self.to)))
        })
    }

    /// Returns true when a rule of `group` covers this path, whose other end is `other`. `named` are the groups that the
    /// rule's declaration refers to.
    fn covers(&self, rule: &Rule, group: &Declared<'a>, named: &[&Urn], other: Option<&End<'a>>) -> bool {
        let all = rule.protocol == "-1";
        let ports = rule.from_port.zip(rule.to_port);
        let covers_port =
            all || (rule.protocol == "tcp" && ports.is_some_and(|(from, to)| (from..=to).contains(&self.port)));
        if !covers_port || rule.cidr.is_some() {
            return covers_port;
        }
        let Some(other) = other else { return self.inside };
        let is_other = |urn: &Urn| other.groups.iter().any(|group| group.urn == urn);
        if self.is_across_regions() {
            false
        } else if rule.itself {
            is_other(group.urn)
        } else {
            // Without a named group, the rule refers to a group outside of the stack, which may be any.
            named.is_empty() || named.iter().any(|urn| is_other(urn))
        }
    }
}

fn names(declared: &[&Declared<'_>]) -> String {
    let names: Vec<String> = declared.iter().map(|it| format!("`{}`", it.urn.name())).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Machine, PostgresHost, Service, SubnetId, VpcId};
    use infra_core::{Config, Result, Stack, diff::Action, testing};
    use insta::assert_snapshot;

    /// The rules on the path from clients to a database.
    struct Rules {
        clients: Vec<Rule>,
        application: u16,
        single: Option<u16>,
        egress: Vec<Rule>,
        database: bool,
    }

    const OPEN: Rules =
        Rules { clients: Vec::new(), application: 8080, single: None, egress: Vec::new(), database: true };

    fn program(rules: Rules) -> impl Fn(&Stack, &Config) -> Result {
        move |stack, _| {
            let virginia = crate::region(stack, "us-east-1");
            let vpc = VpcId::from("vpc-1");
            let subnets = vec![SubnetId::from("subnet-1"), SubnetId::from("subnet-2")];
            let open = vec![Rule::tcp(80).from_anywhere()];
            let ingress = if rules.clients.is_empty() { open } else { rules.clients.clone() };
            let front = virginia.add(
                "front",
                SecurityGroup { ingress, egress: rules.egress.clone(), ..SecurityGroup::in_vpc(vpc.clone()) },
            );
            let inner = vec![Rule::tcp(rules.application).from_group(&front.id)];
            let inside = SecurityGroup { ingress: inner, ..SecurityGroup::in_vpc(vpc.clone()) };
            let inside = virginia.add("inside", inside);
            if let Some(port) = rules.single {
                let rule = SecurityGroupRule::ingress(&inside.id, Rule::tcp(port).from_group(&front.id));
                virginia.add("single", rule);
            }
            let mut database = PostgresHost::new(&virginia, "database").database("tasks", "cloud", "secret");
            if rules.database {
                database = database.reachable_from(&virginia);
            }
            let machine = Machine::debian().service(
                Service::prebuilt("tasks", "/bin/true").env("DATABASE_URL", database.declare()?.url).listen(8080),
            );
            let template =
                LaunchTemplate { security_groups: vec![inside.id], machine, ..LaunchTemplate::new("t3.micro") };
            let template = virginia.add("application", template);
            let balancer = virginia.add("balancer", LoadBalancer::application(subnets.clone(), [front.id]));
            let targets = virginia.add("targets", TargetGroup::http(8080, vpc.clone()));
            virginia.add("listener", Listener::http(80, balancer.arn).forward(targets.arn.clone()));
            let group =
                AutoScalingGroup { targets: vec![targets.arn], ..AutoScalingGroup::from(template.version(), subnets) };
            virginia.add("group", group);
            Ok(())
        }
    }

    /// Returns the violations of a program whose resources do not exist yet.
    fn violations(rules: Rules) -> String {
        let program = program(rules);
        let declared = testing::declare(&program).unwrap();
        let graph = declared.graph();
        let nodes: Vec<_> = graph
            .in_order()
            .map(|node| {
                let used: Vec<Urn> = graph.dependencies(&node.urn).into_iter().cloned().collect();
                (node, node.inputs.evaluate(&|_| None).unwrap(), used)
            })
            .collect();
        let all: Vec<_> = nodes
            .iter()
            .map(|(node, inputs, dependencies)| Declared {
                urn: &node.urn,
                region: node.region.as_deref(),
                action: Action::Create,
                inputs,
                dependencies,
            })
            .collect();
        let violations: Vec<String> = closed(&all).into_iter().map(|(_, violation)| format!("{violation:?}")).collect();
        violations.join("\n")
    }

    #[test]
    fn open_paths_cause_no_violations() {
        assert_eq!(violations(OPEN), "");
        assert_eq!(violations(Rules { application: 9090, single: Some(8080), ..OPEN }), "", "a separate rule resource");
        assert_eq!(violations(Rules { egress: vec![Rule::tcp(8000..=9000).to_anywhere()], ..OPEN }), "");
    }

    #[test]
    fn closed_path_is_reported_with_a_remedy() {
        assert_snapshot!(violations(Rules { clients: vec![Rule::tcp(443).from_anywhere()], ..OPEN }), @r#"Violation { message: "clients cannot reach port 80 of `balancer`: no ingress rule of `front` allows it", about: Some(urn:infra:test::test::aws:elb:Listener::listener), property: None, remedy: Some("add `Rule::tcp(80).from_anywhere()` to the ingress of `front`") }"#);
        assert_snapshot!(violations(Rules { application: 9090, ..OPEN }), @r#"Violation { message: "`balancer` cannot reach port 8080 of `application`: no ingress rule of `inside` allows it", about: Some(urn:infra:test::test::aws:autoscaling:AutoScalingGroup::group), property: None, remedy: Some("add `Rule::tcp(8080).from_group(…)` with the id of `front` to the ingress of `inside`") }"#);
        assert_snapshot!(violations(Rules { egress: vec![Rule::tcp(443).to_anywhere()], ..OPEN }), @r#"Violation { message: "`balancer` cannot reach port 8080 of `application`: no egress rule of `front` allows it", about: Some(urn:infra:test::test::aws:autoscaling:AutoScalingGroup::group), property: None, remedy: Some("add `Rule::tcp(8080).to_anywhere()` to the egress of `front`") }"#);
        assert_snapshot!(violations(Rules { database: false, ..OPEN }), @r#"Violation { message: "`application` cannot reach port 5432 of `database/instance`: no ingress rule of `database/access` allows it", about: Some(urn:infra:test::test::aws:ec2:LaunchTemplate::application), property: None, remedy: Some("add `Rule::tcp(5432).from_group(…)` with the id of `inside` to the ingress of `database/access`") }"#);
    }
}
