//! `aws:ec2:RouteTable`: where the packets of subnets go.

use super::rule::canonical_cidr;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{InternetGatewayId, NatGatewayId, RouteTableId, SubnetId, VpcId, VpcPeeringId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{ResourceType, RouteOrigin, RouteTable as Described},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
    value::Unresolved,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a client token is counted on; AWS does not say how long it keeps those of route tables.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// A route table: where packets of its subnets go. The VPC's own addresses are always local.
///
/// Made by `CreateRouteTable`; routes are changed in place by `CreateRoute`, `ReplaceRoute` and `DeleteRoute`, subnets by
/// `AssociateRouteTable`, `ReplaceRouteTableAssociation` (a subnet leaves the table it had) and `DisassociateRouteTable`,
/// tags by `CreateTags` and `DeleteTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteTable {
    /// The VPC it belongs to.
    pub vpc_id: Input<VpcId>,
    /// Its routes; of those that cover an address, the narrowest counts.
    pub routes: Vec<Route>,
    /// The subnets that use it.
    pub subnets: Vec<Input<SubnetId>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// One route: `Route::to("0.0.0.0/0").by_internet_gateway(gateway.id)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Route {
    /// The addresses it is for: `10.1.0.0/16`.
    pub destination: Input<String>,
    /// It leads to this internet gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet_gateway: Option<Input<InternetGatewayId>>,
    /// It leads to this NAT gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_gateway: Option<Input<NatGatewayId>>,
    /// It leads through this peering connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peering: Option<Input<VpcPeeringId>>,
}

/// What a [`RouteTable`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RouteTableOutputs {
    /// Its id, `rtb-…`.
    pub id: Output<RouteTableId>,
}

impl RouteTable {
    /// A table of this VPC that routes nothing out of it, for no subnet yet.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), routes: Vec::new(), subnets: Vec::new(), tags: BTreeMap::new() }
    }

    /// With this route as well.
    pub fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// For this subnet as well.
    pub fn subnet(mut self, subnet: impl Into<Input<SubnetId>>) -> Self {
        self.subnets.push(subnet.into());
        self
    }

    fn subnet_ids(&self) -> Result<BTreeSet<String>, Unresolved> {
        self.subnets.iter().map(|subnet| Ok(subnet.known()?.to_string())).collect()
    }
}

impl Route {
    /// A route to these addresses; where it leads is said next.
    pub fn to(destination: impl Into<Input<String>>) -> Self {
        Self { destination: destination.into(), internet_gateway: None, nat_gateway: None, peering: None }
    }

    /// It leads to an internet gateway.
    pub fn by_internet_gateway(mut self, gateway: impl Into<Input<InternetGatewayId>>) -> Self {
        self.internet_gateway = Some(gateway.into());
        self
    }

    /// It leads to a NAT gateway.
    pub fn by_nat_gateway(mut self, gateway: impl Into<Input<NatGatewayId>>) -> Self {
        self.nat_gateway = Some(gateway.into());
        self
    }

    /// It leads through a peering connection.
    pub fn by_peering(mut self, peering: impl Into<Input<VpcPeeringId>>) -> Self {
        self.peering = Some(peering.into());
        self
    }

    /// The canonical destination and the target.
    fn known(&self) -> Result<(String, Leads), Unresolved> {
        let destination = self.destination.known()?;
        let target = match (&self.internet_gateway, &self.nat_gateway, &self.peering) {
            (Some(id), _, _) => Leads::InternetGateway(id.known()?.to_string()),
            (_, Some(id), _) => Leads::NatGateway(id.known()?.to_string()),
            (_, _, Some(id)) => Leads::Peering(id.known()?.to_string()),
            _ => Leads::Elsewhere,
        };
        Ok((canonical_cidr(&destination).unwrap_or(destination), target))
    }

    fn problem(&self, property: &str) -> Option<Problem> {
        let targets = [self.internet_gateway.is_some(), self.nat_gateway.is_some(), self.peering.is_some()];
        if targets.into_iter().filter(|target| *target).count() != 1 {
            return Some(
                Problem::new(property, "a route leads to exactly one place")
                    .hint("say `by_internet_gateway`, `by_nat_gateway` or `by_peering`, and one of them only"),
            );
        }
        let destination = self.destination.known().ok()?;
        let is_range = canonical_cidr(&destination).is_some_and(|range| !range.contains(':'));
        (!is_range).then(|| {
            Problem::new(property, format!("`{destination}` is no IPv4 address range"))
                .hint("write an address and a prefix length: `10.1.0.0/16`; everything is `0.0.0.0/0`")
        })
    }
}

