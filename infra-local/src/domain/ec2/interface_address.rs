//! Private addresses of network interfaces.

use std::net::Ipv4Addr;

use crate::model::Region;
use crate::model::cidr::Cidr;
use crate::model::ec2::network_interface::NetworkInterface;
use crate::model::ec2::secondary_addresses::SecondaryAddresses;
use crate::model::ec2::vpc::Subnet;
use crate::state::address::AddressBlock;
use crate::wire::{ApiError, Outcome};

/// Takes the requested private address of a subnet, or any, for `owner`. Returns the address in the cloud's range, or
/// `None` when none is left.
pub(crate) fn take_address(
    region: &mut Region,
    subnet_id: &str,
    private: Option<Ipv4Addr>,
    owner: &str,
    addresses: &AddressBlock,
) -> Outcome<Option<Ipv4Addr>> {
    let is_private = region.private_addresses;
    let Some(subnet) = region.ec2.subnets.get_mut(subnet_id) else { return Ok(None) };
    let host = match private {
        Some(address) if is_private => Some(take_this_address(subnet, address, owner)?),
        Some(_) => return Err(no_private_addresses()),
        None => subnet.take_host(owner),
    };
    Ok(host.map(|host| addresses.address(subnet.index, host)))
}

/// Assigns secondary addresses to an interface, which the caller puts back into the region.
pub(crate) fn take_secondary_addresses(
    region: &mut Region,
    interface: &mut NetworkInterface,
    wanted: &SecondaryAddresses,
    addresses: &AddressBlock,
) -> Outcome<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    if !region.private_addresses {
        return Err(no_private_addresses());
    }
    let subnet_id = interface.subnet_id.clone();
    let listed = wanted.listed.iter().map(|address| Some(*address));
    for private in listed.chain((0..wanted.count).map(|_| None)) {
        if private.is_some_and(|wanted| interface.secondary.iter().any(|it| region.private_address(*it) == wanted)) {
            continue;
        }
        let taken = take_address(region, &subnet_id, private, &interface.id, addresses)?;
        interface.secondary.push(taken.ok_or_else(|| no_free_address(&subnet_id))?);
    }
    Ok(())
}

/// Releases a secondary address of an interface.
pub(crate) fn release_secondary_address(region: &mut Region, id: &str, address: Ipv4Addr) {
    let Some(interface) = region.ec2.network_interfaces.get_mut(id) else { return };
    interface.secondary.retain(|own| *own != address);
    let subnet_id = interface.subnet_id.clone();
    if let Some(subnet) = region.ec2.subnets.get_mut(&subnet_id) {
        let [.., host] = address.octets();
        subnet.hosts.remove(&host);
    }
}

/// Returns AWS's error for a subnet without free addresses.
pub(crate) fn no_free_address(subnet_id: &str) -> ApiError {
    ApiError::new(
        "InsufficientFreeAddressesInSubnet",
        format!("The subnet '{subnet_id}' does not have enough free addresses to satisfy the request."),
    )
}

/// Takes a particular address of a subnet, and returns its host number.
fn take_this_address(subnet: &mut Subnet, address: Ipv4Addr, owner: &str) -> Outcome<u8> {
    let range = Cidr::parse(&subnet.cidr).filter(|range| range.covers(address));
    let Some(range) = range else {
        return Err(ApiError::invalid(format!("Address {address} does not fall within the subnet's address range")));
    };
    let position = address.to_bits() - range.address(0).to_bits();
    if position < 4 || u64::from(position) == range.size() - 1 {
        return Err(ApiError::invalid(format!("Address {address} is in subnet's reserved address range")));
    }
    let host = u8::try_from(position).ok().filter(|host| *host < 255).ok_or_else(|| {
        let message = format!(
            "The local cloud has the first 255 addresses of a subnet; {address} is not one of the first 255 of {}",
            subnet.cidr
        );
        ApiError::new("UnsupportedParameter", message)
    })?;
    if subnet.take_this_host(host, owner) {
        return Ok(host);
    }
    Err(ApiError::new("InvalidIPAddress.InUse", format!("Address {address} is in use.")))
}

/// Returns the error for a requested private address where all instances use the loopback interface.
fn no_private_addresses() -> ApiError {
    ApiError::new(
        "UnsupportedParameter",
        "This local cloud connects instances over the loopback interface, so a particular PrivateIpAddress or a secondary \
         one cannot be had: leave it out, or start the cloud with `--network namespaces`",
    )
}
