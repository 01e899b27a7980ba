//! Quotas of an account in a region: AWS's defaults.
//!
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html>

use crate::model::Region;
use crate::wire::{ApiError, Outcome};

/// A quota of resources.
pub(super) struct Quota {
    /// AWS's code of a request that would exceed it.
    code: &'static str,
    resources: &'static str,
    most: usize,
}

pub(super) const INSTANCES: Quota = Quota { code: "InstanceQuotaExceeded", resources: "DB instances", most: 40 };
pub(super) const CLUSTERS: Quota = Quota { code: "DBClusterQuotaExceededFault", resources: "DB clusters", most: 40 };
/// Applies to the snapshots of instances, and to those of clusters.
pub(super) const SNAPSHOTS: Quota = Quota { code: "SnapshotQuotaExceeded", resources: "manual snapshots", most: 100 };
/// Applies to the groups of instances, and to those of clusters.
pub(super) const PARAMETER_GROUPS: Quota =
    Quota { code: "DBParameterGroupQuotaExceeded", resources: "parameter groups", most: 50 };
pub(super) const OPTION_GROUPS: Quota =
    Quota { code: "OptionGroupQuotaExceededFault", resources: "option groups", most: 20 };
pub(super) const SUBNET_GROUPS: Quota =
    Quota { code: "DBSubnetGroupQuotaExceeded", resources: "DB subnet groups", most: 50 };
pub(super) const SUBNETS: Quota =
    Quota { code: "DBSubnetQuotaExceededFault", resources: "subnets in a DB subnet group", most: 20 };

/// Quota of the storage of all instances, in GiB.
const STORAGE_GIB: u64 = 100_000;

impl Quota {
    /// Refuses a request after which `count` resources would exist.
    pub(super) fn check(&self, count: usize) -> Outcome<()> {
        let Quota { code, resources, most } = *self;
        if count <= most {
            return Ok(());
        }
        let error = ApiError::new(code, format!("The request would exceed the quota of {most} {resources}."));
        // AWS's model declares this status for clusters alone.
        Err(if code == CLUSTERS.code { error.with_status(403) } else { error })
    }
}

/// Refuses a request after which an instance, if it exists already by its identifier, would have this storage.
pub(super) fn check_storage(region: &Region, id: &str, gib: u32) -> Outcome<()> {
    let others = region.rds.instances.values().filter(|other| other.id != id && other.cluster.is_none());
    let others: u64 = others.map(|other| u64::from(other.storage.allocated_gib)).sum();
    if others + u64::from(gib) <= STORAGE_GIB {
        return Ok(());
    }
    let message = format!("The request would exceed the quota of {STORAGE_GIB} GiB of storage of all DB instances.");
    Err(ApiError::new("StorageQuotaExceeded", message))
}
