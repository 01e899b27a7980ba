//! `aws:ec2:AvailabilityZones`: the zones of a region.

use super::filter;
use crate::{client::Aws, error::SdkContext};
use infra_core::{
    Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};

/// The region's availability zones that can be used now; local and wavelength zones are not among them.
///
/// Asked by `DescribeAvailabilityZones`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct AvailabilityZones;

/// What [`AvailabilityZones`] are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AvailabilityZonesOutputs {
    /// Their names, sorted: `us-east-1a`, `us-east-1b`, …
    pub names: Output<Vec<String>>,
    /// Their ids, which mean the same zone in every account, in the same order: `use1-az1`, …
    pub ids: Output<Vec<String>>,
}

impl Lookup for AvailabilityZones {
    const TYPE: &'static str = "aws:ec2:AvailabilityZones";
    type Outputs = AvailabilityZonesOutputs;

    fn schema() -> Schema {
        Schema::new()
    }
}

impl LookupHandler for AvailabilityZones {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, _: &Self) -> Result<AvailabilityZonesOutputs, ProviderError> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let call = ec2
            .describe_availability_zones()
            .filters(filter("state", "available"))
            .filters(filter("zone-type", "availability-zone"));
        let answer = call.send().await.context("DescribeAvailabilityZones")?;
        let pair = |name: Option<&str>, id: Option<&str>| Some((name?.to_owned(), id?.to_owned()));
        let zones = answer.availability_zones().iter();
        let mut zones: Vec<(String, String)> =
            zones.filter_map(|zone| pair(zone.zone_name(), zone.zone_id())).collect();
        if zones.is_empty() {
            return Err(ProviderError::refused(format!("{region} has no zone that can be used"))
                .hint("check the region's name, and whether the account may use it"));
        }
        zones.sort();
        let (names, ids): (Vec<String>, Vec<String>) = zones.into_iter().unzip();
        Ok(AvailabilityZonesOutputs { names: names.into(), ids: ids.into() })
    }
}
