//! Parsing and validation of an imported certificate, its private key and its chain.

use chrono::{DateTime, Utc};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::validation;
use crate::model::acm::Facts;
use crate::wire::Outcome;

/// Checks that a certificate, its key and its chain match and are valid now. Returns the content of the certificate.
pub(super) fn check(body: &str, private_key: &str, chain: Option<&str>, now: DateTime<Utc>) -> Outcome<Facts> {
    let own = certificates(body, "certificate")?;
    let [own] = own.as_slice() else {
        return Err(validation(
            "The certificate field contains more than one certificate. You can specify only one certificate in this field.",
        ));
    };
    let chain = chain.map(|chain| certificates(chain, "certificate chain")).transpose()?.unwrap_or_default();
    let leaf = parse(own)?;
    check_key(own, private_key)?;
    check_time(&leaf, now)?;
    check_chain(&leaf, &chain)?;
    facts(&leaf)
}

/// Parses all certificates of a PEM text.
fn certificates(pem: &str, field: &str) -> Outcome<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(validation(format!("Could not parse the {field}: it must be in PEM format"))),
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Outcome<X509Certificate<'a>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(validation("Could not parse the certificate: there is something behind its end")),
        Err(error) => Err(validation(format!("Could not parse the certificate: {error}"))),
    }
}

fn check_key(own: &CertificateDer<'static>, private_key: &str) -> Outcome<()> {
    if private_key.contains("ENCRYPTED") {
        return Err(validation("The private key must not be encrypted. Provide it without a passphrase."));
    }
    let key = PrivateKeyDer::from_pem_slice(private_key.as_bytes())
        .map_err(|_| validation("Could not parse the private key: it must be in PEM format"))?;
    let key = ring::default_provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| validation("The private key is not supported."))?;
    CertifiedKey::new(vec![own.clone()], key)
        .keys_match()
        .map_err(|_| validation("The private key does not match the public key of the certificate."))
}

fn check_time(leaf: &X509Certificate<'_>, now: DateTime<Utc>) -> Outcome<()> {
    let validity = leaf.validity();
    if validity.not_before.timestamp() > now.timestamp() {
        return Err(validation("The certificate is not valid yet."));
    }
    if validity.not_after.timestamp() < now.timestamp() {
        return Err(validation("The certificate has expired."));
    }
    Ok(())
}

/// Checks that each certificate is signed by the next one; without a chain the certificate is self-signed.
fn check_chain(leaf: &X509Certificate<'_>, chain: &[CertificateDer<'static>]) -> Outcome<()> {
    if chain.is_empty() {
        return if is_signed_by(leaf, leaf) {
            Ok(())
        } else {
            Err(validation(
                "Provided certificate is not a valid self signed. Please provide either a valid self-signed certificate or certificate chain.",
            ))
        };
    }
    let chain: Vec<X509Certificate<'_>> = chain.iter().map(parse).collect::<Outcome<_>>()?;
    let signed = [leaf].into_iter().chain(&chain).zip(&chain);
    for (index, (certificate, issuer)) in signed.enumerate() {
        if !is_signed_by(certificate, issuer) {
            return Err(validation(format!(
                "Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate is: {index}"
            )));
        }
    }
    Ok(())
}

fn is_signed_by(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let key = issuer.public_key().subject_public_key.as_ref();
    let (message, signature) = (certificate.tbs_certificate.as_ref(), certificate.signature_value.as_ref());
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    certificate.issuer().as_raw() == issuer.subject().as_raw()
        && algorithms.iter().any(|algorithm| algorithm.verify_signature(key, message, signature).is_ok())
}

