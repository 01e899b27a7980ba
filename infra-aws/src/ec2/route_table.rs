//! `aws:ec2:RouteTable`: the routes of subnets.

use super::{filter, operation_filter, retag, rule::canonical_cidr, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};
use infra_core::value::Unresolved;
use std::{collections::BTreeSet, time::Duration};

/// Lifetime of a client token. AWS does not document it for route tables.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// A route table: the next hops of the packets that leave its subnets.
///
/// Packets within the VPC are always routed locally. The table contains exactly the declared IPv4 routes and subnets:
/// other ones are removed by the next update. Propagated routes, and routes for IPv6 ranges and prefix lists, are left
/// unchanged.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// # let subnet = virginia.add("subnet", Subnet::of(&vpc.id, "10.0.1.0/24"));
/// # let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
/// virginia.add("routes", RouteTable {
///     routes: vec![Route::to("0.0.0.0/0").by_internet_gateway(&gateway.id)],
///     subnets: vec![subnet.id],
///     ..RouteTable::of(&vpc.id)
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateRouteTable`; `DescribeRouteTables` until the table is visible; `CreateRoute` for each route;
///   `AssociateRouteTable` for each subnet, or `ReplaceRouteTableAssociation` for one with another table
/// - Read: `DescribeRouteTables`
/// - Update: `DescribeRouteTables`, `CreateRoute`, `ReplaceRoute`, `DeleteRoute`, `AssociateRouteTable`,
///   `ReplaceRouteTableAssociation`, `DisassociateRouteTable`, `CreateTags`, `DeleteTags`
/// - Delete: `DescribeRouteTables`, `DisassociateRouteTable`, `DeleteRouteTable`
///
/// # Replacement
/// A change of `vpc_id` replaces the table, because a table belongs to one VPC. The new table is created before the
/// previous one is deleted. Routes and subnets change in place.
///
/// # Import
/// The import takes the id of the table. A route to an instance is printed with its network interface. A table with a
/// route to another target, such as a transit gateway, is refused, because an `up` would remove the route.
///
/// ```console
/// $ stack import aws:ec2:RouteTable routes rtb-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:RouteTable")]
pub struct RouteTable {
    /// Id of the VPC that contains the table. A change replaces the table.
    #[resource(replace)]
    pub vpc_id: Input<VpcId>,
    /// Routes, at most one for each destination. The most specific route that matches a destination applies.
    pub routes: Vec<Route>,
    /// Ids of the subnets that use the table.
    pub subnets: Vec<Input<SubnetId>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// A route with exactly one target: `Route::to("0.0.0.0/0").by_internet_gateway(gateway.id)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Route {
    /// IPv4 range of the destinations: `10.1.0.0/16`; `0.0.0.0/0` contains all addresses.
    pub destination: Input<String>,
    /// Id of the internet gateway that is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_gateway: Option<Input<InternetGatewayId>>,
    /// Id of the NAT gateway that is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_gateway: Option<Input<NatGatewayId>>,
    /// Id of the VPC peering connection that is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peering: Option<Input<VpcPeeringId>>,
    /// Id of the instance that is the target, such as a NAT instance, with one network interface and without
    /// [`source_dest_check`](crate::Instance::source_dest_check).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Input<InstanceId>>,
    /// Id of the network interface that is the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface: Option<Input<NetworkInterfaceId>>,
}

/// Outputs of a [`RouteTable`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct RouteTableOutputs {
    /// Id of the table, `rtb-…`.
    #[output(regional)]
    pub id: Output<RouteTableId>,
}

impl RouteTable {
    /// Returns a table of this VPC without routes and subnets.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), routes: Vec::new(), subnets: Vec::new(), tags: BTreeMap::new() }
    }

    /// Adds a route.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds a subnet.
    pub fn subnet(mut self, subnet: impl Into<Input<SubnetId>>) -> Self {
        self.subnets.push(subnet.into());
        self
    }
}

impl Route {
    /// Returns a route to these destinations, which still needs a target.
    pub fn to(destination: impl Into<Input<String>>) -> Self {
        Self {
            destination: destination.into(),
            internet_gateway: None,
            nat_gateway: None,
            peering: None,
            instance: None,
            network_interface: None,
        }
    }

