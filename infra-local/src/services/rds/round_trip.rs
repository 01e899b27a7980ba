//! Parameters of RDS that are read back.
#![allow(clippy::unwrap_used)]

use super::{OPERATIONS, engine};
use crate::model::ArnScope;
use crate::model::rds::Stage;
use crate::testing::ControlPlane;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_query};

const INSTANCE: &[(&str, &str)] = &[("DescribeDBInstances", "")];
const CLUSTER: &[(&str, &str)] = &[("DescribeDBClusters", "")];
const SNAPSHOT: &[(&str, &str)] = &[("DescribeDBSnapshots", "")];
const CLUSTER_SNAPSHOT: &[(&str, &str)] = &[("DescribeDBClusterSnapshots", "")];
const SUBNETS: &[(&str, &str)] =
    &[("DescribeDBSubnetGroups", ""), ("ListTagsForResource", "ResourceName={subnets_arn}")];

const RENAMED: &[(&str, &str)] = &[
    ("EnableIAMDatabaseAuthentication", "IAMDatabaseAuthenticationEnabled"),
    ("EnablePerformanceInsights", "PerformanceInsightsEnabled"),
];

/// Makes all resources available, as the runtime does.
fn settle(plane: &mut ControlPlane) {
    let Some(region) = plane.cloud.regions.get_mut("us-east-1") else { return };
    let databases = &mut region.rds;
    databases.instances.values_mut().for_each(|instance| instance.stage = Stage::Available);
    databases.clusters.values_mut().for_each(|cluster| cluster.stage = Stage::Available);
    let snapshots = databases.snapshots.values_mut().chain(databases.cluster_snapshots.values_mut());
    snapshots.for_each(|snapshot| snapshot.stage = Stage::Available);
}

