//! `aws:ec2:Subnet`: a part of a VPC in one zone.

use super::{
    blockers::{self, Held},
    filter, range_problem,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{SubnetId, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{AttributeBooleanValue, ResourceType, Subnet as Described, SubnetState},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of a VPC's addresses in one availability zone.
///
/// Made by `CreateSubnet`; whether hosts get a public address is changed in place by `ModifySubnetAttribute`, tags by
/// `CreateTags` and `DeleteTags`. It is routed by the VPC's main table until a [`RouteTable`](crate::RouteTable) names it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subnet {
    /// The VPC it is a part of.
    pub vpc_id: Input<VpcId>,
    /// Its addresses: `10.0.1.0/24`, from /16 to /28.
    pub cidr: String,
    /// Its zone, such as `us-east-1a`; one that AWS chooses when none is given.
    pub availability_zone: Option<Input<String>>,
    /// Whether hosts launched in it are given a public address.
    pub map_public_ip: bool,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`Subnet`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubnetOutputs {
    /// Its id, `subnet-…`.
    pub id: Output<SubnetId>,
    /// Its Amazon Resource Name.
    pub arn: Output<String>,
    /// Its addresses.
    pub cidr: Output<String>,
    /// Its zone.
    pub availability_zone: Output<String>,
}

impl Subnet {
    /// A part of this VPC with these addresses.
    pub fn of(vpc_id: impl Into<Input<VpcId>>, cidr: impl Into<String>) -> Self {
        Self {
            vpc_id: vpc_id.into(),
            cidr: cidr.into(),
            availability_zone: None,
            map_public_ip: false,
            tags: BTreeMap::new(),
        }
    }

    /// In this zone.
    pub fn in_zone(mut self, zone: impl Into<Input<String>>) -> Self {
        self.availability_zone = Some(zone.into());
        self
    }

    /// Gives a public address to every host launched in it.
    pub fn public(mut self) -> Self {
        self.map_public_ip = true;
        self
    }
}

impl Resource for Subnet {
    const TYPE: &'static str = "aws:ec2:Subnet";
    type Outputs = SubnetOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["vpc_id", "cidr", "availability_zone"]).regional(["id"])
    }
}

impl AwsResource for Subnet {}

impl Handler for Subnet {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        range_problem("cidr", &self.cidr).into_iter().collect()
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let call = ec2
            .create_subnet()
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .cidr_block(&inputs.cidr)
            .set_availability_zone(inputs.availability_zone.as_ref().map(Input::known).transpose()?)
            .tag_specifications(tags::ec2_with(cx, ResourceType::Subnet, &inputs.tags));
        let status = "waiting until the new VPC is seen";
        let answer = wait::while_inconsistent(cx, status, &["InvalidVpcID.NotFound"], async || {
            call.clone().send().await.context("CreateSubnet")
        })
        .await;
        let made = match answer {
            Ok(answer) => answer.subnet,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.is(&["InvalidSubnet.Conflict"]) => {
                let ours = ours(cx, &ec2, inputs).await.map_err(AwsError::unsure)?;
                Some(ours.ok_or_else(|| error.hint(
                    "choose addresses that no other subnet of the VPC has; a subnet that is replaced needs others as well",
                ))?)
            }
            Err(error) => return Err(error.into()),
        };
        let made = made.ok_or_else(|| ProviderError::unsure("CreateSubnet: the answer has no subnet"))?;
        let created = created(&made, inputs);
        match fill(cx, &ec2, &created.id, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, &prior.id).await?.map(|subnet| created(&subnet, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        fill(cx, &ec2, &prior.id, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let deleted = blockers::delete(cx, &ec2, Held::Subnet(&prior.id), async || {
            ec2.delete_subnet().subnet_id(&prior.id).send().await.context("DeleteSubnet").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let named = Self::of(VpcId::from(""), "").in_zone("");
        Ok(describe(&ec2, id).await?.map(|subnet| created(&subnet, &named)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let subnet = ours(cx, &ec2, inputs).await?;
                Ok(Found::from(subnet.map(|subnet| created(&subnet, inputs))))
            })
        })
    }
}

/// Waits until the subnet is there, and sets what differs.
async fn fill(cx: &Context<'_, Aws>, ec2: &Client, id: &str, inputs: &Subnet) -> Result<(), ProviderError> {
    let subnet = wait::until(cx, "waiting until the subnet is available", wait::CONSISTENCY, async || {
        let subnet = describe(ec2, id).await?;
        Ok(subnet.filter(|subnet| subnet.state() == Some(&SubnetState::Available)))
    })
    .await?;
    if subnet.map_public_ip_on_launch() != Some(inputs.map_public_ip) {
        let value = AttributeBooleanValue::builder().value(inputs.map_public_ip).build();
        let call = ec2.modify_subnet_attribute().subnet_id(id).map_public_ip_on_launch(value);
        call.send().await.context("ModifySubnetAttribute")?;
    }
    Ok(())
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_subnets().subnet_ids(id).send().await.context("DescribeSubnets");
    Ok(found(answer)?.and_then(|answer| answer.subnets.unwrap_or_default().pop()))
}

/// The subnet with these addresses, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client, inputs: &Subnet) -> Result<Option<Described>, AwsError> {
    let vpc_id = inputs.vpc_id.known().map(String::from).unwrap_or_default();
    let call = ec2.describe_subnets().filters(filter("vpc-id", &vpc_id)).filters(filter("cidr-block", &inputs.cidr));
    let answer = call.send().await.context("DescribeSubnets")?;
    Ok(answer.subnets.unwrap_or_default().into_iter().find(|subnet| tags::ec2_are_ours(cx, subnet.tags())))
}

/// The subnet as it lives, in the words of the recorded inputs where they say the same.
fn created(subnet: &Described, recorded: &Subnet) -> Created<Subnet> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (id, cidr, zone) = (text(subnet.subnet_id()), text(subnet.cidr_block()), text(subnet.availability_zone()));
    let inputs = Subnet {
        vpc_id: VpcId::from(text(subnet.vpc_id())).into(),
        cidr: cidr.clone(),
        availability_zone: recorded.availability_zone.as_ref().map(|_| zone.clone().into()),
        map_public_ip: subnet.map_public_ip_on_launch().unwrap_or(false),
        tags: tags::ec2_own(subnet.tags(), &recorded.tags),
    };
    let outputs = SubnetOutputs {
        id: SubnetId::from(id.as_str()).into(),
        arn: text(subnet.subnet_arn()).into(),
        cidr: cidr.into(),
        availability_zone: zone.into(),
    };
    Created { id, inputs: Some(inputs), outputs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let lives = Described::builder()
            .subnet_id("subnet-1")
            .vpc_id("vpc-1")
            .cidr_block("10.0.1.0/24")
            .availability_zone("us-east-1b")
            .map_public_ip_on_launch(true)
            .build();
        let chosen = Subnet::of(VpcId::from("vpc-1"), "10.0.1.0/24").public();
        for recorded in [chosen.clone(), chosen.in_zone("us-east-1b")] {
            let read = created(&lives, &recorded).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(recorded)).ok());
        }
    }
}
