//! Route tables, and their associations with subnets.

use super::client_token::{earlier_result, remember};
use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, resource, select, subnet, tags_for, vpc};
use crate::model::ec2::instance::Instance;
use crate::model::ec2::prefix_list::service_list_id;
use crate::model::ec2::route_table::{Route, RouteTable, RouteTarget, TableAssociation};
use crate::model::{Cloud, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateRouteTable", create, &[&["VpcId", "ClientToken"], TAG_SPECIFICATIONS])
        .on(&[resource::VPC, resource::NEW_ROUTE_TABLE]),
    Operation::writes("DeleteRouteTable", delete, &[&["RouteTableId"]]).on(&[resource::ROUTE_TABLE]),
    Operation::writes("AssociateRouteTable", associate, &[&["RouteTableId", "SubnetId"]])
        .on(&[resource::ROUTE_TABLE, resource::SUBNET]),
    Operation::writes("ReplaceRouteTableAssociation", replace, &[&["AssociationId", "RouteTableId"]])
        .on(&[resource::ROUTE_TABLE]),
    Operation::writes("DisassociateRouteTable", disassociate, &[&["AssociationId"]])
        .on(&[resource::ASSOCIATED_ROUTE_TABLE]),
    Operation::reads("DescribeRouteTables", describe, &[&["RouteTableId.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default quota of route tables per VPC.
const LIMIT: usize = 200;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "route-table")?;
    let region = cloud.region_mut(call.region)?;
    if let Some(known) = earlier_result(region, call, "CreateRouteTable")? {
        return Ok(Node::new().with("routeTable", render(region, find(region, &known)?)));
    }
    let vpc_id = vpc::find(region, params.required("VpcId")?)?.id.clone();
    if region.ec2.route_tables.values().filter(|table| table.vpc_id == vpc_id).count() >= LIMIT {
        return Err(ApiError::new(
            "RouteTableLimitExceeded",
            format!("The maximum number of route tables has been reached for VPC '{vpc_id}'."),
        ));
    }
    let table = RouteTable { tags, ..RouteTable::new(&vpc_id) };
    let answer = Node::new().with("routeTable", render(region, &table));
    remember(region, call, "CreateRouteTable", &table.id);
    region.ec2.route_tables.insert(table.id.clone(), table);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let table = find(region, call.input.required("RouteTableId")?)?;
    let id = table.id.clone();
    if !table.associations.is_empty() {
        return Err(needed("routeTable", &id));
    }
    for endpoint in region.ec2.vpc_endpoints.values_mut() {
        endpoint.route_tables.retain(|table| *table != id);
    }
    region.ec2.remove_route_table(&id);
    Ok(Node::success())
}

fn associate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let table = find(region, params.required("RouteTableId")?)?;
    let subnet = subnet::find(region, params.required("SubnetId")?)?;
    let (table_id, subnet_id) = (table.id.clone(), subnet.id.clone());
    if table.vpc_id != subnet.vpc_id {
        return Err(ApiError::invalid(format!(
            "Route table {table_id} and subnet {subnet_id} belong to different networks"
        )));
    }
    let taken = |table: &RouteTable| {
        table
            .associations
            .iter()
            .find(|current| current.subnet_id.as_ref() == Some(&subnet_id))
            .map(|current| current.id.clone())
    };
    // A repeated association returns the existing one.
    if let Some(id) = taken(table) {
        return Ok(associated("associationId", &id));
    }
    if region.ec2.route_tables.values().any(|table| taken(table).is_some()) {
        return Err(ApiError::new(
            "Resource.AlreadyAssociated",
            format!("the specified association for route table {table_id} conflicts with an existing association"),
        ));
    }
    let association = TableAssociation::new(Some(subnet_id));
    let answer = associated("associationId", &association.id);
    find_mut(region, &table_id)?.associations.push(association);
    Ok(answer)
}

/// Moves an association, or the role of the main table, to another table.
fn replace(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = params.required("AssociationId")?;
    let table = find(region, params.required("RouteTableId")?)?;
    let (table_id, vpc_id) = (table.id.clone(), table.vpc_id.clone());
    let held_by = holder(region, id)?;
    if held_by.vpc_id != vpc_id {
        return Err(ApiError::invalid(format!(
            "Route table {table_id} and association {id} belong to different networks"
        )));
    }
    let held_by = held_by.id.clone();
    let removed = take_association(region, &held_by, id)?;
    let association = TableAssociation::new(removed.subnet_id);
    let answer = associated("newAssociationId", &association.id);
    find_mut(region, &table_id)?.associations.push(association);
    Ok(answer)
}

fn disassociate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = call.input.required("AssociationId")?;
    let held_by = holder(region, id)?.id.clone();
    if take_association(region, &held_by, id)?.subnet_id.is_none() {
        return Err(ApiError::invalid(format!("cannot disassociate the main route table association {id}")));
    }
    Ok(Node::success())
}

