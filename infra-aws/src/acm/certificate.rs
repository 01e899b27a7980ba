//! `aws:acm:Certificate`: what an HTTPS listener shows its clients.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::Arn,
    region::AwsResource,
    tags, wait,
};
use aws_sdk_acm::{
    Client,
    config::{Builder, retry::RetryConfig},
    primitives::{Blob, DateTimeFormat},
    types::{CertificateDetail, Filters, KeyAlgorithm, Tag},
};
use chrono::{Datelike as _, Days, Utc};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A certificate in Certificate Manager.
///
/// One that vouches for itself is made on this machine, with a key on P-256, and written down before AWS is told of it;
/// one that exists already is given as PEM texts. Either is imported by `ImportCertificate`; another text for one that
/// exists already takes its place under the same ARN, if its key is of the same type. Tags are changed by
/// `AddTagsToCertificate` and `RemoveTagsFromCertificate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// The names that one that is made stands for, such as `shop.example.org` or `*.example.org`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// For how many days one that is made is valid, 1 to 825; 397 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<u32>,
    /// One that exists already, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Input<String>>,
    /// Who vouches for it, in PEM, the one that signed it first; none for one that vouches for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Input<String>>,
    /// Its key, in PEM and not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Input<String>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Certificate`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<Certificate>>,
    /// The name it stands for in the first place.
    pub domain_name: Output<String>,
    /// When it ends to be valid: `2027-01-31T12:00:00Z`.
    pub not_after: Output<String>,
    /// The certificate, in PEM: what clients of one that vouches for itself have to trust.
    pub pem: Output<String>,
    /// The key of one that was made here, in PEM; else empty.
    pub generated_key: Output<String>,
}

/// What AWS is given, as it is written down.
#[derive(Clone, Serialize, Deserialize)]
struct Material {
    certificate: String,
    chain: Option<String>,
    private_key: String,
}

const VALID_DAYS: u32 = 397;

impl Certificate {
    /// One that vouches for itself, made here for these names.
    pub fn self_signed(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { names, valid_days: None, certificate: None, chain: None, private_key: None, tags: BTreeMap::new() }
    }

    /// One that exists already, in PEM; the key should be a secret.
    pub fn imported(certificate: impl Into<Input<String>>, private_key: impl Into<Input<String>>) -> Self {
        Self {
            certificate: Some(certificate.into()),
            private_key: Some(private_key.into()),
            ..Self::self_signed([""; 0])
        }
    }

    /// Who vouches for it, in PEM.
    pub fn chain(mut self, chain: impl Into<Input<String>>) -> Self {
        self.chain = Some(chain.into());
        self
    }

    /// What was given; `None` when it is to be made here.
    fn given(&self) -> Result<Option<Material>, ProviderError> {
        let (Some(certificate), Some(private_key)) = (&self.certificate, &self.private_key) else {
            return Ok(None);
        };
        let chain = self.chain.as_ref().map(Input::known).transpose()?;
        Ok(Some(Material { certificate: certificate.known()?, chain, private_key: private_key.known()? }))
    }

    /// What was given, what an interrupted run has written down, or a new one.
    async fn material(&self, cx: &Context<'_, Aws>) -> Result<Material, ProviderError> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        if let Some(material) = cx.earlier().pop() {
            return Ok(material);
        }
        let material = generate(&self.names, self.valid_days.unwrap_or(VALID_DAYS))
            .map_err(|error| ProviderError::refused(format!("no certificate could be made: {error}")))?;
        cx.progress(&material).await?;
        Ok(material)
    }
}

impl Resource for Certificate {
    const TYPE: &'static str = "aws:acm:Certificate";
    type Outputs = CertificateOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["names", "valid_days"])
            .secret(["private_key", "generated_key"])
            .changes_on_update(["domain_name", "not_after", "pem"])
            .regional(["arn"])
    }
}

impl AwsResource for Certificate {}