    /// Sets an internet gateway as the target.
    pub fn by_internet_gateway(mut self, gateway: impl Into<Input<InternetGatewayId>>) -> Self {
        self.internet_gateway = Some(gateway.into());
        self
    }

    /// Sets a NAT gateway as the target.
    pub fn by_nat_gateway(mut self, gateway: impl Into<Input<NatGatewayId>>) -> Self {
        self.nat_gateway = Some(gateway.into());
        self
    }

    /// Sets a VPC peering connection as the target.
    pub fn by_peering(mut self, peering: impl Into<Input<VpcPeeringId>>) -> Self {
        self.peering = Some(peering.into());
        self
    }

    /// Sets an instance as the target.
    pub fn by_instance(mut self, instance: impl Into<Input<InstanceId>>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets a network interface as the target.
    pub fn by_network_interface(mut self, interface: impl Into<Input<NetworkInterfaceId>>) -> Self {
        self.network_interface = Some(interface.into());
        self
    }

    /// Returns the canonical destination and the target.
    fn known(&self) -> Result<(String, Target), Unresolved> {
        let destination = self.destination.known()?;
        let target = if let Some(id) = &self.internet_gateway {
            Target::InternetGateway(id.known()?.to_string())
        } else if let Some(id) = &self.nat_gateway {
            Target::NatGateway(id.known()?.to_string())
        } else if let Some(id) = &self.peering {
            Target::Peering(id.known()?.to_string())
        } else if let Some(id) = &self.instance {
            Target::Interface { instance: Some(id.known()?.to_string()), interface: None }
        } else if let Some(id) = &self.network_interface {
            Target::Interface { instance: None, interface: Some(id.known()?.to_string()) }
        } else {
            Target::Other
        };
        Ok((canonical_cidr(&destination).unwrap_or(destination), target))
    }

    fn problem(&self, property: &str) -> Option<Problem> {
        let targets = [
            self.internet_gateway.is_some(),
            self.nat_gateway.is_some(),
            self.peering.is_some(),
            self.instance.is_some(),
            self.network_interface.is_some(),
        ];
        if targets.into_iter().filter(|target| *target).count() != 1 {
            return Some(Problem::new(property, "a route has exactly one target").hint(
                "call one of `by_internet_gateway`, `by_nat_gateway`, `by_peering`, `by_instance` and \
                 `by_network_interface`",
            ));
        }
        let destination = self.destination.known().ok()?;
        let is_range = canonical_cidr(&destination).is_some_and(|range| !range.contains(':'));
        (!is_range).then(|| {
            Problem::new(property, format!("`{destination}` is not an IPv4 address range"))
                .hint("write an address and a prefix length: `10.1.0.0/16`; all addresses are `0.0.0.0/0`")
        })
    }
}

impl AwsResource for RouteTable {}

impl Described for RouteTable {
    type Client = Aws;
    type Api = Client;
    type Description = types::RouteTable;

    const FOUND_BY: FoundBy = FoundBy::Token(TOKEN_LIFETIME);

    fn check(&self) -> Vec<Problem> {
        let property = |at: usize| format!("routes[{at}]");
        let routes = self.routes.iter().enumerate();
        let mut problems: Vec<Problem> = routes.filter_map(|(at, route)| route.problem(&property(at))).collect();
        let mut destinations = BTreeSet::new();
        for (at, route) in self.routes.iter().enumerate() {
            let Ok((destination, _)) = route.known() else { continue };
            if !destinations.insert(destination.clone()) {
                let message = format!("there are two routes to {destination}");
                problems.push(Problem::new(property(at), message).hint("remove one of them"));
            }
        }
        problems
    }

