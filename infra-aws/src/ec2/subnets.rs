//! `aws:ec2:Subnets`: the subnets of a VPC.

use super::filter;
use crate::prelude::*;
use infra_core::{Lookup, provider::LookupHandler};
use std::collections::BTreeSet;

/// A lookup of the subnets of a VPC: all of them, or those with some tags or in some availability zones.
///
/// It is an error if no subnet matches.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let subnets = virginia.lookup(Subnets::of(network.vpc_id).in_zone("us-east-1a").in_zone("us-east-1b"));
/// virginia.add("balancer", LoadBalancer::application(subnets.ids, []));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `DescribeSubnets`
#[derive(Clone, Debug, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:ec2:Subnets")]
pub struct Subnets {
    /// Id of the VPC that contains the subnets.
    pub vpc_id: Input<VpcId>,
    /// Tags that the subnets have, all of them: key → value; any when empty.
    pub tags: BTreeMap<String, String>,
    /// Availability zones of the subnets, such as `us-east-1a`; all when empty.
    pub zones: BTreeSet<String>,
}

/// Outputs of [`Subnets`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct SubnetsOutputs {
    /// Ids of the subnets, sorted by availability zone and id.
    #[output(regional)]
    pub ids: Output<Vec<SubnetId>>,
    /// Availability zones of the subnets, in the order of `ids`.
    pub zones: Output<Vec<String>>,
    /// IPv4 ranges of the subnets, in the order of `ids`.
    pub cidrs: Output<Vec<String>>,
}

impl Subnets {
    /// Returns a lookup of all subnets of this VPC.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), tags: BTreeMap::new(), zones: BTreeSet::new() }
    }

    /// Adds a tag that the subnets have.
    pub fn tagged(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Adds an availability zone.
    pub fn in_zone(mut self, zone: impl Into<String>) -> Self {
        self.zones.insert(zone.into());
        self
    }
}

impl LookupHandler for Subnets {
    type Client = Aws;

    async fn read(cx: &Context<'_>, arguments: &Self) -> Result<Self::Outputs> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let vpc = arguments.vpc_id.known()?;
        let tags = arguments.tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), value));
        let mut pages = ec2
            .describe_subnets()
            .set_filters(Some(std::iter::once(filter("vpc-id", vpc.as_str())).chain(tags).collect()))
            .into_paginator()
            .items()
            .send();
        let mut found = BTreeMap::new();
        while let Some(subnet) = pages.next().await {
            let subnet = subnet.context("DescribeSubnets")?;
            let zone = subnet.availability_zone().unwrap_or_default().to_owned();
            if arguments.zones.is_empty() || arguments.zones.contains(&zone) {
                let id = SubnetId::from(subnet.subnet_id().unwrap_or_default());
                found.insert((zone, id), subnet.cidr_block().unwrap_or_default().to_owned());
            }
        }
        if found.is_empty() {
            return Err(ProviderError::refused(format!("no subnet of {vpc} matches the lookup"))
                .hint("check the VPC, the tags and the zones"));
        }
        let (zones, ids): (Vec<_>, Vec<_>) = found.keys().cloned().unzip();
        Ok(SubnetsOutputs {
            ids: ids.into(),
            zones: zones.into(),
            cidrs: found.into_values().collect::<Vec<_>>().into(),
        })
    }
}
