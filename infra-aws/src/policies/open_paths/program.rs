//! The resources of a program, and the paths that they declare.

use crate::{
    AutoScalingGroup, BakedImage, Instance, LaunchTemplate, Listener, ListenerRule, LoadBalancer, Parameter, Scheme,
    SecurityGroup, Subnet, TargetGroup, TargetGroupAttachment,
};
#[cfg(feature = "rds")]
use crate::{DbCluster, DbInstance, DbSubnetGroup};
use infra_core::{Resource, policy::Declared, urn::Urn};
use std::collections::HashMap;

/// All resources of the stack's program.
#[derive(Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) all: &'a [Declared<'a>],
    pub(super) by_urn: &'a HashMap<&'a Urn, &'a Declared<'a>>,
}

/// A resource whose security groups are all declared in the stack.
#[derive(Clone)]
pub(super) struct End<'a> {
    pub(super) declared: &'a Declared<'a>,
    pub(super) groups: Vec<&'a Declared<'a>>,
    /// The declared subnets that it may be in.
    pub(super) subnets: Vec<&'a Declared<'a>>,
}

/// A declared path to a TCP port.
pub(super) struct Path<'a> {
    pub(super) from: Source<'a>,
    pub(super) to: End<'a>,
    pub(super) port: u16,
    /// Resource that declares the path.
    pub(super) about: &'a Urn,
}

/// Source of a path.
pub(super) enum Source<'a> {
    /// Clients on the internet.
    Internet,
    /// Clients of an internal load balancer.
    Inside,
    End(End<'a>),
}

impl<'a> Program<'a> {
    pub(super) fn of_kind<R: Resource>(self) -> impl Iterator<Item = (&'a Declared<'a>, R)> {
        self.all.iter().filter_map(|declared| Some((declared, declared.resource::<R>()?)))
    }

    /// Returns the dependencies of a resource that are of one kind.
    pub(super) fn used<R: Resource>(self, by: &'a Declared<'a>) -> impl Iterator<Item = &'a Declared<'a>> {
        let used = by.dependencies.iter().filter(|urn| urn.kind() == R::TYPE);
        used.filter_map(move |urn| self.by_urn.get(urn).copied())
    }

    /// Returns the dependency of a resource that is of one kind, if there is exactly one.
    pub(super) fn only<R: Resource>(self, by: &'a Declared<'a>) -> Option<&'a Declared<'a>> {
        let mut used = self.used::<R>(by);
        used.next().filter(|_| used.next().is_none())
    }

