//! Network interfaces of launched instances.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html>

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};

use super::interface_address::{take_address, take_secondary_addresses};
use super::security_group::check_security_groups;
use super::unknown_network_interface;
use crate::model::ec2::instance_type::InstanceType;
use crate::model::ec2::launch_template::{self, LaunchData};
use crate::model::ec2::network_interface::{Attachment, NetworkInterface};
use crate::model::ec2::secondary_addresses::SecondaryAddresses;
use crate::model::ec2::vpc::Subnet;
use crate::model::{Region, Tags};
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, Outcome};

/// The interfaces of a launch, whose references have been checked.
pub(super) struct LaunchInterfaces {
    /// In the order of their device indexes, which begin with 0.
    interfaces: Vec<LaunchInterface>,
    /// `true` if an instance gets a public address, which only the only interface can have.
    pub(super) public_ip: bool,
}

/// An interface of a launch.
pub(super) struct LaunchInterface {
    device_index: u32,
    pub(super) subnet_id: String,
    pub(super) groups: Vec<String>,
    /// An existing interface, for one instance.
    existing: Option<NetworkInterface>,
    private_address: Option<Ipv4Addr>,
    secondary: SecondaryAddresses,
    description: String,
    delete_on_termination: bool,
}

impl LaunchInterfaces {
    /// Checks the interfaces of a launch of `count` instances.
    pub(super) fn new(
        region: &Region,
        data: &LaunchData,
        kind: &InstanceType,
        count: u32,
    ) -> Outcome<LaunchInterfaces> {
        let default = [launch_template::NetworkInterface::default()];
        let wanted = if data.network_interfaces.is_empty() { &default[..] } else { &data.network_interfaces[..] };
        check_devices(region, wanted, kind)?;
        let mut interfaces: Vec<LaunchInterface> = Vec::new();
        for interface in wanted {
            if let Some(id) = interface.id.as_ref().filter(|_| count > 1) {
                return Err(combination(format!(
                    "The network interface '{id}' can be attached to one instance only, not {count}"
                )));
            }
            let known = LaunchInterface::new(region, data, interface, kind)?;
            let is_same = |it: &LaunchInterface, id: &str| it.existing.as_ref().is_some_and(|it| it.id == id);
            if let Some(id) = interface.id.as_ref().filter(|id| interfaces.iter().any(|it| is_same(it, id))) {
                return Err(combination(format!("The network interface '{id}' is specified more than once")));
            }
            interfaces.push(known);
        }
        let new = LaunchInterfaces { interfaces, public_ip: false };
        let subnet = new.subnet(region)?;
        new.check_places(region, subnet)?;
        // As on AWS, only a new interface gets a public address, and only if it is the only one.
        let is_new = wanted.len() == 1 && new.primary().existing.is_none();
        let public_ip = is_new && wanted[0].associate_public_ip.unwrap_or(subnet.map_public_ip);
        Ok(LaunchInterfaces { public_ip, ..new })
    }

    /// Returns the primary interface.
    pub(super) fn primary(&self) -> &LaunchInterface {
        &self.interfaces[0]
    }

    /// Returns the subnet of the primary interface, which is the instance's.
    pub(super) fn subnet<'a>(&self, region: &'a Region) -> Outcome<&'a Subnet> {
        find_subnet(region, &self.primary().subnet_id)
    }

    /// Refuses interfaces of other zones or VPCs than the instance's.
    fn check_places(&self, region: &Region, primary: &Subnet) -> Outcome<()> {
        for interface in &self.interfaces[1..] {
            let subnet = find_subnet(region, &interface.subnet_id)?;
            if subnet.zone != primary.zone {
                return Err(combination(format!(
                    "Network interfaces of an instance must be in the same availability zone: {} is in {}, and {} is in {}",
                    primary.id, primary.zone, subnet.id, subnet.zone
                )));
            }
            if subnet.vpc_id != primary.vpc_id {
                return Err(unsupported(format!(
                    "The local cloud launches instances with interfaces of one VPC, and {} is in {}, not in {}: use a \
                     subnet of this VPC, or AWS",
                    subnet.id, subnet.vpc_id, primary.vpc_id
                )));
            }
        }
        Ok(())
    }

    /// Takes the existing interfaces and creates the others, the primary one first. `None` when the primary subnet has no
    /// address left.
    pub(super) fn take(
        &self,
        region: &mut Region,
        instance: &str,
        tags: &Tags,
        addresses: &AddressBlock,
        now: DateTime<Utc>,
    ) -> Outcome<Option<Vec<NetworkInterface>>> {
        let mut taken = Vec::new();
        for interface in &self.interfaces {
            let index = interface.device_index;
            let Some(new) = interface.take(region, instance, tags, addresses)? else {
                // A launch of several instances ends before the first one that has not all of its interfaces.
                taken.iter().for_each(|taken: &NetworkInterface| give_back(region, taken));
                return Ok(None);
            };
            let attachment = Attachment {
                device_index: index,
                attached: (index > 0).then_some(now),
                ..Attachment::new(instance, interface.delete_on_termination)
            };
            taken.push(NetworkInterface { attachment: Some(attachment), ..new });
        }
        Ok(Some(taken))
    }
}