    fn check_import(table: &Self::Description) -> Result<()> {
        let Some(destination) =
            routes(table).into_iter().find_map(|(to, target)| (target == Target::Other).then_some(to))
        else {
            return Ok(());
        };
        let id = table.route_table_id().unwrap_or_default();
        Err(ProviderError::refused(format!(
            "the route of {id} to {destination} has a target that a `Route` cannot contain"
        ))
        .hint("declare the table and its routes by `CloudResource`"))
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let call = ec2
            .create_route_table()
            .client_token(cx.operation().as_str())
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .tag_specifications(tag_specification(cx, types::ResourceType::RouteTable, &inputs.tags));
        let status = "waiting until the VPC is visible";
        let response = wait::retry_while_inconsistent(cx, status, &["InvalidVpcID.NotFound"], async || {
            call.clone().send().await.context("CreateRouteTable")
        });
        let table = response.await?.route_table;
        table.ok_or_else(|| ProviderError::unsure("CreateRouteTable returned no table"))
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let table = wait::visible(cx, ec2, &update).await?;
        change_routes(cx, ec2, &table, update.new).await?;
        change_subnets(cx, ec2, &table, update.new).await?;
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let Some(table) = Self::describe(cx, ec2, &prior.id).await? else { return Ok(()) };
        for association in associations(&table).into_values() {
            disassociate(ec2, &association).await?;
        }
        let deleted =
            wait::retry_while_in_use(cx, "waiting until no subnet uses the table", wait::CONSISTENCY, async || {
                ec2.delete_route_table().route_table_id(&prior.id).send().await.context("DeleteRouteTable")
            });
        Ok(deleted.await.map(drop)?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_route_tables().route_table_ids(id).send().await.context("DescribeRouteTables");
        Ok(found(response)?.and_then(|response| response.route_tables?.pop()))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Self::Description>> {
        let call = ec2.describe_route_tables().filters(operation_filter(cx));
        Ok(call.send().await.context("DescribeRouteTables")?.route_tables.and_then(|mut tables| tables.pop()))
    }

    fn normalize(table: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = table.route_table_id().unwrap_or_default();
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                vpc_id: VpcId::from(table.vpc_id().unwrap_or_default()).into(),
                routes: routes_as_recorded(table, recorded.map_or(&[], |recorded| &recorded.routes)),
                subnets: subnets_as_recorded(table, recorded.map_or(&[], |recorded| &recorded.subnets)),
                tags: tags::declared(table.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: RouteTableOutputs { id: RouteTableId::from(id).into() },
        }
    }
}

/// Target of a route, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    InternetGateway(String),
    NatGateway(String),
    Peering(String),
    /// A network interface. EC2 describes the one of an instance by both ids, and a declaration contains one of them.
    Interface {
        instance: Option<String>,
        interface: Option<String>,
    },
    /// A target that a declaration cannot contain, such as a transit gateway.
    Other,
}

impl Target {
    /// Returns whether this declared target is the existing one.
    fn is(&self, existing: &Self) -> bool {
        match (self, existing) {
            (Self::Interface { instance: Some(id), .. }, Self::Interface { instance, .. }) => {
                Some(id) == instance.as_ref()
            }
            (Self::Interface { interface, .. }, Self::Interface { interface: existing, .. }) => interface == existing,
            _ => self == existing,
        }
    }
}

/// Creates, replaces and deletes the routes that differ.
async fn change_routes(cx: &Context<'_>, ec2: &Client, table: &types::RouteTable, inputs: &RouteTable) -> Result<()> {
    let id = table.route_table_id().unwrap_or_default();
    let wanted = inputs.routes.iter().map(Route::known).collect::<Result<BTreeMap<_, _>, _>>()?;
    let existing = routes(table);
    for (destination, target) in &wanted {
        let current = existing.get(destination);
        if !current.is_some_and(|current| target.is(current)) {
            set_route(cx, ec2, id, destination, target, current.is_some()).await?;
        }
    }
    for destination in existing.keys().filter(|destination| !wanted.contains_key(*destination)) {
        let call = ec2.delete_route().route_table_id(id).destination_cidr_block(destination);
        found(call.send().await.context("DeleteRoute"))?;
    }
    Ok(())
}

/// The id of a target in the parameter of its kind.
#[derive(Clone, Default)]
struct TargetIds {
    gateway: Option<String>,
    nat_gateway: Option<String>,
    peering: Option<String>,
    instance: Option<String>,
    interface: Option<String>,
}

/// Creates a route, or replaces the one with the same destination.
async fn set_route(
    cx: &Context<'_>,
    ec2: &Client,
    id: &str,
    destination: &str,
    target: &Target,
    replace: bool,
) -> Result<()> {
    let mut ids = TargetIds::default();
    match target.clone() {
        Target::InternetGateway(id) => ids.gateway = Some(id),
        Target::NatGateway(id) => ids.nat_gateway = Some(id),
        Target::Peering(id) => ids.peering = Some(id),
        Target::Interface { instance, interface } => {
            ids.instance = instance;
            ids.interface = interface;
        }
        Target::Other => {}
    }
    let status = "waiting until the target of the route is visible";
    let codes = [
        "InvalidGatewayID.NotFound",
        "InvalidInstanceID.NotFound",
        "InvalidNatGatewayID.NotFound",
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidVpcPeeringConnectionID.NotFound",
    ];
    let set = wait::retry_while_inconsistent(cx, status, &codes, async || {
        if replace {
            let call = ec2.replace_route().route_table_id(id).destination_cidr_block(destination);
            let TargetIds { gateway, nat_gateway, peering, instance, interface } = ids.clone();
            let call = call.set_gateway_id(gateway).set_nat_gateway_id(nat_gateway);
            let call = call.set_vpc_peering_connection_id(peering);
            let call = call.set_instance_id(instance).set_network_interface_id(interface);
            call.send().await.context("ReplaceRoute").map(drop)
        } else {
            let call = ec2.create_route().route_table_id(id).destination_cidr_block(destination);
            let TargetIds { gateway, nat_gateway, peering, instance, interface } = ids.clone();
            let call = call.set_gateway_id(gateway).set_nat_gateway_id(nat_gateway);
            let call = call.set_vpc_peering_connection_id(peering);
            let call = call.set_instance_id(instance).set_network_interface_id(interface);
            call.send().await.context("CreateRoute").map(drop)
        }
    });
    Ok(set.await?)
}

/// Associates and disassociates the subnets that differ.
async fn change_subnets(cx: &Context<'_>, ec2: &Client, table: &types::RouteTable, inputs: &RouteTable) -> Result<()> {
    let id = table.route_table_id().unwrap_or_default();
    let wanted = inputs.subnets.iter().map(|subnet| Ok(subnet.known()?.to_string()));
    let wanted = wanted.collect::<Result<BTreeSet<String>, Unresolved>>()?;
    let existing = associations(table);
    for subnet in wanted.iter().filter(|subnet| !existing.contains_key(*subnet)) {
        associate(cx, ec2, id, subnet).await?;
    }
    for (_, association) in existing.iter().filter(|(subnet, _)| !wanted.contains(*subnet)) {
        disassociate(ec2, association).await?;
    }
    Ok(())
}

/// Associates a subnet with the table, in place of its current table.
async fn associate(cx: &Context<'_>, ec2: &Client, id: &str, subnet: &str) -> Result<()> {
    let status = "waiting until the subnet is visible";
    let associated = wait::retry_while_inconsistent(cx, status, &["InvalidSubnetID.NotFound"], async || {
        let call = ec2.associate_route_table().route_table_id(id).subnet_id(subnet);
        call.send().await.context("AssociateRouteTable").map(drop)
    });
    match associated.await {
        Err(error) if error.has_code(&["Resource.AlreadyAssociated"]) => {
            let call = ec2.describe_route_tables().filters(filter("association.subnet-id", subnet));
            let tables = call.send().await.context("DescribeRouteTables")?;
            let current = tables.route_tables().iter().find_map(|table| associations(table).remove(subnet));
            let call = ec2.replace_route_table_association().route_table_id(id);
            let call = call.association_id(current.ok_or(error)?);
            Ok(call.send().await.context("ReplaceRouteTableAssociation").map(drop)?)
        }
        associated => Ok(associated?),
    }
}

/// Removes an association, unless another table has replaced it.
async fn disassociate(ec2: &Client, association: &str) -> Result<()> {
    let call = ec2.disassociate_route_table().association_id(association);
    Ok(found(call.send().await.context("DisassociateRouteTable")).map(drop)?)
}

/// Returns the targets of the table's routes by destination, without the local route and propagated routes.
fn routes(table: &types::RouteTable) -> BTreeMap<String, Target> {
    let created = table.routes().iter().filter(|route| route.origin() == Some(&types::RouteOrigin::CreateRoute));
    created
        .filter_map(|route| {
            let target = match (route.gateway_id(), route.nat_gateway_id(), route.vpc_peering_connection_id()) {
                (Some(id), _, _) if id.starts_with("igw-") => Target::InternetGateway(id.to_owned()),
                (_, Some(id), _) => Target::NatGateway(id.to_owned()),
                (_, _, Some(id)) => Target::Peering(id.to_owned()),
                _ if route.network_interface_id().is_some() => Target::Interface {
                    instance: route.instance_id().map(str::to_owned),
                    interface: route.network_interface_id().map(str::to_owned),
                },
                _ => Target::Other,
            };
            Some((route.destination_cidr_block()?.to_owned(), target))
        })
        .collect()
}

/// Returns the ids of associations by subnet.
fn associations(table: &types::RouteTable) -> BTreeMap<String, String> {
    let pair = |subnet: Option<&str>, id: Option<&str>| Some((subnet?.to_owned(), id?.to_owned()));
    let associations = table.associations().iter();
    associations.filter_map(|each| pair(each.subnet_id(), each.route_table_association_id())).collect()
}

/// Returns the table's routes: the unchanged recorded ones in their order and spelling, and then all others.
fn routes_as_recorded(table: &types::RouteTable, recorded: &[Route]) -> Vec<Route> {
    let mut rest = routes(table);
    let mut unchanged = |route: &&Route| {
        let Ok((destination, target)) = route.known() else { return false };
        rest.get(&destination).is_some_and(|existing| target.is(existing)) && rest.remove(&destination).is_some()
    };
    let mut all: Vec<Route> = recorded.iter().filter(&mut unchanged).cloned().collect();
    all.extend(rest.into_iter().map(|(destination, target)| {
        let route = Route::to(destination);
        match target {
            Target::InternetGateway(id) => route.by_internet_gateway(InternetGatewayId::from(id)),
            Target::NatGateway(id) => route.by_nat_gateway(NatGatewayId::from(id)),
            Target::Peering(id) => route.by_peering(VpcPeeringId::from(id)),
            Target::Interface { interface: Some(id), .. } => route.by_network_interface(NetworkInterfaceId::from(id)),
            Target::Interface { instance: Some(id), .. } => route.by_instance(InstanceId::from(id)),
            Target::Interface { .. } | Target::Other => route,
        }
    }));
    all
}

/// Returns the table's subnets: the recorded ones in their order, and then all others.
fn subnets_as_recorded(table: &types::RouteTable, recorded: &[Input<SubnetId>]) -> Vec<Input<SubnetId>> {
    let mut rest = associations(table);
    let mut kept = |subnet: &&Input<SubnetId>| subnet.known().is_ok_and(|id| rest.remove(id.as_str()).is_some());
    let mut all: Vec<Input<SubnetId>> = recorded.iter().filter(&mut kept).cloned().collect();
    all.extend(rest.into_keys().map(|id| SubnetId::from(id).into()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> RouteTable {
        RouteTable::of(VpcId::from("vpc-1"))
            .route(Route::to("10.1.2.3/16").by_peering(VpcPeeringId::from("pcx-1")))
            .route(Route::to("0.0.0.0/0").by_nat_gateway(NatGatewayId::from("nat-1")))
            .subnet(SubnetId::from("subnet-2"))
            .subnet(SubnetId::from("subnet-1"))
    }

    fn description(peering: &str) -> types::RouteTable {
        use types::RouteOrigin::{CreateRoute, CreateRouteTable};
        let route = |destination: &str| types::Route::builder().destination_cidr_block(destination);
        let association = |subnet: &str| {
            types::RouteTableAssociation::builder().subnet_id(subnet).route_table_association_id("a").build()
        };
        types::RouteTable::builder()
            .route_table_id("rtb-1")
            .vpc_id("vpc-1")
            .routes(route("10.0.0.0/16").gateway_id("local").origin(CreateRouteTable).build())
            .routes(route("0.0.0.0/0").nat_gateway_id("nat-1").origin(CreateRoute).build())
            .routes(route("10.1.0.0/16").vpc_peering_connection_id(peering).origin(CreateRoute).build())
            .associations(association("subnet-1"))
            .associations(association("subnet-2"))
            .build()
    }

    #[test]
    fn description_of_a_declared_table_equals_the_declaration() {
        let read = RouteTable::normalize(&description("pcx-1"), Some(&declared())).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared())).ok());
    }

