//! The identifiers of all resources. The model is destructured field by field, so that a new table does not compile
//! until it is listed here or explicitly left out.

use std::collections::BTreeSet;

use crate::model::acm::Acm;
use crate::model::autoscaling::AutoScaling;
use crate::model::cloudcontrol::CloudControl;
use crate::model::cloudwatch::CloudWatch;
use crate::model::ec2::Ec2;
use crate::model::elbv2::Elbv2;
use crate::model::iam::Iam;
use crate::model::logs::Logs;
use crate::model::rds::Rds;
use crate::model::ssm::Ssm;
use crate::model::{Cloud, Region};
use crate::state::Shared;

/// Returns the identifiers of all resources as paths, such as `us-east-1/snapshots/snap-0123`, including subordinate
/// resources: rules of groups and listeners, routes' associations, policies of roles, objects of buckets. Resources
/// that AWS shows for a while after their deletion are left out: instances, NAT gateways, peering connections, draining
/// targets.
pub(crate) fn of(shared: &Shared) -> BTreeSet<String> {
    let mut found = Found::default();
    shared.read(|cloud| found.add_cloud(cloud));
    found.add("", "buckets", shared.objects().paths());
    found.0
}

#[derive(Default)]
struct Found(BTreeSet<String>);

impl Found {
    fn add(&mut self, place: &str, kind: &str, ids: impl IntoIterator<Item = impl AsRef<str>>) {
        let separator = if place.is_empty() { "" } else { "/" };
        self.0.extend(ids.into_iter().map(|id| format!("{place}{separator}{kind}/{}", id.as_ref())));
    }

    fn add_cloud(&mut self, cloud: &Cloud) {
        let Iam {
            roles,
            instance_profiles,
            users,
            groups,
            policies,
            oidc_providers,
            saml_providers,
            sessions: _,
            password_policy: _,
            account_alias: _,
            account: _,
            credential_report: _,
        } = &cloud.iam;
        self.add("", "roles", roles.keys());
        for role in roles.values() {
            let policies = role.inline_policies.keys().chain(&role.attached_policies);
            self.add("roles", &role.name, policies);
        }
        self.add("", "instance_profiles", instance_profiles.keys());
        self.add("", "users", users.keys());
        self.add("", "groups", groups.keys());
        self.add("", "policies", policies.keys());
        self.add("", "oidc_providers", oidc_providers.keys());
        self.add("", "saml_providers", saml_providers.keys());
        for (name, region) in &cloud.regions {
            self.add_region(name, region);
        }
    }

    fn add_region(&mut self, place: &str, region: &Region) {
        let Region {
            name: _,
            zones: _,
            lost_zones: _,
            account: _,
            private_addresses: _,
            ec2,
            elbv2,
            acm: Acm { certificates, authority: _ },
            autoscaling: AutoScaling { groups, launch_configurations },
            rds,
            ssm: Ssm { parameters },
            cloudwatch: CloudWatch { alarms, composites, dashboards, history: _ },
            // Queries are requests, not resources.
            logs: Logs { groups: log_groups, queries: _, query_definitions, resource_policies: log_policies },
            cloudcontrol: CloudControl { requests: _, recorded },
        } = region;
        self.add_ec2(place, ec2);
        self.add_elbv2(place, elbv2);
        self.add_rds(place, rds);
        self.add(place, "recorded", recorded.keys());
        self.add(place, "parameters", parameters.keys());
        self.add(place, "certificates", certificates.keys());
        self.add(place, "log_groups", log_groups.keys());
        self.add(place, "query_definitions", query_definitions.keys());
        self.add(place, "log_policies", log_policies.keys());
        self.add(place, "alarms", alarms.keys());
        self.add(place, "composite_alarms", composites.keys());
        self.add(place, "dashboards", dashboards.keys());
        for group in groups.values() {
            let parts = group.policies.keys().chain(group.hooks.keys()).chain(group.schedule.keys());
            self.add(place, &format!("groups/{}", group.name), parts);
        }
        self.add(place, "groups", groups.keys());
        self.add(place, "launch_configurations", launch_configurations.keys());
    }

