//! Refuses requests that a web page in the user's browser may have sent.
//!
//! Any page can make a browser send requests to a loopback address: across origins, or under a host name of its own that
//! resolves to that address (DNS rebinding). Browsers mark both: the first by the headers `Origin` or `Sec-Fetch-Site`, the
//! second by the `Host` header. Source: Fetch Standard, "HTTP-network-or-cache fetch"; W3C, "Fetch Metadata Request Headers".

use std::net::SocketAddr;

use hyper::header::{HOST, HeaderName, ORIGIN};
use hyper::http::request::Parts;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names under which clients address an HTTP listener.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Values of the `Host` header, in lower case.
    authorities: Vec<String>,
    port: u16,
    /// Whether a name in lower case leads to the listener in the DNS of the cloud.
    is_name: fn(&str) -> bool,
}

/// Origin of a request, according to the browser's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not a page of another origin.
    Program,
    /// A page of this origin; `None` when the browser names no origin, as for a link or an image.
    Page { origin: Option<String> },
}

impl Endpoint {
    /// Returns an endpoint with the listener's address, and `localhost` for 127.0.0.1.
    pub(crate) fn new(address: SocketAddr) -> Endpoint {
        let mut names = vec![address.ip().to_string()];
        if names[0] == "127.0.0.1" {
            names.push("localhost".to_owned());
        }
        let with_port = names.iter().map(|name| format!("{name}:{}", address.port()));
        let mut authorities: Vec<String> = with_port.collect();
        if address.port() == 80 {
            authorities.extend(names);
        }
        Endpoint { authorities, port: address.port(), is_name: |_| false }
    }

    /// A listener inside of the cloud, which clients also address by names. No web page reaches it.
    pub(crate) fn inside(address: SocketAddr, is_name: fn(&str) -> bool) -> Endpoint {
        Endpoint { is_name, ..Endpoint::new(address) }
    }

    /// Returns whether the request is addressed to this listener: by every `Host` header and by the URI, where it has
    /// an authority.
    pub(crate) fn is_addressed_by(&self, request: &Parts) -> bool {
        let hosts = request.headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
        let mut given = hosts.chain(request.uri.authority().map(hyper::http::uri::Authority::as_str)).peekable();
        given.peek().is_some() && given.all(|authority| self.is_called(&authority.to_ascii_lowercase()))
    }

    fn is_called(&self, authority: &str) -> bool {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) => port.parse().is_ok_and(|port: u16| port == self.port).then_some(name),
            None => (self.port == 80).then_some(authority),
        };
        self.authorities.iter().any(|known| known == authority) || name.is_some_and(self.is_name)
    }
}

impl Source {
    pub(crate) fn of(request: &Parts) -> Source {
        let text = |name: &HeaderName| {
            let value = request.headers.get(name)?;
            // An origin that is no text matches no rule.
            Some(value.to_str().unwrap_or("null").to_owned())
        };
        let origin = text(&ORIGIN);
        let site = text(&SEC_FETCH_SITE);
        let other_site = site.is_some_and(|site| !matches!(site.as_str(), "none" | "same-origin"));
        if origin.is_some() || other_site { Source::Page { origin } } else { Source::Program }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let builder = headers.iter().fold(Request::get(uri), |builder, (name, value)| builder.header(*name, *value));
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_foreign_or_missing_host_does_not_address_the_endpoint() {
        let endpoint = Endpoint::new("127.0.0.1:4000".parse().unwrap());
        for host in ["127.0.0.1:4000", "localhost:4000", "LOCALHOST:4000"] {
            assert!(endpoint.is_addressed_by(&request("/", &[("host", host)])), "{host}");
        }
        for host in
            ["evil.example", "evil.example:4000", "127.0.0.1", "127.0.0.1:4001", "localhost", "", "x.localhost:4000"]
        {
            assert!(!endpoint.is_addressed_by(&request("/", &[("host", host)])), "{host}");
        }
        assert!(!endpoint.is_addressed_by(&request("/", &[])));
        assert!(endpoint.is_addressed_by(&request("http://localhost:4000/", &[])));
        assert!(!endpoint.is_addressed_by(&request("http://evil.example/", &[("host", "localhost:4000")])));
        assert!(!endpoint.is_addressed_by(&request("/", &[("host", "localhost:4000"), ("host", "evil.example")])));
    }

    #[test]
    fn port_80_may_be_omitted_and_other_addresses_have_other_names() {
        let endpoint = Endpoint::new("127.0.0.1:80".parse().unwrap());
        assert!(endpoint.is_addressed_by(&request("/", &[("host", "localhost")])));
        let endpoint = Endpoint::new("127.80.6.4:1338".parse().unwrap());
        assert!(endpoint.is_addressed_by(&request("/", &[("host", "127.80.6.4:1338")])));
        assert!(!endpoint.is_addressed_by(&request("/", &[("host", "localhost:1338")])));
    }

    #[test]
    fn names_address_a_listener_inside_at_its_port() {
        let endpoint = |port: u16| Endpoint::inside(([192, 0, 2, 2], port).into(), |name| name == "iam.amazonaws.com");
        let is_addressed = |port, host| endpoint(port).is_addressed_by(&request("/", &[("host", host)]));
        assert!(is_addressed(4000, "192.0.2.2:4000") && is_addressed(4000, "IAM.amazonaws.com:4000"));
        assert!(is_addressed(80, "iam.amazonaws.com") && is_addressed(80, "iam.amazonaws.com:80"));
        for host in ["iam.amazonaws.com", "iam.amazonaws.com:4001", "evil.example:4000", "evil.example", ":4000"] {
            assert!(!is_addressed(4000, host), "{host}");
        }
    }

    #[test]
    fn browsers_name_the_page_that_sends_a_request() {
        let source = |headers: &[(&str, &str)]| Source::of(&request("/", headers));
        let page = |origin: &str| Source::Page { origin: Some(origin.to_owned()) };
        assert_eq!(source(&[]), Source::Program);
        assert_eq!(source(&[("sec-fetch-site", "none")]), Source::Program);
        assert_eq!(source(&[("sec-fetch-site", "same-origin")]), Source::Program);
        assert_eq!(source(&[("origin", "http://evil.example")]), page("http://evil.example"));
        assert_eq!(source(&[("origin", "null")]), page("null"));
        for site in ["cross-site", "same-site", "anything"] {
            assert_eq!(source(&[("sec-fetch-site", site)]), Source::Page { origin: None });
        }
    }
}
