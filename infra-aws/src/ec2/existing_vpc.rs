//! `aws:ec2:ExistingVpc`: a VPC that the stack does not declare.

use super::filter;
use crate::prelude::*;
use infra_core::{Lookup, provider::LookupHandler};

/// A lookup of a VPC that the stack does not declare, by its id or its tags.
///
/// It is an error if no VPC matches, or more than one.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let network = virginia.lookup(ExistingVpc::default().tagged("Name", "shared"));
/// let subnets = virginia.lookup(Subnets::of(&network.vpc_id).tagged("tier", "public"));
/// virginia.add("access", SecurityGroup::in_vpc(network.vpc_id));
/// stack.export("subnets", subnets.ids);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `DescribeVpcs`
#[derive(Clone, Debug, Default, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:ec2:ExistingVpc")]
pub struct ExistingVpc {
    /// Id of the VPC; any VPC with the tags when omitted.
    pub id: Option<Input<VpcId>>,
    /// Tags that the VPC has, all of them: key → value; any when empty.
    pub tags: BTreeMap<String, String>,
}

/// Outputs of an [`ExistingVpc`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ExistingVpcOutputs {
    /// Id of the VPC, `vpc-…`.
    #[output(regional)]
    pub vpc_id: Output<VpcId>,
    /// IPv4 range, such as `10.0.0.0/16`.
    pub cidr: Output<String>,
}

impl ExistingVpc {
    /// Returns a lookup of the VPC with this id.
    pub fn with_id(id: impl Into<Input<VpcId>>) -> Self {
        Self { id: Some(id.into()), ..Self::default() }
    }

    /// Adds a tag that the VPC has.
    pub fn tagged(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

impl LookupHandler for ExistingVpc {
    type Client = Aws;

    async fn read(cx: &Context<'_>, arguments: &Self) -> Result<Self::Outputs> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let id = arguments.id.as_ref().map(Input::known).transpose()?;
        let filters = id.iter().map(|id| filter("vpc-id", id.as_str()));
        let tags = arguments.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value));
        let call = ec2.describe_vpcs().set_filters(Some(filters.chain(tags).collect()));
        let response = call.send().await.context("DescribeVpcs")?;
        match response.vpcs() {
            [vpc] => Ok(ExistingVpcOutputs {
                vpc_id: VpcId::from(vpc.vpc_id().unwrap_or_default()).into(),
                cidr: vpc.cidr_block().unwrap_or_default().into(),
            }),
            [] => Err(ProviderError::refused(format!("no VPC in {region} matches the lookup"))
                .hint("check the id, the tags and the region")),
            more => Err(ProviderError::refused(format!("{} VPCs in {region} match the lookup", more.len()))
                .hint("select one of them by its id, or by more tags")),
        }
    }
}