    fn add_ec2(&mut self, place: &str, ec2: &Ec2) {
        let Ec2 {
            vpcs,
            subnets,
            security_groups,
            network_acls,
            network_interfaces,
            internet_gateways,
            egress_only_gateways,
            nat_gateways,
            addresses,
            route_tables,
            peerings,
            dhcp_options: _,
            dhcp_options_tags: _,
            dhcp_option_sets,
            vpc_endpoints,
            prefix_lists,
            flow_logs,
            placement_groups,
            key_pairs,
            images,
            volumes,
            snapshots,
            launch_templates,
            instances,
            // Finished requests by token.
            launches: _,
            client_tokens: _,
            ebs_encryption_by_default: _,
        } = ec2;
        let nat_gateways = nat_gateways.iter().filter(|(_, gateway)| !gateway.state.is_over());
        let peerings = peerings.iter().filter(|(_, peering)| !peering.state.is_over());
        let instances = instances.iter().filter(|(_, instance)| !instance.state.is_ending());
        // The others are parts of instances.
        let unattached = network_interfaces.iter().filter(|(_, interface)| interface.attachment.is_none());
        self.add(place, "vpcs", vpcs.keys());
        self.add(place, "subnets", subnets.keys());
        self.add(place, "security_groups", security_groups.keys());
        self.add(place, "security_group_rules", security_groups.values().flat_map(|group| group.rules.keys()));
        self.add(place, "network_acls", network_acls.keys());
        self.add(place, "network_interfaces", unattached.map(|(id, _)| id));
        self.add(place, "internet_gateways", internet_gateways.keys());
        self.add(place, "egress_only_gateways", egress_only_gateways.keys());
        self.add(place, "nat_gateways", nat_gateways.map(|(id, _)| id));
        self.add(place, "addresses", addresses.keys());
        self.add(place, "route_tables", route_tables.keys());
        let associations = route_tables.values().flat_map(|table| &table.associations);
        self.add(place, "associations", associations.map(|association| &association.id));
        self.add(place, "peerings", peerings.map(|(id, _)| id));
        self.add(place, "dhcp_options", dhcp_option_sets.keys());
        self.add(place, "vpc_endpoints", vpc_endpoints.keys());
        self.add(place, "prefix_lists", prefix_lists.keys());
        self.add(place, "flow_logs", flow_logs.keys());
        self.add(place, "placement_groups", placement_groups.keys());
        self.add(place, "key_pairs", key_pairs.keys());
        self.add(place, "images", images.keys());
        let free = volumes.iter().filter(|(_, volume)| volume.attachments.is_empty());
        self.add(place, "volumes", free.map(|(id, _)| id));
        self.add(place, "snapshots", snapshots.keys());
        self.add(place, "launch_templates", launch_templates.keys());
        self.add(place, "instances", instances.map(|(id, _)| id));
    }

    fn add_elbv2(&mut self, place: &str, elbv2: &Elbv2) {
        let Elbv2 { load_balancers, listeners, target_groups } = elbv2;
        self.add(place, "load_balancers", load_balancers.keys());
        self.add(place, "listeners", listeners.keys());
        self.add(place, "rules", listeners.values().flat_map(|listener| listener.rules.values().map(|rule| &rule.arn)));
        self.add(place, "target_groups", target_groups.keys());
        let targets = target_groups.values().flat_map(|group| &group.targets).filter(|target| !target.draining);
        self.add(place, "targets", targets.map(|target| &target.id));
    }

    fn add_rds(&mut self, place: &str, rds: &Rds) {
        let Rds {
            subnet_groups,
            parameter_groups,
            cluster_parameter_groups,
            instances,
            clusters,
            snapshots,
            cluster_snapshots,
            option_groups,
            subscriptions,
            events: _,
        } = rds;
        self.add(place, "database_subnet_groups", subnet_groups.keys());
        self.add(place, "database_parameter_groups", parameter_groups.keys());
        self.add(place, "database_cluster_parameter_groups", cluster_parameter_groups.keys());
        self.add(place, "databases", instances.keys());
        self.add(place, "database_clusters", clusters.keys());
        self.add(place, "database_snapshots", snapshots.keys());
        self.add(place, "database_cluster_snapshots", cluster_snapshots.keys());
        self.add(place, "database_option_groups", option_groups.keys());
        self.add(place, "database_event_subscriptions", subscriptions.keys());
    }
}
