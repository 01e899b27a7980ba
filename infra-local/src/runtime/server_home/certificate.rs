//! The certificate of a server, with which clients can connect over TLS.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::authority::CertificateAuthority;
use super::{HomeError, ServerHome, directory, failed};

/// Paths of a certificate and its private key, as PEM files.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl ServerHome {
    /// Returns the certificate of a host's server. The first call creates a self-signed one, which clients cannot verify: they
    /// connect with `sslmode=require`, not with `verify-full`.
    pub(crate) fn certificate(&self) -> Result<ServerCertificate, HomeError> {
        let found = self.certificate_paths();
        // The private key is written last.
        if !found.private_key.exists() {
            let created = rcgen::generate_simple_self_signed(["localhost".to_owned()])
                .map_err(|error| failed(&found.certificate)(io::Error::other(error)))?;
            self.write_certificate(&found, &created.cert.pem(), &created.signing_key.serialize_pem())?;
        }
        Ok(found)
    }

    /// Replaces the certificate of a database's server by one that an authority signs for these addresses.
    pub(crate) fn certify(
        &self,
        authority: &CertificateAuthority,
        addresses: &BTreeSet<Ipv4Addr>,
    ) -> Result<ServerCertificate, HomeError> {
        let found = self.certificate_paths();
        let signed = authority.sign(addresses).map_err(|error| failed(&found.certificate)(io::Error::other(error)))?;
        self.write_certificate(&found, &signed.certificate, &signed.private_key)?;
        Ok(found)
    }

    fn certificate_paths(&self) -> ServerCertificate {
        ServerCertificate { certificate: self.home.join("server.crt"), private_key: self.home.join("server.key") }
    }

    fn write_certificate(&self, to: &ServerCertificate, certificate: &str, private_key: &str) -> Result<(), HomeError> {
        for (path, content) in [(&to.certificate, certificate), (&to.private_key, private_key)] {
            directory::replace_file(path, content.as_bytes(), self.user).map_err(failed(path))?;
        }
        Ok(())
    }
}