fn take_association(region: &mut Region, table: &str, id: &str) -> Outcome<TableAssociation> {
    let associations = &mut find_mut(region, table)?.associations;
    let position = associations.iter().position(|association| association.id == id);
    position.map(|position| associations.remove(position)).ok_or_else(|| no_association(id))
}

/// Returns the table that has this association.
fn holder<'a>(region: &'a Region, association: &str) -> Outcome<&'a RouteTable> {
    check_id(association, "rtbassoc", "InvalidAssociationID.Malformed")?;
    let mut tables = region.ec2.route_tables.values();
    let found = tables.find(|table| table.associations.iter().any(|current| current.id == association));
    found.ok_or_else(|| no_association(association))
}

fn no_association(id: &str) -> ApiError {
    ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
}

fn associated(name: &'static str, id: &str) -> Node {
    Node::new().with(name, id).with("associationState", Node::new().with("state", "associated"))
}

/// Returns the table with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a RouteTable> {
    check_id(id, "rtb", "InvalidRouteTableId.Malformed")?;
    region.ec2.route_tables.get(id).ok_or_else(|| not_found(id))
}

/// Returns the table with this id for modification.
pub(super) fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut RouteTable> {
    region.ec2.route_tables.get_mut(id).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidRouteTableID.NotFound", format!("The routeTable ID '{id}' does not exist"))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("RouteTableId");
    for id in &ids {
        check_id(id, "rtb", "InvalidRouteTableId.Malformed")?;
    }
    let tables = select(&region.ec2.route_tables, &ids, "InvalidRouteTableID.NotFound", "routeTable ID")?;
    let fields: &[Field<Located<'_, RouteTable>>] = &[
        ("route-table-id", |it| vec![it.item.id.clone()]),
        ("vpc-id", |it| vec![it.item.vpc_id.clone()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("association.route-table-association-id", |it| {
            it.item.associations.iter().map(|association| association.id.clone()).collect()
        }),
        ("association.route-table-id", |it| it.item.associations.iter().map(|_| it.item.id.clone()).collect()),
        ("association.subnet-id", |it| {
            it.item.associations.iter().filter_map(|association| association.subnet_id.clone()).collect()
        }),
        ("association.main", |it| {
            it.item.associations.iter().map(|association| association.subnet_id.is_none().to_string()).collect()
        }),
        ("route.destination-cidr-block", |it| {
            let all = destinations(it.region, it.item).into_iter();
            all.filter(|it| !it.contains(':') && !it.starts_with("pl-")).collect()
        }),
        ("route.destination-ipv6-cidr-block", |it| {
            destinations(it.region, it.item).into_iter().filter(|it| it.contains(':')).collect()
        }),
        ("route.destination-prefix-list-id", |it| {
            destinations(it.region, it.item).into_iter().filter(|it| it.starts_with("pl-")).collect()
        }),
        ("route.egress-only-internet-gateway-id", |it| {
            targets(it.item, |target| matches!(target, RouteTarget::EgressOnly(_)))
        }),
        ("association.gateway-id", |_| Vec::new()),
        ("route.instance-id", |it| {
            let targets = it.item.routes.iter().map(|route| &route.target);
            targets.filter_map(|target| Some(instance_of(it.region, target)?.id.clone())).collect()
        }),
        ("route.transit-gateway-id", |_| Vec::new()),
        ("route.gateway-id", |it| {
            let others = it.item.routes.iter().filter_map(|route| match &route.target {
                RouteTarget::InternetGateway(id) => Some(id.clone()),
                _ => None,
            });
            others.chain(["local".to_owned()]).collect()
        }),
        ("route.nat-gateway-id", |it| targets(it.item, |target| matches!(target, RouteTarget::NatGateway(_)))),
        ("route.vpc-peering-connection-id", |it| targets(it.item, |target| matches!(target, RouteTarget::Peering(_)))),
        ("route.origin", |it| {
            let others = it.item.routes.iter().map(|_| "CreateRoute".to_owned());
            others.chain(["CreateRouteTable".to_owned()]).collect()
        }),
        ("route.state", |it| {
            let others = it.item.routes.iter().map(|route| state(it.region, it.item, route).to_owned());
            others.chain(["active".to_owned()]).collect()
        }),
    ];
    let tables: Vec<_> = tables.into_iter().map(|item| Located { region, item }).collect();
    let tables = Filters::parse(params)?.apply(tables.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(tables, params, |it| &it.item.id)?;
    Ok(Node::new()
        .list("routeTableSet", page.items.into_iter().map(|it| render(region, it.item)))
        .maybe("nextToken", page.next))
}

fn targets(table: &RouteTable, wanted: fn(&RouteTarget) -> bool) -> Vec<String> {
    let routes = table.routes.iter().filter(|route| wanted(&route.target));
    routes.map(|route| route.target.id().to_owned()).collect()
}

/// Returns the instance that a route leads to.
fn instance_of<'a>(region: &'a Region, target: &RouteTarget) -> Option<&'a Instance> {
    match target {
        RouteTarget::NetworkInterface(id) => region.instance_of_interface(id),
        _ => None,
    }
}

/// Returns the ranges that are routed within the VPC, of IPv4 and then of IPv6.
fn local_ranges(region: &Region, table: &RouteTable) -> Vec<String> {
    let Some(vpc) = region.ec2.vpcs.get(&table.vpc_id) else { return Vec::new() };
    let ranges = vpc.ranges().map(|range| range.to_string());
    ranges.chain(vpc.ipv6.iter().map(|own| own.cidr.clone())).collect()
}

/// Returns the destinations of all routes.
fn destinations(region: &Region, table: &RouteTable) -> Vec<String> {
    let others = table.routes.iter().map(|route| route.destination.clone());
    others.chain(local_ranges(region, table)).collect()
}

/// Returns the name of the element of a destination.
fn element_of(destination: &str) -> &'static str {
    match destination {
        list if list.starts_with("pl-") => "destinationPrefixListId",
        range if range.contains(':') => "destinationIpv6CidrBlock",
        _ => "destinationCidrBlock",
    }
}

