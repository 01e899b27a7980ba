//! Network interfaces of instances, and those that no instance has.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::model::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkInterface {
    pub(crate) id: String,
    pub(crate) subnet_id: String,
    /// Its address in the cloud's range. The subnet's host number belongs to the interface.
    pub(crate) address: Ipv4Addr,
    pub(crate) description: String,
    /// Security groups while it is not attached. Those of an attached interface are the instance's.
    pub(crate) groups: Vec<String>,
    /// Kept and shown: services of instances cannot send packets from other addresses anyway.
    pub(crate) source_dest_check: bool,
    pub(crate) tags: Tags,
    pub(crate) attachment: Option<Attachment>,
}

/// The attachment of an interface to an instance, as its primary interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) id: String,
    pub(crate) instance_id: String,
    pub(crate) delete_on_termination: bool,
}

impl NetworkInterface {
    pub(crate) fn new(id: String, subnet_id: &str, address: Ipv4Addr) -> NetworkInterface {
        NetworkInterface {
            id,
            subnet_id: subnet_id.to_owned(),
            address,
            description: String::new(),
            groups: Vec::new(),
            source_dest_check: true,
            tags: Tags::new(),
            attachment: None,
        }
    }
}

impl Attachment {
    pub(crate) fn new(instance_id: &str, delete_on_termination: bool) -> Attachment {
        Attachment { id: new_id("eni-attach"), instance_id: instance_id.to_owned(), delete_on_termination }
    }
}

impl Region {
    /// Deletes an interface: its address is free again.
    pub(crate) fn remove_network_interface(&mut self, id: &str) {
        if let Some(interface) = self.ec2.network_interfaces.remove(id)
            && let Some(subnet) = self.ec2.subnets.get_mut(&interface.subnet_id)
        {
            subnet.release_hosts(id);
        }
        self.ec2.client_tokens.retain(|created| created != id);
    }

    /// Takes the interface from a terminated instance, and deletes it unless it is to be kept.
    pub(crate) fn detach_from_terminated(&mut self, instance_id: &str) {
        let Some(instance) = self.ec2.instances.get(instance_id) else { return };
        let (id, groups) = (instance.network_interface_id.clone(), instance.security_groups.clone());
        // In states of earlier versions, the address belongs to the instance.
        if let Some(subnet) = self.ec2.subnets.get_mut(&instance.subnet_id) {
            subnet.release_hosts(instance_id);
        }
        let Some(interface) = self.ec2.network_interfaces.get_mut(&id) else { return };
        let Some(attachment) = interface.attachment.take_if(|held| held.instance_id == instance_id) else { return };
        interface.groups = groups;
        if attachment.delete_on_termination {
            self.remove_network_interface(&id);
        }
    }
}