impl Resource for RouteTable {
    const TYPE: &'static str = "aws:ec2:RouteTable";
    type Outputs = RouteTableOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["vpc_id"]).regional(["id"])
    }
}

impl AwsResource for RouteTable {}

impl Handler for RouteTable {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let routes = self.routes.iter().enumerate();
        let mut problems: Vec<Problem> =
            routes.filter_map(|(at, route)| route.problem(&format!("routes[{at}]"))).collect();
        let known: Vec<_> =
            self.routes.iter().map(|route| route.known().ok().map(|(destination, _)| destination)).collect();
        for (at, destination) in known.iter().enumerate() {
            if let Some(destination) = destination
                && known[..at].iter().flatten().any(|other| other == destination)
            {
                let message = format!("there are two routes to {destination}");
                problems.push(Problem::new(format!("routes[{at}]"), message).hint("leave one of them out"));
            }
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2
            .create_route_table()
            .client_token(cx.operation().as_str())
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .tag_specifications(tags::ec2_with(cx, ResourceType::RouteTable, &inputs.tags));
        let status = "waiting until the new VPC is seen";
        let answer = wait::while_inconsistent(cx, status, &["InvalidVpcID.NotFound"], async || {
            call.clone().send().await.context("CreateRouteTable")
        })
        .await?;
        let made = answer.route_table;
        let made = made.ok_or_else(|| ProviderError::unsure("CreateRouteTable: the answer has no table"))?;
        let created = created(&made, inputs);
        match fill(cx, &ec2, &created.id, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, &prior.id).await?.map(|table| created(&table, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        fill(cx, &ec2, &prior.id, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(table) = describe(&ec2, &prior.id).await? else { return Ok(()) };
        for association in associations(&table).into_values() {
            disassociate(&ec2, &association).await?;
        }
        let status = "waiting until no subnet uses the table any more";
        wait::while_needed(cx, status, wait::CONSISTENCY, async || {
            ec2.delete_route_table().route_table_id(&prior.id).send().await.context("DeleteRouteTable")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, id).await?.map(|table| created(&table, &Self::of(VpcId::from("")))))
    }

    /// A table that is found without its routes is filled by the update that this difference asks for.
    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let call = ec2.describe_route_tables().filters(tags::ec2_filter(cx));
                let answer = call.send().await.context("DescribeRouteTables")?;
                Ok(Found::from(answer.route_tables().first().map(|table| created(table, inputs))))
            })
        })
    }
}

/// Where a route leads, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leads {
    InternetGateway(String),
    NatGateway(String),
    Peering(String),
    /// To something that cannot be declared here, such as a network interface.
    Elsewhere,
}

/// Brings the routes and the subnets of a table in order, whatever they are now.
async fn fill(cx: &Context<'_, Aws>, ec2: &Client, id: &str, inputs: &RouteTable) -> Result<(), ProviderError> {
    let table =
        wait::until(
            cx,
            "waiting until the new table is seen",
            wait::CONSISTENCY,
            async || Ok(describe(ec2, id).await?),
        )
        .await?;
    let wanted = inputs.routes.iter().map(Route::known).collect::<Result<BTreeMap<_, _>, _>>()?;
    let living = routes(&table);
    for (destination, target) in &wanted {
        match living.get(destination) {
            Some(held) if held == target => {}
            held => route(cx, ec2, id, destination, target, held.is_some()).await?,
        }
    }
    for destination in living.keys().filter(|destination| !wanted.contains_key(*destination)) {
        let call = ec2.delete_route().route_table_id(id).destination_cidr_block(destination);
        found(call.send().await.context("DeleteRoute"))?;
    }
    let wanted = inputs.subnet_ids()?;
    let living = associations(&table);
    for subnet in wanted.iter().filter(|subnet| !living.contains_key(*subnet)) {
        associate(cx, ec2, id, subnet).await?;
    }
    for (_, association) in living.iter().filter(|(subnet, _)| !wanted.contains(*subnet)) {
        disassociate(ec2, association).await?;
    }
    Ok(())
}

