//! `aws:ec2:NatGateway`: the route to the internet for subnets that are not reachable from it.

use super::{operation_filter, retag, tag_specification};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};
use infra_core::target::Readiness;
use std::time::Duration;

/// Lifetime of a client token. AWS does not document it for NAT gateways.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// A NAT gateway: the way out of subnets whose instances cannot be reached from outside.
///
/// Instances whose route leads to a public gateway reach the internet; those behind a private one reach other private
/// networks. A public gateway needs a subnet with a route to an [`InternetGateway`](crate::InternetGateway), which must
/// be attached before the gateway is created: declare that order by `depends_on`.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::Options;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// # let public = virginia.add("public", Subnet::of(&vpc.id, "10.0.0.0/24"));
/// # let private = virginia.add("private", Subnet::of(&vpc.id, "10.0.1.0/24"));
/// # let gateway = virginia.add("gateway", InternetGateway::of(&vpc.id));
/// let address = virginia.add("address", ElasticIp::new());
/// let after = virginia.with(Options::new().depends_on(&gateway.id));
/// let nat = after.add("nat", NatGateway::public(&public.id, &address.id));
/// let route = Route::to("0.0.0.0/0").by_nat_gateway(&nat.id);
/// virginia.add("routes", RouteTable::of(&vpc.id).route(route).subnet(&private.id));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateNatGateway`; `DescribeNatGateways` until the gateway is available
/// - Read: `DescribeNatGateways`
/// - Update: `DescribeNatGateways`, `CreateTags`, `DeleteTags`
/// - Delete: `DeleteNatGateway`; `DescribeNatGateways` until the gateway is deleted
///
/// # Replacement
/// A change of `subnet` or `address` replaces the gateway, because AWS cannot change them. The new gateway is created
/// before the previous one is deleted. With the same `address`, the previous gateway is deleted first, because an address
/// belongs to one gateway only; until the new one is available, the instances behind it have no connection.
///
/// # Import
/// The import takes the id of the gateway:
///
/// ```console
/// $ stack import aws:ec2:NatGateway nat nat-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:NatGateway")]
pub struct NatGateway {
    /// Id of the subnet that contains the gateway. A change replaces the gateway.
    #[resource(replace)]
    pub subnet: Input<SubnetId>,
    /// Allocation id of the gateway's [`ElasticIp`](crate::ElasticIp); a gateway without one is private. A change
    /// replaces the gateway.
    #[resource(replace, key)]
    pub address: Option<Input<AllocationId>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`NatGateway`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct NatGatewayOutputs {
    /// Id of the gateway, `nat-…`.
    #[output(regional)]
    pub id: Output<NatGatewayId>,
    /// Private IPv4 address, in the subnet.
    pub private_ip: Output<String>,
    /// Public IPv4 address; empty for a private gateway.
    pub public_ip: Output<String>,
}

impl NatGateway {
    /// Returns a gateway to the internet in this subnet, with this elastic address.
    pub fn public(subnet: impl Into<Input<SubnetId>>, address: impl Into<Input<AllocationId>>) -> Self {
        Self { address: Some(address.into()), ..Self::private(subnet) }
    }

    /// Returns a gateway to other private networks.
    pub fn private(subnet: impl Into<Input<SubnetId>>) -> Self {
        Self { subnet: subnet.into(), address: None, tags: BTreeMap::new() }
    }
}

impl AwsResource for NatGateway {}

impl Described for NatGateway {
    type Client = Aws;
    type Api = Client;
    type Description = types::NatGateway;

