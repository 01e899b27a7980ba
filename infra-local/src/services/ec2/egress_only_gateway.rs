//! Egress-only internet gateways.

use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, client_token, resource, tags_for, vpc};
use crate::model::ec2::gateway::EgressOnlyGateway;
use crate::model::{Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateEgressOnlyInternetGateway", create, &[&["VpcId", "ClientToken"], TAG_SPECIFICATIONS])
        .on(&[resource::NEW_EGRESS_ONLY_GATEWAY, resource::VPC]),
    Operation::writes("DeleteEgressOnlyInternetGateway", delete, &[&["EgressOnlyInternetGatewayId"]])
        .on(&[resource::EGRESS_ONLY_GATEWAY]),
    Operation::reads(
        "DescribeEgressOnlyInternetGateways",
        describe,
        &[&["EgressOnlyInternetGatewayId.N"], FILTERS, PAGES],
    )
    .on_any(),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "egress-only-internet-gateway")?;
    let region = cloud.region_mut(call.region)?;
    let answer = |gateway: &EgressOnlyGateway| {
        Node::new()
            .maybe("clientToken", params.optional("ClientToken"))
            .with("egressOnlyInternetGateway", render(gateway))
    };
    if let Some(id) = client_token::earlier_result(region, call, "CreateEgressOnlyInternetGateway")? {
        return Ok(answer(find(region, &id)?));
    }
    let vpc_id = vpc::find(region, params.required("VpcId")?)?.id.clone();
    let gateway = EgressOnlyGateway { id: new_id("eigw"), vpc_id, tags };
    let answer = answer(&gateway);
    client_token::remember(region, call, "CreateEgressOnlyInternetGateway", &gateway.id);
    region.ec2.egress_only_gateways.insert(gateway.id.clone(), gateway);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, call.input.required("EgressOnlyInternetGatewayId")?)?.id.clone();
    region.ec2.remove_egress_only_gateway(&id);
    Ok(Node::new().with("returnCode", true))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("EgressOnlyInternetGatewayId");
    for id in &ids {
        find(region, id)?;
    }
    let wanted = region.ec2.egress_only_gateways.values().filter(|it| ids.is_empty() || ids.contains(&it.id));
    let fields: &[Field<EgressOnlyGateway>] = &[];
    let found = Filters::parse(params)?.apply(wanted, fields, |gateway| &gateway.tags)?;
    let page = Page::of(found, params, |gateway| &gateway.id)?;
    let nodes = page.items.into_iter().map(render);
    Ok(Node::new().list("egressOnlyInternetGatewaySet", nodes).maybe("nextToken", page.next))
}

/// Finds a gateway by its id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a EgressOnlyGateway> {
    check_id(id, "eigw", "InvalidEgressOnlyInternetGatewayId.Malformed")?;
    region.ec2.egress_only_gateways.get(id).ok_or_else(|| {
        ApiError::new("InvalidGatewayID.NotFound", format!("The egressOnlyInternetGateway ID '{id}' does not exist"))
    })
}

fn render(gateway: &EgressOnlyGateway) -> Node {
    let attachment = Node::new().with("state", "attached").with("vpcId", &gateway.vpc_id);
    Node::new()
        .with("egressOnlyInternetGatewayId", &gateway.id)
        .list("attachmentSet", [attachment])
        .with("tagSet", tags::set(&gateway.tags))
}