/// Creates or replaces one route.
async fn route(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    id: &str,
    destination: &str,
    target: &Leads,
    replaces: bool,
) -> Result<(), AwsError> {
    let (gateway, nat, peering) = match target.clone() {
        Leads::InternetGateway(id) => (Some(id), None, None),
        Leads::NatGateway(id) => (None, Some(id), None),
        Leads::Peering(id) => (None, None, Some(id)),
        Leads::Elsewhere => (None, None, None),
    };
    let status = "waiting until what the route leads to is seen";
    let codes = ["InvalidGatewayID.NotFound", "InvalidNatGatewayID.NotFound", "InvalidVpcPeeringConnectionID.NotFound"];
    wait::while_inconsistent(cx, status, &codes, async || {
        if replaces {
            let call = ec2.replace_route().route_table_id(id).destination_cidr_block(destination);
            let call = call.set_gateway_id(gateway.clone()).set_nat_gateway_id(nat.clone());
            let call = call.set_vpc_peering_connection_id(peering.clone());
            call.send().await.context("ReplaceRoute").map(drop)
        } else {
            let call = ec2.create_route().route_table_id(id).destination_cidr_block(destination);
            let call = call.set_gateway_id(gateway.clone()).set_nat_gateway_id(nat.clone());
            let call = call.set_vpc_peering_connection_id(peering.clone());
            call.send().await.context("CreateRoute").map(drop)
        }
    })
    .await
}

/// Gives a subnet to the table, and takes it from the one it had.
async fn associate(cx: &Context<'_, Aws>, ec2: &Client, id: &str, subnet: &str) -> Result<(), AwsError> {
    let status = "waiting until the new subnet is seen";
    let answer = wait::while_inconsistent(cx, status, &["InvalidSubnetID.NotFound"], async || {
        let call = ec2.associate_route_table().route_table_id(id).subnet_id(subnet);
        call.send().await.context("AssociateRouteTable").map(drop)
    })
    .await;
    match answer {
        Err(error) if error.is(&["Resource.AlreadyAssociated"]) => {
            let call = ec2.describe_route_tables().filters(super::filter("association.subnet-id", subnet));
            let other = call.send().await.context("DescribeRouteTables")?;
            let held = other.route_tables().iter().find_map(|table| associations(table).remove(subnet));
            let call = ec2.replace_route_table_association().route_table_id(id);
            let call = call.association_id(held.ok_or(error)?);
            call.send().await.context("ReplaceRouteTableAssociation").map(drop)
        }
        answer => answer,
    }
}

/// Another table may have got the subnet meanwhile.
async fn disassociate(ec2: &Client, association: &str) -> Result<(), AwsError> {
    let call = ec2.disassociate_route_table().association_id(association);
    found(call.send().await.context("DisassociateRouteTable")).map(drop)
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_route_tables().route_table_ids(id).send().await.context("DescribeRouteTables");
    Ok(found(answer)?.and_then(|answer| answer.route_tables.unwrap_or_default().pop()))
}

/// The routes that were made, by destination. Those of the table itself and of virtual gateways are nobody's.
fn routes(table: &Described) -> BTreeMap<String, Leads> {
    let made = table.routes().iter().filter(|route| route.origin() == Some(&RouteOrigin::CreateRoute));
    made.filter_map(|route| {
        let target = match (route.gateway_id(), route.nat_gateway_id(), route.vpc_peering_connection_id()) {
            (Some(id), _, _) if id.starts_with("igw-") => Leads::InternetGateway(id.to_owned()),
            (_, Some(id), _) => Leads::NatGateway(id.to_owned()),
            (_, _, Some(id)) => Leads::Peering(id.to_owned()),
            _ => Leads::Elsewhere,
        };
        Some((route.destination_cidr_block()?.to_owned(), target))
    })
    .collect()
}

/// The ids of associations by subnet.
fn associations(table: &Described) -> BTreeMap<String, String> {
    let associations = table.associations().iter();
    let pair = |subnet: Option<&str>, id: Option<&str>| Some((subnet?.to_owned(), id?.to_owned()));
    associations.filter_map(|it| pair(it.subnet_id(), it.route_table_association_id())).collect()
}