const GROUPS: &[Trip] = &[
    Trip {
        operation: "CreateDBSubnetGroup",
        request: "DBSubnetGroupName=zones&DBSubnetGroupDescription=Zones&SubnetIds.SubnetIdentifier.1={subnet1}\
                  &SubnetIds.SubnetIdentifier.2={subnet2}&Tags.Tag.1.Key=team&Tags.Tag.1.Value=violet",
        keep: &[("subnets_arn", "DBSubnetGroupArn")],
        reads: SUBNETS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBSubnetGroup",
        request: "DBSubnetGroupName=zones&DBSubnetGroupDescription=More&SubnetIds.SubnetIdentifier.1={subnet1}\
                  &SubnetIds.SubnetIdentifier.2={subnet2}&SubnetIds.SubnetIdentifier.3={subnet3}",
        reads: SUBNETS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBParameterGroup",
        request: "DBParameterGroupName=own&DBParameterGroupFamily={family}&Description=Mine\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=indigo",
        keep: &[("own_arn", "DBParameterGroupArn")],
        reads: &[("DescribeDBParameterGroups", ""), ("ListTagsForResource", "ResourceName={own_arn}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBParameterGroup",
        request: "DBParameterGroupName=own&Parameters.Parameter.1.ParameterName=statement_timeout\
                  &Parameters.Parameter.1.ParameterValue=4321&Parameters.Parameter.1.ApplyMethod=immediate",
        reads: &[
            ("DescribeDBParameters", "DBParameterGroupName=own&Source=user"),
            ("DescribeDBParameterGroups", "DBParameterGroupName=own"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CopyDBParameterGroup",
        request: "SourceDBParameterGroupIdentifier=own&TargetDBParameterGroupIdentifier=copied\
                  &TargetDBParameterGroupDescription=Copy&Tags.Tag.1.Key=team&Tags.Tag.1.Value=cyan",
        keep: &[("copy_arn", "DBParameterGroupArn")],
        reads: &[("DescribeDBParameterGroups", ""), ("ListTagsForResource", "ResourceName={copy_arn}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBClusterParameterGroup",
        request: "DBClusterParameterGroupName=c-own&DBParameterGroupFamily={cluster_family}&Description=Ours\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=brown",
        keep: &[("c_own_arn", "DBClusterParameterGroupArn")],
        reads: &[("DescribeDBClusterParameterGroups", ""), ("ListTagsForResource", "ResourceName={c_own_arn}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CopyDBClusterParameterGroup",
        request: "SourceDBClusterParameterGroupIdentifier=c-own&TargetDBClusterParameterGroupIdentifier=c-copied\
                  &TargetDBClusterParameterGroupDescription=Copies&Tags.Tag.1.Key=team&Tags.Tag.1.Value=beige",
        keep: &[("c_copy_arn", "DBClusterParameterGroupArn")],
        reads: &[("DescribeDBClusterParameterGroups", ""), ("ListTagsForResource", "ResourceName={c_copy_arn}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateOptionGroup",
        request: "OptionGroupName=options&EngineName=postgres&MajorEngineVersion={major}&OptionGroupDescription=None\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=orange",
        keep: &[("options_arn", "OptionGroupArn")],
        reads: &[("DescribeOptionGroups", ""), ("ListTagsForResource", "ResourceName={options_arn}")],
        ..Trip::EMPTY
    },
];

const SUBSCRIPTIONS: &[Trip] = &[
    Trip {
        operation: "CreateEventSubscription",
        request: "SubscriptionName=events&SnsTopicArn=arn:aws:sns:us-east-1:1:topic&SourceType=db-parameter-group\
                  &EventCategories.EventCategory.1=configuration change&Enabled=false&SourceIds.SourceId.1=own\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=green",
        keep: &[("events_arn", "EventSubscriptionArn")],
        reads: &[
            ("DescribeEventSubscriptions", "SubscriptionName=events"),
            ("ListTagsForResource", "ResourceName={events_arn}"),
        ],
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddSourceIdentifierToSubscription",
        request: "SubscriptionName=events&SourceIdentifier=own",
        reads: &[("DescribeEventSubscriptions", "SubscriptionName=events")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyEventSubscription",
        request: "SubscriptionName=events&SnsTopicArn=arn:aws:sns:us-east-1:1:other&SourceType=db-cluster-snapshot\
                  &EventCategories.EventCategory.1=backup&Enabled=true",
        reads: &[("DescribeEventSubscriptions", "SubscriptionName=events")],
        ..Trip::EMPTY
    },
];

const INSTANCES: &[Trip] = &[
    Trip {
        operation: "CreateDBInstance",
        request: "DBInstanceIdentifier=one&DBInstanceClass=db.t3.small&Engine=postgres&EngineVersion={version}\
                  &MasterUsername=cloud&DBName=tasks&AvailabilityZone={zone}&Port=5544&DBParameterGroupName=own\
                  &StorageEncrypted=true&AutoMinorVersionUpgrade=false&CopyTagsToSnapshot=true&DBSubnetGroupName=zones\
                  &DeletionProtection=true&NetworkType=IPV4&PubliclyAccessible=true&MasterUserPassword=long-enough\
                  &VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}&BackupRetentionPeriod=12\
                  &PreferredBackupWindow=01:00-01:45&PreferredMaintenanceWindow=tue:02:00-tue:02:45&AllocatedStorage=123\
                  &MaxAllocatedStorage=456&StorageType=gp3&Iops=3456&StorageThroughput=321&OptionGroupName=options\
                  &CACertificateIdentifier=rds-ca-ecc384-g1&KmsKeyId=alias/shop&DatabaseInsightsMode=advanced\
                  &LicenseModel=postgresql-license&EngineLifecycleSupport=open-source-rds-extended-support-disabled\
                  &EnableCloudwatchLogsExports.1=postgresql&EnableIAMDatabaseAuthentication=false\
                  &EnablePerformanceInsights=true&MonitoringInterval=15&MonitoringRoleArn=arn:aws:iam::1:role/monitor\
                  &PerformanceInsightsKMSKeyId=alias/insights&PerformanceInsightsRetentionPeriod=62\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=blue",
        reads: INSTANCE,
        renamed: RENAMED,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBInstance",
        request: "DBInstanceIdentifier=two&DBInstanceClass=db.t3.small&Engine=postgres&MasterUsername=cloud\
                  &MasterUserPassword=long-enough&AllocatedStorage=20&MultiAZ=true",
        reads: &[("DescribeDBInstances", "DBInstanceIdentifier=two")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBInstance",
        request: "DBInstanceIdentifier=one&NewDBInstanceIdentifier=renamed-one&DBInstanceClass=db.t3.large&DBParameterGroupName=copied&DBPortNumber=5655\
                  &EngineVersion={version}&MultiAZ=true&AutoMinorVersionUpgrade=true&CopyTagsToSnapshot=false\
                  &DeletionProtection=false&PubliclyAccessible=false&NetworkType=IPV4\
                  &VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}&BackupRetentionPeriod=13\
                  &PreferredBackupWindow=03:10-03:50&PreferredMaintenanceWindow=wed:02:00-wed:02:55&AllocatedStorage=234\
                  &MaxAllocatedStorage=567&StorageType=io1&Iops=4567&StorageThroughput=432&OptionGroupName={default_options}\
                  &CACertificateIdentifier=rds-ca-rsa4096-g1&DatabaseInsightsMode=standard\
                  &LicenseModel=postgresql-license&EngineLifecycleSupport=open-source-rds-extended-support\
                  &CloudwatchLogsExportConfiguration.EnableLogTypes.1=upgrade&EnableIAMDatabaseAuthentication=false\
                  &EnablePerformanceInsights=true&MonitoringInterval=60&MonitoringRoleArn=arn:aws:iam::1:role/other\
                  &PerformanceInsightsKMSKeyId=alias/deeper&PerformanceInsightsRetentionPeriod=93",
        reads: &[("DescribeDBInstances", "DBInstanceIdentifier=one")],
        renamed: RENAMED,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBInstanceReadReplica",
        request: "DBInstanceIdentifier=replica&SourceDBInstanceIdentifier=one&DBInstanceClass=db.t3.medium\
                  &AvailabilityZone={zone}&Port=5577&DBParameterGroupName=own&AutoMinorVersionUpgrade=false\
                  &CopyTagsToSnapshot=true&DBSubnetGroupName=zones&DeletionProtection=true&NetworkType=IPV4\
                  &PubliclyAccessible=true&VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}&AllocatedStorage=345\
                  &MaxAllocatedStorage=678&StorageType=gp3&Iops=5678&StorageThroughput=543&OptionGroupName=options\
                  &CACertificateIdentifier=rds-ca-ecc384-g1&KmsKeyId=alias/replica&DatabaseInsightsMode=advanced\
                  &EnableCloudwatchLogsExports.1=upgrade&EnableIAMDatabaseAuthentication=false\
                  &EnablePerformanceInsights=true&MonitoringInterval=30&MonitoringRoleArn=arn:aws:iam::1:role/third\
                  &PerformanceInsightsKMSKeyId=alias/replicas&PerformanceInsightsRetentionPeriod=124\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=white",
        reads: &[("DescribeDBInstances", "DBInstanceIdentifier=replica")],
        renamed: RENAMED,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "PromoteReadReplica",
        request: "DBInstanceIdentifier=replica&BackupRetentionPeriod=17&PreferredBackupWindow=07:00-07:55",
        reads: &[("DescribeDBInstances", "DBInstanceIdentifier=replica")],
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBSnapshot",
        request: "DBSnapshotIdentifier=first&DBInstanceIdentifier=one&Tags.Tag.1.Key=team&Tags.Tag.1.Value=lime",
        reads: SNAPSHOT,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "CopyDBSnapshot",
        request: "SourceDBSnapshotIdentifier={snapshot_arn}&TargetDBSnapshotIdentifier=second\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=olive",
        reads: SNAPSHOT,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBSnapshotAttribute",
        request: "DBSnapshotIdentifier=first&AttributeName=restore&ValuesToAdd.AttributeValue.1=111122223333",
        reads: &[("DescribeDBSnapshotAttributes", "DBSnapshotIdentifier=first")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "RestoreDBInstanceFromDBSnapshot",
        request: "DBInstanceIdentifier=restored&DBSnapshotIdentifier=first&DBInstanceClass=db.t3.xlarge&Engine=postgres\
                  &AvailabilityZone={zone}&Port=5588&DBParameterGroupName=own&AutoMinorVersionUpgrade=false\
                  &CopyTagsToSnapshot=true&DBSubnetGroupName=zones&DeletionProtection=true&NetworkType=IPV4\
                  &PubliclyAccessible=true&VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}\
                  &BackupRetentionPeriod=19&PreferredBackupWindow=08:00-08:55&AllocatedStorage=456&StorageType=gp3\
                  &Iops=6789&StorageThroughput=654&OptionGroupName=options&CACertificateIdentifier=rds-ca-ecc384-g1\
                  &LicenseModel=postgresql-license&EngineLifecycleSupport=open-source-rds-extended-support-disabled\
                  &EnableCloudwatchLogsExports.1=upgrade&EnableIAMDatabaseAuthentication=false\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=black",
        reads: &[("DescribeDBInstances", "DBInstanceIdentifier=restored"), ("DescribeDBSnapshots", "")],
        renamed: RENAMED,
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddTagsToResource",
        request: "ResourceName={subnets_arn}&Tags.Tag.1.Key=stage&Tags.Tag.1.Value=canary",
        reads: SUBNETS,
        ..Trip::EMPTY
    },
];

const CLUSTERS: &[Trip] = &[
    Trip {
        operation: "CreateDBCluster",
        request: "DBClusterIdentifier=c&Engine=aurora-postgresql&EngineVersion={version}&EngineMode=provisioned\
                  &MasterUsername=captain&MasterUserPassword=long-enough&DatabaseName=ships\
                  &DBClusterParameterGroupName=c-own&DBSubnetGroupName=zones\
                  &AvailabilityZones.AvailabilityZone.1={zone}&Port=5599&CopyTagsToSnapshot=true&DeletionProtection=true\
                  &StorageType=aurora-iopt1&NetworkType=IPV4&StorageEncrypted=true&BackupRetentionPeriod=11\
                  &PreferredBackupWindow=09:00-09:45&PreferredMaintenanceWindow=thu:02:00-thu:02:45\
                  &VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}&KmsKeyId=alias/fleet\
                  &CACertificateIdentifier=rds-ca-ecc384-g1&DatabaseInsightsMode=advanced\
                  &EngineLifecycleSupport=open-source-rds-extended-support-disabled\
                  &EnableCloudwatchLogsExports.1=postgresql&EnableIAMDatabaseAuthentication=false\
                  &OptionGroupName={cluster_options}&EnablePerformanceInsights=true&MonitoringInterval=15\
                  &MonitoringRoleArn=arn:aws:iam::1:role/fleet&PerformanceInsightsKMSKeyId=alias/harbour\
                  &PerformanceInsightsRetentionPeriod=62&Tags.Tag.1.Key=team&Tags.Tag.1.Value=silver",
        reads: CLUSTER,
        renamed: RENAMED,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBInstance",
        request: "DBInstanceIdentifier=member&DBInstanceClass=db.t4g.medium&Engine=aurora-postgresql\
                  &DBClusterIdentifier=c&PromotionTier=7",
        reads: INSTANCE,
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBInstance",
        request: "DBInstanceIdentifier=member&PromotionTier=9",
        reads: INSTANCE,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBCluster",
        request: "DBClusterIdentifier=c&NewDBClusterIdentifier=renamed-c&EngineVersion={version}&DBClusterParameterGroupName=c-copied&Port=5600\
                  &CopyTagsToSnapshot=false&DeletionProtection=false&NetworkType=IPV4&BackupRetentionPeriod=14\
                  &PreferredBackupWindow=10:00-10:45&PreferredMaintenanceWindow=fri:02:00-fri:02:45\
                  &VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}&CACertificateIdentifier=rds-ca-rsa4096-g1\
                  &DatabaseInsightsMode=standard&CloudwatchLogsExportConfiguration.EnableLogTypes.1=upgrade\
                  &EngineLifecycleSupport=open-source-rds-extended-support\
                  &EnableIAMDatabaseAuthentication=false&OptionGroupName={cluster_options}&EnablePerformanceInsights=true\
                  &MonitoringInterval=30&MonitoringRoleArn=arn:aws:iam::1:role/ships\
                  &PerformanceInsightsKMSKeyId=alias/port&PerformanceInsightsRetentionPeriod=93",
        reads: CLUSTER,
        renamed: RENAMED,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateDBClusterSnapshot",
        request: "DBClusterSnapshotIdentifier=fleet&DBClusterIdentifier=c&Tags.Tag.1.Key=team&Tags.Tag.1.Value=gold",
        reads: CLUSTER_SNAPSHOT,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "CopyDBClusterSnapshot",
        request: "SourceDBClusterSnapshotIdentifier={cluster_snapshot_arn}&TargetDBClusterSnapshotIdentifier=fleet-2\
                  &Tags.Tag.1.Key=team&Tags.Tag.1.Value=bronze",
        reads: CLUSTER_SNAPSHOT,
        prepare: Some(settle),
        ..Trip::EMPTY
    },
    Trip {
        operation: "ModifyDBClusterSnapshotAttribute",
        request: "DBClusterSnapshotIdentifier=fleet&AttributeName=restore&ValuesToAdd.AttributeValue.1=444455556666",
        reads: &[("DescribeDBClusterSnapshotAttributes", "DBClusterSnapshotIdentifier=fleet")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "RestoreDBClusterFromSnapshot",
        request: "DBClusterIdentifier=restored&SnapshotIdentifier=fleet&Engine=aurora-postgresql\
                  &EngineVersion={version}&EngineMode=provisioned&DatabaseName=ships&DBClusterParameterGroupName=c-own\
                  &DBSubnetGroupName=zones&AvailabilityZones.AvailabilityZone.1={zone}&Port=5601&CopyTagsToSnapshot=true\
                  &DeletionProtection=true&StorageType=aurora-iopt1&NetworkType=IPV4&BackupRetentionPeriod=15\
                  &PreferredBackupWindow=11:00-11:45&VpcSecurityGroupIds.VpcSecurityGroupId.1={security_group}\
                  &KmsKeyId=alias/restored&EngineLifecycleSupport=open-source-rds-extended-support-disabled\
                  &EnableCloudwatchLogsExports.1=postgresql&EnableIAMDatabaseAuthentication=false\
                  &OptionGroupName={cluster_options}&EnablePerformanceInsights=true&MonitoringInterval=60\
                  &MonitoringRoleArn=arn:aws:iam::1:role/again&PerformanceInsightsKMSKeyId=alias/again\
                  &PerformanceInsightsRetentionPeriod=155&Tags.Tag.1.Key=team&Tags.Tag.1.Value=copper",
        reads: &[("DescribeDBClusters", "DBClusterIdentifier=restored"), ("DescribeDBClusterSnapshots", "")],
        renamed: RENAMED,
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly(
        "*",
        &[
            "Tags",
            "EnableCloudwatchLogsExports",
            "VpcSecurityGroupIds",
            "AvailabilityZones",
            "Parameters",
            "ValuesToAdd",
            "ValuesToRemove",
        ],
        "the empty form of a list",
    ),
    WriteOnly(
        "*",
        &["CloudwatchLogsExportConfiguration.EnableLogTypes", "CloudwatchLogsExportConfiguration.DisableLogTypes"],
        "the empty form of a list",
    ),
    WriteOnly(
        "*",
        &["CloudwatchLogsExportConfiguration.DisableLogTypes.N", "ValuesToRemove.AttributeValue.N"],
        "removes values",
    ),
    WriteOnly("*", &["MasterUserPassword"], "a secret, which no response contains"),
    WriteOnly("CreateDBInstance", &["Port"], "returned once the instance is available; tested in tests.rs"),
    WriteOnly("CreateDBInstanceReadReplica", &["Port"], "as for CreateDBInstance, by the same rendering"),
    WriteOnly("RestoreDBInstanceFromDBSnapshot", &["Port"], "as for CreateDBInstance, by the same rendering"),
    WriteOnly("*", &["CopyTags"], "selects the tags of a copy"),
    WriteOnly("*", &["AllowMajorVersionUpgrade", "ApplyImmediately"], "permits or dates the other changes"),
    WriteOnly(
        "*",
        &["SkipFinalSnapshot", "FinalDBSnapshotIdentifier"],
        "decides about a last snapshot; tested in tests.rs",
    ),
    WriteOnly("CopyDBParameterGroup", &["SourceDBParameterGroupIdentifier"], "selects the group that is copied"),
    WriteOnly(
        "CopyDBClusterParameterGroup",
        &["SourceDBClusterParameterGroupIdentifier"],
        "selects the group that is copied",
    ),
    WriteOnly(
        "CreateDBInstanceReadReplica",
        &["MultiAZ"],
        "excludes a zone; read back after CreateDBInstance, which adds instances by the same function",
    ),
    WriteOnly(
        "RestoreDBInstanceFromDBSnapshot",
        &["MultiAZ"],
        "excludes a zone; read back after CreateDBInstance, which adds instances by the same function",
    ),
    WriteOnly("ModifyDBParameterGroup", &["Parameters.Parameter.N.ApplyMethod"], "returned only for pending values"),
    WriteOnly("ModifyDBClusterParameterGroup", &["*"], "the same function as for ModifyDBParameterGroup"),
    WriteOnly("ResetDBParameterGroup", &["*"], "identifies the parameters to reset"),
    WriteOnly("ResetDBClusterParameterGroup", &["*"], "identifies the parameters to reset"),
    WriteOnly("RemoveTagsFromResource", &["*"], "identifies the tags to remove"),
    WriteOnly("AddTagsToResource", &["ResourceName"], "identifies the resource"),
    WriteOnly("FailoverDBCluster", &["*"], "identifies the instances"),
    WriteOnly("RebootDBInstance", &["*"], "identifies the instance"),
    WriteOnly("StopDBInstance", &["*"], "identifies the instance"),
    WriteOnly("StartDBInstance", &["*"], "identifies the instance"),
    WriteOnly("StopDBCluster", &["*"], "identifies the cluster"),
    WriteOnly("StartDBCluster", &["*"], "identifies the cluster"),
    WriteOnly("DeleteDBInstance", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBCluster", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBSnapshot", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBClusterSnapshot", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBSubnetGroup", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBParameterGroup", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteDBClusterParameterGroup", &["*"], "identifies the resource to delete"),
    WriteOnly("DeleteEventSubscription", &["*"], "identifies the resource to delete"),
    WriteOnly("RemoveSourceIdentifierFromSubscription", &["*"], "identifies the source to remove"),
    WriteOnly("*", &["EventCategories", "SourceIds"], "the empty form of a list"),
    WriteOnly("DeleteOptionGroup", &["*"], "identifies the resource to delete"),
    WriteOnly("DownloadDBLogFilePortion", &["*"], "reads"),
    WriteOnly("DescribeDBLogFiles", &["*"], "reads"),
];

#[test]
fn parameters_are_read_back() {
    let mut plane = round_trip::plane();
    let region = &plane.cloud.regions["us-east-1"];
    let subnets: Vec<_> = region.ec2.subnets.values().collect();
    let arn =
        |kind: &str, id: &str| super::arn(ArnScope { region: "us-east-1", account: plane.cloud.account }, kind, id);
    let variables = Variables::from([
        ("subnet1", subnets[0].id.clone()),
        ("subnet2", subnets[1].id.clone()),
        ("subnet3", subnets[2].id.clone()),
        ("zone", subnets[0].zone.clone()),
        ("security_group", region.ec2.security_groups.keys().next().unwrap().clone()),
        ("version", engine::version().unwrap().to_owned()),
        ("major", engine::major().unwrap().to_owned()),
        ("family", engine::family(engine::POSTGRES).unwrap()),
        ("cluster_family", engine::family(engine::AURORA).unwrap()),
        ("default_options", super::option_group::default_name(engine::POSTGRES).unwrap()),
        ("cluster_options", super::option_group::default_name(engine::AURORA).unwrap()),
        ("snapshot_arn", arn("snapshot", "first")),
        ("cluster_snapshot_arn", arn("cluster-snapshot", "fleet")),
    ]);
    let trips = [GROUPS, SUBSCRIPTIONS, INSTANCES, CLUSTERS].concat();
    check_query(&mut plane, OPERATIONS, &trips, WRITE_ONLY, variables);
}