    #[test]
    fn another_target_is_drift() {
        let read = RouteTable::normalize(&description("pcx-2"), Some(&declared())).inputs;
        let routes: Vec<_> =
            read.iter().flat_map(|table| &table.routes).filter_map(|route| route.known().ok()).collect();
        let nat = ("0.0.0.0/0".to_owned(), Target::NatGateway("nat-1".to_owned()));
        assert_eq!(routes, [nat, ("10.1.0.0/16".to_owned(), Target::Peering("pcx-2".to_owned()))]);
    }

    #[test]
    fn check_names_the_route() {
        let without_target = RouteTable::of(VpcId::from("vpc-1")).route(Route::to("0.0.0.0/0"));
        let duplicate = declared().route(Route::to("10.1.0.0/16").by_nat_gateway(NatGatewayId::from("nat-1")));
        let without_range = declared().route(Route::to("10.1").by_nat_gateway(NatGatewayId::from("nat-1")));
        let properties = |table: RouteTable| -> Vec<String> {
            Described::check(&table).into_iter().map(|problem| problem.property).collect()
        };
        assert_eq!(properties(declared()), Vec::<String>::new());
        assert_eq!(properties(without_target), ["routes[0]"]);
        assert_eq!(properties(duplicate), ["routes[2]"]);
        assert_eq!(properties(without_range), ["routes[2]"]);
    }
    #[test]
    fn route_to_an_instance_is_described_by_its_interface_too() {
        let declared = |route: Route| RouteTable::of(VpcId::from("vpc-1")).route(route);
        let by_instance = declared(Route::to("0.0.0.0/0").by_instance(InstanceId::from("i-1")));
        let by_interface = declared(Route::to("0.0.0.0/0").by_network_interface(NetworkInterfaceId::from("eni-1")));
        let table = |instance: &str, interface: &str| {
            let route = types::Route::builder().destination_cidr_block("0.0.0.0/0").instance_id(instance);
            let route = route.network_interface_id(interface).origin(types::RouteOrigin::CreateRoute).build();
            types::RouteTable::builder().vpc_id("vpc-1").routes(route).build()
        };
        let read = |table: types::RouteTable, recorded| {
            serde_json::to_value(RouteTable::normalize(&table, recorded).inputs).ok()
        };
        for declared in [&by_instance, &by_interface] {
            assert_eq!(read(table("i-1", "eni-1"), Some(declared)), serde_json::to_value(Some(declared)).ok());
            assert_ne!(read(table("i-2", "eni-2"), Some(declared)), serde_json::to_value(Some(declared)).ok());
        }
        assert_eq!(read(table("i-1", "eni-1"), None), serde_json::to_value(Some(by_interface)).ok());
    }

    #[test]
    fn import_refuses_a_table_with_another_target() {
        let route = types::Route::builder().destination_cidr_block("10.0.0.0/8").transit_gateway_id("tgw-1");
        let route = route.origin(types::RouteOrigin::CreateRoute).build();
        let table = types::RouteTable::builder().route_table_id("rtb-1").routes(route).build();
        assert!(RouteTable::check_import(&table).is_err_and(|error| error.message.contains("10.0.0.0/8")));
        assert!(RouteTable::check_import(&description("pcx-1")).is_ok());
    }
}