impl LaunchInterface {
    fn new(
        region: &Region,
        data: &LaunchData,
        wanted: &launch_template::NetworkInterface,
        kind: &InstanceType,
    ) -> Outcome<LaunchInterface> {
        let existing = match &wanted.id {
            Some(id) => Some(available_interface(region, data, wanted, id)?),
            None => None,
        };
        let is_primary = wanted.device_index == 0;
        let of_instance = data.subnet_id.as_ref().filter(|_| is_primary);
        let subnet_id = existing.map(|existing| &existing.subnet_id).or(of_instance).or(wanted.subnet_id.as_ref());
        let subnet = match subnet_id {
            Some(id) => find_subnet(region, id)?,
            None => default_subnet(region, data.zone.as_deref())?,
        };
        if let Some(zone) = data.zone.as_ref().filter(|zone| **zone != subnet.zone) {
            return Err(ApiError::invalid(format!("The subnet {} is in {}, not in {zone}", subnet.id, subnet.zone)));
        }
        let mut groups = wanted.security_group_ids.clone();
        if is_primary {
            groups.extend(data.security_group_ids.iter().cloned());
        }
        groups.extend(existing.into_iter().flat_map(|existing| existing.groups.clone()));
        check_security_groups(region, &mut groups, &subnet.vpc_id)?;
        let assigned = existing.map_or(0, |existing| existing.secondary.len());
        check_address_limit(kind, 1 + assigned + wanted.secondary.listed.len() + usize::from(wanted.secondary.count))?;
        Ok(LaunchInterface {
            device_index: wanted.device_index,
            subnet_id: subnet.id.clone(),
            groups,
            existing: existing.cloned(),
            private_address: wanted.private_address.or(data.private_address.filter(|_| is_primary)),
            secondary: wanted.secondary.clone(),
            description: wanted.description.clone().unwrap_or_default(),
            delete_on_termination: wanted.delete_on_termination.unwrap_or(existing.is_none()),
        })
    }

    /// Takes the existing interface, or creates one. `None` when the subnet has no address left.
    fn take(
        &self,
        region: &mut Region,
        instance: &str,
        tags: &Tags,
        addresses: &AddressBlock,
    ) -> Outcome<Option<NetworkInterface>> {
        // The groups of a primary interface are the instance's.
        let groups = if self.device_index == 0 { Vec::new() } else { self.groups.clone() };
        if let Some(existing) = &self.existing {
            return Ok(Some(NetworkInterface { groups, ..existing.clone() }));
        }
        let id = match self.device_index {
            0 => instance.replacen("i-", "eni-", 1),
            _ => crate::model::new_id("eni"),
        };
        let address = take_address(region, &self.subnet_id, self.private_address, &id, addresses)?;
        let Some(address) = address else { return Ok(None) };
        let description = self.description.clone();
        let new = NetworkInterface::new(id, &self.subnet_id, address);
        let mut interface = NetworkInterface { description, groups, tags: tags.clone(), ..new };
        take_secondary_addresses(region, &mut interface, &self.secondary, addresses)?;
        Ok(Some(interface))
    }
}

/// Refuses more private addresses than an interface of the type has.
pub(crate) fn check_address_limit(kind: &InstanceType, count: usize) -> Outcome<()> {
    let (_, limit) = kind.interface_limits();
    if count <= limit {
        return Ok(());
    }
    let message = format!(
        "Number of private addresses will exceed limit: {count} of an interface, and an instance of the type {} has at \
         most {limit}",
        kind.name
    );
    Err(ApiError::new("PrivateIpAddressLimitExceeded", message))
}

