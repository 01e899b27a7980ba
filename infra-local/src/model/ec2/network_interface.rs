//! Network interfaces of instances, and those that no instance has.

use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::gateway::Holder;
use crate::model::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkInterface {
    pub(crate) id: String,
    pub(crate) subnet_id: String,
    /// Its address in the cloud's range. The subnet's host number belongs to the interface.
    pub(crate) address: Ipv4Addr,
    /// Its secondary addresses in the cloud's range, in the order of their assignment.
    #[serde(default)]
    pub(crate) secondary: Vec<Ipv4Addr>,
    pub(crate) description: String,
    /// Security groups. Those of an instance's primary interface are the instance's.
    pub(crate) groups: Vec<String>,
    /// Whether the network drops packets that the interface sends from other addresses than its own.
    pub(crate) source_dest_check: bool,
    pub(crate) tags: Tags,
    pub(crate) attachment: Option<Attachment>,
}

/// The attachment of an interface to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) id: String,
    pub(crate) instance_id: String,
    pub(crate) delete_on_termination: bool,
    /// 0 for the instance's primary interface.
    #[serde(default)]
    pub(crate) device_index: u32,
    /// `None` for the primary interface, which the instance has since its launch.
    #[serde(default)]
    pub(crate) attached: Option<DateTime<Utc>>,
}

impl NetworkInterface {
    pub(crate) fn new(id: String, subnet_id: &str, address: Ipv4Addr) -> NetworkInterface {
        NetworkInterface {
            id,
            subnet_id: subnet_id.to_owned(),
            address,
            secondary: Vec::new(),
            description: String::new(),
            groups: Vec::new(),
            source_dest_check: true,
            tags: Tags::new(),
            attachment: None,
        }
    }
}

impl Holder {
    /// Returns the holder of the addresses of an interface.
    pub(crate) fn of(interface: &NetworkInterface) -> Holder {
        match &interface.attachment {
            Some(held) if held.device_index == 0 => Holder::Instance(held.instance_id.clone()),
            _ => Holder::NetworkInterface(interface.id.clone()),
        }
    }
}

impl Attachment {
    pub(crate) fn new(instance_id: &str, delete_on_termination: bool) -> Attachment {
        Attachment {
            id: new_id("eni-attach"),
            instance_id: instance_id.to_owned(),
            delete_on_termination,
            device_index: 0,
            attached: None,
        }
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
        self.take_addresses_from(&Holder::NetworkInterface(id.to_owned()));
        self.ec2.client_tokens.retain(|created| created != id);
    }

    /// Returns the interfaces that are attached to an instance beside its primary one, in the order of their devices.
    pub(crate) fn secondary_interfaces_of(&self, instance_id: &str) -> Vec<(&NetworkInterface, &Attachment)> {
        let attached = self.ec2.network_interfaces.values().filter_map(|interface| {
            let attachment = interface.attachment.as_ref()?;
            (attachment.device_index > 0 && attachment.instance_id == instance_id).then_some((interface, attachment))
        });
        let mut attached: Vec<_> = attached.collect();
        attached.sort_by_key(|(_, attachment)| attachment.device_index);
        attached
    }

    /// Takes the interfaces from a terminated instance, and deletes those that are not to be kept.
    pub(crate) fn detach_from_terminated(&mut self, instance_id: &str) {
        let Some(instance) = self.ec2.instances.get(instance_id) else { return };
        let (id, groups) = (instance.network_interface_id.clone(), instance.security_groups.clone());
        // In states of earlier versions, the address belongs to the instance.
        if let Some(subnet) = self.ec2.subnets.get_mut(&instance.subnet_id) {
            subnet.release_hosts(instance_id);
        }
        let secondary = self.secondary_interfaces_of(instance_id);
        let secondary: Vec<(String, bool)> =
            secondary.into_iter().map(|(it, attachment)| (it.id.clone(), attachment.delete_on_termination)).collect();
        for (id, is_deleted) in secondary {
            if is_deleted {
                self.remove_network_interface(&id);
            } else if let Some(interface) = self.ec2.network_interfaces.get_mut(&id) {
                interface.attachment = None;
            }
        }
        let Some(interface) = self.ec2.network_interfaces.get_mut(&id) else { return };
        let Some(attachment) = interface.attachment.take_if(|held| held.instance_id == instance_id) else { return };
        interface.groups = groups;
        if attachment.delete_on_termination {
            self.remove_network_interface(&id);
        } else {
            self.move_addresses(&Holder::Instance(instance_id.to_owned()), &Holder::NetworkInterface(id));
        }
    }
}
