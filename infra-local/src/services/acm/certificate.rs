//! Import, description and deletion of certificates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tag::{Tag, read_tags};
use super::{
    AcmOperation, CERTIFICATE, Named, find, find_mut, in_use_by, input, material, not_found, request, validation,
};
use crate::model::acm::Certificate;
use crate::model::{Cloud, Region};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[AcmOperation] = &[
    typed!(Writes, "ImportCertificate", import).on(&[CERTIFICATE]),
    typed!(Reads, "DescribeCertificate", describe).on(&[CERTIFICATE]),
    typed!(Reads, "GetCertificate", get).on(&[CERTIFICATE]),
    typed!(Writes, "DeleteCertificate", delete).on(&[CERTIFICATE]),
];

/// AWS's quota of certificates per region.
const MOST: usize = 2500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Import {
    certificate_arn: Option<String>,
    certificate: String,
    private_key: String,
    certificate_chain: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn import(cloud: &mut Cloud, call: &Call<'_, Value>, request: Import) -> Outcome<Value> {
    let tags = read_tags(request.tags)?;
    let body = text(&request.certificate, "Certificate")?;
    let private_key = text(&request.private_key, "PrivateKey")?;
    let chain = request.certificate_chain.map(|chain| text(&chain, "CertificateChain")).transpose()?;
    let facts = material::check(&body, &private_key, chain.as_deref(), call.now)?;
    let region = cloud.region_mut(call.region)?;
    if let Some(arn) = request.certificate_arn {
        if !tags.is_empty() {
            return Err(ApiError::new(
                "InvalidParameterException",
                "Tags cannot be given when a certificate is imported again; use AddTagsToCertificate",
            ));
        }
        let known = find_mut(region, &arn)?;
        if known.requested.is_some() {
            return Err(validation("Only an imported certificate can be imported again, not one that was requested."));
        }
        if known.facts.key_algorithm != facts.key_algorithm {
            return Err(validation(
                "The new certificate must have a key of the same type and size as the one it takes the place of.",
            ));
        }
        *known = Certificate { body, chain, private_key, facts, imported: call.now, ..known.clone() };
        return Ok(json!({"CertificateArn": arn}));
    }
    if region.acm.certificates.len() >= MOST {
        return Err(ApiError::new("LimitExceededException", format!("A region has at most {MOST} certificates")));
    }
    let arn = call.scope().arn("acm", format_args!("certificate/{}", Uuid::new_v4()));
    let certificate =
        Certificate { arn: arn.clone(), body, chain, private_key, facts, imported: call.now, requested: None, tags };
    region.acm.certificates.insert(arn.clone(), certificate);
    Ok(json!({"CertificateArn": arn}))
}

/// Decodes a Base64 blob that contains a text in PEM.
fn text(blob: &str, field: &str) -> Outcome<String> {
    let bytes = STANDARD.decode(blob).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| validation(format!("{field} is not a PEM text in Base64")))
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let region = cloud.region(call.region)?;
    let certificate = find(region, &request.certificate_arn)?;
    Ok(json!({"Certificate": render(certificate, region, call.now)}))
}

fn get(cloud: &Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let certificate = find(cloud.region(call.region)?, &request.certificate_arn)?;
    let mut answer = json!({"Certificate": certificate.body});
    if let Some(chain) = &certificate.chain {
        answer["CertificateChain"] = json!(chain);
    }
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let arn = request.certificate_arn;
    let region = cloud.region_mut(call.region)?;
    find(region, &arn)?;
    if !in_use_by(region, &arn).is_empty() {
        return Err(ApiError::new(
            "ResourceInUseException",
            format!("Certificate {arn} in account {} is in use.", call.account),
        ));
    }
    region.acm.certificates.remove(&arn).ok_or_else(|| not_found(call.account, &arn))?;
    Ok(json!({}))
}

/// Returns the status of a certificate.
pub(super) fn status(certificate: &Certificate, now: DateTime<Utc>) -> &'static str {
    if certificate.has_expired(now) { "EXPIRED" } else { "ISSUED" }
}

/// Returns the seconds since 1970, the form of times in AWS's JSON services.
pub(super) fn moment(moment: DateTime<Utc>) -> Value {
    json!(moment.timestamp_millis() as f64 / 1000.0)
}

fn render(certificate: &Certificate, region: &Region, now: DateTime<Utc>) -> Value {
    let facts = &certificate.facts;
    let usages = facts.key_usages.iter().map(|name| json!({"Name": name}));
    let extended = facts.extended_key_usages.iter().map(|(name, oid)| json!({"Name": name, "OID": oid}));
    let mut node = json!({
        "CertificateArn": certificate.arn,
        "DomainName": facts.domain,
        "SubjectAlternativeNames": facts.names,
        "Serial": facts.serial,
        "Subject": facts.subject,
        "Issuer": facts.issuer,
        "CreatedAt": moment(certificate.imported),
        "Status": status(certificate, now),
        "NotBefore": moment(facts.not_before),
        "NotAfter": moment(facts.not_after),
        "KeyAlgorithm": facts.key_algorithm,
        "SignatureAlgorithm": facts.signature_algorithm,
        "InUseBy": in_use_by(region, &certificate.arn),
        "Type": kind(certificate),
        "KeyUsages": usages.collect::<Vec<_>>(),
        "ExtendedKeyUsages": extended.collect::<Vec<_>>(),
        "RenewalEligibility": "INELIGIBLE",
        "Options": {"CertificateTransparencyLoggingPreference": "DISABLED"},
    });
    match &certificate.requested {
        Some(requested) => request::render(&mut node, region.account, certificate, requested),
        None => node["ImportedAt"] = moment(certificate.imported),
    }
    node
}

/// Returns the type of a certificate.
pub(super) fn kind(certificate: &Certificate) -> &'static str {
    if certificate.requested.is_some() { "AMAZON_ISSUED" } else { "IMPORTED" }
}
