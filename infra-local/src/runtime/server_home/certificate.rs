//! The certificate of a server, with which clients can connect over TLS.

use std::io;
use std::path::PathBuf;

use super::{HomeError, ServerHome, directory, failed};

/// Paths of a certificate and its private key, as PEM files.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl ServerHome {
    /// Returns the server's certificate. The first call creates a self-signed one, which clients cannot verify: they
    /// connect with `sslmode=require`, not with `verify-full`.
    pub(crate) fn certificate(&self) -> Result<ServerCertificate, HomeError> {
        let found =
            ServerCertificate { certificate: self.home.join("server.crt"), private_key: self.home.join("server.key") };
        // The private key is written last.
        if !found.private_key.exists() {
            let created = rcgen::generate_simple_self_signed(["localhost".to_owned()])
                .map_err(|error| failed(&found.certificate)(io::Error::other(error)))?;
            for (path, content) in
                [(&found.certificate, created.cert.pem()), (&found.private_key, created.signing_key.serialize_pem())]
            {
                directory::replace_file(path, content.as_bytes(), self.user).map_err(failed(path))?;
            }
        }
        Ok(found)
    }
}