impl Handler for Certificate {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.names.is_empty() == self.certificate.is_none() {
            problems.push(
                Problem::new("certificate", "a certificate is either made, for `names`, or given, as a PEM text")
                    .hint("write `Certificate::self_signed([\"shop.example.org\"])` or `Certificate::imported(certificate, key)`"),
            );
        }
        if self.certificate.is_some() != self.private_key.is_some() {
            problems
                .push(Problem::new("private_key", "a certificate that is given needs its key, and only such a one"));
        }
        for (at, name) in self.names.iter().enumerate() {
            if !is_host_name(name) {
                problems.push(Problem::new(format!("names[{at}]"), format!("`{name}` is no host name")));
            }
        }
        if self.valid_days.is_some_and(|days| !(1..=825).contains(&days)) {
            problems.push(Problem::new("valid_days", "browsers take certificates that are valid for 1 to 825 days"));
        }
        for (property, text) in [("certificate", &self.certificate), ("chain", &self.chain)] {
            let known = text.as_ref().and_then(|text| text.known().ok());
            if known.is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
                problems.push(
                    Problem::new(property, "it is no PEM text").hint("it begins with `-----BEGIN CERTIFICATE-----`"),
                );
            }
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let acm = cx.client().acm(cx.region()?).await;
        let material = inputs.material(cx).await?;
        let call = acm
            .import_certificate()
            .certificate(Blob::new(material.certificate.as_bytes()))
            .set_certificate_chain(material.chain.as_deref().map(Blob::new))
            .private_key(Blob::new(material.private_key.as_bytes()))
            .set_tags(Some(all_tags(cx, &inputs.tags)?));
        // A request that is sent twice makes two certificates: a lost answer is for recovery to find.
        let once = Builder::new().retry_config(RetryConfig::disabled());
        let answer = call.customize().config_override(once).send().await.context("ImportCertificate")?;
        let arn = answer.certificate_arn().unwrap_or_default().to_owned();
        let status = "waiting until the new certificate is seen";
        let detail = wait::until(cx, status, wait::CONSISTENCY, async || Ok(describe(&acm, &arn).await?)).await?;
        Ok(Created { inputs: None, ..created(&detail, inputs, &material, inputs.tags.clone()) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let acm = cx.client().acm(cx.region()?).await;
        let Some(detail) = describe(&acm, &prior.id).await? else {
            return Ok(None);
        };
        let call = acm.get_certificate().certificate_arn(&prior.id);
        let living = call.send().await.context("GetCertificate")?;
        let key = prior.outputs.generated_key.known()?;
        let material = Material {
            certificate: living.certificate().unwrap_or_default().to_owned(),
            chain: living.certificate_chain,
            private_key: key,
        };
        let tags = own_tags(&acm, &prior.id, &prior.inputs.tags).await?;
        Ok(Some(created(&detail, &prior.inputs, &material, tags)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let acm = cx.client().acm(cx.region()?).await;
        retag(&acm, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        let Some(material) = inputs.given()? else {
            return Ok(prior.outputs.clone());
        };
        // The same again is no other one.
        acm.import_certificate()
            .certificate_arn(&prior.id)
            .certificate(Blob::new(material.certificate.as_bytes()))
            .set_certificate_chain(material.chain.as_deref().map(Blob::new))
            .private_key(Blob::new(material.private_key.as_bytes()))
            .send()
            .await
            .context("ImportCertificate")?;
        let detail = describe(&acm, &prior.id)
            .await?
            .ok_or_else(|| ProviderError::of(ErrorKind::NotFound, format!("the certificate {} is gone", prior.id)))?;
        Ok(created(&detail, inputs, &material, BTreeMap::new()).outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let acm = cx.client().acm(cx.region()?).await;
        // Balancers let go of a certificate some time after their listeners.
        let status = "waiting until no listener shows the certificate any more";
        wait::while_needed(cx, status, Duration::from_mins(5), async || {
            acm.delete_certificate().certificate_arn(&prior.id).send().await.context("DeleteCertificate")
        })
        .await?;
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let Some(material) = inputs.given()?.or_else(|| cx.earlier().pop()) else {
                    // Nothing is sent before the key has been written down.
                    return Ok(Found::Absent);
                };
                let acm = cx.client().acm(cx.region()?).await;
                let Some(detail) = ours(cx, &acm).await? else {
                    return Ok(Found::Absent);
                };
                Ok(Found::Found(created(&detail, inputs, &material, inputs.tags.clone())))
            })
        })
    }
}

fn generate(names: &[String], days: u32) -> Result<Material, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    if let Some(name) = names.first() {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Utc::now();
    // Clocks differ, and a day that has begun counts.
    let (from, to) = (now - Days::new(1), now + Days::new(u64::from(days) + 1));
    params.not_before = date_time_ymd(from.year(), from.month() as u8, from.day() as u8);
    params.not_after = date_time_ymd(to.year(), to.month() as u8, to.day() as u8);
    let certificate = params.self_signed(&key)?.pem();
    Ok(Material { certificate, chain: None, private_key: key.serialize_pem() })
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

async fn describe(acm: &Client, arn: &str) -> Result<Option<CertificateDetail>, AwsError> {
    let answer = acm.describe_certificate().certificate_arn(arn).send().await.context("DescribeCertificate");
    Ok(found(answer)?.and_then(|answer| answer.certificate))
}

/// The certificate that this very operation made.
async fn ours(cx: &Context<'_, Aws>, acm: &Client) -> Result<Option<CertificateDetail>, AwsError> {
    // Unless it is told the types of keys, AWS lists only some.
    let types = KeyAlgorithm::values().iter().map(|name| KeyAlgorithm::from(*name)).collect();
    let listed = acm.list_certificates().includes(Filters::builder().set_key_types(Some(types)).build());
    let mut pages = listed.into_paginator().items().send();
    while let Some(summary) = pages.next().await {
        let summary = summary.context("ListCertificates")?;
        let arn = summary.certificate_arn().unwrap_or_default();
        let answer = acm.list_tags_for_certificate().certificate_arn(arn).send().await;
        let tags = found(answer.context("ListTagsForCertificate"))?.and_then(|answer| answer.tags).unwrap_or_default();
        if tags::are_ours(cx, tags.iter().map(|tag| (Some(tag.key()), tag.value()))) {
            return describe(acm, arn).await;
        }
    }
    Ok(None)
}

fn all_tags(cx: &Context<'_, Aws>, own: &BTreeMap<String, String>) -> Result<Vec<Tag>, ProviderError> {
    let mut all = tags::all(cx);
    all.extend(own.clone());
    sdk_tags(&all).map_err(|error| ProviderError::refused(error.to_string()))
}

fn sdk_tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, aws_smithy_types::error::operation::BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

async fn retag(
    acm: &Client,
    arn: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), ProviderError> {
    let refused = |error: aws_smithy_types::error::operation::BuildError| ProviderError::refused(error.to_string());
    let removed = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let removed: BTreeMap<String, String> = removed.map(|(key, value)| (key.clone(), value.clone())).collect();
    if old != new && !new.is_empty() {
        let call = acm.add_tags_to_certificate().certificate_arn(arn).set_tags(Some(sdk_tags(new).map_err(refused)?));
        call.send().await.context("AddTagsToCertificate")?;
    }
    if !removed.is_empty() {
        let tags = Some(sdk_tags(&removed).map_err(refused)?);
        let call = acm.remove_tags_from_certificate().certificate_arn(arn).set_tags(tags);
        call.send().await.context("RemoveTagsFromCertificate")?;
    }
    Ok(())
}

/// What lives of the recorded tags of one's own; others may add theirs.
async fn own_tags(
    acm: &Client,
    arn: &str,
    recorded: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, AwsError> {
    if recorded.is_empty() {
        return Ok(BTreeMap::new());
    }
    let call = acm.list_tags_for_certificate().certificate_arn(arn);
    let answer = call.send().await.context("ListTagsForCertificate")?;
    let tags = answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned()));
    Ok(tags.filter(|(key, _)| recorded.contains_key(key)).collect())
}

/// The certificate as it lives, in the words of the recorded inputs where they say the same. Nobody tells its key.
fn created(
    detail: &CertificateDetail,
    recorded: &Certificate,
    material: &Material,
    tags: BTreeMap<String, String>,
) -> Created<Certificate> {
    let arn = detail.certificate_arn().unwrap_or_default();
    let generated = recorded.certificate.is_none();
    let said = |recorded: &Option<Input<String>>, living: &Option<String>| {
        let known = recorded.as_ref().and_then(|recorded| recorded.known().ok());
        let same = known.as_deref().map(str::trim) == living.as_deref().map(str::trim);
        if same { recorded.clone() } else { living.clone().map(Into::into) }
    };
    let inputs = Certificate {
        names: if generated { recorded.names.clone() } else { Vec::new() },
        certificate: if generated { None } else { said(&recorded.certificate, &Some(material.certificate.clone())) },
        chain: if generated { None } else { said(&recorded.chain, &material.chain) },
        tags,
        ..recorded.clone()
    };
    let not_after = detail.not_after().and_then(|moment| moment.fmt(DateTimeFormat::DateTime).ok());
    Created {
        id: arn.to_owned(),
        inputs: Some(inputs),
        outputs: CertificateOutputs {
            arn: Arn::from(arn).into(),
            domain_name: detail.domain_name().unwrap_or_default().into(),
            not_after: not_after.unwrap_or_default().into(),
            pem: material.certificate.as_str().into(),
            generated_key: if generated { material.private_key.as_str().into() } else { "".into() },
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_made_differs_every_time_and_can_be_given() {
        let names = ["shop.example.org".to_owned(), "*.example.org".to_owned()];
        let (one, other) = (generate(&names, 30).unwrap(), generate(&names, 30).unwrap());
        assert_ne!(one.private_key, other.private_key);
        let given = Certificate::imported(one.certificate, one.private_key);
        assert!(given.check().is_empty());
        assert!(Certificate::self_signed(names).check().is_empty());
    }

    #[test]
    fn check_says_what_is_missing() {
        let properties = |certificate: Certificate| -> Vec<String> {
            certificate.check().into_iter().map(|problem| problem.property).collect()
        };
        assert_eq!(properties(Certificate::self_signed([""; 0])), ["certificate"]);
        assert_eq!(properties(Certificate::self_signed(["a b"])), ["names[0]"]);
        assert_eq!(properties(Certificate::imported("x".to_owned(), "y".to_owned())), ["certificate"]);
        let both = Certificate { names: vec!["a.org".into()], ..Certificate::imported("x".to_owned(), "y".to_owned()) };
        assert_eq!(properties(both), ["certificate", "certificate"]);
        let long = Certificate { valid_days: Some(900), ..Certificate::self_signed(["a.org"]) };
        assert_eq!(properties(long), ["valid_days"]);
    }
}