/// Returns AWS's error for an instance with too many network interfaces.
pub(crate) fn too_many_interfaces(kind: &InstanceType, count: usize) -> ApiError {
    let message = format!("Interface count {count} exceeds the limit for {}", kind.name);
    ApiError::new("AttachmentLimitExceeded", message)
}

/// Checks the device indexes and the number of interfaces.
fn check_devices(region: &Region, wanted: &[launch_template::NetworkInterface], kind: &InstanceType) -> Outcome<()> {
    let indexes: BTreeSet<u32> = wanted.iter().map(|interface| interface.device_index).collect();
    if indexes.len() < wanted.len() {
        return Err(ApiError::invalid("Each network interface requires a unique device index."));
    }
    if !indexes.contains(&0) {
        return Err(combination("When specifying network interfaces, you must include a device at index 0."));
    }
    let (limit, _) = kind.interface_limits();
    if wanted.len() > limit {
        return Err(too_many_interfaces(kind, wanted.len()));
    }
    let is_public = |interface: &launch_template::NetworkInterface| interface.associate_public_ip == Some(true);
    if wanted.len() > 1 && wanted.iter().any(is_public) {
        return Err(combination(
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network interfaces.",
        ));
    }
    if wanted.len() > 1 && !region.private_addresses {
        return Err(unsupported(
            "This local cloud connects instances over the loopback interface, so an instance is launched with one network \
             interface: leave out the others, or start the cloud with `--network namespaces`",
        ));
    }
    Ok(())
}

/// Finds an existing interface of a launch, which has its own subnet, address and groups.
fn available_interface<'a>(
    region: &'a Region,
    data: &LaunchData,
    given: &launch_template::NetworkInterface,
    id: &str,
) -> Outcome<&'a NetworkInterface> {
    let interface = region.ec2.network_interfaces.get(id).ok_or_else(|| unknown_network_interface(id))?;
    if interface.attachment.is_some() {
        return Err(ApiError::new("InvalidNetworkInterface.InUse", format!("Interface: [{id}] in use.")));
    }
    let bare = launch_template::NetworkInterface {
        id: given.id.clone(),
        device_index: given.device_index,
        delete_on_termination: given.delete_on_termination,
        ..Default::default()
    };
    let has_others = data.subnet_id.is_some() || data.private_address.is_some() || !data.security_group_ids.is_empty();
    if has_others && given.device_index == 0 || *given != bare {
        return Err(combination(format!(
            "The network interface '{id}' has a subnet, an address and security groups: leave out SubnetId, \
             PrivateIpAddress, SecurityGroupId and AssociatePublicIpAddress"
        )));
    }
    Ok(interface)
}

/// Releases the addresses of an interface that was created for an instance that is not launched.
fn give_back(region: &mut Region, interface: &NetworkInterface) {
    if region.ec2.network_interfaces.contains_key(&interface.id) {
        return;
    }
    if let Some(subnet) = region.ec2.subnets.get_mut(&interface.subnet_id) {
        subnet.release_hosts(&interface.id);
    }
}

/// Returns the default subnet of a zone, or of any.
fn default_subnet<'a>(region: &'a Region, zone: Option<&str>) -> Outcome<&'a Subnet> {
    let mut candidates: Vec<_> = region
        .ec2
        .subnets
        .values()
        .filter(|subnet| subnet.default_for_zone && zone.is_none_or(|zone| subnet.zone == zone))
        .collect();
    candidates.sort_by_key(|subnet| (region.lost_zones.contains(&subnet.zone), subnet.hosts.len(), &subnet.zone));
    candidates.first().copied().ok_or_else(|| match zone {
        Some(zone) => ApiError::invalid(format!("Invalid availability zone: [{zone}]")),
        None => ApiError::new("MissingInput", "No subnets found for the default VPC. Please specify a subnet."),
    })
}

fn find_subnet<'a>(region: &'a Region, id: &str) -> Outcome<&'a Subnet> {
    let found = region.ec2.subnets.get(id);
    found.ok_or_else(|| ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist")))
}

fn combination(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterCombination", message)
}

fn unsupported(message: impl Into<String>) -> ApiError {
    ApiError::new("UnsupportedParameter", message)
}
