//! The certificate authority of a cloud's databases.
//!
//! AWS publishes the certificates of its authorities as a bundle, `global-bundle.pem`, with which clients verify databases.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::{HomeError, directory, failed};
use crate::state::paths;

/// File with the private key, which only its owner can read.
const KEY: &str = "database-authority.key";

/// First and last day of all certificates. The end is that of AWS's authority `rds-ca-rsa2048-g1`.
const VALID: [(i32, u8, u8); 2] = [(2021, 5, 25), (2061, 5, 25)];

/// A certificate authority. It signs the certificates of a cloud's databases.
pub(crate) struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, as PEM.
pub(super) struct Signed {
    pub(super) certificate: String,
    pub(super) private_key: String,
}

impl CertificateAuthority {
    /// Reads the authority of a cloud, or creates one, and publishes its certificate in the cloud's directory.
    pub(crate) fn open(cloud: &Path) -> Result<CertificateAuthority, HomeError> {
        let path = cloud.join(KEY);
        let key = match fs::read_to_string(&path) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(invalid(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(invalid(&path))?;
                replace(&path, &key.serialize_pem(), 0o600)?;
                key
            }
            Err(error) => return Err(failed(&path)(error)),
        };
        let bundle = paths::certificate_bundle(cloud);
        if !bundle.exists() {
            let certificate = parameters().self_signed(&key).map_err(invalid(&bundle))?;
            replace(&bundle, &certificate.pem(), 0o644)?;
        }
        Ok(CertificateAuthority { issuer: Issuer::new(parameters(), key) })
    }

    /// Signs a new certificate of a server with these addresses.
    pub(super) fn sign(&self, addresses: &BTreeSet<Ipv4Addr>) -> Result<Signed, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::default();
        limit(&mut parameters);
        parameters.distinguished_name = name(&addresses.first().map(Ipv4Addr::to_string).unwrap_or_default());
        parameters.subject_alt_names = addresses.iter().map(|address| SanType::IpAddress((*address).into())).collect();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Signed { certificate: certificate.pem(), private_key: key.serialize_pem() })
    }
}

/// Returns the content of the authority's certificate, which is the same for every start.
fn parameters() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    limit(&mut parameters);
    parameters.distinguished_name = name("Local cloud RDS Root CA");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

fn limit(parameters: &mut CertificateParams) {
    let [from, till] = VALID.map(|(year, month, day)| date_time_ymd(year, month, day));
    (parameters.not_before, parameters.not_after) = (from, till);
}

/// Replaces a file by a complete one.
fn replace(path: &Path, content: &str, mode: u32) -> Result<(), HomeError> {
    let new = path.with_extension("new");
    directory::replace_file(&new, content.as_bytes(), None).map_err(failed(&new))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode)).map_err(failed(&new))?;
    fs::rename(&new, path).map_err(failed(path))
}

fn invalid(path: &Path) -> impl Fn(rcgen::Error) -> HomeError {
    move |error| failed(path)(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;

    #[test]
    fn authority_is_created_once_and_signs_for_addresses() {
        let directory = tempfile::tempdir().unwrap();
        CertificateAuthority::open(directory.path()).unwrap();
        let bundle = fs::read(paths::certificate_bundle(directory.path())).unwrap();
        let authority = CertificateAuthority::open(directory.path()).unwrap();
        assert_eq!(fs::read(paths::certificate_bundle(directory.path())).unwrap(), bundle);
        let mode = fs::metadata(directory.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let signed = authority.sign(&["127.77.0.5".parse().unwrap(), "10.0.0.5".parse().unwrap()].into()).unwrap();
        let [own, issuer] =
            [signed.certificate.as_bytes(), &bundle].map(|pem| CertificateDer::from_pem_slice(pem).unwrap());
        let (_, own) = X509Certificate::from_der(&own).unwrap();
        let (_, issuer) = X509Certificate::from_der(&issuer).unwrap();
        assert_eq!(own.issuer(), issuer.subject());
        assert!(own.validity().is_valid() && issuer.is_ca() && !own.is_ca());
        let names = own.subject_alternative_name().unwrap().unwrap().value.general_names.len();
        assert_eq!(names, 2);
    }
}