fn facts(leaf: &X509Certificate<'_>) -> Outcome<Facts> {
    let names = names(leaf);
    let common = common_name(leaf.subject());
    let domain = common.or_else(|| names.first().cloned());
    let domain =
        domain.ok_or_else(|| validation("The certificate has neither a common name nor a subject alternative name"))?;
    let moment = |seconds| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    Ok(Facts {
        names: if names.is_empty() { vec![domain.clone()] } else { names },
        domain,
        serial: leaf.raw_serial_as_string(),
        subject: leaf.subject().to_string(),
        issuer: issuer(leaf),
        not_before: moment(leaf.validity().not_before.timestamp()),
        not_after: moment(leaf.validity().not_after.timestamp()),
        key_algorithm: key_algorithm(leaf)?,
        signature_algorithm: signature_algorithm(leaf),
        key_usages: key_usages(leaf),
        extended_key_usages: extended_key_usages(leaf),
    })
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next()?.as_str().ok().map(str::to_owned)
}

fn issuer(leaf: &X509Certificate<'_>) -> String {
    let organization = leaf.issuer().iter_organization().next().and_then(|name| name.as_str().ok());
    organization.map(str::to_owned).or_else(|| common_name(leaf.issuer())).unwrap_or_default()
}

fn key_algorithm(leaf: &X509Certificate<'_>) -> Outcome<String> {
    let algorithm = match leaf.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => match key.key_size() {
            size @ (1024 | 2048 | 3072 | 4096) => Some(format!("RSA_{size}")),
            _ => None,
        },
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => Some("EC_prime256v1".to_owned()),
            384 => Some("EC_secp384r1".to_owned()),
            521..=528 => Some("EC_secp521r1".to_owned()),
            _ => None,
        },
        _ => None,
    };
    algorithm.ok_or_else(|| {
        validation("The key algorithm of the certificate is not supported: it must be RSA with 1024, 2048, 3072 or 4096 bits, or ECDSA on P-256, P-384 or P-521")
    })
}

fn signature_algorithm(leaf: &X509Certificate<'_>) -> String {
    let oid = leaf.signature_algorithm.algorithm.to_id_string();
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.5" => "SHA1WITHRSA",
        "1.2.840.113549.1.1.11" => "SHA256WITHRSA",
        "1.2.840.113549.1.1.12" => "SHA384WITHRSA",
        "1.2.840.113549.1.1.13" => "SHA512WITHRSA",
        "1.2.840.10045.4.3.2" => "SHA256WITHECDSA",
        "1.2.840.10045.4.3.3" => "SHA384WITHECDSA",
        "1.2.840.10045.4.3.4" => "SHA512WITHECDSA",
        other => other,
    };
    name.to_owned()
}

fn key_usages(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.key_usage() else {
        return Vec::new();
    };
    let usage = extension.value;
    let usages = [
        (usage.digital_signature(), "DIGITAL_SIGNATURE"),
        (usage.non_repudiation(), "NON_REPUDIATION"),
        (usage.key_encipherment(), "KEY_ENCIPHERMENT"),
        (usage.data_encipherment(), "DATA_ENCIPHERMENT"),
        (usage.key_agreement(), "KEY_AGREEMENT"),
        (usage.key_cert_sign(), "CERTIFICATE_SIGNING"),
        (usage.crl_sign(), "CRL_SIGNING"),
        (usage.encipher_only(), "ENCIPHER_ONLY"),
        (usage.decipher_only(), "DECIPHER_ONLY"),
    ];
    usages.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned()).collect()
}

fn extended_key_usages(leaf: &X509Certificate<'_>) -> Vec<(String, String)> {
    let Ok(Some(extension)) = leaf.extended_key_usage() else {
        return Vec::new();
    };
    let usage = extension.value;
    let known = [
        (usage.any, "ANY", "2.5.29.37.0"),
        (usage.server_auth, "TLS_WEB_SERVER_AUTHENTICATION", "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "TLS_WEB_CLIENT_AUTHENTICATION", "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "CODE_SIGNING", "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "EMAIL_PROTECTION", "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "TIME_STAMPING", "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "OCSP_SIGNING", "1.3.6.1.5.5.7.3.9"),
    ];
    let known = known.into_iter().filter(|(set, ..)| *set).map(|(_, name, oid)| (name.to_owned(), oid.to_owned()));
    let others = usage.other.iter().map(|oid| ("CUSTOM".to_owned(), oid.to_id_string()));
    known.chain(others).collect()
}
