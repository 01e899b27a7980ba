//! VPC endpoints of AWS's services.

use super::{
    Ec2Operation, TAG_SPECIFICATIONS, check_id, client_token, resource, route_table, security_group, subnet, tags_for,
    time, vpc,
};
use crate::domain::ec2::network_interface;
use crate::domain::ec2::security_group::check_security_groups;
use crate::model::ec2::prefix_list::GATEWAY_SERVICES;
use crate::model::ec2::vpc_endpoint::VpcEndpoint;
use crate::model::{Cloud, Region, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateVpcEndpoint",
        create,
        &[
            &[
                "ClientToken",
                "IpAddressType",
                "PolicyDocument",
                "PrivateDnsEnabled",
                "RouteTableId.N",
                "SecurityGroupId.N",
                "ServiceName",
                "ServiceRegion",
                "SubnetId.N",
                "VpcEndpointType",
                "VpcId",
            ],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::VPC, resource::NEW_VPC_ENDPOINT])
    // The only addresses are IPv4.
    .ignoring(&[&["DnsOptions.DnsRecordIpType", "DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint"]]),
    Operation::writes(
        "ModifyVpcEndpoint",
        modify,
        &[&[
            "AddRouteTableId.N",
            "AddSecurityGroupId.N",
            "AddSubnetId.N",
            "IpAddressType",
            "PolicyDocument",
            "PrivateDnsEnabled",
            "RemoveRouteTableId.N",
            "RemoveSecurityGroupId.N",
            "RemoveSubnetId.N",
            "ResetPolicy",
            "VpcEndpointId",
        ]],
    )
    .on(&[resource::VPC_ENDPOINT])
    // The only addresses are IPv4.
    .ignoring(&[&["DnsOptions.DnsRecordIpType", "DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint"]]),
    Operation::writes("DeleteVpcEndpoints", delete, &[&["VpcEndpointId.N"]]).on(&[resource::VPC_ENDPOINTS]),
    Operation::reads("DescribeVpcEndpoints", describe, &[&["VpcEndpointId.N"], FILTERS, PAGES]).on_any(),
    Operation::reads("DescribeVpcEndpointServices", describe_services, &[&["ServiceName.N"], FILTERS, PAGES]).on_any(),
];

/// The services with interface endpoints.
/// <https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html>
const INTERFACE_SERVICES: &[&str] = &[
    "autoscaling",
    "cloudformation",
    "dynamodb",
    "ec2",
    "ec2messages",
    "ecr.api",
    "ecr.dkr",
    "ecs",
    "ecs-agent",
    "ecs-telemetry",
    "eks",
    "elasticloadbalancing",
    "events",
    "kinesis-streams",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "rds",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssm",
    "ssmmessages",
    "states",
    "sts",
    "xray",
];

/// The policy of an endpoint without another one.
const FULL_ACCESS: &str =
    r#"{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}],"Version":"2008-10-17"}"#;

/// Creates an endpoint. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html>
fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "vpc-endpoint")?;
    let region = cloud.region_mut(call.region)?;
    let answer = |region: &Region, endpoint: &VpcEndpoint| {
        Node::new().with("vpcEndpoint", render(region, endpoint)).maybe("clientToken", params.optional("ClientToken"))
    };
    if let Some(id) = client_token::earlier_result(region, call, "CreateVpcEndpoint")? {
        return Ok(answer(region, find(region, &id)?));
    }
    let vpc = vpc::find(region, params.required("VpcId")?)?;
    let service = params.required("ServiceName")?;
    let gateway = match params.optional("VpcEndpointType").unwrap_or("Gateway") {
        "Gateway" => true,
        "Interface" => false,
        other => {
            return Err(super::not_honoured(format!("The local cloud has no VPC endpoints of the type '{other}'")));
        }
    };
    check_service(region, service, gateway, params.optional("ServiceRegion"))?;
    check_address_type(params)?;
    let private_dns = params.parsed("PrivateDnsEnabled")?.unwrap_or(!gateway);
    if private_dns && !gateway && !(vpc.dns_support && vpc.dns_hostnames) {
        let message = "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to \
                       true for ";
        return Err(ApiError::new("InvalidParameter", format!("{message}{}", vpc.id)));
    }
    let mut endpoint = VpcEndpoint {
        id: new_id("vpce"),
        vpc_id: vpc.id.clone(),
        service: service.to_owned(),
        gateway,
        policy: policy(params)?.unwrap_or(FULL_ACCESS).to_owned(),
        private_dns,
        created: call.now,
        tags,
        ..VpcEndpoint::default()
    };
    add_route_tables(region, &mut endpoint, params.texts("RouteTableId"))?;
    add_subnets(region, &mut endpoint, params.texts("SubnetId"))?;
    if !gateway {
        endpoint.security_groups = params.texts("SecurityGroupId");
        check_security_groups(region, &mut endpoint.security_groups, &endpoint.vpc_id)?;
    }
    client_token::remember(region, call, "CreateVpcEndpoint", &endpoint.id);
    let id = endpoint.id.clone();
    region.ec2.vpc_endpoints.insert(id.clone(), endpoint);
    Ok(answer(region, find(region, &id)?))
}

