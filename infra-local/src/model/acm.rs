//! Certificates, imported or issued on request.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Tags;

/// Certificate Manager's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Acm {
    /// By ARN.
    pub(crate) certificates: BTreeMap<String, Certificate>,
    /// Authority of the certificates that are issued on request; created with the first one.
    pub(crate) authority: Option<Authority>,
}

super::changes::record_by_field!(Acm { whole: [authority], maps: [certificates], parts: [], children: [], apart: [] });

/// A certificate with its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) arn: String,
    /// The certificate itself, in PEM.
    pub(crate) body: String,
    /// Chain of the certificate in PEM; `None` for a self-signed one.
    pub(crate) chain: Option<String>,
    /// PEM. The state's file is readable only by its owner.
    pub(crate) private_key: String,
    pub(crate) facts: Facts,
    /// Time of its import, or of its issue.
    pub(crate) imported: DateTime<Utc>,
    /// The request for a certificate that was issued; `None` for an imported one.
    #[serde(default)]
    pub(crate) requested: Option<Requested>,
    pub(crate) tags: Tags,
}

/// Authority of a region: its certificate and its private key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authority {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
}

/// A request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Requested {
    /// `DNS` or `EMAIL`.
    pub(crate) method: String,
    pub(crate) idempotency_token: Option<String>,
    /// Domains that receive the validation emails, by the domain of the certificate.
    pub(crate) validation_domains: BTreeMap<String, String>,
    /// `ENABLED` or `DISABLED`.
    pub(crate) transparency: String,
    /// `ENABLED` or `DISABLED`.
    pub(crate) export: String,
    /// Service that manages the certificate.
    pub(crate) managed_by: Option<String>,
}

/// Content of a certificate, in Certificate Manager's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The common name, else the first of the other names.
    pub(crate) domain: String,
    /// Domain names in the certificate.
    pub(crate) names: Vec<String>,
    pub(crate) serial: String,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: DateTime<Utc>,
    pub(crate) not_after: DateTime<Utc>,
    /// `RSA_2048`, `EC_prime256v1`…
    pub(crate) key_algorithm: String,
    /// `SHA256WITHRSA`, `SHA256WITHECDSA`…
    pub(crate) signature_algorithm: String,
    pub(crate) key_usages: Vec<String>,
    /// Names and object identifiers.
    pub(crate) extended_key_usages: Vec<(String, String)>,
}

impl Certificate {
    /// Returns whether the certificate has expired.
    pub(crate) fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.facts.not_after < now
    }
}
