//! Resources of RDS's operations, for authorisation.

use crate::access::{Dependent, Resource};

const INSTANCE_ARN: &str = "arn:aws:rds:{region}:{account}:db:{}";
const SNAPSHOT_ARN: &str = "arn:aws:rds:{region}:{account}:snapshot:{}";
const CLUSTER_SNAPSHOT_ARN: &str = "arn:aws:rds:{region}:{account}:cluster-snapshot:{}";

/// Permission to pass the role of Enhanced Monitoring to RDS.
pub(super) const PASSES_MONITORING_ROLE: Dependent =
    Dependent::pass_role("monitoring.rds.amazonaws.com", Resource::Arn("MonitoringRoleArn"));
pub(super) const INSTANCE: Resource = Resource::Named("DBInstanceIdentifier", INSTANCE_ARN);
pub(super) const SOURCE_INSTANCE: Resource = Resource::Named("SourceDBInstanceIdentifier", INSTANCE_ARN);
pub(super) const FAILOVER_INSTANCE: Resource = Resource::Named("TargetDBInstanceIdentifier", INSTANCE_ARN);
pub(super) const SNAPSHOT: Resource = Resource::Named("DBSnapshotIdentifier", SNAPSHOT_ARN);
pub(super) const SOURCE_SNAPSHOT: Resource = Resource::Named("SourceDBSnapshotIdentifier", SNAPSHOT_ARN);
pub(super) const TARGET_SNAPSHOT: Resource = Resource::Named("TargetDBSnapshotIdentifier", SNAPSHOT_ARN);
pub(super) const SOURCE_CLUSTER_SNAPSHOT: Resource =
    Resource::Named("SourceDBClusterSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const TARGET_CLUSTER_SNAPSHOT: Resource =
    Resource::Named("TargetDBClusterSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const OPTION_GROUP: Resource = Resource::Named("OptionGroupName", "arn:aws:rds:{region}:{account}:og:{}");
pub(super) const PARAMETER_GROUP: Resource = Resource::Named("DBParameterGroupName", PARAMETER_GROUP_ARN);
const PARAMETER_GROUP_ARN: &str = "arn:aws:rds:{region}:{account}:pg:{}";
const CLUSTER_PARAMETER_GROUP_ARN: &str = "arn:aws:rds:{region}:{account}:cluster-pg:{}";
pub(super) const SOURCE_PARAMETER_GROUP: Resource =
    Resource::Named("SourceDBParameterGroupIdentifier", PARAMETER_GROUP_ARN);
pub(super) const TARGET_PARAMETER_GROUP: Resource =
    Resource::Named("TargetDBParameterGroupIdentifier", PARAMETER_GROUP_ARN);
pub(super) const SOURCE_CLUSTER_PARAMETER_GROUP: Resource =
    Resource::Named("SourceDBClusterParameterGroupIdentifier", CLUSTER_PARAMETER_GROUP_ARN);
pub(super) const TARGET_CLUSTER_PARAMETER_GROUP: Resource =
    Resource::Named("TargetDBClusterParameterGroupIdentifier", CLUSTER_PARAMETER_GROUP_ARN);
pub(super) const SUBNET_GROUP: Resource =
    Resource::Named("DBSubnetGroupName", "arn:aws:rds:{region}:{account}:subgrp:{}");
pub(super) const CLUSTER: Resource =
    Resource::Named("DBClusterIdentifier", "arn:aws:rds:{region}:{account}:cluster:{}");
pub(super) const CLUSTER_SNAPSHOT: Resource = Resource::Named("DBClusterSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const FINAL_CLUSTER_SNAPSHOT: Resource = Resource::Named("FinalDBSnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const RESTORED_SNAPSHOT: Resource = Resource::Named("SnapshotIdentifier", CLUSTER_SNAPSHOT_ARN);
pub(super) const CLUSTER_PARAMETER_GROUP: Resource =
    Resource::Named("DBClusterParameterGroupName", CLUSTER_PARAMETER_GROUP_ARN);
pub(super) const GLOBAL_CLUSTER: Resource =
    Resource::Named("GlobalClusterIdentifier", "arn:aws:rds::{account}:global-cluster:{}");
pub(super) const SUBSCRIPTION: Resource = Resource::Named("SubscriptionName", "arn:aws:rds:{region}:{account}:es:{}");
pub(super) const TAGGED: Resource = Resource::Arn("ResourceName");
