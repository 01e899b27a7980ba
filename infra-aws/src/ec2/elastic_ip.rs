//! `aws:ec2:ElasticIp`: a public address of one's own.

use super::once;
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{AllocationId, InstanceId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{Address as Described, DomainType, ResourceType},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A public IPv4 address that stays when what it leads to is replaced.
///
/// Made by `AllocateAddress`; given to an instance and taken back in place by `AssociateAddress` and
/// `DisassociateAddress`, tags changed by `CreateTags` and `DeleteTags`. A [`NatGateway`](crate::NatGateway) names it
/// itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ElasticIp {
    /// The instance it leads to.
    pub instance: Option<Input<InstanceId>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What an [`ElasticIp`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ElasticIpOutputs {
    /// The id of its allocation, `eipalloc-…`.
    pub id: Output<AllocationId>,
    /// The address itself.
    pub public_ip: Output<String>,
}

impl ElasticIp {
    /// An address that leads nowhere yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// An address of this instance.
    pub fn of(instance: impl Into<Input<InstanceId>>) -> Self {
        Self { instance: Some(instance.into()), ..Self::default() }
    }
}

impl Resource for ElasticIp {
    const TYPE: &'static str = "aws:ec2:ElasticIp";
    type Outputs = ElasticIpOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["id"])
    }
}

impl AwsResource for ElasticIp {}

impl Handler for ElasticIp {
    type Client = Aws;

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let made = match ours(cx, &ec2).await? {
            Some(made) => made,
            None => make(cx, &ec2, inputs).await?,
        };
        let created = created(&made, inputs);
        match lead(cx, &ec2, &made, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, &prior.id).await?.map(|address| created(&address, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let address = describe(&ec2, &prior.id).await?;
        let address = address.ok_or_else(|| {
            ProviderError::of(ErrorKind::NotFound, format!("the elastic address {} is gone", prior.id))
        })?;
        lead(cx, &ec2, &address, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let Some(address) = describe(&ec2, &prior.id).await? else { return Ok(()) };
        if address.instance_id().is_some_and(|id| !id.is_empty()) {
            disassociate(&ec2, &address).await?;
        }
        let status = "waiting until nothing has the address any more";
        wait::while_needed(cx, status, Duration::from_mins(5), async || {
            ec2.release_address().allocation_id(&prior.id).send().await.context("ReleaseAddress")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, id).await?.map(|address| created(&address, &Self::new())))
    }

    /// One that is found without its instance is associated by the update that this difference asks for.
    fn recovery() -> Recovery<Self> {
        Recovery::tag(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                Ok(Found::from(ours(cx, &ec2).await?.map(|address| created(&address, inputs))))
            })
        })
    }
}

async fn make(cx: &Context<'_, Aws>, ec2: &Client, inputs: &ElasticIp) -> Result<Described, AwsError> {
    let tags = tags::ec2_with(cx, ResourceType::ElasticIp, &inputs.tags);
    let call = ec2.allocate_address().domain(DomainType::Vpc).tag_specifications(tags);
    let answer = call.customize().config_override(once()).send().await.context("AllocateAddress")?;
    Ok(Described::builder().set_allocation_id(answer.allocation_id).set_public_ip(answer.public_ip).build())
}

/// What this very operation made, in an earlier run.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_addresses().filters(tags::ec2_filter(cx)).send().await.context("DescribeAddresses")?;
    Ok(answer.addresses.unwrap_or_default().pop())
}

/// Makes the address lead to the instance, or nowhere.
async fn lead(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    address: &Described,
    inputs: &ElasticIp,
) -> Result<(), ProviderError> {
    let wanted = inputs.instance.as_ref().map(Input::known).transpose()?;
    let held = address.instance_id().filter(|id| !id.is_empty());
    match wanted {
        Some(wanted) if held != Some(wanted.as_str()) => {
            let status = "waiting until the instance can take the address";
            let codes = ["InvalidAllocationID.NotFound", "InvalidInstanceID", "IncorrectInstanceState"];
            wait::while_inconsistent(cx, status, &codes, async || {
                let id = address.allocation_id().unwrap_or_default();
                let call = ec2.associate_address().allocation_id(id).instance_id(wanted.as_str());
                call.allow_reassociation(true).send().await.context("AssociateAddress")
            })
            .await?;
        }
        None if held.is_some() => disassociate(ec2, address).await?,
        _ => {}
    }
    Ok(())
}

async fn disassociate(ec2: &Client, address: &Described) -> Result<(), AwsError> {
    let call = ec2.disassociate_address().set_association_id(address.association_id().map(str::to_owned));
    found(call.send().await.context("DisassociateAddress")).map(drop)
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_addresses().allocation_ids(id).send().await.context("DescribeAddresses");
    Ok(found(answer)?.and_then(|answer| answer.addresses.unwrap_or_default().pop()))
}

/// The address as it lives, in the words of the recorded inputs where they say the same.
fn created(address: &Described, recorded: &ElasticIp) -> Created<ElasticIp> {
    let id = address.allocation_id().unwrap_or_default();
    let instance = address.instance_id().filter(|id| !id.is_empty());
    let inputs = ElasticIp {
        instance: instance.map(|id| InstanceId::from(id).into()),
        tags: tags::ec2_own(address.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: ElasticIpOutputs {
            id: AllocationId::from(id).into(),
            public_ip: address.public_ip().unwrap_or_default().into(),
        },
    }
}
