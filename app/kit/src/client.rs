//! Address of the client, directly or behind proxies (`TRUSTED_PROXIES`).
//!
//! A proxy appends the address of its own peer to `X-Forwarded-For`. Any client can send that header, so it is used
//! only if the direct peer is in `TRUSTED_PROXIES`: addresses and CIDR ranges, separated by commas; empty by default. The
//! client is then the rightmost address in the header that is not itself a trusted proxy.
//!
//! Behind a load balancer the value is the ranges of the balancer's subnets, and nothing but the balancer may be able
//! to connect from them. Never list an address that clients connect from, such as `127.0.0.1` on a machine where they
//! run beside the proxy: the header they send would then be trusted as well.

use std::{net::IpAddr, str::FromStr};

use actix_web::{HttpMessage, HttpRequest, dev::ServiceRequest, http::header::HeaderMap};

use crate::settings::{SettingError, Variables};

/// Proxies whose `X-Forwarded-For` is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Range>);

impl TrustedProxies {
    /// Reads `TRUSTED_PROXIES`.
    ///
    /// # Errors
    /// [`SettingError`] if a part is neither an address nor a CIDR range.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        let Some(value) = variables("TRUSTED_PROXIES") else {
            return Ok(Self::default());
        };
        let ranges = value.split(',').map(|range| range.trim().parse()).collect::<Result<_, _>>();
        ranges.map(Self).map_err(|NotARange| SettingError {
            name: "TRUSTED_PROXIES",
            value,
            expected: "a list of addresses and CIDR ranges such as 10.1.0.0/24, separated by commas",
            default: "no trusted proxy".to_owned(),
        })
    }

    /// Returns the address of the client behind a direct peer.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        // Values of a repeated header form one list, in order.
        let lines = headers.get_all("x-forwarded-for").map(|line| line.to_str().unwrap_or_default());
        let lines: Vec<_> = lines.flat_map(|line| line.split(',')).collect();
        for entry in lines.into_iter().rev() {
            if !self.contains(client) {
                break;
            }
            match parse(entry.trim()) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

/// Returns the address of a request's client, if the request came over a network.
pub fn address(request: &HttpRequest) -> Option<IpAddr> {
    request.extensions().get::<Client>().and_then(|Client(address)| *address)
}

/// Address of the client, stored in the extensions of its request.
struct Client(Option<IpAddr>);

/// Determines the client of a request, for [`address`].
pub(crate) fn identify(request: &ServiceRequest, proxies: &TrustedProxies) -> Option<IpAddr> {
    let address = request.peer_addr().map(|peer| proxies.client(peer.ip(), request.headers()));
    request.extensions_mut().insert(Client(address));
    address
}

/// Parses an address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| text.parse().map(|address: std::net::SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// Addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    network: IpAddr,
    /// Length of the prefix, in bits.
    prefix: u32,
}

/// Error for a text that is neither an address nor a CIDR range.
struct NotARange;

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| NotARange)?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| NotARange)?;
        if prefix > longest { Err(NotARange) } else { Ok(Self { network, prefix }) }
    }
}

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.prefix).unwrap_or_default() == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.prefix).unwrap_or_default() == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn trusting(proxies: &str) -> Result<TrustedProxies, SettingError> {
        TrustedProxies::from(&|_| Some(proxies.to_owned()))
    }

    fn client(proxies: &TrustedProxies, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_header_is_ignored_without_trusted_proxies() {
        let untrusting = TrustedProxies::from(&|_| None).unwrap();
        for peer in ["10.1.2.3", "127.0.0.1", "192.168.1.1", "198.51.100.1", "::1", "fd00::1"] {
            assert_eq!(client(&untrusting, peer, &["203.0.113.7"]), peer);
        }
        assert_eq!(client(&untrusting, "::ffff:10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let proxies = trusting("10.1.0.0/24, 10.1.1.0/24,2001:db8:a::/48 , 192.0.2.1").unwrap();
        for (peer, forwarded, expected) in [
            ("10.1.0.9", &["203.0.113.7"][..], "203.0.113.7"),
            ("10.1.0.9", &["203.0.113.7:5000"], "203.0.113.7"),
            ("10.1.0.9", &["2001:db8::1"], "2001:db8::1"),
            ("::ffff:10.1.0.9", &["203.0.113.7"], "203.0.113.7"),
            ("2001:db8:a::9", &["203.0.113.7"], "203.0.113.7"),
            ("10.1.0.9", &["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            ("10.1.0.9", &["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
            ("10.1.0.9", &["6.6.6.6, 203.0.113.7, 10.1.1.4, 192.0.2.1"], "203.0.113.7"),
            ("10.1.0.9", &["6.6.6.6, <script>, 10.1.1.4"], "10.1.1.4"),
            ("10.1.0.9", &["<script>"], "10.1.0.9"),
            ("10.1.0.9", &[""], "10.1.0.9"),
            ("10.1.0.9", &[], "10.1.0.9"),
            ("10.1.2.9", &["203.0.113.7"], "10.1.2.9"),
            ("192.0.2.2", &["203.0.113.7"], "192.0.2.2"),
            ("2001:db8:b::9", &["203.0.113.7"], "2001:db8:b::9"),
        ] {
            assert_eq!(client(&proxies, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client(&trusting("0.0.0.0/0").unwrap(), "10.9.9.9", &["6.6.6.6"]), "6.6.6.6");
    }

    #[test]
    fn anything_but_addresses_and_ranges_is_refused() {
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "balancer", "10.0.0.1,", "10.0.0.0/-1"] {
            let error = trusting(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("TRUSTED_PROXIES={wrong} is not a list of addresses")), "{error}");
        }
    }
}
