//! Public and private keys of key pairs, their formats and their fingerprints.
//!
//! Fingerprints: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-keys.html>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5, Sha1};
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, KeypairData, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

use super::rsa_key::{RsaKey, public_key_info};
use crate::wire::{ApiError, Outcome};

/// A public key in OpenSSH's format.
pub(super) struct PublicKey {
    /// `rsa` or `ed25519`.
    pub(super) kind: &'static str,
    pub(super) fingerprint: String,
    pub(super) text: String,
}

impl PublicKey {
    /// Parses the material of ImportKeyPair: a public key in OpenSSH's format or in the format of RFC 4716, in base64.
    pub(super) fn parse(material: &str) -> Outcome<PublicKey> {
        let compact: String = material.split_ascii_whitespace().collect();
        let text = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
        let (blob, comment) = if text.starts_with("---- BEGIN SSH2 PUBLIC KEY ----") {
            (rfc4716(&text)?, String::new())
        } else {
            let mut words = text.split_whitespace();
            let (algorithm, blob) = (words.next().ok_or_else(invalid)?, words.next().ok_or_else(invalid)?);
            let blob = STANDARD.decode(blob).map_err(|_| invalid())?;
            if field(&blob).is_none_or(|(named, _)| named != algorithm.as_bytes()) {
                return Err(invalid());
            }
            (blob, words.collect::<Vec<_>>().join(" "))
        };
        PublicKey::of_blob(&blob, &comment)
    }

    /// Reads a key in its binary form. Truncated and corrupted keys are refused.
    fn of_blob(blob: &[u8], comment: &str) -> Outcome<PublicKey> {
        let (algorithm, rest) = field(blob).ok_or_else(invalid)?;
        let (kind, fingerprint) = match algorithm {
            b"ssh-ed25519" => {
                let (key, rest) = field(rest).ok_or_else(invalid)?;
                if key.len() != 32 || !rest.is_empty() {
                    return Err(invalid());
                }
                ("ed25519", STANDARD.encode(Sha256::digest(blob)))
            }
            b"ssh-rsa" => {
                let (exponent, rest) = field(rest).ok_or_else(invalid)?;
                let (modulus, rest) = field(rest).ok_or_else(invalid)?;
                if modulus.len() < 128 || !rest.is_empty() {
                    return Err(invalid());
                }
                ("rsa", colons(&Md5::checksum(&public_key_info(modulus, exponent))))
            }
            _ => return Err(invalid()),
        };
        let algorithm = String::from_utf8_lossy(algorithm);
        let text = format!("{algorithm} {} {comment}", STANDARD.encode(blob)).trim_end().to_owned();
        Ok(PublicKey { kind, fingerprint, text })
    }
}

/// Returns AWS's error for material that is not a public key.
fn invalid() -> ApiError {
    ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
}

/// Returns the key in a file of the format of RFC 4716: lines of base64 after optional headers.
fn rfc4716(text: &str) -> Outcome<Vec<u8>> {
    let body = text.lines().skip(1).take_while(|line| !line.starts_with("---- END"));
    let (mut key, mut in_header) = (String::new(), false);
    for line in body {
        let is_header = in_header || line.contains(':');
        in_header = is_header && line.ends_with('\\');
        if !is_header {
            key.push_str(line.trim());
        }
    }
    STANDARD.decode(key).map_err(|_| invalid())
}

/// Returns the first field of a binary key, and the bytes after it. A field starts with its length.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

/// A new private key, in the form that its owner receives, with its public key.
pub(super) struct Generated {
    pub(super) public: PublicKey,
    pub(super) private: String,
}

impl Generated {
    /// Generates an RSA key of 2048 bits, as PEM in the form of PKCS #1.
    pub(super) fn rsa(comment: &str) -> Outcome<Generated> {
        let key = RsaKey::generate().map_err(failed)?;
        let public = PublicKey::of_blob(&key.public_blob(), comment)?;
        let fingerprint = colons(&Sha1::checksum(&key.pkcs8()));
        Ok(Generated { public: PublicKey { fingerprint, ..public }, private: key.pem() })
    }

    /// Generates an Ed25519 key, in OpenSSH's format.
    pub(super) fn ed25519(comment: &str) -> Outcome<Generated> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(failed)?;
        let key = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(key, comment).map_err(failed)?;
        let digest = key.fingerprint(HashAlg::Sha256);
        let public = PublicKey {
            kind: "ed25519",
            fingerprint: STANDARD.encode(digest.as_bytes()),
            text: key.public_key().to_openssh().map_err(failed)?,
        };
        Ok(Generated { public, private: key.to_openssh(LineEnding::LF).map_err(failed)?.to_string() })
    }
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(format!("the local cloud could not generate a key: {error}"))
}

/// Returns bytes as pairs of hexadecimal digits, separated by colons.
fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}
