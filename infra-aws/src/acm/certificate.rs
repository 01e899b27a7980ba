//! `aws:acm:Certificate`: a TLS certificate.

use crate::{error::AwsError, prelude::*};
use aws_sdk_acm::{
    Client,
    config::{Builder, retry::RetryConfig},
    primitives::{Blob, DateTimeFormat},
    types::{CertificateDetail, CertificateType, Filters, KeyAlgorithm, Tag},
};
use chrono::{Datelike as _, Days, Utc};
use infra_core::provider::{Found, Handler, Recovery};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};
use std::time::Duration;

/// A TLS certificate in Certificate Manager, self-signed or imported.
///
/// A self-signed certificate is generated on this machine, with a key on the curve P-256, and is not renewed when it
/// expires. An existing one is declared by its PEM texts. Certificates that Amazon issues are not supported.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let balancer = virginia.add("balancer", LoadBalancer::application(network.subnets, []));
/// # let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id));
/// let certificate = virginia.add("certificate", Certificate {
///     valid_days: Some(90),
///     ..Certificate::self_signed(["shop.example.org"])
/// });
/// virginia.add("https", Listener::https(443, balancer.arn, certificate.arn).forward(targets.arn));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `ImportCertificate`; `DescribeCertificate` until the certificate is visible. After an interrupted run,
///   `ListCertificates`, `ListTagsForCertificate` and `DescribeCertificate` find its certificate.
/// - Read: `DescribeCertificate`, `GetCertificate`, `ListTagsForCertificate`
/// - Update: `AddTagsToCertificate`, `RemoveTagsFromCertificate`; `ImportCertificate` and `DescribeCertificate` for a
///   declared certificate
/// - Delete: `DeleteCertificate`, repeated while a listener uses the certificate
///
/// # Replacement
/// A change of `names` or `valid_days` replaces the certificate, because a self-signed certificate is generated when it
/// is created. The new certificate is created before the previous one is deleted, so listeners always have one. A
/// declared certificate is imported again under the same ARN; AWS refuses another type of key.
///
/// # Import
/// The import takes the ARN of a certificate that was imported into Certificate Manager. The API does not return the
/// private key: the first `up` imports the declared certificate and key under the same ARN. Certificates that Amazon
/// issues are refused.
///
/// ```console
/// $ stack import aws:acm:Certificate certificate arn:aws:acm:us-east-1:123456789012:certificate/1a2b --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:acm:Certificate")]
pub struct Certificate {
    /// Host names of a self-signed certificate, such as `shop.example.org` or `*.example.org`; empty for an existing
    /// certificate. A change replaces the certificate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[resource(replace)]
    pub names: Vec<String>,
    /// Validity of a self-signed certificate, 1 to 825 days; 397 when omitted. A change replaces the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[resource(replace)]
    pub valid_days: Option<u32>,
    /// Existing certificate, in PEM; none for a self-signed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Input<String>>,
    /// Certificates of the issuers, in PEM, the direct one first; none for a self-signed certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Input<String>>,
    /// Private key of an existing certificate, in PEM and not encrypted; secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[resource(secret)]
    pub private_key: Option<Input<String>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`Certificate`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct CertificateOutputs {
    /// Amazon Resource Name of the certificate, to which listeners refer.
    #[output(regional)]
    pub arn: Output<Arn<Certificate>>,
    /// First host name of the certificate.
    #[output(changes_on_update)]
    pub domain_name: Output<String>,
    /// End of the validity, in UTC: `2027-01-31T12:00:00Z`.
    #[output(changes_on_update)]
    pub not_after: Output<String>,
    /// Certificate, in PEM. Clients have to trust it if it is self-signed.
    #[output(changes_on_update)]
    pub pem: Output<String>,
    /// Private key of a self-signed certificate, in PEM; secret, and empty for an existing certificate.
    #[output(secret)]
    pub generated_key: Output<String>,
}

/// Certificate and key of a request, as recorded before it.
#[derive(Clone, Serialize, Deserialize)]
struct Material {
    certificate: String,
    chain: Option<String>,
    private_key: String,
}

const VALID_DAYS: u32 = 397;

impl Certificate {
    /// Returns a self-signed certificate for these host names.
    pub fn self_signed(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self { names, valid_days: None, certificate: None, chain: None, private_key: None, tags: BTreeMap::new() }
    }