fn check_service(region: &Region, service: &str, gateway: bool, service_region: Option<&str>) -> Outcome<()> {
    let offered = if gateway { GATEWAY_SERVICES } else { INTERFACE_SERVICES };
    let is_known = offered.iter().any(|name| format!("com.amazonaws.{}.{name}", region.name) == service);
    if is_known && service_region.is_none_or(|name| name == region.name) {
        return Ok(());
    }
    let message = format!("The Vpc Endpoint Service '{service}' does not exist");
    Err(ApiError::new("InvalidServiceName", message))
}

fn check_address_type(params: &Params) -> Outcome<()> {
    match params.optional("IpAddressType") {
        None | Some("ipv4") => Ok(()),
        Some(other) => Err(super::not_honoured(format!(
            "VPC endpoints of the local cloud have the IP address type 'ipv4', not '{other}'"
        ))),
    }
}

fn policy(params: &Params) -> Outcome<Option<&str>> {
    let Some(policy) = params.optional("PolicyDocument").filter(|text| !text.is_empty()) else { return Ok(None) };
    match serde_json::from_str::<serde_json::Value>(policy) {
        Ok(document) if document.get("Statement").is_some() => Ok(Some(policy)),
        _ => Err(ApiError::new("InvalidPolicyDocument", "The policy document is not valid JSON with a Statement")),
    }
}

fn wrong_kind(parameter: &str, endpoint: &VpcEndpoint) -> ApiError {
    let kind = if endpoint.gateway { "Gateway" } else { "Interface" };
    ApiError::new("InvalidParameter", format!("{parameter} cannot be specified for endpoints of type {kind}."))
}

fn add_route_tables(region: &Region, endpoint: &mut VpcEndpoint, ids: Vec<String>) -> Outcome<()> {
    if !ids.is_empty() && !endpoint.gateway {
        return Err(wrong_kind("Route table IDs", endpoint));
    }
    for id in ids {
        if route_table::find(region, &id)?.vpc_id != endpoint.vpc_id {
            let message = format!("Route table {id} and the endpoint belong to different networks");
            return Err(ApiError::invalid(message));
        }
        let mut others = region.ec2.vpc_endpoints.values().filter(|other| other.id != endpoint.id);
        if others.any(|other| other.service == endpoint.service && other.route_tables.contains(&id)) {
            let message =
                format!("route table {id} already has a route with destination-prefix-list-id of {}", endpoint.service);
            return Err(ApiError::new("RouteAlreadyExists", message));
        }
        if !endpoint.route_tables.contains(&id) {
            endpoint.route_tables.push(id);
        }
    }
    Ok(())
}

