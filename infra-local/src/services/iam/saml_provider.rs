//! Identity providers of SAML 2.0.
//!
//! Source: IAM API reference, `CreateSAMLProvider` and related operations.

use chrono::{DateTime, Months, Utc};

use super::{IamOperation, PAGES, TAGS, already_exists, name, page, resource, with_page};
use crate::model::Cloud;
use crate::model::iam::SamlProvider;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

const ARN: &[&str] = &["SAMLProviderArn"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateSAMLProvider", create, &[&["Name", "SAMLMetadataDocument"], TAGS])
        .on(&[resource::NEW_SAML_PROVIDER]),
    Operation::reads("GetSAMLProvider", read, &[ARN]).on(&[resource::SAML_PROVIDER]),
    Operation::reads("ListSAMLProviders", list, &[]).on_any(),
    Operation::writes("UpdateSAMLProvider", update, &[ARN, &["SAMLMetadataDocument"]]).on(&[resource::SAML_PROVIDER]),
    Operation::writes("DeleteSAMLProvider", delete, &[ARN]).on(&[resource::SAML_PROVIDER]),
    Operation::writes("TagSAMLProvider", tag, &[ARN, TAGS]).on(&[resource::SAML_PROVIDER]),
    Operation::writes("UntagSAMLProvider", untag, &[ARN, &["TagKeys.N"]]).on(&[resource::SAML_PROVIDER]),
    Operation::reads("ListSAMLProviderTags", list_tags, &[ARN, PAGES]).on(&[resource::SAML_PROVIDER]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let arn = format!("arn:aws:iam::{}:saml-provider/{}", call.account, name(params, "Name", 128)?);
    if cloud.iam.saml_providers.contains_key(&arn) {
        return Err(already_exists(&format!("SAML provider {arn}")));
    }
    let metadata = params.required("SAMLMetadataDocument")?;
    let provider = SamlProvider {
        arn: arn.clone(),
        valid_until: valid_until(metadata, call.now)?,
        metadata: metadata.to_owned(),
        created: call.now,
        tags: tags::parse(params, "Tags")?,
    };
    let answer = Node::new().with("SAMLProviderArn", &arn).with("Tags", tags::members(&provider.tags));
    cloud.iam.saml_providers.insert(arn, provider);
    Ok(answer)
}

/// Checks that the metadata of an identity provider contains its issuer, its keys and its sign-in addresses, and returns
/// the date in `validUntil`.
/// <https://docs.oasis-open.org/security/saml/v2.0/saml-metadata-2.0-os.pdf>
fn valid_until(metadata: &str, now: DateTime<Utc>) -> Outcome<DateTime<Utc>> {
    let refuse = || ApiError::new("InvalidInput", "Could not parse metadata");
    let is_complete = ["entityID=", "IDPSSODescriptor", "X509Certificate", "SingleSignOnService"]
        .iter()
        .all(|needed| metadata.contains(needed));
    if !is_complete || !(1000..=10_000_000).contains(&metadata.len()) {
        return Err(refuse());
    }
    match metadata.split_once("validUntil=\"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((date, _)) => date.parse().map_err(|_| refuse()),
        // AWS's default: a hundred years.
        None => now.checked_add_months(Months::new(1200)).ok_or_else(refuse),
    }
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let provider = provider(cloud, call)?;
    Ok(Node::new()
        .with("SAMLMetadataDocument", &provider.metadata)
        .with("CreateDate", provider.created)
        .with("ValidUntil", provider.valid_until)
        .with("Tags", tags::members(&provider.tags)))
}

#[allow(clippy::unnecessary_wraps)]
fn list(cloud: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let providers = cloud.iam.saml_providers.values().map(|provider| {
        Node::new()
            .with("Arn", &provider.arn)
            .with("ValidUntil", provider.valid_until)
            .with("CreateDate", provider.created)
    });
    Ok(Node::new().list("SAMLProviderList", providers))
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let metadata = call.input.required("SAMLMetadataDocument")?;
    let valid_until = valid_until(metadata, call.now)?;
    let provider = provider_mut(cloud, call)?;
    metadata.clone_into(&mut provider.metadata);
    provider.valid_until = valid_until;
    Ok(Node::new().with("SAMLProviderArn", &provider.arn))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = provider(cloud, call)?.arn.clone();
    cloud.iam.saml_providers.remove(&arn);
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = tags::parse(&call.input, "Tags")?;
    let provider = provider_mut(cloud, call)?;
    provider.tags.extend(added);
    tags::check(&provider.tags)?;
    Ok(Node::new())
}

fn untag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let keys = call.input.texts("TagKeys");
    provider_mut(cloud, call)?.tags.retain(|key, _| !keys.contains(key));
    Ok(Node::new())
}

fn list_tags(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let provider = provider(cloud, call)?;
    let page = page(provider.tags.iter().collect(), &call.input, |(key, _): &(&String, &String)| key)?;
    let shown = page.items.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(with_page(Node::new().with("Tags", tags::members(&shown)), page.next))
}

fn provider<'a>(cloud: &'a Cloud, call: &Call<'_, Params>) -> Outcome<&'a SamlProvider> {
    let arn = call.input.required("SAMLProviderArn")?;
    cloud.iam.saml_providers.get(arn).ok_or_else(|| unknown(arn))
}

fn provider_mut<'a>(cloud: &'a mut Cloud, call: &Call<'_, Params>) -> Outcome<&'a mut SamlProvider> {
    let arn = call.input.required("SAMLProviderArn")?;
    cloud.iam.saml_providers.get_mut(arn).ok_or_else(|| unknown(arn))
}

fn unknown(arn: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("Manifest not found for arn {arn}")).with_status(404)
}
