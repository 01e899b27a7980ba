//! TLS of HTTPS listeners.

use std::sync::Arc;

use hyper::header::HeaderValue;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};

use super::client::TlsInfo;

/// Certificates and versions of TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The first identity is the default: for clients without a server name, or with one that matches no certificate.
    pub(crate) identities: Vec<Identity>,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
    /// True when HTTP/2 is offered.
    pub(crate) http2: bool,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) arn: String,
    /// Domain names in the certificate.
    pub(crate) names: Vec<String>,
    /// Certificate chain in PEM, the server's certificate first.
    pub(crate) chain: String,
    /// PEM.
    pub(crate) private_key: String,
}

/// Reasons why a listener cannot use TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("a certificate or its key cannot be read: {0}")]
    Unreadable(#[from] rustls::pki_types::pem::Error),
    #[error("a certificate's key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    #[error("there is no certificate")]
    Missing,
}

/// Protocol names in ALPN.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl Tls {
    /// Returns the configuration of rustls.
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(CryptoProvider { cipher_suites: suites(), ..ring::default_provider() });
        let shown = self.identities.iter().map(|identity| {
            let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_slice(identity.private_key.as_bytes())?;
            let key = CertifiedKey::from_der(chain, key, &provider)?;
            Ok((identity.names.iter().map(|name| name.to_ascii_lowercase()).collect(), Arc::new(key)))
        });
        let shown = shown.collect::<Result<Vec<_>, TlsError>>()?;
        if shown.is_empty() {
            return Err(TlsError::Missing);
        }
        let versions = [(self.tls13, &rustls::version::TLS13), (self.tls12, &rustls::version::TLS12)];
        let versions: Vec<_> =
            versions.into_iter().filter_map(|(negotiated, version)| negotiated.then_some(version)).collect();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(shown)));
        config.alpn_protocols = if self.http2 { vec![HTTP2.to_vec(), HTTP1.to_vec()] } else { vec![HTTP1.to_vec()] };
        Ok(Arc::new(config))
    }
}

/// Returns the cipher suites. AWS's policies have ChaCha20 only in TLS 1.3.
fn suites() -> Vec<rustls::SupportedCipherSuite> {
    let mut suites = ring::default_provider().cipher_suites;
    suites.retain(|suite| {
        suite.tls13().is_some()
            || !matches!(
                suite.suite(),
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                    | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            )
    });
    suites
}

/// Certificates with their names in lower case.
#[derive(Debug)]
struct Shown(Vec<(Vec<String>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = client.server_name().map(str::to_ascii_lowercase);
        let fits = |names: &[String]| name.as_ref().is_some_and(|name| names.iter().any(|own| matches_host(own, name)));
        let usable = |key: &CertifiedKey| key.key.choose_scheme(client.signature_schemes()).is_some();
        let mut fitting = self.0.iter().filter(|(names, _)| fits(names));
        let best = fitting.clone().find(|(_, key)| usable(key)).or_else(|| fitting.next());
        best.or_else(|| self.0.first()).map(|(_, key)| Arc::clone(key))
    }
}

/// Returns whether a certificate's name, which may begin with `*.`, matches a host.
fn matches_host(own: &str, host: &str) -> bool {
    match (own.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((first, rest))) => !first.is_empty() && domain == rest,
        (Some(_), None) => false,
        (None, _) => own == host,
    }
}

/// Returns whether a client has negotiated HTTP/2.
pub(super) fn uses_http2(connection: &ServerConnection) -> bool {
    connection.alpn_protocol() == Some(HTTP2)
}

/// Returns the negotiated version and cipher suite, by AWS's names, and the certificate for the requested name.
pub(super) fn negotiated(connection: &ServerConnection, identities: &[Identity]) -> TlsInfo {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let cipher = connection.negotiated_cipher_suite().map(|suite| cipher_name(suite.suite()));
    let cipher = cipher.and_then(|cipher| HeaderValue::from_str(&cipher).ok());
    let requested = connection.server_name().map(str::to_ascii_lowercase);
    let fits = |own: &String| requested.as_ref().is_some_and(|name| matches_host(&own.to_ascii_lowercase(), name));
    let fitting = identities.iter().find(|identity| identity.names.iter().any(fits));
    let presented = fitting.or(identities.first());
    TlsInfo {
        version: HeaderValue::from_static(version),
        cipher: cipher.unwrap_or(HeaderValue::from_static("")),
        domain: requested.filter(|_| fitting.is_some()),
        certificate: presented.map(|identity| identity.arn.clone()).unwrap_or_default(),
    }
}

/// Returns OpenSSL's name of a cipher suite.
fn cipher_name(suite: CipherSuite) -> String {
    let name = format!("{suite:?}");
    match name.strip_prefix("TLS13_") {
        Some(name) => format!("TLS_{name}"),
        None => name.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES").replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_matches_one_label_of_a_name() {
        for (own, host, stands) in [
            ("a.example.org", "a.example.org", true),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", false),
            ("*.example.org", "example.org", false),
            ("*.example.org", ".example.org", false),
        ] {
            assert_eq!(matches_host(own, host), stands, "{own} {host}");
        }
    }

    #[test]
    fn ciphers_have_the_names_of_openssl() {
        assert_eq!(cipher_name(CipherSuite::TLS13_AES_128_GCM_SHA256), "TLS_AES_128_GCM_SHA256");
        assert_eq!(cipher_name(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384), "ECDHE-RSA-AES256-GCM-SHA384");
    }
}
