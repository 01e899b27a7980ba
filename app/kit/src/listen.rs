//! The port a service listens on: `LISTEN=<host>:<port>`.

use std::{
    io,
    net::{TcpListener, ToSocketAddrs},
};

use crate::settings::Variables;

/// Where a service listens when `LISTEN` is not set: only this machine can reach it.
pub const DEFAULT: &str = "127.0.0.1:8080";

/// Why a service cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// `LISTEN` is not an address.
    #[error("LISTEN={0} is not <host>:<port>; write for example 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")]
    Malformed(String),
    /// The host in `LISTEN` is not known here.
    #[error("LISTEN={address}: the host has no address ({source}); use an address of this machine, such as 127.0.0.1")]
    UnknownHost {
        /// What `LISTEN` says.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Another process has the port.
    #[error("{0} is taken by another process; stop that one, or set LISTEN to another port")]
    Taken(String),
    /// The operating system does not give us the port.
    #[error("cannot listen on {address}: {source}; set LISTEN to an address of this machine and a port above 1023")]
    Refused {
        /// What `LISTEN` says.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Opens the port that `LISTEN` names. Port 0 takes any free one.
///
/// # Errors
/// [`ListenError`], which says what to set instead.
pub fn from(variables: Variables) -> Result<TcpListener, ListenError> {
    bind(&variables("LISTEN").unwrap_or_else(|| DEFAULT.to_owned()))
}

/// Opens a port given as `<host>:<port>`.
///
/// # Errors
/// As [`from`].
pub fn bind(address: &str) -> Result<TcpListener, ListenError> {
    if !is_host_and_port(address) {
        return Err(ListenError::Malformed(address.to_owned()));
    }
    let resolved: Vec<_> = address
        .to_socket_addrs()
        .map_err(|source| ListenError::UnknownHost { address: address.to_owned(), source })?
        .collect();
    TcpListener::bind(&resolved[..]).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address.to_owned()),
        _ => ListenError::Refused { address: address.to_owned(), source },
    })
}

fn is_host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_free_port() {
        let listener = bind("127.0.0.1:0").unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    }

    #[test]
    fn a_taken_port_is_named() {
        let first = bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = bind(&address).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{address} is taken by another process; stop that one, or set LISTEN to another port")
        );
    }

    #[test]
    fn what_is_no_address_is_malformed() {
        for wrong in ["", "8080", ":8080", "localhost", "localhost:", "localhost:http", "127.0.0.1:65536", "::1:80"] {
            assert!(matches!(bind(wrong), Err(ListenError::Malformed(_))), "{wrong}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        assert!(matches!(bind("192.0.2.1:0"), Err(ListenError::Refused { .. })));
    }
}
