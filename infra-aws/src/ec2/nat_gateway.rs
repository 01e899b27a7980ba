//! `aws:ec2:NatGateway`: the way out for subnets that nobody outside may reach.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{AllocationId, NatGatewayId, SubnetId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{ConnectivityType, NatGateway as Described, NatGatewayState, ResourceType},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How long a client token is counted on; AWS does not say how long it keeps those of NAT gateways.
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// A NAT gateway: hosts whose route leads to it reach the internet (or, without an address, other networks) and are not
/// reached from there.
///
/// Made by `CreateNatGateway`, and ready when it is `available`; tags are changed by `CreateTags` and `DeleteTags`,
/// everything else needs another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NatGateway {
    /// The subnet it stands in; for the internet, one with a route to an internet gateway.
    pub subnet: Input<SubnetId>,
    /// The elastic address it is known by on the internet; none makes it private.
    pub address: Option<Input<AllocationId>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`NatGateway`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NatGatewayOutputs {
    /// Its id, `nat-…`.
    pub id: Output<NatGatewayId>,
    /// Its address in the subnet.
    pub private_ip: Output<String>,
    /// Its address on the internet; empty when it is private.
    pub public_ip: Output<String>,
}

impl NatGateway {
    /// A gateway to the internet in this subnet, with this elastic address.
    pub fn public(subnet: impl Into<Input<SubnetId>>, address: impl Into<Input<AllocationId>>) -> Self {
        Self { address: Some(address.into()), ..Self::private(subnet) }
    }

    /// A gateway to other private networks.
    pub fn private(subnet: impl Into<Input<SubnetId>>) -> Self {
        Self { subnet: subnet.into(), address: None, tags: BTreeMap::new() }
    }
}

impl Resource for NatGateway {
    const TYPE: &'static str = "aws:ec2:NatGateway";
    type Outputs = NatGatewayOutputs;

    fn schema() -> Schema {
        // The address can belong to one gateway only.
        Schema::new().replace_on(["subnet", "address"]).regional(["id"]).delete_before_replace()
    }
}

impl AwsResource for NatGateway {}

impl Handler for NatGateway {
    type Client = Aws;

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let address = inputs.address.as_ref().map(Input::known).transpose()?;
        let kind = if address.is_some() { ConnectivityType::Public } else { ConnectivityType::Private };
        let call = ec2
            .create_nat_gateway()
            .client_token(cx.operation().as_str())
            .subnet_id(inputs.subnet.known()?.as_str())
            .set_allocation_id(address.map(String::from))
            .connectivity_type(kind)
            .tag_specifications(tags::ec2_with(cx, ResourceType::Natgateway, &inputs.tags));
        let status = "waiting until the new subnet and address are seen";
        let codes = ["InvalidSubnetID.NotFound", "InvalidAllocationID.NotFound"];
        let answer = wait::while_inconsistent(cx, status, &codes, async || {
            call.clone().send().await.context("CreateNatGateway")
        })
        .await?;
        let made = answer.nat_gateway;
        let made = made.ok_or_else(|| ProviderError::unsure("CreateNatGateway: the answer has no gateway"))?;
        match available(cx, &ec2, made.nat_gateway_id().unwrap_or_default()).await {
            Ok(gateway) => Ok(Created { inputs: None, ..created(&gateway, inputs) }),
            Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError { kind: ErrorKind::Refused, ..error }),
            Err(error) => Err(created(&made, inputs).failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let gateway = describe(&ec2, &prior.id).await?.filter(|gateway| !is_over(gateway));
        Ok(gateway.map(|gateway| created(&gateway, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let gateway = available(cx, &ec2, &prior.id).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(created(&gateway, inputs).outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        ec2.delete_nat_gateway().nat_gateway_id(&prior.id).send().await.context("DeleteNatGateway")?;
        if cx.client().readiness() == Readiness::ControlPlane {
            return Ok(());
        }
        wait::until(cx, "waiting until the gateway has ended", wait::PATIENCE, async || {
            let gateway = describe(&ec2, &prior.id).await?;
            Ok(gateway.is_none_or(|gateway| gateway.state() == Some(&NatGatewayState::Deleted)).then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let gateway = describe(&ec2, id).await?.filter(|gateway| !is_over(gateway));
        Ok(gateway.map(|gateway| created(&gateway, &Self::private(SubnetId::from("")))))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::token(TOKEN_LIFETIME, |cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let call = ec2.describe_nat_gateways().filter(tags::ec2_filter(cx));
                let answer = call.send().await.context("DescribeNatGateways")?;
                let living = answer.nat_gateways().iter().find(|gateway| !is_over(gateway));
                Ok(Found::from(living.map(|gateway| created(gateway, inputs))))
            })
        })
    }
}

/// The gateway once it works; [`ErrorKind::NotFound`] when it failed to.
async fn available(cx: &Context<'_, Aws>, ec2: &Client, id: &str) -> Result<Described, ProviderError> {
    let patient = cx.client().readiness() == Readiness::Full;
    wait::until(cx, "waiting until the gateway is available", wait::PATIENCE, async || {
        // A new gateway is not seen everywhere at once.
        let Some(gateway) = describe(ec2, id).await? else { return Ok(None) };
        if is_over(&gateway) {
            let why = gateway.failure_message().unwrap_or("it was deleted");
            let message = format!("the NAT gateway {id} did not become available: {why}");
            return Err(ProviderError::of(ErrorKind::NotFound, message).hint(
                "declare it after the internet gateway of its VPC: `depends_on`, or a route table of its subnet",
            ));
        }
        Ok((!patient || gateway.state() == Some(&NatGatewayState::Available)).then_some(gateway))
    })
    .await
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_nat_gateways().nat_gateway_ids(id).send().await.context("DescribeNatGateways");
    Ok(found(answer)?.and_then(|answer| answer.nat_gateways.unwrap_or_default().pop()))
}

/// Whether it is on its way to being gone, or never came about; EC2 shows such gateways for an hour.
fn is_over(gateway: &Described) -> bool {
    matches!(gateway.state(), Some(NatGatewayState::Deleting | NatGatewayState::Deleted | NatGatewayState::Failed))
}

/// The gateway as it lives, in the words of the recorded inputs where they say the same.
fn created(gateway: &Described, recorded: &NatGateway) -> Created<NatGateway> {
    let id = gateway.nat_gateway_id().unwrap_or_default();
    let address = gateway.nat_gateway_addresses().first();
    let allocation = address.and_then(|address| address.allocation_id());
    let inputs = NatGateway {
        subnet: SubnetId::from(gateway.subnet_id().unwrap_or_default()).into(),
        address: allocation.map(|id| AllocationId::from(id).into()),
        tags: tags::ec2_own(gateway.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: NatGatewayOutputs {
            id: NatGatewayId::from(id).into(),
            private_ip: address.and_then(|address| address.private_ip()).unwrap_or_default().into(),
            public_ip: address.and_then(|address| address.public_ip()).unwrap_or_default().into(),
        },
    }
}