    /// Returns an existing certificate, in PEM; the key should be a secret.
    pub fn imported(certificate: impl Into<Input<String>>, private_key: impl Into<Input<String>>) -> Self {
        Self {
            certificate: Some(certificate.into()),
            private_key: Some(private_key.into()),
            ..Self::self_signed([""; 0])
        }
    }

    /// Sets the certificates of the issuers, in PEM.
    pub fn chain(mut self, chain: impl Into<Input<String>>) -> Self {
        self.chain = Some(chain.into());
        self
    }

    /// Returns the declared certificate; `None` for a self-signed one.
    fn declared(&self) -> Result<Option<Material>> {
        let (Some(certificate), Some(private_key)) = (&self.certificate, &self.private_key) else {
            return Ok(None);
        };
        let chain = self.chain.as_ref().map(Input::known).transpose()?;
        Ok(Some(Material { certificate: certificate.known()?, chain, private_key: private_key.known()? }))
    }

    /// Returns the declared certificate, the one that an interrupted run has recorded, or a new one.
    async fn material(&self, cx: &Context<'_>) -> Result<Material> {
        if let Some(declared) = self.declared()? {
            return Ok(declared);
        }
        if let Some(material) = cx.earlier().pop() {
            return Ok(material);
        }
        let material = generate(&self.names, self.valid_days.unwrap_or(VALID_DAYS))
            .map_err(|error| ProviderError::refused(format!("the certificate could not be generated: {error}")))?;
        cx.progress(&material).await?;
        Ok(material)
    }
}

impl AwsResource for Certificate {}

impl Handler for Certificate {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.names.is_empty() == self.certificate.is_none() {
            problems.push(
                Problem::new("certificate", "a certificate has either `names`, for a self-signed one, or a PEM text")
                    .hint("write `Certificate::self_signed([\"shop.example.org\"])` or `Certificate::imported(certificate, key)`"),
            );
        }
        if self.certificate.is_some() != self.private_key.is_some() {
            problems.push(Problem::new(
                "private_key",
                "an existing certificate needs its private key, and a self-signed one has none",
            ));
        }
        for (at, name) in self.names.iter().enumerate() {
            if !is_host_name(name) {
                problems.push(Problem::new(format!("names[{at}]"), format!("`{name}` is no host name")));
            }
        }
        if self.valid_days.is_some_and(|days| !(1..=825).contains(&days)) {
            problems.push(Problem::new("valid_days", "browsers accept a validity of 1 to 825 days"));
        }
        for (property, text) in [("certificate", &self.certificate), ("chain", &self.chain)] {
            let known = text.as_ref().and_then(|text| text.known().ok());
            if known.is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
                problems.push(
                    Problem::new(property, "this is no PEM text")
                        .hint("a PEM text begins with `-----BEGIN CERTIFICATE-----`"),
                );
            }
        }
        problems
    }

    async fn create(cx: &Context<'_>, inputs: &Self) -> Result<Created<Self>> {
        let acm = cx.client().acm(cx.region()?).await;
        let material = inputs.material(cx).await?;
        let call = acm
            .import_certificate()
            .certificate(Blob::new(material.certificate.as_bytes()))
            .set_certificate_chain(material.chain.as_deref().map(Blob::new))
            .private_key(Blob::new(material.private_key.as_bytes()))
            .set_tags(Some(tags::for_create(cx, &inputs.tags)));
        // A repeated request would create a second certificate. Recovery finds the one whose response was lost.
        let once = Builder::new().retry_config(RetryConfig::disabled());
        let response = call.customize().config_override(once).send().await.context("ImportCertificate")?;
        let arn = response.certificate_arn().unwrap_or_default().to_owned();
        let status = "waiting until the new certificate is visible";
        let detail = wait::until(cx, status, wait::CONSISTENCY, async || Ok(describe(&acm, &arn).await?)).await;
        let detail = detail.map_err(wait::after_create)?;
        Ok(Created { inputs: None, ..created(&detail, inputs, &material, inputs.tags.clone()) })
    }

    async fn read(cx: &Context<'_>, prior: &Prior<Self>) -> Result<Option<Created<Self>>> {
        let acm = cx.client().acm(cx.region()?).await;
        let Some(detail) = describe(&acm, &prior.id).await? else { return Ok(None) };
        let material = material(&acm, &prior.id, &prior.outputs.generated_key.known()?).await?;
        let tags = tags::declared(&tags_of(&acm, &prior.id).await?, Some(&prior.inputs.tags));
        Ok(Some(created(&detail, &prior.inputs, &material, tags)))
    }

    async fn update(cx: &Context<'_>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs> {
        let acm = cx.client().acm(cx.region()?).await;
        retag(&acm, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        let Some(material) = inputs.declared()? else {
            return Ok(prior.outputs.clone());
        };
        // Importing the same certificate again has no effect.
        acm.import_certificate()
            .certificate_arn(&prior.id)
            .certificate(Blob::new(material.certificate.as_bytes()))
            .set_certificate_chain(material.chain.as_deref().map(Blob::new))
            .private_key(Blob::new(material.private_key.as_bytes()))
            .send()
            .await
            .context("ImportCertificate")?;
        let detail = describe(&acm, &prior.id).await?.ok_or_else(|| {
            ProviderError::of(ErrorKind::NotFound, format!("the certificate `{}` does not exist any more", prior.id))
        })?;
        Ok(created(&detail, inputs, &material, BTreeMap::new()).outputs)
    }

    async fn delete(cx: &Context<'_>, prior: &Prior<Self>) -> Result<()> {
        let acm = cx.client().acm(cx.region()?).await;
        // A certificate stays in use for some time after its listeners are deleted.
        let status = "waiting until no listener uses the certificate";
        wait::retry_while_in_use(cx, status, Duration::from_mins(5), async || {
            acm.delete_certificate().certificate_arn(&prior.id).send().await.context("DeleteCertificate")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_>, id: &str) -> Result<Option<Created<Self>>> {
        let acm = cx.client().acm(cx.region()?).await;
        let Some(detail) = describe(&acm, id).await? else { return Ok(None) };
        if detail.r#type() != Some(&CertificateType::Imported) {
            let message =
                format!("the certificate `{id}` was not imported into Certificate Manager, but issued by Amazon");
            let hint = "write its ARN in the program: `Arn::from(\"arn:aws:acm:…\")`; Amazon renews it";
            return Err(ProviderError::refused(message).hint(hint));
        }
        let existing = material(&acm, id, "").await?;
        // A secret, so that the printed declaration has a place for the key.
        let blank = Self::imported(existing.certificate.clone(), "");
        let tags = tags::declared(&tags_of(&acm, id).await?, None);
        Ok(Some(created(&detail, &blank, &existing, tags)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_>, inputs: &Self| {
            Box::pin(async move {
                let Some(material) = inputs.declared()?.or_else(|| cx.earlier().pop()) else {
                    // The request is not sent before the key is recorded.
                    return Ok(Found::Absent);
                };
                let acm = cx.client().acm(cx.region()?).await;
                let Some(detail) = find_created(cx, &acm).await? else { return Ok(Found::Absent) };
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
    // Clocks differ, and the validity includes the current day.
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
    let response = acm.describe_certificate().certificate_arn(arn).send().await.context("DescribeCertificate");
    Ok(found(response)?.and_then(|response| response.certificate))
}

/// Returns an existing certificate with this private key, which the API does not return.
async fn material(acm: &Client, arn: &str, private_key: &str) -> Result<Material> {
    let existing = acm.get_certificate().certificate_arn(arn).send().await.context("GetCertificate")?;
    Ok(Material {
        certificate: existing.certificate.unwrap_or_default(),
        chain: existing.certificate_chain,
        private_key: private_key.to_owned(),
    })
}

/// Returns the certificate that this operation has created.
async fn find_created(cx: &Context<'_>, acm: &Client) -> Result<Option<CertificateDetail>> {
    // Without types of keys, the response contains only certificates with some types.
    let types = KeyAlgorithm::values().iter().map(|name| KeyAlgorithm::from(*name)).collect();
    let listed = acm.list_certificates().includes(Filters::builder().set_key_types(Some(types)).build());
    let mut pages = listed.into_paginator().items().send();
    while let Some(summary) = pages.next().await {
        let summary = summary.context("ListCertificates")?;
        let arn = summary.certificate_arn().unwrap_or_default();
        if tags::are_of_operation(cx, &tags_of(acm, arn).await?) {
            return Ok(describe(acm, arn).await?);
        }
    }
    Ok(None)
}

/// Changes the user-defined tags, by `AddTagsToCertificate` and `RemoveTagsFromCertificate`.
async fn retag(acm: &Client, arn: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Result<()> {
    let (set, removed) = tags::retag::<Tag>(Some(old), new);
    if set.is_some() {
        let call = acm.add_tags_to_certificate().certificate_arn(arn).set_tags(set);
        call.send().await.context("AddTagsToCertificate")?;
    }
    if let Some(removed) = removed {
        // A value in the request would restrict it to tags with that value.
        let tags = removed.into_iter().filter_map(|key| Tag::builder().key(key).build().ok()).collect();
        let call = acm.remove_tags_from_certificate().certificate_arn(arn).set_tags(Some(tags));
        call.send().await.context("RemoveTagsFromCertificate")?;
    }
    Ok(())
}

async fn tags_of(acm: &Client, arn: &str) -> Result<Vec<Tag>> {
    let response = acm.list_tags_for_certificate().certificate_arn(arn).send().await;
    Ok(found(response.context("ListTagsForCertificate"))?.and_then(|response| response.tags).unwrap_or_default())
}

/// Converts the description of a certificate into inputs and outputs. Keeps the recorded spelling of equal texts. The API
/// does not return the private key.
fn created(
    detail: &CertificateDetail,
    recorded: &Certificate,
    material: &Material,
    tags: BTreeMap<String, String>,
) -> Created<Certificate> {
    let arn = detail.certificate_arn().unwrap_or_default();
    let generated = recorded.certificate.is_none();
    let declared = |recorded: &Option<Input<String>>, existing: &Option<String>| {
        let known = recorded.as_ref().and_then(|recorded| recorded.known().ok());
        let same = known.as_deref().map(str::trim) == existing.as_deref().map(str::trim);
        if same { recorded.clone() } else { existing.clone().map(Into::into) }
    };
    let inputs = Certificate {
        names: if generated { recorded.names.clone() } else { Vec::new() },
        certificate: if generated {
            None
        } else {
            declared(&recorded.certificate, &Some(material.certificate.clone()))
        },
        chain: if generated { None } else { declared(&recorded.chain, &material.chain) },
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
    fn generated_certificates_differ_and_can_be_imported() {
        let names = ["shop.example.org".to_owned(), "*.example.org".to_owned()];
        let (one, other) = (generate(&names, 30).unwrap(), generate(&names, 30).unwrap());
        assert_ne!(one.private_key, other.private_key);
        let imported = Certificate::imported(one.certificate, one.private_key);
        assert!(imported.check().is_empty());
        assert!(Certificate::self_signed(names).check().is_empty());
    }

    #[test]
    fn check_names_the_properties() {
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
