//! `aws:ec2:ExistingVpc`: a VPC that somebody else has made.

use super::filter;
use crate::{client::Aws, error::SdkContext, ids::VpcId};
use infra_core::{
    Input, Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A VPC that is not declared in the stack, by its id or its tags.
///
/// Asked by `DescribeVpcs`. That there is none, or more than one, is an error.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExistingVpc {
    /// The one with this id.
    pub id: Option<Input<VpcId>>,
    /// The one with these tags.
    pub tags: BTreeMap<String, String>,
}

/// What an [`ExistingVpc`] is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExistingVpcOutputs {
    /// Its id, `vpc-…`.
    pub vpc_id: Output<VpcId>,
    /// Its addresses, such as `10.0.0.0/16`.
    pub cidr: Output<String>,
}

impl ExistingVpc {
    /// The VPC with this id.
    pub fn with_id(id: impl Into<Input<VpcId>>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// The VPC with this tag; said again, with that one as well.
    pub fn tagged(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

impl Lookup for ExistingVpc {
    const TYPE: &'static str = "aws:ec2:ExistingVpc";
    type Outputs = ExistingVpcOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["vpc_id"])
    }
}

impl LookupHandler for ExistingVpc {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, arguments: &Self) -> Result<ExistingVpcOutputs, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let id = arguments.id.as_ref().map(Input::known).transpose()?;
        let filters = id.iter().map(|id| filter("vpc-id", id.as_str()));
        let tags = arguments.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value));
        let call = ec2.describe_vpcs().set_filters(Some(filters.chain(tags).collect()));
        let answer = call.send().await.context("DescribeVpcs")?;
        match answer.vpcs() {
            [vpc] => Ok(ExistingVpcOutputs {
                vpc_id: VpcId::from(vpc.vpc_id().unwrap_or_default()).into(),
                cidr: vpc.cidr_block().unwrap_or_default().into(),
            }),
            [] => Err(ProviderError::refused(format!("no VPC in {region} has what was asked for"))
                .hint("check the id, the tags and the region")),
            more => Err(ProviderError::refused(format!("{} VPCs in {region} have what was asked for", more.len()))
                .hint("say which one by its id, or by more tags")),
        }
    }
}
