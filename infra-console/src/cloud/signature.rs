//! Signatures of requests: AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use infra_core::target::Credentials;
use sha2::{Digest as _, Sha256};

/// Headers of every signed request, in the order of the canonical request.
const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";

/// A POST request to the path `/` of a service.
pub(super) struct Unsigned<'a> {
    pub(super) host: &'a str,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) body: &'a [u8],
    pub(super) at: DateTime<Utc>,
}

/// Values of the headers that a signature consists of.
pub(super) struct Signed {
    pub(super) authorization: String,
    pub(super) date: String,
    pub(super) digest: String,
}

impl Unsigned<'_> {
    /// Signs the request.
    pub(super) fn sign(&self, key: &Credentials) -> Signed {
        let date = self.at.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        let digest = hex::encode(Sha256::digest(self.body));
        let headers = format!("host:{}\nx-amz-content-sha256:{digest}\nx-amz-date:{date}\n", self.host);
        let canonical = hex::encode(Sha256::digest(format!("POST\n/\n\n{headers}\n{SIGNED}\n{digest}")));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{canonical}");
        let signature = hex::encode(mac(&signing_key(&key.secret_key, &scope), &text));
        let credential = format!("{}/{scope}", key.access_key);
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={SIGNED}, Signature={signature}");
        Signed { authorization, date, digest }
    }
}

/// Derives the key of a credential scope.
fn signing_key(secret: &str, scope: &str) -> Vec<u8> {
    scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC accepts keys of every length, so it does not fail.
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize());
    mac.map(|mac| mac.into_bytes().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // The key and the scope are AWS's example of a signing key.
    #[test]
    fn signing_keys_are_derived_as_aws_documents_it() {
        let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830/us-east-1/iam/aws4_request");
        assert_eq!(hex::encode(key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn signatures_depend_on_every_part_of_a_request() {
        let at = "2026-11-30T09:15:00Z".parse().unwrap();
        let request = Unsigned { host: "127.0.0.1:1", service: "ec2", region: "us-east-1", body: b"Action=A", at };
        let key = Credentials::new("AKIA", "secret");
        let signed = request.sign(&key);
        assert_eq!(signed.date, "20261130T091500Z");
        let credential = "AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/ec2/aws4_request, SignedHeaders=host;";
        assert!(signed.authorization.starts_with(credential), "{}", signed.authorization);
        let signature = |request: Unsigned<'_>| request.sign(&key).authorization;
        let others = [
            signature(Unsigned { host: "127.0.0.1:2", ..request }),
            signature(Unsigned { service: "rds", ..request }),
            signature(Unsigned { region: "eu-west-1", ..request }),
            signature(Unsigned { body: b"Action=B", ..request }),
            request.sign(&Credentials::new("AKIA", "other")).authorization,
        ];
        let signature = |text: &str| text.rsplit_once('=').unwrap().1.to_owned();
        assert!(others.iter().all(|other| signature(other) != signature(&signed.authorization)), "{others:?}");
    }
}
