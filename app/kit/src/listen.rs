//! Ports of a service.
//!
//! | variable | default | listener |
//! |---|---|---|
//! | `LISTEN` | `127.0.0.1:8080` | requests of clients |
//! | `METRICS_LISTEN` | none: metrics are not served | `GET /metrics`, for the operator's network only |
//!
//! Both are `<host>:<port>`. Metrics never share the port of the clients, to which a load balancer forwards requests of
//! any origin.

use std::{
    io,
    net::{TcpListener, ToSocketAddrs},
};

use crate::settings::Variables;

/// Default of `LISTEN`, which only this machine can reach.
pub const DEFAULT: &str = "127.0.0.1:8080";

/// Error of a listener.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The value of the variable is not an address.
    #[error("{variable}={address} is not <host>:<port>; write for example 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")]
    Malformed {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable.
        address: String,
    },
    /// The host cannot be resolved.
    #[error(
        "{variable}={address}: the host has no address ({source}); use an address of this machine, such as 127.0.0.1"
    )]
    UnknownHost {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable.
        address: String,
        /// Error of the resolver.
        source: io::Error,
    },
    /// Another process uses the port.
    #[error("{address} is in use by another process; stop it, or set {variable} to another port")]
    Taken {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable.
        address: String,
    },
    /// The operating system refuses the address or the port.
    #[error("cannot listen on {address}: {source}; set {variable} to an address of this machine and a port above 1023")]
    Refused {
        /// Name of the variable.
        variable: &'static str,
        /// Value of the variable.
        address: String,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Opens the port of `LISTEN`. Port 0 selects a free one.
///
/// # Errors
/// [`ListenError`], which names the variable and a better value.
pub fn from(variables: Variables) -> Result<TcpListener, ListenError> {
    bind("LISTEN", &variables("LISTEN").unwrap_or_else(|| DEFAULT.to_owned()))
}

/// Opens the port of `METRICS_LISTEN`, if it is set.
///
/// # Errors
/// As [`from`].
pub fn metrics_from(variables: Variables) -> Result<Option<TcpListener>, ListenError> {
    variables("METRICS_LISTEN").map(|address| bind("METRICS_LISTEN", &address)).transpose()
}

/// Opens a port given as `<host>:<port>`. `variable` names the setting in errors.
///
/// # Errors
/// As [`from`].
pub fn bind(variable: &'static str, address: &str) -> Result<TcpListener, ListenError> {
    let address = address.to_owned();
    if !is_host_and_port(&address) {
        return Err(ListenError::Malformed { variable, address });
    }
    let resolved: Vec<_> = match address.to_socket_addrs() {
        Ok(resolved) => resolved.collect(),
        Err(source) => return Err(ListenError::UnknownHost { variable, address, source }),
    };
    TcpListener::bind(&resolved[..]).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken { variable, address },
        _ => ListenError::Refused { variable, address, source },
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
    fn port_0_selects_a_free_port() {
        let listener = bind("LISTEN", "127.0.0.1:0").unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    }

    #[test]
    fn the_error_for_a_used_port_names_it() {
        let first = bind("LISTEN", "127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = bind("METRICS_LISTEN", &address).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{address} is in use by another process; stop it, or set METRICS_LISTEN to another port")
        );
    }

    #[test]
    fn a_value_that_is_not_an_address_is_malformed() {
        for wrong in ["", "8080", ":8080", "localhost", "localhost:", "localhost:http", "127.0.0.1:65536", "::1:80"] {
            assert!(matches!(bind("LISTEN", wrong), Err(ListenError::Malformed { .. })), "{wrong}");
        }
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        assert!(matches!(bind("LISTEN", "192.0.2.1:0"), Err(ListenError::Refused { .. })));
    }
}