    const FOUND_BY: FoundBy = FoundBy::Token(TOKEN_LIFETIME);

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let address = inputs.address.as_ref().map(Input::known).transpose()?;
        let is_public = address.is_some();
        let call = ec2
            .create_nat_gateway()
            .client_token(cx.operation().as_str())
            .subnet_id(inputs.subnet.known()?.as_str())
            .set_allocation_id(address.map(String::from))
            .connectivity_type(if is_public {
                types::ConnectivityType::Public
            } else {
                types::ConnectivityType::Private
            })
            .tag_specifications(tag_specification(cx, types::ResourceType::Natgateway, &inputs.tags));
        let status = "waiting until the subnet and the address are visible";
        let codes = ["InvalidSubnetID.NotFound", "InvalidAllocationID.NotFound"];
        let response = wait::retry_while_inconsistent(cx, status, &codes, async || {
            call.clone().send().await.context("CreateNatGateway")
        });
        let gateway = response.await?.nat_gateway;
        let gateway = gateway.ok_or_else(|| ProviderError::unsure("CreateNatGateway returned no gateway"))?;
        match until_available(cx, ec2, gateway.nat_gateway_id().unwrap_or_default()).await {
            // AWS deletes a gateway that failed, so it is not recorded.
            Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
            Err(error) => Err(Self::normalize(&gateway, Some(inputs)).failed(error)),
            available => available,
        }
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let gateway = until_available(cx, ec2, update.id).await?;
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(Self::normalize(&gateway, Some(update.new)).outputs)
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        ec2.delete_nat_gateway().nat_gateway_id(&prior.id).send().await.context("DeleteNatGateway")?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the gateway is deleted", wait::TIMEOUT, async || {
            let gateway = describe_any(ec2, &prior.id).await?;
            Ok(gateway.is_none_or(|gateway| gateway.state() == Some(&types::NatGatewayState::Deleted)).then_some(()))
        })
        .await
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        Ok(describe_any(ec2, id).await?.filter(exists))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, _: &Self) -> Result<Option<Self::Description>> {
        let call = ec2.describe_nat_gateways().filter(operation_filter(cx));
        let gateways = call.send().await.context("DescribeNatGateways")?.nat_gateways.unwrap_or_default();
        Ok(gateways.into_iter().find(exists))
    }

    fn normalize(gateway: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = gateway.nat_gateway_id().unwrap_or_default();
        let address = gateway.nat_gateway_addresses().first();
        let allocation = address.and_then(|address| address.allocation_id());
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                subnet: SubnetId::from(gateway.subnet_id().unwrap_or_default()).into(),
                address: allocation.map(|id| AllocationId::from(id).into()),
                tags: tags::declared(gateway.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: NatGatewayOutputs {
                id: NatGatewayId::from(id).into(),
                private_ip: address.and_then(|address| address.private_ip()).unwrap_or_default().into(),
                public_ip: address.and_then(|address| address.public_ip()).unwrap_or_default().into(),
            },
        }
    }
}

/// Waits until the gateway is available; fails with [`ErrorKind::NotFound`] when it failed or is deleted.
async fn until_available(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<types::NatGateway> {
    let until_usable = cx.client().readiness() == Readiness::Full;
    wait::until(cx, "waiting until the gateway is available", wait::TIMEOUT, async || {
        // A new gateway may be visible only after a while.
        let Some(gateway) = describe_any(ec2, id).await? else { return Ok(None) };
        if !exists(&gateway) {
            let reason = gateway.failure_message().unwrap_or("it was deleted");
            let message = format!("the NAT gateway {id} did not become available: {reason}");
            return Err(ProviderError::of(ErrorKind::NotFound, message).hint(
                "declare it after the internet gateway of its VPC: `depends_on`, or a route table of its subnet",
            ));
        }
        let is_available = gateway.state() == Some(&types::NatGatewayState::Available);
        Ok((is_available || !until_usable).then_some(gateway))
    })
    .await
}

/// Describes a gateway in any state: EC2 returns deleted and failed gateways for an hour.
async fn describe_any(ec2: &Client, id: &str) -> Result<Option<types::NatGateway>> {
    let response = ec2.describe_nat_gateways().nat_gateway_ids(id).send().await.context("DescribeNatGateways");
    Ok(found(response)?.and_then(|response| response.nat_gateways?.pop()))
}

/// Returns whether a gateway is available or will be.
fn exists(gateway: &types::NatGateway) -> bool {
    use types::NatGatewayState::{Deleted, Deleting, Failed};
    !matches!(gateway.state(), Some(Deleting | Deleted | Failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_declared_gateway_equals_the_declaration() {
        let gateway = types::NatGateway::builder().nat_gateway_id("nat-1").subnet_id("subnet-1");
        let address = |id: Option<&str>| {
            types::NatGatewayAddress::builder().set_allocation_id(id.map(str::to_owned)).private_ip("10.0.0.5").build()
        };
        let subnet = SubnetId::from("subnet-1");
        for (address, declared) in [
            (address(None), NatGateway::private(subnet.clone())),
            (address(Some("eipalloc-1")), NatGateway::public(subnet, AllocationId::from("eipalloc-1"))),
        ] {
            let gateway = gateway.clone().nat_gateway_addresses(address).build();
            let read = NatGateway::normalize(&gateway, Some(&declared)).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
        }
    }
}