    /// Returns the paths from clients to listeners, from balancers to targets, and from hosts to databases.
    pub(super) fn paths(self) -> impl Iterator<Item = Path<'a>> {
        self.to_listeners().chain(self.to_targets()).chain(self.to_databases())
    }

    /// Returns the end of a path at a resource with this many security groups; `None` when some of them are not declared
    /// in the stack, or when the resource uses the VPC's default group.
    fn end(self, declared: &'a Declared<'a>, groups: usize, subnets: Vec<&'a Declared<'a>>) -> Option<End<'a>> {
        let found: Vec<_> = self.used::<SecurityGroup>(declared).collect();
        (groups > 0 && found.len() == groups).then_some(End { declared, groups: found, subnets })
    }

    fn balancer(self, listener: &'a Declared<'a>) -> Option<(End<'a>, LoadBalancer)> {
        let declared = self.used::<LoadBalancer>(listener).next()?;
        let balancer = declared.resource::<LoadBalancer>()?;
        let subnets = self.used::<Subnet>(declared).collect();
        Some((self.end(declared, balancer.security_groups.len(), subnets)?, balancer))
    }

    fn instance(self, declared: &'a Declared<'a>) -> Option<End<'a>> {
        let groups = declared.resource::<Instance>()?.security_groups.len();
        self.end(declared, groups, self.used::<Subnet>(declared).collect())
    }

    /// Returns the end at the instances of a launch template, which are in the subnets of its Auto Scaling groups.
    fn template(self, declared: &'a Declared<'a>) -> Option<End<'a>> {
        let groups = declared.resource::<LaunchTemplate>()?.security_groups.len();
        let scaling = self.of_kind::<AutoScalingGroup>().map(|(group, _)| group);
        let scaling = scaling.filter(|group| group.dependencies.contains(declared.urn));
        let subnets = scaling.flat_map(|group| self.used::<Subnet>(group)).collect();
        self.end(declared, groups, subnets)
    }

    fn to_listeners(self) -> impl Iterator<Item = Path<'a>> {
        self.of_kind::<Listener>().filter_map(move |(declared, listener)| {
            let (to, balancer) = self.balancer(declared)?;
            let is_public = balancer.scheme == Scheme::InternetFacing;
            let from = if is_public { Source::Internet } else { Source::Inside };
            Some(Path { from, to, port: listener.port, about: declared.urn })
        })
    }

    /// Returns the paths from balancers to the instances behind their listeners and rules: those of Auto Scaling groups, and
    /// single ones.
    fn to_targets(self) -> impl Iterator<Item = Path<'a>> {
        let listeners = self.of_kind::<Listener>().map(|(listener, _)| (listener, listener));
        let rules = self
            .of_kind::<ListenerRule>()
            .filter_map(move |(rule, _)| Some((self.used::<Listener>(rule).next()?, rule)));
        let forwarded = listeners
            .chain(rules)
            .flat_map(move |(listener, by)| self.used::<TargetGroup>(by).map(move |targets| (listener, targets)));
        forwarded.flat_map(move |(listener, targets)| {
            let from = self.balancer(listener).map(|(end, _)| end);
            let port = targets.resource::<TargetGroup>().map(|targets| targets.port);
            let behind = move |declared: &&'a Declared<'a>| declared.dependencies.contains(targets.urn);
            let groups = self.of_kind::<AutoScalingGroup>().map(|(group, _)| group).filter(behind);
            let groups = groups.filter_map(move |group| {
                let template = self.used::<LaunchTemplate>(group).next()?;
                let end = End { subnets: self.used::<Subnet>(group).collect(), ..self.template(template)? };
                Some((end, port?, group.urn))
            });
            let attached = self.of_kind::<TargetGroupAttachment>().filter(move |(declared, _)| behind(declared));
            let attached = attached.filter_map(move |(declared, attachment)| {
                let end = self.instance(self.only::<Instance>(declared)?)?;
                Some((end, attachment.port.or(port)?, declared.urn))
            });
            groups
                .chain(attached)
                .filter_map(move |(to, port, about)| Some(Path { from: Source::End(from.clone()?), to, port, about }))
        })
    }

    /// Returns the paths from hosts to the databases whose address their machine contains.
    fn to_databases(self) -> impl Iterator<Item = Path<'a>> {
        let templates = self.of_kind::<LaunchTemplate>().map(move |(declared, _)| (declared, self.template(declared)));
        let instances = self.of_kind::<Instance>().map(move |(declared, _)| (declared, self.instance(declared)));
        templates.chain(instances).flat_map(move |(user, from)| {
            // Secrets reach a host through parameters.
            let images = self.used::<BakedImage>(user).flat_map(move |it| self.used::<Parameter>(it));
            let declaring: Vec<_> = std::iter::once(user).chain(self.used::<Parameter>(user)).chain(images).collect();
            let databases = declaring.into_iter().flat_map(move |by| self.databases(by));
            databases.filter(move |(to, _)| to.declared.urn != user.urn).filter_map(move |(to, port)| {
                Some(Path { from: Source::End(from.clone()?), to, port, about: user.urn })
            })
        })
    }

    /// Returns the databases that a resource refers to, with their ports.
    fn databases(self, by: &'a Declared<'a>) -> Vec<(End<'a>, u16)> {
        let hosts = self.used::<Instance>(by).flat_map(move |server| {
            let instance = server.resource::<Instance>();
            let ports = instance.iter().flat_map(|it| it.machine.databases()).map(|(_, database)| database.port);
            let ends = ports.filter_map(|port| Some((self.instance(server)?, port)));
            ends.collect::<Vec<_>>()
        });
        #[allow(unused_mut, reason = "without the feature `rds`, there are no others")]
        let mut databases: Vec<_> = hosts.collect();
        #[cfg(feature = "rds")]
        databases.extend(self.managed_databases(by));
        databases
    }

    #[cfg(feature = "rds")]
    fn managed_databases(self, by: &'a Declared<'a>) -> Vec<(End<'a>, u16)> {
        /// Default port of PostgreSQL.
        const DEFAULT: u16 = 5432;
        let end = |declared: &'a Declared<'a>, groups: usize, port: Option<u16>| {
            let subnets = self.used::<DbSubnetGroup>(declared).flat_map(move |group| self.used::<Subnet>(group));
            Some((self.end(declared, groups, subnets.collect())?, port.unwrap_or(DEFAULT)))
        };
        let instances = self.used::<DbInstance>(by).filter_map(|declared| {
            let database = declared.resource::<DbInstance>()?;
            end(declared, database.security_groups.len(), database.port)
        });
        let clusters = self.used::<DbCluster>(by).filter_map(|declared| {
            let cluster = declared.resource::<DbCluster>()?;
            end(declared, cluster.security_groups.len(), cluster.port)
        });
        instances.chain(clusters).collect()
    }
}
