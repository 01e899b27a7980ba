//! `aws:ec2:InternetGateway`: a VPC's door to the internet.

use super::{
    blockers::{self, Held},
    once,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{InternetGatewayId, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{InternetGateway as Described, ResourceType},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An internet gateway, attached to a VPC: what a [`Route`](crate::Route) to it leads to is the internet.
///
/// Made by `CreateInternetGateway` and `AttachInternetGateway`; moved to another VPC in place by `DetachInternetGateway`,
/// tags changed by `CreateTags` and `DeleteTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InternetGateway {
    /// The VPC it is attached to.
    pub vpc_id: Input<VpcId>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What an [`InternetGateway`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InternetGatewayOutputs {
    /// Its id, `igw-…`.
    pub id: Output<InternetGatewayId>,
}

impl InternetGateway {
    /// The gateway of this VPC.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), tags: BTreeMap::new() }
    }
}

impl Resource for InternetGateway {
    const TYPE: &'static str = "aws:ec2:InternetGateway";
    type Outputs = InternetGatewayOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["id"])
    }
}

impl AwsResource for InternetGateway {}

impl Handler for InternetGateway {
    type Client = Aws;

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let made = match ours(cx, &ec2).await? {
            Some(made) => made,
            None => make(cx, &ec2, inputs).await?,
        };
        let created = created(&made, inputs);
        match attach(cx, &ec2, &made, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, &prior.id).await?.map(|gateway| created(&gateway, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let gateway = describe(&ec2, &prior.id).await?;
        let gateway = gateway.ok_or_else(|| {
            ProviderError::of(ErrorKind::NotFound, format!("the internet gateway {} is gone", prior.id))
        })?;
        attach(cx, &ec2, &gateway, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(gateway) = describe(&ec2, &prior.id).await? else { return Ok(()) };
        if let Some(vpc_id) = attached_to(&gateway) {
            detach(cx, &ec2, &prior.id, vpc_id).await?;
        }
        let status = "waiting until the gateway is detached";
        wait::while_needed(cx, status, wait::CONSISTENCY, async || {
            ec2.delete_internet_gateway().internet_gateway_id(&prior.id).send().await.context("DeleteInternetGateway")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, id).await?.map(|gateway| created(&gateway, &Self::of(VpcId::from("")))))
    }

    /// One that is found without its VPC is attached by the update that this difference asks for.
    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                Ok(Found::from(ours(cx, &ec2).await?.map(|gateway| created(&gateway, inputs))))
            })
        })
    }
}

async fn make(cx: &Context<'_, Aws>, ec2: &Client, inputs: &InternetGateway) -> Result<Described, ProviderError> {
    let tags = tags::ec2_with(cx, ResourceType::InternetGateway, &inputs.tags);
    let call = ec2.create_internet_gateway().tag_specifications(tags);
    let answer = call.customize().config_override(once()).send().await.context("CreateInternetGateway")?;
    let made = answer.internet_gateway;
    made.ok_or_else(|| ProviderError::unsure("CreateInternetGateway: the answer has no gateway"))
}

/// What this very operation made, in an earlier run.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let call = ec2.describe_internet_gateways().filters(tags::ec2_filter(cx));
    let answer = call.send().await.context("DescribeInternetGateways")?;
    Ok(answer.internet_gateways.unwrap_or_default().pop())
}

/// Attaches the gateway to its VPC, and before that takes it from another one.
async fn attach(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    gateway: &Described,
    inputs: &InternetGateway,
) -> Result<(), ProviderError> {
    let id = gateway.internet_gateway_id().unwrap_or_default();
    let wanted = inputs.vpc_id.known()?;
    match attached_to(gateway) {
        Some(held) if held == wanted.as_str() => return Ok(()),
        Some(other) => detach(cx, ec2, id, other).await?,
        None => {}
    }
    let status = "waiting until the new gateway and its VPC are seen";
    let codes = ["InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound"];
    let answer = wait::while_inconsistent(cx, status, &codes, async || {
        let call = ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(wanted.as_str());
        call.send().await.context("AttachInternetGateway")
    })
    .await;
    match answer {
        // The SDK repeats a request whose answer was lost.
        Err(error) if error.is(&["Resource.AlreadyAssociated"]) => {
            let held = describe(ec2, id).await?;
            match held.as_ref().and_then(attached_to) {
                Some(held) if held == wanted.as_str() => Ok(()),
                _ => Err(error.into()),
            }
        }
        answer => Ok(answer.map(drop)?),
    }
}

async fn detach(cx: &Context<'_, Aws>, ec2: &Client, id: &str, vpc_id: &str) -> Result<(), ProviderError> {
    let answer = blockers::delete(cx, ec2, Held::GatewayOf(vpc_id), async || {
        let call = ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc_id);
        call.send().await.context("DetachInternetGateway").map(drop)
    })
    .await;
    match answer {
        Err(error) if error.is(&["Gateway.NotAttached"]) || error.kind == ErrorKind::NotFound => Ok(()),
        answer => Ok(answer?),
    }
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_internet_gateways().internet_gateway_ids(id).send().await;
    let answer = found(answer.context("DescribeInternetGateways"))?;
    Ok(answer.and_then(|answer| answer.internet_gateways.unwrap_or_default().pop()))
}

fn attached_to(gateway: &Described) -> Option<&str> {
    gateway.attachments().first().and_then(|attachment| attachment.vpc_id())
}

/// The gateway as it lives, in the words of the recorded inputs where they say the same.
fn created(gateway: &Described, recorded: &InternetGateway) -> Created<InternetGateway> {
    let id = gateway.internet_gateway_id().unwrap_or_default();
    let inputs = InternetGateway {
        vpc_id: VpcId::from(attached_to(gateway).unwrap_or_default()).into(),
        tags: tags::ec2_own(gateway.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: InternetGatewayOutputs { id: InternetGatewayId::from(id).into() },
    }
}
