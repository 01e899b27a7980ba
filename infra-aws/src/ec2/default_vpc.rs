//! `aws:ec2:DefaultVpc`: the default VPC of a region.

use super::filter;
use crate::prelude::*;
use infra_core::{Lookup, provider::LookupHandler};

/// A lookup of the region's default VPC and its default subnets, one in each availability zone.
///
/// It is an error if the account has no default VPC in the region.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let network = virginia.lookup(DefaultVpc);
/// virginia.add("access", SecurityGroup::in_vpc(network.vpc_id));
/// stack.export("subnets", network.subnets);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `DescribeVpcs`, `DescribeSubnets`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:ec2:DefaultVpc")]
pub struct DefaultVpc;

/// Outputs of a [`DefaultVpc`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DefaultVpcOutputs {
    /// Id of the VPC, `vpc-…`.
    #[output(regional)]
    pub vpc_id: Output<VpcId>,
    /// IPv4 range, such as `172.31.0.0/16`.
    pub cidr: Output<String>,
    /// Ids of the default subnets, in the order of `zones`.
    #[output(regional)]
    pub subnets: Output<Vec<SubnetId>>,
    /// Availability zones of the subnets, sorted: `us-east-1a`, `us-east-1b`, …
    pub zones: Output<Vec<String>>,
}

impl LookupHandler for DefaultVpc {
    type Client = Aws;

    async fn read(cx: &Context<'_>, _: &Self) -> Result<Self::Outputs> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let response =
            ec2.describe_vpcs().filters(filter("is-default", "true")).send().await.context("DescribeVpcs")?;
        let vpc = response.vpcs.unwrap_or_default().pop().ok_or_else(|| {
            ProviderError::refused(format!("the account has no default VPC in {region}"))
                .hint(format!("create one with `aws ec2 create-default-vpc --region {region}`, or declare a VPC"))
        })?;
        let id = vpc.vpc_id().unwrap_or_default();
        let response = ec2
            .describe_subnets()
            .filters(filter("vpc-id", id))
            .filters(filter("default-for-az", "true"))
            .send()
            .await
            .context("DescribeSubnets")?;
        let by_zone: BTreeMap<String, SubnetId> = response
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
