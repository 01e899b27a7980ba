//! `aws:ec2:DefaultVpc`: the network that every account has in every region.

use super::filter;
use crate::{
    client::Aws,
    error::SdkContext,
    ids::{SubnetId, VpcId},
};
use infra_core::{
    Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The region's default VPC and its default subnets, of which every zone has one.
///
/// Asked by `DescribeVpcs` and `DescribeSubnets`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct DefaultVpc;

/// What a [`DefaultVpc`] is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DefaultVpcOutputs {
    /// Its id, `vpc-…`.
    pub vpc_id: Output<VpcId>,
    /// Its addresses, such as `172.31.0.0/16`.
    pub cidr: Output<String>,
    /// Its default subnets, in the order of `zones`.
    pub subnets: Output<Vec<SubnetId>>,
    /// The zones that have one, sorted: `us-east-1a`, `us-east-1b`, …
    pub zones: Output<Vec<String>>,
}

impl Lookup for DefaultVpc {
    const TYPE: &'static str = "aws:ec2:DefaultVpc";
    type Outputs = DefaultVpcOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["vpc_id", "subnets"])
    }
}

impl LookupHandler for DefaultVpc {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, _: &Self) -> Result<DefaultVpcOutputs, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let answer = ec2.describe_vpcs().filters(filter("is-default", "true")).send().await.context("DescribeVpcs")?;
        let vpc = answer.vpcs.unwrap_or_default().pop().ok_or_else(|| {
            ProviderError::refused(format!("the account has no default VPC in {region}"))
                .hint(format!("make one with `aws ec2 create-default-vpc --region {region}`, or use a VPC of your own"))
        })?;
        let id = vpc.vpc_id().unwrap_or_default();
        let answer = ec2
            .describe_subnets()
            .filters(filter("vpc-id", id))
            .filters(filter("default-for-az", "true"))
            .send()
            .await
            .context("DescribeSubnets")?;
        let by_zone: BTreeMap<String, SubnetId> = answer
            .subnets()
            .iter()
            .filter_map(|subnet| Some((subnet.availability_zone()?.to_owned(), subnet.subnet_id()?.into())))
            .collect();
        let (zones, subnets): (Vec<String>, Vec<SubnetId>) = by_zone.into_iter().unzip();
        Ok(DefaultVpcOutputs {
            vpc_id: VpcId::from(id).into(),
            cidr: vpc.cidr_block().unwrap_or_default().into(),
            subnets: subnets.into(),
            zones: zones.into(),
        })
    }
}
