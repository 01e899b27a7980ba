//! Certificates that are issued on request, by an authority of the region.
//!
//! AWS issues a certificate once its domains are validated. The local cloud owns all domains, so it issues at once and
//! describes the validation as successful. The keys are elliptic: nothing here generates RSA keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::tag::{Tag, read_tags};
use super::{AcmOperation, CERTIFICATE, find, find_mut, input, material, validation};
use crate::model::acm::{Acm, Authority, Certificate, Requested};
use crate::model::{Account, Cloud};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[AcmOperation] = &[
    typed!(Writes, "RequestCertificate", request).on_any(),
    typed!(Writes, "UpdateCertificateOptions", update_options).on(&[CERTIFICATE]),
    typed!(Reads, "ResendValidationEmail", resend).on(&[CERTIFICATE]),
];

/// AWS's limit of names per certificate, and the validity of a certificate in days.
const NAMES: usize = 100;
const VALID_DAYS: i64 = 395;

/// Days for which the authority is valid.
const AUTHORITY_DAYS: i64 = 30 * 365;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    domain_name: String,
    #[serde(default)]
    subject_alternative_names: Vec<String>,
    validation_method: Option<String>,
    #[serde(default)]
    domain_validation_options: Vec<ValidationOption>,
    idempotency_token: Option<String>,
    #[serde(default)]
    options: Options,
    key_algorithm: Option<String>,
    managed_by: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ValidationOption {
    domain_name: String,
    validation_domain: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Options {
    certificate_transparency_logging_preference: Option<String>,
    export: Option<String>,
}

fn request(cloud: &mut Cloud, call: &Call<'_, Value>, request: Request) -> Outcome<Value> {
    let tags = read_tags(request.tags)?;
    let mut names = vec![request.domain_name.clone()];
    names.extend(request.subject_alternative_names.into_iter().filter(|name| *name != request.domain_name));
    names.iter().try_for_each(|name| check_domain(name))?;
    if names.len() > NAMES {
        return Err(ApiError::new(
            "LimitExceededException",
            format!("A certificate has at most {NAMES} domain names."),
        ));
    }
    let algorithm = algorithm(request.key_algorithm.as_deref())?;
    let requested = Requested {
        method: one_of(request.validation_method, "EMAIL", &["EMAIL", "DNS"], "validationMethod")?,
        idempotency_token: request.idempotency_token,
        validation_domains: validation_domains(request.domain_validation_options, &names)?,
        transparency: switch(request.options.certificate_transparency_logging_preference, "ENABLED")?,
        export: switch(request.options.export, "DISABLED")?,
        managed_by: request.managed_by,
    };
    let acm = &mut cloud.region_mut(call.region)?.acm;
    // Within an hour, a request with the same token is the same request.
    let repeated = acm.certificates.values().find(|known| {
        let token = known.requested.as_ref().and_then(|requested| requested.idempotency_token.as_ref());
        token.is_some()
            && token == requested.idempotency_token.as_ref()
            && known.facts.domain == names[0]
            && call.now - known.imported < TimeDelta::hours(1)
    });
    if let Some(known) = repeated {
        return Ok(json!({"CertificateArn": known.arn}));
    }
    let arn = call.scope().arn("acm", format_args!("certificate/{}", Uuid::new_v4()));
    let certificate = issue(acm, &names, algorithm, call.now)?;
    let certificate = Certificate { arn: arn.clone(), requested: Some(requested), tags, ..certificate };
    acm.certificates.insert(arn.clone(), certificate);
    Ok(json!({"CertificateArn": arn}))
}

/// Checks a domain name, whose first part may be `*`.
fn check_domain(name: &str) -> Outcome<()> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(valid) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() <= 253 && plain.contains('.') && plain.split('.').all(is_label) {
        return Ok(());
    }
    Err(validation(format!(
        "1 validation error detected: Value '{name}' at 'domainName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: (\\*\\.)?(((?!-)[A-Za-z0-9-]{{0,62}}[A-Za-z0-9])\\.)+((?!-)[A-Za-z0-9-]{{1,62}}[A-Za-z0-9])"
    )))
}

fn algorithm(name: Option<&str>) -> Outcome<&'static SignatureAlgorithm> {
    match name {
        None | Some("EC_prime256v1") => Ok(&PKCS_ECDSA_P256_SHA256),
        Some("EC_secp384r1") => Ok(&PKCS_ECDSA_P384_SHA384),
        Some(other) => Err(validation(format!(
            "The local cloud issues certificates with keys of the algorithms EC_prime256v1 and EC_secp384r1, not {other}; import \
             a certificate with such a key instead."
        ))),
    }
}

fn one_of(given: Option<String>, default: &str, known: &[&str], name: &str) -> Outcome<String> {
    let value = given.unwrap_or_else(|| default.to_owned());
    if known.contains(&value.as_str()) {
        return Ok(value);
    }
    Err(validation(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must satisfy enum value \
         set: [{}]",
        known.join(", ")
    )))
}

fn switch(given: Option<String>, default: &str) -> Outcome<String> {
    one_of(given, default, &["ENABLED", "DISABLED"], "options")
}

/// Checks the domains that receive validation emails: each is the domain of the certificate or one above it.
fn validation_domains(options: Vec<ValidationOption>, names: &[String]) -> Outcome<BTreeMap<String, String>> {
    let mut domains = BTreeMap::new();
    for ValidationOption { domain_name, validation_domain } in options {
        let is_above = domain_name == validation_domain || domain_name.ends_with(&format!(".{validation_domain}"));
        if !names.contains(&domain_name) || !is_above {
            return Err(ApiError::new(
                "InvalidDomainValidationOptionsException",
                format!(
                    "The validation domain {validation_domain} is not the domain {domain_name} of the certificate or above it."
                ),
            ));
        }
        domains.insert(domain_name, validation_domain);
    }
    Ok(domains)
}

