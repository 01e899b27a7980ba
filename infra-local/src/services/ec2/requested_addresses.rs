//! Private addresses that requests name: of launches, of new interfaces, and of existing ones.

use std::net::Ipv4Addr;

use crate::model::ec2::secondary_addresses::SecondaryAddresses;
use crate::wire::{ApiError, Outcome, Params};

/// Parameters of the addresses of a new interface.
pub(super) const AT_CREATION: &[&str] =
    &["PrivateIpAddresses.N.PrivateIpAddress", "PrivateIpAddresses.N.Primary", "SecondaryPrivateIpAddressCount"];

/// The addresses of a new interface.
#[derive(Debug, Default)]
pub(super) struct AddressesAtCreation {
    pub(super) primary: Option<Ipv4Addr>,
    pub(super) secondary: SecondaryAddresses,
}

/// Reads the addresses of a new interface, which a request lists or counts.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkInterface.html>
pub(super) fn at_creation(params: &Params) -> Outcome<AddressesAtCreation> {
    let mut addresses = AddressesAtCreation {
        primary: private_address(params)?,
        secondary: SecondaryAddresses { listed: Vec::new(), count: count(params)? },
    };
    for listed in params.structures("PrivateIpAddresses") {
        let address = private_address(&listed)?.ok_or_else(|| ApiError::missing("privateIpAddress"))?;
        if !listed.flag("Primary")? {
            addresses.secondary.listed.push(address);
        } else if addresses.primary.replace(address).is_some_and(|other| other != address) {
            let message = "Only one primary private IP address can be specified.";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
    }
    check(&addresses.secondary)?;
    Ok(addresses)
}

/// Refuses a request that lists addresses and counts others.
pub(super) fn check(wanted: &SecondaryAddresses) -> Outcome<()> {
    if wanted.listed.is_empty() || wanted.count == 0 {
        return Ok(());
    }
    Err(ApiError::new(
        "InvalidParameterCombination",
        "You may specify private IP addresses or a secondary private IP address count, but not both in the same call",
    ))
}

/// Reads the number of secondary addresses.
pub(super) fn count(params: &Params) -> Outcome<u8> {
    Ok(params.parsed("SecondaryPrivateIpAddressCount")?.unwrap_or(0))
}

/// Reads `PrivateIpAddress`.
pub(super) fn private_address(params: &Params) -> Outcome<Option<Ipv4Addr>> {
    params.optional("PrivateIpAddress").map(parse).transpose()
}

/// Parses a private address.
pub(super) fn parse(text: &str) -> Outcome<Ipv4Addr> {
    text.parse().map_err(|_| {
        ApiError::invalid(format!("Value ({text}) for parameter privateIpAddress is invalid. Invalid IPv4 address."))
    })
}
