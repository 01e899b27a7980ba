//! EC2's resources: networks, images, instances, launch templates.

pub(crate) mod block_device;
mod client_tokens;
pub(crate) mod dhcp_options;
pub(crate) mod flow_log;
pub(crate) mod gateway;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod instance_type;
pub(crate) mod key_pair;
pub(crate) mod launch_template;
pub(crate) mod network_acl;
pub(crate) mod network_interface;
pub(crate) mod peering;
pub(crate) mod placement_group;
pub(crate) mod prefix_list;
pub(crate) mod route_table;
pub(crate) mod secondary_addresses;
pub(crate) mod snapshot;
pub(crate) mod volume;
pub(crate) mod vpc;
pub(crate) mod vpc_endpoint;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Table, Tags, changes};
use client_tokens::ClientTokens;

/// EC2's resources of a region, each kind by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ec2 {
    pub(crate) vpcs: BTreeMap<String, vpc::Vpc>,
    pub(crate) subnets: Table<vpc::Subnet>,
    pub(crate) security_groups: Table<vpc::SecurityGroup>,
    pub(crate) network_acls: BTreeMap<String, network_acl::NetworkAcl>,
    /// Of instances, and those that no instance has. Other interfaces are derived from their resources.
    pub(crate) network_interfaces: Table<network_interface::NetworkInterface>,
    pub(crate) internet_gateways: BTreeMap<String, gateway::InternetGateway>,
    pub(crate) egress_only_gateways: BTreeMap<String, gateway::EgressOnlyGateway>,
    pub(crate) nat_gateways: BTreeMap<String, gateway::NatGateway>,
    /// Elastic addresses by allocation id.
    pub(crate) addresses: BTreeMap<String, gateway::ElasticAddress>,
    pub(crate) route_tables: BTreeMap<String, route_table::RouteTable>,
    pub(crate) peerings: BTreeMap<String, peering::Peering>,
    /// Id of the set of DHCP options that VPCs have by default.
    pub(crate) dhcp_options: String,
    pub(crate) dhcp_options_tags: Tags,
    /// Other sets of DHCP options.
    pub(crate) dhcp_option_sets: BTreeMap<String, dhcp_options::DhcpOptions>,
    pub(crate) vpc_endpoints: BTreeMap<String, vpc_endpoint::VpcEndpoint>,
    pub(crate) prefix_lists: BTreeMap<String, prefix_list::PrefixList>,
    pub(crate) flow_logs: BTreeMap<String, flow_log::FlowLog>,
    /// Placement groups by name.
    pub(crate) placement_groups: BTreeMap<String, placement_group::PlacementGroup>,
    pub(crate) key_pairs: BTreeMap<String, key_pair::KeyPair>,
    /// Images of instances; the stock images are constants.
    pub(crate) images: BTreeMap<String, image::Image>,
    pub(crate) volumes: Table<volume::Volume>,
    /// Whether new volumes are encrypted, whatever requests say.
    pub(crate) ebs_encryption_by_default: bool,
    /// Snapshots of volumes.
    pub(crate) snapshots: BTreeMap<String, snapshot::Snapshot>,
    pub(crate) launch_templates: BTreeMap<String, launch_template::LaunchTemplate>,
    pub(crate) instances: Table<instance::Instance>,
    /// Finished launches by client token.
    pub(crate) launches: Table<instance::LaunchRecord>,
    /// Other finished requests by client token.
    pub(crate) client_tokens: ClientTokens,
}

changes::record_by_field!(Ec2 {
    whole: [dhcp_options, dhcp_options_tags, ebs_encryption_by_default],
    maps: [
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
        launches,
        client_tokens
    ],
    parts: [],
    children: [],
    apart: [],
});

impl Ec2 {
    /// Removes a launch template, and the client tokens of the requests that created it.
    pub(crate) fn remove_launch_template(&mut self, id: &str) {
        self.launch_templates.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes a volume, and the client tokens of the requests that created it.
    pub(crate) fn remove_volume(&mut self, id: &str) {
        self.volumes.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes a prefix list, and the client tokens of the requests that created it.
    pub(crate) fn remove_prefix_list(&mut self, id: &str) {
        self.prefix_lists.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes an egress-only internet gateway, and the client tokens of the requests that created it.
    pub(crate) fn remove_egress_only_gateway(&mut self, id: &str) {
        self.egress_only_gateways.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes a network ACL, and the client tokens of the requests that created it.
    pub(crate) fn remove_network_acl(&mut self, id: &str) {
        self.network_acls.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes a route table, and the client tokens of the requests that created it.
    pub(crate) fn remove_route_table(&mut self, id: &str) {
        self.route_tables.remove(id);
        self.client_tokens.retain(|created| created != id);
    }

    /// Removes the NAT gateways for which `shown` is false, and the client tokens of the requests that created them.
    pub(crate) fn retain_nat_gateways(&mut self, shown: impl Fn(&gateway::NatGateway) -> bool) {
        self.nat_gateways.retain(|_, gateway| shown(gateway));
        let kept = &self.nat_gateways;
        self.client_tokens.retain(|created| !created.starts_with("nat-") || kept.contains_key(created));
    }
}