fn state(region: &Region, table: &RouteTable, route: &Route) -> &'static str {
    if region.is_alive(&table.vpc_id, &route.target) { "active" } else { "blackhole" }
}

fn render(region: &Region, table: &RouteTable) -> Node {
    let local = local_ranges(region, table).into_iter().map(|range| {
        Node::new()
            .with(element_of(&range), &range)
            .with("gatewayId", "local")
            .with("state", "active")
            .with("origin", "CreateRouteTable")
    });
    let others = table.routes.iter().map(|route| {
        let name = match route.target {
            RouteTarget::InternetGateway(_) => "gatewayId",
            RouteTarget::NatGateway(_) => "natGatewayId",
            RouteTarget::Peering(_) => "vpcPeeringConnectionId",
            RouteTarget::EgressOnly(_) => "egressOnlyInternetGatewayId",
            RouteTarget::NetworkInterface(_) => "networkInterfaceId",
        };
        let instance = instance_of(region, &route.target);
        Node::new()
            .with(element_of(&route.destination), &route.destination)
            .with(name, route.target.id())
            .maybe("instanceId", instance.map(|instance| &instance.id))
            .maybe("instanceOwnerId", instance.map(|_| region.account))
            .with("state", state(region, table, route))
            .with("origin", "CreateRoute")
    });
    let endpoints = region.ec2.vpc_endpoints.values().filter(|endpoint| endpoint.route_tables.contains(&table.id));
    let endpoints = endpoints.map(|endpoint| {
        Node::new()
            .with("destinationPrefixListId", service_list_id(&region.name, endpoint.service_name()))
            .with("gatewayId", &endpoint.id)
            .with("state", "active")
            .with("origin", "CreateRoute")
    });
    let associations = table.associations.iter().map(|association| {
        Node::new()
            .with("routeTableAssociationId", &association.id)
            .with("routeTableId", &table.id)
            .maybe("subnetId", association.subnet_id.as_ref())
            .with("main", association.subnet_id.is_none())
            .with("associationState", Node::new().with("state", "associated"))
    });
    Node::new()
        .with("routeTableId", &table.id)
        .with("vpcId", &table.vpc_id)
        .with("ownerId", region.account)
        .list("routeSet", local.chain(others).chain(endpoints))
        .list("associationSet", associations)
        .list("propagatingVgwSet", Vec::<Node>::new())
        .with("tagSet", tags::set(&table.tags))
}