/// Issues a certificate for these names, the first of which is the subject.
fn issue(
    acm: &mut Acm,
    names: &[String],
    algorithm: &'static SignatureAlgorithm,
    now: DateTime<Utc>,
) -> Outcome<Certificate> {
    let authority = match &acm.authority {
        Some(authority) => authority.clone(),
        None => acm.authority.insert(new_authority(now).map_err(failed)?).clone(),
    };
    let key = KeyPair::generate_for(algorithm).map_err(failed)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, names[0].as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, now + TimeDelta::days(VALID_DAYS));
    let signing_key = KeyPair::from_pem(&authority.private_key).map_err(failed)?;
    let issuer = Issuer::new(authority_params(now).map_err(failed)?, signing_key);
    let issued = params.signed_by(&key, &issuer).map_err(failed)?;
    let (body, private_key) = (issued.pem(), key.serialize_pem());
    let facts = material::check(&body, &private_key, Some(&authority.certificate), now)?;
    Ok(Certificate {
        arn: String::new(),
        body,
        chain: Some(authority.certificate),
        private_key,
        facts,
        imported: now,
        requested: None,
        tags: crate::model::Tags::new(),
    })
}

fn new_authority(now: DateTime<Utc>) -> Result<Authority, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = authority_params(now)?.self_signed(&key)?;
    Ok(Authority { certificate: certificate.pem(), private_key: key.serialize_pem() })
}

fn authority_params(now: DateTime<Utc>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::OrganizationName, "Local cloud");
    params.distinguished_name.push(DnType::CommonName, "Local cloud authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, now + TimeDelta::days(AUTHORITY_DAYS));
    Ok(params)
}

fn set_validity(params: &mut CertificateParams, from: DateTime<Utc>, to: DateTime<Utc>) {
    let [before, after] = [from, to].map(|day| rcgen::date_time_ymd(day.year(), day.month() as u8, day.day() as u8));
    (params.not_before, params.not_after) = (before, after);
}

fn failed(error: rcgen::Error) -> ApiError {
    ApiError::internal(format!("the local cloud could not issue a certificate: {error}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Update {
    certificate_arn: String,
    options: Options,
}

fn update_options(cloud: &mut Cloud, call: &Call<'_, Value>, request: Update) -> Outcome<Value> {
    let certificate = find_mut(cloud.region_mut(call.region)?, &request.certificate_arn)?;
    let Some(requested) = &mut certificate.requested else {
        return Err(ApiError::new(
            "InvalidStateException",
            format!("The options of the imported certificate {} cannot be updated.", request.certificate_arn),
        ));
    };
    requested.transparency =
        switch(request.options.certificate_transparency_logging_preference, &requested.transparency)?;
    requested.export = switch(request.options.export, &requested.export)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Resend {
    certificate_arn: String,
    domain: String,
    validation_domain: String,
}

/// Refuses another email: AWS sends one only as long as the validation is pending, and here it never is.
fn resend(cloud: &Cloud, call: &Call<'_, Value>, request: Resend) -> Outcome<Value> {
    let certificate = find(cloud.region(call.region)?, &request.certificate_arn)?;
    if !certificate.facts.names.contains(&request.domain) || !request.domain.ends_with(&request.validation_domain) {
        return Err(ApiError::new(
            "InvalidDomainValidationOptionsException",
            format!(
                "The certificate has no domain {} with the validation domain {}.",
                request.domain, request.validation_domain
            ),
        ));
    }
    Err(ApiError::new(
        "InvalidStateException",
        format!("The certificate {} is not in the state PENDING_VALIDATION.", request.certificate_arn),
    ))
}

/// Adds the properties of a requested certificate to its description.
pub(super) fn render(node: &mut Value, account: Account, certificate: &Certificate, requested: &Requested) {
    let validations = certificate.facts.names.iter().map(|name| validation_of(account, name, requested));
    node["DomainValidationOptions"] = validations.collect();
    node["IssuedAt"] = timestamp(certificate.imported);
    node["Options"] = json!({
        "CertificateTransparencyLoggingPreference": requested.transparency,
        "Export": requested.export,
    });
    if let Some(service) = &requested.managed_by {
        node["ManagedBy"] = json!(service);
    }
    if node["InUseBy"].as_array().is_some_and(|users| !users.is_empty()) {
        node["RenewalEligibility"] = json!("ELIGIBLE");
    }
}

fn validation_of(account: Account, name: &str, requested: &Requested) -> Value {
    let domain = requested.validation_domains.get(name).map_or(name, String::as_str);
    let mut node = json!({
        "DomainName": name,
        "ValidationDomain": domain,
        "ValidationStatus": "SUCCESS",
        "ValidationMethod": requested.method,
    });
    let plain = name.trim_start_matches("*.");
    if requested.method == "DNS" {
        let digest = |text: String| hex::encode(&Sha256::digest(text)[..16]);
        // AWS's records depend on the account and the name, so a wildcard shares that of its domain.
        let (label, value) = (digest(format!("{account}/{plain}")), digest(format!("{plain}/{account}")));
        node["ResourceRecord"] = json!({
            "Name": format!("_{label}.{plain}."),
            "Type": "CNAME",
            "Value": format!("_{value}.acm-validations.aws."),
        });
    } else {
        let domain = domain.trim_start_matches("*.");
        let receivers = ["admin", "administrator", "hostmaster", "postmaster", "webmaster"];
        node["ValidationEmails"] = receivers.iter().map(|name| json!(format!("{name}@{domain}"))).collect();
    }
    node
}