/// Adds an interface in each subnet, at most one in each zone.
fn add_subnets(region: &mut Region, endpoint: &mut VpcEndpoint, ids: Vec<String>) -> Outcome<()> {
    if !ids.is_empty() && endpoint.gateway {
        return Err(wrong_kind("Subnet IDs", endpoint));
    }
    for id in ids {
        let found = subnet::find(region, &id)?;
        if found.vpc_id != endpoint.vpc_id {
            let message = format!("The subnet ID '{id}' does not exist in the VPC '{}'", endpoint.vpc_id);
            return Err(ApiError::new("InvalidSubnetID.NotFound", message));
        }
        let zone = found.zone.clone();
        let mut own = endpoint.subnets.iter().filter_map(|id| region.ec2.subnets.get(id));
        if own.any(|other| other.zone == zone) {
            let message = format!("Found another VPC endpoint subnet in the availability zone of {id}");
            return Err(ApiError::new("DuplicateSubnetsInSameZone", message));
        }
        let host = region.ec2.subnets.get_mut(&id).and_then(|subnet| subnet.take_host(&endpoint.id));
        if host.is_none() {
            let message = format!("The subnet '{id}' does not have enough free addresses to satisfy the request.");
            return Err(ApiError::new("InsufficientFreeAddressesInSubnet", message));
        }
        endpoint.subnets.push(id);
    }
    Ok(())
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    check_address_type(params)?;
    let region = cloud.region_mut(call.region)?;
    let mut endpoint = find(region, params.required("VpcEndpointId")?)?.clone();
    if params.flag("ResetPolicy")? {
        FULL_ACCESS.clone_into(&mut endpoint.policy);
    } else if let Some(policy) = policy(params)? {
        policy.clone_into(&mut endpoint.policy);
    }
    endpoint.private_dns = params.parsed("PrivateDnsEnabled")?.unwrap_or(endpoint.private_dns);
    let removed = params.texts("RemoveRouteTableId");
    endpoint.route_tables.retain(|id| !removed.contains(id));
    add_route_tables(region, &mut endpoint, params.texts("AddRouteTableId"))?;
    let removed = params.texts("RemoveSubnetId");
    for id in endpoint.subnets.iter().filter(|id| removed.contains(id)) {
        if let Some(subnet) = region.ec2.subnets.get_mut(id) {
            subnet.release_hosts(&endpoint.id);
        }
    }
    endpoint.subnets.retain(|id| !removed.contains(id));
    add_subnets(region, &mut endpoint, params.texts("AddSubnetId"))?;
    let (added, removed) = (params.texts("AddSecurityGroupId"), params.texts("RemoveSecurityGroupId"));
    if !(added.is_empty() && removed.is_empty()) {
        if endpoint.gateway {
            return Err(wrong_kind("Security group IDs", &endpoint));
        }
        endpoint.security_groups.retain(|id| !removed.contains(id) && !added.contains(id));
        endpoint.security_groups.extend(added);
        check_security_groups(region, &mut endpoint.security_groups, &endpoint.vpc_id)?;
    }
    region.ec2.vpc_endpoints.insert(endpoint.id.clone(), endpoint);
    Ok(Node::success())
}

/// Deletes endpoints. The response lists those that do not exist.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let ids = call.input.texts("VpcEndpointId");
    if ids.is_empty() {
        return Err(ApiError::missing("VpcEndpointId"));
    }
    let mut missing = Vec::new();
    for id in &ids {
        match find(region, id) {
            Ok(_) => region.remove_vpc_endpoint(id),
            Err(error) if error.code.ends_with("Malformed") => return Err(error),
            Err(error) => {
                let shown = Node::new().with("code", error.code.as_ref()).with("message", error.message);
                missing.push(Node::new().with("error", shown).with("resourceId", id));
            }
        }
    }
    Ok(Node::new().list("unsuccessful", missing))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("VpcEndpointId");
    for id in &ids {
        find(region, id)?;
    }
    let wanted = region.ec2.vpc_endpoints.values().filter(|endpoint| ids.is_empty() || ids.contains(&endpoint.id));
    let found = Filters::parse(params)?.apply(wanted, FIELDS, |endpoint| &endpoint.tags)?;
    let page = Page::of(found, params, |endpoint| &endpoint.id)?;
    let nodes = page.items.into_iter().map(|endpoint| render(region, endpoint));
    Ok(Node::new().list("vpcEndpointSet", nodes).maybe("nextToken", page.next))
}

const FIELDS: &[Field<VpcEndpoint>] = &[
    ("creation-timestamp", |endpoint| vec![time(endpoint.created)]),
    ("ip-address-type", |_| vec!["ipv4".to_owned()]),
    ("service-name", |endpoint| vec![endpoint.service.clone()]),
    ("service-region", |endpoint| endpoint.service.split('.').nth(2).map(str::to_owned).into_iter().collect()),
    ("vpc-id", |endpoint| vec![endpoint.vpc_id.clone()]),
    ("vpc-endpoint-id", |endpoint| vec![endpoint.id.clone()]),
    ("vpc-endpoint-state", |_| vec!["available".to_owned()]),
    ("vpc-endpoint-type", |endpoint| vec![kind(endpoint).to_owned()]),
];

fn kind(endpoint: &VpcEndpoint) -> &'static str {
    if endpoint.gateway { "Gateway" } else { "Interface" }
}

fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a VpcEndpoint> {
    check_id(id, "vpce", "InvalidVpcEndpointId.Malformed")?;
    let missing =
        || ApiError::new("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist"));
    region.ec2.vpc_endpoints.get(id).ok_or_else(missing)
}

