//! OpenID Connect providers.
//!
//! Source: IAM API reference, `CreateOpenIDConnectProvider` and related operations.

use super::{
    IamOperation, PAGES, TAGS, already_exists, check_tags, limit_exceeded, page, parse_tags, resource, validation,
    with_page,
};
use crate::model::Cloud;
use crate::model::iam::OidcProvider;
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

const ARN: &[&str] = &["OpenIDConnectProviderArn"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateOpenIDConnectProvider", create, &[&["Url", "ClientIDList.N", "ThumbprintList.N"], TAGS])
        .on(&[resource::NEW_OIDC_PROVIDER]),
    Operation::reads("GetOpenIDConnectProvider", read, &[ARN]).on(&[resource::OIDC_PROVIDER]),
    Operation::reads("ListOpenIDConnectProviders", list, &[]).on_any(),
    Operation::writes("DeleteOpenIDConnectProvider", delete, &[ARN]).on(&[resource::OIDC_PROVIDER]),
    Operation::writes("UpdateOpenIDConnectProviderThumbprint", update_thumbprints, &[ARN, &["ThumbprintList.N"]])
        .on(&[resource::OIDC_PROVIDER]),
    Operation::writes("AddClientIDToOpenIDConnectProvider", add_client, &[ARN, &["ClientID"]])
        .on(&[resource::OIDC_PROVIDER]),
    Operation::writes("RemoveClientIDFromOpenIDConnectProvider", remove_client, &[ARN, &["ClientID"]])
        .on(&[resource::OIDC_PROVIDER]),
    Operation::writes("TagOpenIDConnectProvider", tag, &[ARN, TAGS]).on(&[resource::OIDC_PROVIDER]),
    Operation::writes("UntagOpenIDConnectProvider", untag, &[ARN, &["TagKeys.N"]]).on(&[resource::OIDC_PROVIDER]),
    Operation::reads("ListOpenIDConnectProviderTags", list_tags, &[ARN, PAGES]).on(&[resource::OIDC_PROVIDER]),
];

const CLIENTS_LIMIT: usize = 100;
const THUMBPRINTS_LIMIT: usize = 5;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let url = params.required("Url")?;
    let rest = url.strip_prefix("https://").filter(|rest| !rest.is_empty() && rest.len() <= 247);
    let rest = rest.ok_or_else(|| validation("Invalid Open ID Connect Provider URL"))?;
    if rest.contains(['?', '#', ':']) {
        return Err(ApiError::new("InvalidInput", "Invalid Open ID Connect Provider URL"));
    }
    let arn = format!("arn:aws:iam::{}:oidc-provider/{rest}", call.account);
    if cloud.iam.oidc_providers.contains_key(&arn) {
        return Err(already_exists(&format!("Provider with url {url}")));
    }
    let provider = OidcProvider {
        arn: arn.clone(),
        url: rest.to_owned(),
        client_ids: checked_clients(params.texts("ClientIDList"))?,
        thumbprints: checked_thumbprints(params.texts("ThumbprintList"))?,
        created: call.now,
        tags: parse_tags(params, "Tags")?,
    };
    let answer = Node::new().with("OpenIDConnectProviderArn", &arn).with("Tags", tags::members(&provider.tags));
    cloud.iam.oidc_providers.insert(arn, provider);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let provider = provider(cloud, call)?;
    Ok(Node::new()
        .with("Url", &provider.url)
        .list("ClientIDList", &provider.client_ids)
        .list("ThumbprintList", &provider.thumbprints)
        .with("CreateDate", provider.created)
        .with("Tags", tags::members(&provider.tags)))
}

#[allow(clippy::unnecessary_wraps)]
fn list(cloud: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let arns = cloud.iam.oidc_providers.keys().map(|arn| Node::new().with("Arn", arn));
    Ok(Node::new().list("OpenIDConnectProviderList", arns))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = provider(cloud, call)?.arn.clone();
    cloud.iam.oidc_providers.remove(&arn);
    Ok(Node::new())
}

fn update_thumbprints(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let thumbprints = checked_thumbprints(call.input.texts("ThumbprintList"))?;
    provider_mut(cloud, call)?.thumbprints = thumbprints;
    Ok(Node::new())
}

fn add_client(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let client = call.input.required("ClientID")?.to_owned();
    let provider = provider_mut(cloud, call)?;
    if !provider.client_ids.contains(&client) {
        provider.client_ids.push(client);
    }
    checked_clients(provider.client_ids.clone())?;
    Ok(Node::new())
}

fn remove_client(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let client = call.input.required("ClientID")?;
    provider_mut(cloud, call)?.client_ids.retain(|known| known != client);
    Ok(Node::new())
}

fn tag(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let added = parse_tags(&call.input, "Tags")?;
    let provider = provider_mut(cloud, call)?;
    provider.tags.extend(added);
    check_tags(&provider.tags)?;
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

fn checked_clients(ids: Vec<String>) -> Outcome<Vec<String>> {
    if ids.len() > CLIENTS_LIMIT {
        return Err(limit_exceeded(format!(
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENTS_LIMIT}"
        )));
    }
    match ids.iter().find(|id| id.is_empty() || id.len() > 255) {
        Some(_) => Err(validation("ClientIDList: Member must have length between 1 and 255, inclusive")),
        None => Ok(ids),
    }
}

fn checked_thumbprints(thumbprints: Vec<String>) -> Outcome<Vec<String>> {
    if thumbprints.len() > THUMBPRINTS_LIMIT {
        return Err(ApiError::new("InvalidInput", "Thumbprint list must contain fewer than 5 entries."));
    }
    match thumbprints.iter().find(|it| it.len() != 40 || !it.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        Some(_) => Err(validation("ThumbprintList: Member must have length 40 and consist of hexadecimal digits")),
        None => Ok(thumbprints),
    }
}

fn provider<'a>(cloud: &'a Cloud, call: &Call<'_, Params>) -> Outcome<&'a OidcProvider> {
    let arn = call.input.required("OpenIDConnectProviderArn")?;
    cloud.iam.oidc_providers.get(arn).ok_or_else(|| unknown(arn))
}

fn provider_mut<'a>(cloud: &'a mut Cloud, call: &Call<'_, Params>) -> Outcome<&'a mut OidcProvider> {
    let arn = call.input.required("OpenIDConnectProviderArn")?;
    cloud.iam.oidc_providers.get_mut(arn).ok_or_else(|| unknown(arn))
}

fn unknown(arn: &str) -> ApiError {
    ApiError::new("NoSuchEntity", format!("OpenIDConnect Provider not found for arn {arn}")).with_status(404)
}
