//! DHCP options: the set of each region, which all VPCs use.

use super::Ec2Operation;
use crate::domain::names;
use crate::model::Cloud;
use crate::model::{ACCOUNT, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeDhcpOptions", describe, &[&["DhcpOptionsId.N"], FILTERS, PAGES]).on_any()];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    if let Some(missing) = params.texts("DhcpOptionsId").into_iter().find(|id| *id != region.ec2.dhcp_options) {
        return Err(ApiError::new(
            "InvalidDhcpOptionID.NotFound",
            format!("The dhcpOption ID '{missing}' does not exist"),
        ));
    }
    let fields: &[Field<Region>] = &[
        ("dhcp-options-id", |region| vec![region.ec2.dhcp_options.clone()]),
        ("owner-id", |_| vec![ACCOUNT.to_owned()]),
        ("key", |region| options(region).into_iter().map(|(key, _)| key.to_owned()).collect()),
        ("value", |region| options(region).into_iter().map(|(_, value)| value).collect()),
    ];
    let found =
        Filters::parse(params)?.apply(std::iter::once(region), fields, |region| &region.ec2.dhcp_options_tags)?;
    let page = Page::of(found, params, |region| &region.ec2.dhcp_options)?;
    Ok(Node::new().list("dhcpOptionsSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

fn options(region: &Region) -> [(&'static str, String); 2] {
    [("domain-name", names::private_domain(&region.name)), ("domain-name-servers", "AmazonProvidedDNS".to_owned())]
}

fn render(region: &Region) -> Node {
    let configuration = options(region)
        .into_iter()
        .map(|(key, value)| Node::new().with("key", key).list("valueSet", [Node::new().with("value", value)]));
    Node::new()
        .with("dhcpOptionsId", &region.ec2.dhcp_options)
        .with("ownerId", ACCOUNT)
        .list("dhcpConfigurationSet", configuration)
        .with("tagSet", tags::set(&region.ec2.dhcp_options_tags))
}
