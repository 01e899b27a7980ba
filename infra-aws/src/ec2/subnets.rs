//! `aws:ec2:Subnets`: the subnets of a VPC.

use super::filter;
use crate::{
    client::Aws,
    error::SdkContext,
    ids::{SubnetId, VpcId},
};
use infra_core::{
    Input, Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The subnets of a VPC, all of them or those with certain tags or in certain zones.
///
/// Asked by `DescribeSubnets`. That there is none is an error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subnets {
    /// Whose.
    pub vpc_id: Input<VpcId>,
    /// Only those with these tags.
    pub tags: BTreeMap<String, String>,
    /// Only those in these zones; in all when empty.
    pub zones: BTreeSet<String>,
}

/// What [`Subnets`] are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubnetsOutputs {
    /// Their ids, sorted by zone and id.
    pub ids: Output<Vec<SubnetId>>,
    /// Their zones, in the same order.
    pub zones: Output<Vec<String>>,
    /// Their addresses, in the same order.
    pub cidrs: Output<Vec<String>>,
}

impl Subnets {
    /// All subnets of this VPC.
    pub fn of(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self { vpc_id: vpc_id.into(), tags: BTreeMap::new(), zones: BTreeSet::new() }
    }

    /// Only those with this tag.
    pub fn tagged(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Only those in this zone; said again, also those in that one.
    pub fn in_zone(mut self, zone: impl Into<String>) -> Self {
        self.zones.insert(zone.into());
        self
    }
}

impl Lookup for Subnets {
    const TYPE: &'static str = "aws:ec2:Subnets";
    type Outputs = SubnetsOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["ids"])
    }
}

impl LookupHandler for Subnets {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, arguments: &Self) -> Result<SubnetsOutputs, ProviderError> {
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
            return Err(ProviderError::refused(format!("no subnet of {vpc} has what was asked for"))
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
