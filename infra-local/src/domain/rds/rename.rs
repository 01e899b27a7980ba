//! New identifiers of instances and clusters.
//!
//! The ARN and the endpoint contain the identifier, so both change, and the previous endpoint leads nowhere. Tags, replicas,
//! members and snapshots stay. Source: Amazon RDS User Guide, "Renaming a DB instance"; Amazon RDS API reference,
//! `ModifyDBInstance` and `ModifyDBCluster`.

use std::net::Ipv4Addr;

use crate::model::Region;
use crate::model::ec2::vpc::Subnet;
use crate::model::rds::{Pending, PendingOfCluster};
use crate::state::address::AddressBlock;

/// Gives an instance its pending identifier, the last of its pending changes. While another instance has it, the change
/// remains pending.
pub(crate) fn rename_instance(region: &mut Region, id: &str, addresses: &AddressBlock) {
    let Some(new) = region.rds.instances.get(id).and_then(|instance| instance.pending.id.clone()) else { return };
    if region.rds.instances.contains_key(&new) {
        if let Some(instance) = region.rds.instances.get_mut(id) {
            instance.pending.is_blocked = true;
        }
        return;
    }
    let Some(mut instance) = region.rds.instances.remove(id) else { return };
    instance.pending = Pending::default();
    instance.place.address = move_endpoint(region, ("db", id, &new), instance.place.address, addresses);
    instance.id.clone_from(&new);
    let rename = |known: &mut Option<String>| {
        if known.as_deref() == Some(id) {
            *known = Some(new.clone());
        }
    };
    region.rds.instances.values_mut().for_each(|other| rename(&mut other.source));
    for cluster in region.rds.clusters.values_mut() {
        rename(&mut cluster.writer);
        rename(&mut cluster.demoted);
    }
    region.rds.instances.insert(new, instance);
}

/// Gives a cluster its pending identifier. While another cluster has it, the change remains pending.
pub(crate) fn rename_cluster(region: &mut Region, id: &str, addresses: &AddressBlock) {
    let Some(new) = region.rds.clusters.get(id).and_then(|cluster| cluster.pending.id.clone()) else { return };
    if region.rds.clusters.contains_key(&new) {
        if let Some(cluster) = region.rds.clusters.get_mut(id) {
            cluster.pending.is_blocked = true;
        }
        return;
    }
    let Some(mut cluster) = region.rds.clusters.remove(id) else { return };
    cluster.pending = PendingOfCluster::default();
    cluster.place.address = move_endpoint(region, ("cluster", id, &new), cluster.place.address, addresses);
    cluster.reader_address = move_endpoint(region, ("cluster", id, &new), cluster.reader_address, addresses);
    cluster.id.clone_from(&new);
    for member in region.rds.instances.values_mut().filter(|member| member.cluster.as_deref() == Some(id)) {
        member.cluster = Some(new.clone());
    }
    region.rds.clusters.insert(new, cluster);
}

/// Assigns another address of the subnet to a renamed endpoint, and releases the previous one. An endpoint in a full subnet
/// keeps its address.
fn move_endpoint(
    region: &mut Region,
    (kind, id, new): (&str, &str, &str),
    address: Ipv4Addr,
    addresses: &AddressBlock,
) -> Ipv4Addr {
    let arn = |id: &str| region.scope().arn("rds", format_args!("{kind}:{id}"));
    let (previous, renamed) = (arn(id), arn(new));
    let [_, _, index, host] = address.octets();
    let holds = |subnet: &&Subnet| subnet.index == index && subnet.hosts.get(&host) == Some(&previous);
    let Some(subnet) = region.ec2.subnets.values().find(holds).map(|subnet| subnet.id.clone()) else { return address };
    let Some(subnet) = region.ec2.subnets.get_mut(&subnet) else { return address };
    let Some(other) = subnet.take_host(&renamed) else {
        subnet.hosts.insert(host, renamed);
        return address;
    };
    subnet.hosts.remove(&host);
    addresses.address(subnet.index, other)
}