fn render(region: &Region, endpoint: &VpcEndpoint) -> Node {
    let interfaces = network_interface::of_vpc_endpoint(region, endpoint).map(|interface| interface.id);
    let names = (!endpoint.gateway).then(|| dns_entries(region, endpoint));
    let node = Node::new()
        .with("vpcEndpointId", &endpoint.id)
        .with("vpcEndpointType", kind(endpoint))
        .with("vpcId", &endpoint.vpc_id)
        .with("serviceName", &endpoint.service)
        .with("state", "available")
        .with("policyDocument", &endpoint.policy)
        .list("routeTableIdSet", &endpoint.route_tables)
        .list("subnetIdSet", &endpoint.subnets)
        .with("groupSet", security_group::render_groups(region, &endpoint.security_groups))
        .with("privateDnsEnabled", endpoint.private_dns && !endpoint.gateway)
        .with("requesterManaged", false)
        .list("networkInterfaceIdSet", interfaces)
        .list("dnsEntrySet", names.into_iter().flatten())
        .with("creationTimestamp", endpoint.created)
        .with("tagSet", tags::set(&endpoint.tags))
        .with("ownerId", region.account)
        .with("serviceRegion", &region.name);
    if endpoint.gateway {
        return node;
    }
    let options = Node::new().with("dnsRecordIpType", "ipv4");
    node.with("ipAddressType", "ipv4").with("dnsOptions", options)
}

/// Returns the names of an interface endpoint: of the endpoint, and of its service if private DNS is enabled.
fn dns_entries(region: &Region, endpoint: &VpcEndpoint) -> Vec<Node> {
    let digits = endpoint.id.trim_start_matches("vpce-");
    let suffix = &digits[digits.len() - 8..];
    let own = format!("{}-{suffix}.{}.{}.vpce.amazonaws.com", endpoint.id, endpoint.service_name(), region.name);
    let public = format!("{}.{}.amazonaws.com", endpoint.service_name(), region.name);
    let names = std::iter::once(own).chain(endpoint.private_dns.then_some(public));
    names.map(|name| Node::new().with("dnsName", name)).collect()
}

/// A service with an endpoint of one type.
struct Service {
    name: String,
    short: &'static str,
    gateway: bool,
    key: String,
}

fn describe_services(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let all = [(GATEWAY_SERVICES, true), (INTERFACE_SERVICES, false)].into_iter().flat_map(|(names, gateway)| {
        names.iter().map(move |short| {
            let name = format!("com.amazonaws.{}.{short}", region.name);
            Service { key: format!("{name}/{gateway}"), name, short, gateway }
        })
    });
    let all: Vec<Service> = all.collect();
    let names = params.texts("ServiceName");
    if let Some(missing) = names.iter().find(|name| !all.iter().any(|service| service.name == **name)) {
        let message = format!("The Vpc Endpoint Service '{missing}' does not exist");
        return Err(ApiError::new("InvalidServiceName", message));
    }
    let wanted = all.into_iter().filter(|service| names.is_empty() || names.contains(&service.name));
    let fields: &[Field<Service>] = &[
        ("owner", |_| vec!["amazon".to_owned()]),
        ("service-name", |service| vec![service.name.clone()]),
        ("service-region", |service| service.name.split('.').nth(2).map(str::to_owned).into_iter().collect()),
        ("service-type", |service| vec![if service.gateway { "Gateway" } else { "Interface" }.to_owned()]),
        ("supported-ip-address-types", |_| vec!["ipv4".to_owned()]),
    ];
    let found = Filters::parse(params)?.apply_untagged(wanted, fields)?;
    let page = Page::of(found, params, |service| &service.key)?;
    let mut known: Vec<String> = page.items.iter().map(|service| service.name.clone()).collect();
    known.dedup();
    let details = page.items.iter().map(|service| render_service(region, service));
    Ok(Node::new().list("serviceNameSet", known).list("serviceDetailSet", details).maybe("nextToken", page.next))
}

fn render_service(region: &Region, service: &Service) -> Node {
    let public = format!("{}.{}.amazonaws.com", service.short, region.name);
    let kind = Node::new().with("serviceType", if service.gateway { "Gateway" } else { "Interface" });
    let base =
        if service.gateway { public.clone() } else { format!("{}.{}.vpce.amazonaws.com", service.short, region.name) };
    let id = crate::model::ids::derived_id("vpce-svc", &service.key);
    Node::new()
        .with("serviceName", &service.name)
        .with("serviceId", id)
        .list("serviceType", [kind])
        .with("serviceRegion", &region.name)
        .list("availabilityZoneSet", region.zone_names())
        .with("owner", "amazon")
        .list("baseEndpointDnsNameSet", [base])
        .maybe("privateDnsName", (!service.gateway).then_some(&public))
        .with("vpcEndpointPolicySupported", true)
        .with("acceptanceRequired", false)
        .with("managesVpcEndpoints", false)
        .with("tagSet", Node::Items(Vec::new()))
        .list("supportedIpAddressTypeSet", ["ipv4"])
}
