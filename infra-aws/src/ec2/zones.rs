//! `aws:ec2:AvailabilityZones`: the availability zones of a region.

use super::filter;
use crate::prelude::*;
use infra_core::{Lookup, provider::LookupHandler};

/// A lookup of the region's available availability zones, without Local Zones and Wavelength Zones.
///
/// The names of the zones belong to the account: the zone `us-east-1a` may have another id in another account.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let zones = virginia.lookup(AvailabilityZones).names;
/// let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// virginia.add("first", Subnet::of(&vpc.id, "10.0.0.0/24").in_zone(zones.index(0)));
/// virginia.add("second", Subnet::of(&vpc.id, "10.0.1.0/24").in_zone(zones.index(1)));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `DescribeAvailabilityZones`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:ec2:AvailabilityZones")]
pub struct AvailabilityZones;

/// Outputs of [`AvailabilityZones`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct AvailabilityZonesOutputs {
    /// Names of the zones, sorted: `us-east-1a`, `us-east-1b`, …
    pub names: Output<Vec<String>>,
    /// Ids of the zones in the order of `names`, which are the same in every account: `use1-az1`, …
    pub ids: Output<Vec<String>>,
}

impl LookupHandler for AvailabilityZones {
    type Client = Aws;

    async fn read(cx: &Context<'_>, _: &Self) -> Result<Self::Outputs> {
        let region = cx.region()?;
        let ec2 = cx.client().ec2(region).await;
        let call = ec2
            .describe_availability_zones()
            .filters(filter("state", "available"))
            .filters(filter("zone-type", "availability-zone"));
        let response = call.send().await.context("DescribeAvailabilityZones")?;
        let pair = |name: Option<&str>, id: Option<&str>| Some((name?.to_owned(), id?.to_owned()));
        let zones = response.availability_zones().iter();
        let mut zones: Vec<(String, String)> =
            zones.filter_map(|zone| pair(zone.zone_name(), zone.zone_id())).collect();
        if zones.is_empty() {
            return Err(ProviderError::refused(format!("{region} has no available zone"))
                .hint("check the region's name, and whether the account may use it"));
        }
        zones.sort();
        let (names, ids): (Vec<String>, Vec<String>) = zones.into_iter().unzip();
        Ok(AvailabilityZonesOutputs { names: names.into(), ids: ids.into() })
    }
}
