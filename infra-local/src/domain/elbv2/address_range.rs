//! Ranges of client addresses in the conditions of rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A CIDR block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    base: IpAddr,
    bits: u32,
}

impl AddressRange {
    /// Parses `192.0.2.0/24` or `2001:db8::/32`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        Some(Self { base, bits: bits.parse().ok().filter(|bits| *bits <= most)? })
    }

    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, size: u32| {
            let host_bits = size - self.bits;
            one.checked_shr(host_bits).unwrap_or(0) == other.checked_shr(host_bits).unwrap_or(0)
        };
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let number = |address: Ipv4Addr| u128::from(address.to_bits());
                same(number(base), number(address), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same(Ipv6Addr::to_bits(base), Ipv6Addr::to_bits(address), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ranges_contain_their_addresses() {
        let contains =
            |range: &str, address: &str| AddressRange::parse(range).unwrap().contains(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.1") && contains("203.0.113.1/32", "203.0.113.1"));
        assert!(contains("2001:db8::/32", "2001:db8::1") && contains("::/0", "2001:db8::1"));
        assert!(!contains("2001:db8::/32", "192.0.2.1"));
        for wrong in ["192.0.2.0", "192.0.2.0/33", "x/8", "2001:db8::/129"] {
            assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
        }
    }
}
