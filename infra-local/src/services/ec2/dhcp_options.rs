//! Sets of DHCP options: the set of each region, which VPCs use by default, and those of the account.

use std::collections::BTreeMap;

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, resource, tags_for, vpc};
use crate::domain::names;
use crate::model::ec2::dhcp_options::DhcpOptions;
use crate::model::{Account, Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateDhcpOptions",
        create,
        &[&["DhcpConfiguration.N.Key", "DhcpConfiguration.N.Value.N"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::NEW_DHCP_OPTIONS]),
    Operation::writes("AssociateDhcpOptions", associate, &[&["DhcpOptionsId", "VpcId"]])
        .on(&[resource::DHCP_OPTIONS, resource::VPC]),
    Operation::writes("DeleteDhcpOptions", delete, &[&["DhcpOptionsId"]]).on(&[resource::DHCP_OPTIONS]),
    Operation::reads("DescribeDhcpOptions", describe, &[&["DhcpOptionsId.N"], FILTERS, PAGES]).on_any(),
];

/// The options and their maximum numbers of values.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateDhcpOptions.html>
const OPTIONS: &[(&str, usize)] = &[
    ("domain-name", 1),
    ("domain-name-servers", 4),
    ("ipv6-address-preferred-lease-time", 1),
    ("netbios-name-servers", 4),
    ("netbios-node-type", 1),
    ("ntp-servers", 4),
];

/// Id that stands for no options in AssociateDhcpOptions.
const NONE: &str = "default";

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "dhcp-options")?;
    let mut options = BTreeMap::new();
    for entry in params.structures("DhcpConfiguration") {
        let (key, values) = (entry.required("Key")?, entry.texts("Value"));
        check(key, &values)?;
        options.insert(key.to_owned(), values);
    }
    if options.is_empty() {
        return Err(ApiError::missing("dhcpConfiguration"));
    }
    let set = DhcpOptions { id: new_id("dopt"), options, tags };
    let answer = Node::new().with("dhcpOptions", render(&set, call.account));
    cloud.region_mut(call.region)?.ec2.dhcp_option_sets.insert(set.id.clone(), set);
    Ok(answer)
}

fn check(key: &str, values: &[String]) -> Outcome<()> {
    let Some((_, limit)) = OPTIONS.iter().find(|(known, _)| *known == key) else {
        let message = format!("Value ({key}) for parameter value is invalid. Unknown DHCP option");
        return Err(ApiError::invalid(message));
    };
    let is_node_type = |value: &String| ["1", "2", "4", "8"].contains(&value.as_str());
    if values.is_empty() || values.len() > *limit || (key == "netbios-node-type" && !values.iter().all(is_node_type)) {
        let message =
            format!("Value ({}) for parameter {key} is invalid. Invalid DHCP option value.", values.join(", "));
        return Err(ApiError::invalid(message));
    }
    Ok(())
}

fn associate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("DhcpOptionsId")?.to_owned();
    if id != NONE {
        find(region, &id)?;
    }
    let vpc = vpc::find(region, params.required("VpcId")?)?.id.clone();
    if let Some(vpc) = region.ec2.vpcs.get_mut(&vpc) {
        vpc.dhcp_options = Some(id).filter(|id| *id != region.ec2.dhcp_options);
    }
    Ok(Node::success())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, call.input.required("DhcpOptionsId")?)?.id;
    if region.ec2.vpcs.values().any(|vpc| region.dhcp_options_of(vpc) == id) {
        return Err(needed("dhcpOptions", &id));
    }
    if region.ec2.dhcp_option_sets.remove(&id).is_none() {
        // The set of the region remains: later VPCs start with it.
        return Err(needed("dhcpOptions", &id));
    }
    Ok(Node::success())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("DhcpOptionsId");
    let sets =
        if ids.is_empty() { all(region) } else { ids.iter().map(|id| find(region, id)).collect::<Outcome<_>>()? };
    let fields: &[Field<Located<'_, DhcpOptions>>] = &[
        ("dhcp-options-id", |it| vec![it.item.id.clone()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("key", |it| it.item.options.keys().cloned().collect()),
        ("value", |it| it.item.options.values().flatten().cloned().collect()),
    ];
    let sets: Vec<_> = sets.iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(sets.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(it.item, region.account));
    Ok(Node::new().list("dhcpOptionsSet", nodes).maybe("nextToken", page.next))
}

/// Returns the sets of the account and that of the region.
fn all(region: &Region) -> Vec<DhcpOptions> {
    let of_region = DhcpOptions {
        id: region.ec2.dhcp_options.clone(),
        options: BTreeMap::from([
            ("domain-name".to_owned(), vec![names::private_domain(&region.name)]),
            ("domain-name-servers".to_owned(), vec!["AmazonProvidedDNS".to_owned()]),
        ]),
        tags: region.ec2.dhcp_options_tags.clone(),
    };
    region.ec2.dhcp_option_sets.values().cloned().chain([of_region]).collect()
}

fn find(region: &Region, id: &str) -> Outcome<DhcpOptions> {
    check_id(id, "dopt", "InvalidDhcpOptionsId.Malformed")?;
    all(region).into_iter().find(|set| set.id == id).ok_or_else(|| {
        ApiError::new("InvalidDhcpOptionID.NotFound", format!("The dhcpOption ID '{id}' does not exist"))
    })
}

fn render(set: &DhcpOptions, account: Account) -> Node {
    let configuration = set.options.iter().map(|(key, values)| {
        let values = values.iter().map(|value| Node::new().with("value", value));
        Node::new().with("key", key).list("valueSet", values)
    });
    Node::new()
        .with("dhcpOptionsId", &set.id)
        .with("ownerId", account)
        .list("dhcpConfigurationSet", configuration)
        .with("tagSet", tags::set(&set.tags))
}
