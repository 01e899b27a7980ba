//! Internet gateways.

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, resource, select, tags_for, vpc};
use crate::domain::ec2::network_interface;
use crate::model::ec2::gateway::InternetGateway;
use crate::model::{Account, Cloud, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateInternetGateway", create, &[TAG_SPECIFICATIONS]).on(&[resource::NEW_INTERNET_GATEWAY]),
    Operation::writes("DeleteInternetGateway", delete, &[&["InternetGatewayId"]]).on(&[resource::INTERNET_GATEWAY]),
    Operation::writes("AttachInternetGateway", attach, &[&["InternetGatewayId", "VpcId"]])
        .on(&[resource::INTERNET_GATEWAY, resource::VPC]),
    Operation::writes("DetachInternetGateway", detach, &[&["InternetGatewayId", "VpcId"]])
        .on(&[resource::INTERNET_GATEWAY, resource::VPC]),
    Operation::reads("DescribeInternetGateways", describe, &[&["InternetGatewayId.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default quota per region.
const LIMIT: usize = 5;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let tags = tags_for(&call.input, "internet-gateway")?;
    let region = cloud.region_mut(call.region)?;
    if region.ec2.internet_gateways.len() >= LIMIT {
        return Err(ApiError::new(
            "InternetGatewayLimitExceeded",
            "The maximum number of internet gateways has been reached.",
        ));
    }
    let gateway = InternetGateway { tags, ..InternetGateway::new(None) };
    let answer = Node::new().with("internetGateway", render(&gateway, call.account));
    region.ec2.internet_gateways.insert(gateway.id.clone(), gateway);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let gateway = find_mut(region, call.input.required("InternetGatewayId")?)?;
    let id = gateway.id.clone();
    if gateway.vpc_id.is_some() {
        return Err(needed("internetGateway", &id));
    }
    region.ec2.internet_gateways.remove(&id);
    Ok(Node::success())
}

fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let vpc_id = vpc::find(region, params.required("VpcId")?)?.id.clone();
    let id = params.required("InternetGatewayId")?;
    let other = region.internet_gateway_of(&vpc_id).is_some_and(|gateway| gateway.id != id);
    let gateway = find_mut(region, id)?;
    if let Some(held) = &gateway.vpc_id {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("resource {id} is already attached to network {held}"),
        ));
    }
    if other {
        return Err(ApiError::invalid(format!("Network {vpc_id} already has an internet gateway attached")));
    }
    gateway.vpc_id = Some(vpc_id);
    Ok(Node::success())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let vpc_id = vpc::find(region, params.required("VpcId")?)?.id.clone();
    let in_use = has_public_addresses(region, &vpc_id);
    let gateway = find_mut(region, params.required("InternetGatewayId")?)?;
    if gateway.vpc_id.as_ref() != Some(&vpc_id) {
        return Err(ApiError::new(
            "Gateway.NotAttached",
            format!("resource {} is not attached to network {vpc_id}", gateway.id),
        ));
    }
    if in_use {
        return Err(ApiError::new(
            "DependencyViolation",
            format!(
                "Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
            ),
        ));
    }
    gateway.vpc_id = None;
    Ok(Node::success())
}

/// Returns whether an interface of a VPC has a public address.
fn has_public_addresses(region: &Region, vpc_id: &str) -> bool {
    let mut interfaces = network_interface::all(region).into_iter().filter(|it| it.subnet.vpc_id == vpc_id);
    interfaces.any(|interface| interface.addresses().any(|(_, public)| public.is_some()))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("InternetGatewayId");
    for id in &ids {
        check_id(id, "igw", "InvalidInternetGatewayId.Malformed")?;
    }
    let gateways =
        select(&region.ec2.internet_gateways, &ids, "InvalidInternetGatewayID.NotFound", "internetGateway ID")?;
    let fields: &[Field<Located<'_, InternetGateway>>] = &[
        ("internet-gateway-id", |it| vec![it.item.id.clone()]),
        ("attachment.vpc-id", |it| it.item.vpc_id.iter().cloned().collect()),
        ("attachment.state", |it| it.item.vpc_id.iter().map(|_| "available".to_owned()).collect()),
        ("owner-id", |it| vec![it.region.account.to_string()]),
    ];
    let gateways: Vec<_> = gateways.into_iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(gateways.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(it.item, region.account));
    Ok(Node::new().list("internetGatewaySet", nodes).maybe("nextToken", page.next))
}

fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut InternetGateway> {
    check_id(id, "igw", "InvalidInternetGatewayId.Malformed")?;
    region.ec2.internet_gateways.get_mut(id).ok_or_else(|| {
        ApiError::new("InvalidInternetGatewayID.NotFound", format!("The internetGateway ID '{id}' does not exist"))
    })
}

fn render(gateway: &InternetGateway, account: Account) -> Node {
    let attachment = |vpc_id: &String| Node::new().with("vpcId", vpc_id).with("state", "available");
    Node::new()
        .with("internetGatewayId", &gateway.id)
        .with("ownerId", account)
        .list("attachmentSet", gateway.vpc_id.as_ref().map(attachment))
        .with("tagSet", tags::set(&gateway.tags))
}