/// The table as it lives, in the words of the recorded inputs where they say the same.
fn created(table: &Described, recorded: &RouteTable) -> Created<RouteTable> {
    let id = table.route_table_id().unwrap_or_default();
    let mut living = routes(table);
    let mut routes = Vec::new();
    for route in &recorded.routes {
        let Ok((destination, target)) = route.known() else { continue };
        if living.get(&destination) == Some(&target) {
            living.remove(&destination);
            routes.push(route.clone());
        }
    }
    routes.extend(living.into_iter().map(|(destination, target)| {
        let route = Route::to(destination);
        match target {
            Leads::InternetGateway(id) => route.by_internet_gateway(InternetGatewayId::from(id)),
            Leads::NatGateway(id) => route.by_nat_gateway(NatGatewayId::from(id)),
            Leads::Peering(id) => route.by_peering(VpcPeeringId::from(id)),
            Leads::Elsewhere => route,
        }
    }));
    let mut used = associations(table);
    let mut subnets: Vec<Input<SubnetId>> = Vec::new();
    for subnet in &recorded.subnets {
        if subnet.known().is_ok_and(|id| used.remove(id.as_str()).is_some()) {
            subnets.push(subnet.clone());
        }
    }
    subnets.extend(used.into_keys().map(|id| SubnetId::from(id).into()));
    let inputs = RouteTable {
        vpc_id: VpcId::from(table.vpc_id().unwrap_or_default()).into(),
        routes,
        subnets,
        tags: tags::ec2_own(table.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: RouteTableOutputs { id: RouteTableId::from(id).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::{Route as Living, RouteTableAssociation};

    fn declared() -> RouteTable {
        RouteTable::of(VpcId::from("vpc-1"))
            .route(Route::to("10.1.2.3/16").by_peering(VpcPeeringId::from("pcx-1")))
            .route(Route::to("0.0.0.0/0").by_nat_gateway(NatGatewayId::from("nat-1")))
            .subnet(SubnetId::from("subnet-2"))
            .subnet(SubnetId::from("subnet-1"))
    }

    fn living(peering: &str) -> Described {
        let route = |destination: &str| Living::builder().destination_cidr_block(destination);
        let used =
            |subnet: &str| RouteTableAssociation::builder().subnet_id(subnet).route_table_association_id("a").build();
        Described::builder()
            .route_table_id("rtb-1")
            .vpc_id("vpc-1")
            .routes(route("10.0.0.0/16").gateway_id("local").origin(RouteOrigin::CreateRouteTable).build())
            .routes(route("0.0.0.0/0").nat_gateway_id("nat-1").origin(RouteOrigin::CreateRoute).build())
            .routes(route("10.1.0.0/16").vpc_peering_connection_id(peering).origin(RouteOrigin::CreateRoute).build())
            .associations(used("subnet-1"))
            .associations(used("subnet-2"))
            .build()
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let read = created(&living("pcx-1"), &declared()).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared())).ok());
    }

    #[test]
    fn a_route_that_leads_elsewhere_is_drift() {
        let read = created(&living("pcx-2"), &declared()).inputs;
        let routes: Vec<_> =
            read.iter().flat_map(|table| &table.routes).filter_map(|route| route.known().ok()).collect();
        let nat = ("0.0.0.0/0".to_owned(), Leads::NatGateway("nat-1".to_owned()));
        assert_eq!(routes, [nat, ("10.1.0.0/16".to_owned(), Leads::Peering("pcx-2".to_owned()))]);
    }

    #[test]
    fn check_names_the_route() {
        let nowhere = RouteTable::of(VpcId::from("vpc-1")).route(Route::to("0.0.0.0/0"));
        let twice = declared().route(Route::to("10.1.0.0/16").by_nat_gateway(NatGatewayId::from("nat-1")));
        let nonsense = declared().route(Route::to("10.1").by_nat_gateway(NatGatewayId::from("nat-1")));
        let properties =
            |table: RouteTable| -> Vec<String> { table.check().into_iter().map(|problem| problem.property).collect() };
        assert_eq!(properties(declared()), Vec::<String>::new());
        assert_eq!(properties(nowhere), ["routes[0]"]);
        assert_eq!(properties(twice), ["routes[2]"]);
        assert_eq!(properties(nonsense), ["routes[2]"]);
    }
}
