//! Properties of a client's connection, as headers report them to targets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::time::Instant;

use super::random;

/// Connection of a client.
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// The listener's address.
    pub(super) local: SocketAddr,
    pub(super) tls: Option<TlsInfo>,
    /// The client's address, and its address with the port.
    pub(super) address: HeaderValue,
    pub(super) address_and_port: HeaderValue,
    /// The listener's port.
    pub(super) port: HeaderValue,
    /// Errors of the listener.
    pub(super) errors: Arc<OwnErrors>,
    /// Identifier of the connection in logs.
    number: u64,
    connected: Instant,
}

/// Counts of the errors that a listener returns itself, instead of a target.
#[derive(Debug, Default)]
pub(super) struct OwnErrors {
    client: AtomicU64,
    server: AtomicU64,
}

impl OwnErrors {
    pub(super) fn count(&self, status: StatusCode) {
        let errors = if status.is_server_error() { &self.server } else { &self.client };
        errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose client closed the connection before the response, which is an error of the client.
    pub(super) fn count_client(&self) {
        self.client.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts of 4xx and 5xx.
    pub(super) fn counts(&self) -> [u64; 2] {
        [&self.client, &self.server].map(|errors| errors.load(Ordering::Relaxed))
    }
}

/// TLS version, cipher suite and certificate of a client's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsInfo {
    /// `TLSv1.3`.
    pub(super) version: HeaderValue,
    /// Name of the cipher suite in OpenSSL.
    pub(super) cipher: HeaderValue,
    /// Server name that the client requested, if a certificate has it.
    pub(super) domain: Option<String>,
    /// ARN of the certificate that the client received.
    pub(super) certificate: String,
}

impl Client {
    pub(super) fn new(peer: SocketAddr, local: SocketAddr, tls: Option<TlsInfo>, errors: Arc<OwnErrors>) -> Self {
        let text = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("unknown"));
        Self {
            peer,
            local,
            tls,
            address: text(peer.ip().to_string()),
            address_and_port: text(peer.to_string()),
            port: HeaderValue::from(local.port()),
            errors,
            number: random::number(),
            connected: Instant::now(),
        }
    }

    /// Returns whether the connection has reached its maximum age.
    pub(super) fn exceeds_keep_alive(&self, keep_alive: Duration, now: Instant) -> bool {
        now.duration_since(self.connected) >= keep_alive
    }

    /// Returns the identifier that the connection has in both logs.
    pub(super) fn trace_id(&self) -> String {
        format!("TID_{:016x}", self.number)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
