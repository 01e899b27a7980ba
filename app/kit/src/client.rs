//! Who asks: the client's address.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;

/// The address of the client. A balancer stands in for its clients and adds each one's address at the end of
/// `X-Forwarded-For`; that is believed only when the peer is in a private network or on this machine, for anybody else
/// may write there what he likes, as may the client in what stands before the last address.
pub fn address(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !is_private(peer) {
        return Some(peer);
    }
    let last = headers.get_all("x-forwarded-for").last().and_then(|value| value.to_str().ok());
    let forwarded = last.and_then(|value| value.rsplit(',').next()).and_then(|address| parse(address.trim()));
    Some(forwarded.unwrap_or(peer))
}

/// Reads an address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| text.parse().map(|address: std::net::SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        address(Some(peer.parse().unwrap()), &headers).unwrap().to_string()
    }

    #[test]
    fn a_balancer_in_a_private_network_is_believed() {
        for peer in
            ["10.1.2.3", "172.31.0.9", "192.168.1.1", "127.0.0.1", "169.254.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert_eq!(seen(peer, &["203.0.113.7"]), "203.0.113.7", "{peer}");
        }
        assert_eq!(seen("10.0.0.1", &["203.0.113.7:5000"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn what_a_client_wrote_itself_is_not() {
        assert_eq!(seen("198.51.100.1", &["203.0.113.7"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["<script>"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[""]), "10.0.0.1");
    }
}
