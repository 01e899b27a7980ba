//! Ranges of IPv4 addresses.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, net::Ipv4Addr};

/// A range such as `10.0.0.0/16`, in its canonical form: no bit is set after the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    network: u32,
    bits: u32,
}

impl Cidr {
    /// The range of all addresses.
    pub const EVERYWHERE: Cidr = Cidr { network: 0, bits: 0 };

    /// Parses `address/bits` and clears the bits after the prefix, as AWS does; `None` for other forms.
    pub fn parse(text: &str) -> Option<Cidr> {
        let (address, bits) = text.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Cidr { network: address.to_bits() & mask(bits), bits })
    }

    /// Returns the length of the prefix.
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Returns the range that contains only this address.
    pub fn of(address: Ipv4Addr) -> Cidr {
        Cidr { network: address.to_bits(), bits: 32 }
    }

    /// Returns the number of addresses.
    pub fn size(self) -> u64 {
        1 << (32 - self.bits)
    }

    /// Returns the address at a position, counted from the first one.
    pub fn address(self, position: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.wrapping_add(position))
    }

    /// Returns whether an address is in this range.
    pub fn covers(self, address: Ipv4Addr) -> bool {
        self.contains(Cidr::of(address))
    }

    /// Returns whether this range contains all of `other`.
    pub fn contains(self, other: Cidr) -> bool {
        self.bits <= other.bits && other.network & mask(self.bits) == self.network
    }

    /// Returns whether the two ranges have an address in common.
    pub fn overlaps(self, other: Cidr) -> bool {
        self.contains(other) || other.contains(self)
    }
}

fn mask(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.network), self.bits)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cidr, D::Error> {
        let text = String::deserialize(deserializer)?;
        Cidr::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no CIDR block")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        Cidr::parse(text).expect("a range")
    }

    #[test]
    fn ranges_are_canonical() {
        assert_eq!(cidr("100.68.0.18/18").to_string(), "100.68.0.0/18");
        assert_eq!(cidr("10.1.2.3/0").to_string(), "0.0.0.0/0");
        for text in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fc00::/7", "/8", "10.0.0.0/-1"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_overlap_when_the_shorter_prefix_agrees() {
        assert!(cidr("0.0.0.0/0").contains(cidr("172.31.0.0/20")));
        assert!(cidr("172.31.16.0/20").overlaps(cidr("172.31.17.4/32")));
        assert!(cidr("172.31.17.4/32").overlaps(cidr("172.31.16.0/20")));
        assert!(!cidr("172.31.17.4/32").contains(cidr("172.31.16.0/20")));
        assert!(!cidr("172.31.0.0/20").overlaps(cidr("172.31.16.0/20")));
        assert!(!cidr("10.0.0.0/8").overlaps(cidr("172.31.0.0/16")));
    }
}
