//! Resources of RDS's operations, for authorisation.

use crate::access::Resource;

const INSTANCE_ARN: &str = "arn:aws:rds:{region}:{account}:db:{}";
const CLUSTER_SNAPSHOT_ARN: &str = "arn:aws:rds:{region}:{account}:cluster-snapshot:{}";

pub(super) const INSTANCE: Resource = Resource::Named("DBInstanceIdentifier", INSTANCE_ARN);
pub(super) const SOURCE_INSTANCE: Resource = Resource::Named("SourceDBInstanceIdentifier", INSTANCE_ARN);
pub(super) const FAILOVER_INSTANCE: Resource = Resource::Named("TargetDBInstanceIdentifier", INSTANCE_ARN);
pub(super) const SNAPSHOT: Resource =
    Resource::Named("DBSnapshotIdentifier", "arn:aws:rds:{region}:{account}:snapshot:{}");
pub(super) const PARAMETER_GROUP: Resource =
    Resource::Named("DBParameterGroupName", "arn:aws:rds:{region}:{account}:pg:{}");
pub(super) const SUBNET_GROUP: Resource =
    Resource::Named("DBSubnetGroupName", "arn:aws:rds:{region}:{account}:subgrp:{}");
pub(super) const CLUSTER: Resource =
    Resource::Named("DBClusterIdentifier", "arn:aws:rds:{region}:{account}:cluster:{}");
pub(super) const CLUSTER_SNAPSHOT: Resource = Resource::Named("DBClusterSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const FINAL_CLUSTER_SNAPSHOT: Resource = Resource::Named("FinalDBSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const RESTORED_SNAPSHOT: Resource = Resource::Named("SnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const CLUSTER_PARAMETER_GROUP: Resource =
    Resource::Named("DBClusterParameterGroupName", "arn:aws:rds:{region}:{account}:cluster-pg:{}");
pub(super) const GLOBAL_CLUSTER: Resource =
    Resource::Named("GlobalClusterIdentifier", "arn:aws:rds::{account}:global-cluster:{}");
pub(super) const TAGGED: Resource = Resource::Arn("ResourceName");
