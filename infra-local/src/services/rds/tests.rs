//! Tests of the operations.
#![allow(clippy::unwrap_used)]

mod events;
mod renames;

use chrono::Utc;

use super::*;
use crate::model::process::ProcessIdentity;
use crate::model::rds::Stage;
use crate::testing::{ControlPlane, element, outline};

struct World {
    plane: ControlPlane,
}

const ONE: &str = "DBInstanceIdentifier=one&DBInstanceClass=db.t3.micro&Engine=postgres&MasterUsername=cloud&\
                   MasterUserPassword=long-enough&AllocatedStorage=20&DBName=tasks";
const CLUSTER: &str =
    "DBClusterIdentifier=c&Engine=aurora-postgresql&MasterUsername=cloud&MasterUserPassword=long-enough";
const MEMBER: &str = "DBInstanceClass=db.t4g.medium&Engine=aurora-postgresql&DBClusterIdentifier=c";

impl World {
    fn new() -> Self {
        let plane = ControlPlane::new();
        Self { plane }
    }

    /// Returns the response as XML, or the error's code and message.
    fn call(&mut self, name: &str, form: &str) -> Result<String, String> {
        self.plane.query(OPERATIONS, name, form)
    }

    #[track_caller]
    fn refuses(&mut self, name: &str, form: &str, code: &str, words: &str) {
        let error = self.call(name, form).unwrap_err();
        assert!(error.starts_with(&format!("{code}: ")) && error.contains(words), "{error}");
    }

    /// Makes all resources available, as the runtime does after a while.
    fn settle(&mut self) {
        let before = self.plane.cloud.clone();
        let databases = &mut self.plane.cloud.regions.get_mut("us-east-1").unwrap().rds;
        for instance in databases.instances.values_mut() {
            instance.stage = Stage::Available;
            instance.runtime.ready = true;
            // Any process can stand for the server's.
            instance.runtime.process = ProcessIdentity::of(std::process::id());
        }
        databases.clusters.values_mut().for_each(|cluster| cluster.stage = Stage::Available);
        let snapshots = databases.snapshots.values_mut().chain(databases.cluster_snapshots.values_mut());
        snapshots.for_each(|snapshot| snapshot.stage = Stage::Available);
        self.plane.cloud.record_events(&before, Utc::now());
    }

    /// Returns the categories and messages of the events that a request selects.
    #[track_caller]
    fn events(&mut self, form: &str) -> String {
        let answer = self.call("DescribeEvents", form).unwrap();
        let events = answer.split("<Event>").skip(1);
        let text = |event: &str| format!("{}: {}", element(event, "EventCategory"), element(event, "Message"));
        events.map(text).collect::<Vec<_>>().join("\n")
    }
}

/// Returns the family of this machine's PostgreSQL.
fn family() -> String {
    engine::family(engine::POSTGRES).unwrap()
}

#[test]
fn invalid_instances_are_refused() {
    let mut world = World::new();
    let mut refuses = |from: &str, to: &str, code: &str, words: &str| {
        world.refuses("CreateDBInstance", &ONE.replace(from, to), code, words);
    };
    refuses("=one", "=1-one", "InvalidParameterValue", "not a valid identifier");
    refuses("db.t3.micro", "db.t3.gigantic", "InvalidParameterValue", "Invalid DB Instance class: db.t3.gigantic");
    refuses("Engine=postgres", "Engine=mysql", "InvalidParameterValue", "Invalid DB engine: mysql");
    refuses(
        "DBName=",
        "EngineVersion=9.6&DBName=",
        "InvalidParameterCombination",
        "Cannot find version 9.6 for postgres",
    );
    refuses("=cloud", "=admin", "InvalidParameterValue", "reserved word");
    refuses("=long-enough", "=short", "InvalidParameterValue", "shorter than 8 characters");
    refuses("=long-enough", "=has/slash1", "InvalidParameterValue", "Only printable ASCII");
    refuses(
        "=20",
        "=4",
        "InvalidParameterCombination",
        "Invalid storage size for engine name postgres and storage type gp2: 4",
    );
    refuses("DBName=", "Port=80&DBName=", "InvalidParameterValue", "Port");
    refuses("DBName=", "DBSubnetGroupName=none&DBName=", "DBSubnetGroupNotFoundFault", "none");
    refuses("DBName=", "DBParameterGroupName=none&DBName=", "DBParameterGroupNotFound", "none");
    refuses("DBName=", "VpcSecurityGroupIds.VpcSecurityGroupId.1=sg-0&DBName=", "InvalidParameterValue", "sg-0");
    refuses("DBName=", "Colour=green&DBName=", "UnsupportedParameter", "Colour");
    refuses("AllocatedStorage=20", "Iops=1", "MissingParameter", "AllocatedStorage");
    assert!(world.plane.cloud.regions["us-east-1"].rds.instances.is_empty());
}

#[test]
fn an_instance_is_created_described_and_deleted() {
    let mut world = World::new();
    let created = world.call("CreateDBInstance", &format!("{ONE}&DeletionProtection=true")).unwrap();
    assert!(!created.contains("<Endpoint>") && !created.contains("long-enough"), "{created}");
    insta::assert_snapshot!(outline(&created), @"
    CreateDBInstanceResponse
      CreateDBInstanceResult
        DBInstance
          DBInstanceIdentifier: one
          DBInstanceClass: db.t3.micro
          Engine: postgres
          DBInstanceStatus: creating
          MasterUsername: cloud
          DBName: tasks
          AllocatedStorage: 20
          InstanceCreateTime: [time]
          PreferredBackupWindow: 03:00-03:30
          BackupRetentionPeriod: 1
          DBSecurityGroups
          VpcSecurityGroups
            VpcSecurityGroupMembership
              VpcSecurityGroupId: sg-[id]
              Status: active
          DBParameterGroups
            DBParameterGroup
              DBParameterGroupName: default.postgres[major]
              ParameterApplyStatus: in-sync
          AvailabilityZone: [zone]
          DBSubnetGroup
            DBSubnetGroupName: default
            DBSubnetGroupDescription: default
            VpcId: vpc-[id]
            SubnetGroupStatus: Complete
            Subnets
              Subnet
                SubnetIdentifier: subnet-[id]
                SubnetAvailabilityZone
                  Name: [zone]
                SubnetOutpost
                SubnetStatus: Active
              Subnet
                SubnetIdentifier: subnet-[id]
                SubnetAvailabilityZone
                  Name: [zone]
                SubnetOutpost
                SubnetStatus: Active
              Subnet
                SubnetIdentifier: subnet-[id]
                SubnetAvailabilityZone
                  Name: [zone]
                SubnetOutpost
                SubnetStatus: Active
            DBSubnetGroupArn: arn:aws:rds:us-east-1:000000000000:subgrp:default
            SupportedNetworkTypes
              member: IPV4
          PreferredMaintenanceWindow: sun:05:00-sun:05:30
          PendingModifiedValues
          MultiAZ: false
          EngineVersion: [version]
          AutoMinorVersionUpgrade: true
          ReadReplicaDBInstanceIdentifiers
          LicenseModel: postgresql-license
          MonitoringInterval: 0
          PerformanceInsightsEnabled: false
          DatabaseInsightsMode: standard
          EngineLifecycleSupport: open-source-rds-extended-support
          CACertificateIdentifier: rds-ca-rsa2048-g1
          CertificateDetails
            CAIdentifier: rds-ca-rsa2048-g1
            ValidTill: [time]
          OptionGroupMemberships
            OptionGroupMembership
              OptionGroupName: default:postgres-[major]
              Status: in-sync
          PubliclyAccessible: true
          StatusInfos
          StorageType: gp2
          DbInstancePort: 0
          StorageEncrypted: false
          DbiResourceId: db-[id]
          DomainMemberships
          CopyTagsToSnapshot: false
          DBInstanceArn: arn:aws:rds:us-east-1:000000000000:db:one
          IAMDatabaseAuthenticationEnabled: false
          DeletionProtection: true
          AssociatedRoles
          TagList
          NetworkType: IPV4
          BackupTarget: region
      ResponseMetadata
        RequestId: r
    ");
    world.refuses("CreateDBInstance", ONE, "DBInstanceAlreadyExists", "");
    world.refuses("RebootDBInstance", "DBInstanceIdentifier=one", "InvalidDBInstanceState", "not in available state");
    world.settle();
    let described = world.call("DescribeDBInstances", "DBInstanceIdentifier=ONE").unwrap();
    assert_eq!(element(&described, "DBParameterGroupName"), format!("default.{}", family()));
    assert!(described.contains("<Endpoint><Address>127.") && described.contains("<Port>5432</Port>"), "{described}");
    let filter = "Filters.Filter.1.Name=db-instance-id&Filters.Filter.1.Values.Value.1=";
    assert!(world.call("DescribeDBInstances", &format!("{filter}one")).unwrap().contains("<DBInstance>"));
    assert!(!world.call("DescribeDBInstances", &format!("{filter}two")).unwrap().contains("<DBInstance>"));
    world.refuses("DescribeDBInstances", "DBInstanceIdentifier=two", "DBInstanceNotFound", "two");

    let delete = "DBInstanceIdentifier=one";
    world.refuses(
        "DeleteDBInstance",
        &format!("{delete}&SkipFinalSnapshot=true"),
        "InvalidParameterCombination",
        "protected",
    );
    let unprotect = world.call("ModifyDBInstance", "DBInstanceIdentifier=one&DeletionProtection=false").unwrap();
    assert_eq!(element(&unprotect, "DBInstanceStatus"), "available");
    world.refuses("DeleteDBInstance", delete, "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required");
    let both = format!("{delete}&SkipFinalSnapshot=true&FinalDBSnapshotIdentifier=last");
    world.refuses("DeleteDBInstance", &both, "InvalidParameterCombination", "cannot specify both");
    let deleted = world.call("DeleteDBInstance", &format!("{delete}&FinalDBSnapshotIdentifier=last")).unwrap();
    assert_eq!(element(&deleted, "DBInstanceStatus"), "deleting");
    world.refuses("DeleteDBInstance", &both, "InvalidDBInstanceState", "already being deleted");
    world.refuses("DeleteDBSnapshot", "DBSnapshotIdentifier=last", "InvalidDBSnapshotState", "being created");
}

#[test]
fn changes_wait_for_the_maintenance_window_unless_they_are_immediate() {
    let mut world = World::new();
    world.call("CreateDBInstance", ONE).unwrap();
    world.settle();
    let later = world.call("ModifyDBInstance", "DBInstanceIdentifier=one&AllocatedStorage=30").unwrap();
    assert!(later.contains("<PendingModifiedValues><AllocatedStorage>30</AllocatedStorage>"), "{later}");
    assert_eq!(element(&later, "DBInstanceStatus"), "available");
    let now =
        world.call("ModifyDBInstance", "DBInstanceIdentifier=one&ApplyImmediately=true&DBInstanceClass=db.t3.small");
    assert_eq!(element(&now.unwrap(), "DBInstanceStatus"), "modifying");
    world.settle();
    world.refuses(
        "ModifyDBInstance",
        "DBInstanceIdentifier=one&AllocatedStorage=10",
        "InvalidParameterCombination",
        "10",
    );
    world.refuses("ModifyDBInstance", "DBInstanceIdentifier=one&EngineVersion=99", "InvalidParameterCombination", "99");
    world.refuses("StartDBInstance", "DBInstanceIdentifier=one", "InvalidDBInstanceState", "not stopped");
    world.refuses(
        "RebootDBInstance",
        "DBInstanceIdentifier=one&ForceFailover=true",
        "InvalidParameterCombination",
        "Multi-AZ",
    );
}

#[test]
fn clusters_have_members_and_are_not_deleted_with_them() {
    let mut world = World::new();
    world.refuses("CreateDBInstance", &format!("{MEMBER}&DBInstanceIdentifier=c-1"), "DBClusterNotFoundFault", "c");
    let created = world.call("CreateDBCluster", CLUSTER).unwrap();
    assert_ne!(element(&created, "Endpoint"), element(&created, "ReaderEndpoint"));
    world.refuses("CreateDBCluster", CLUSTER, "DBClusterAlreadyExistsFault", "");
    for id in ["c-1", "c-2"] {
        world.call("CreateDBInstance", &format!("{MEMBER}&DBInstanceIdentifier={id}")).unwrap();
    }
    let foreign = format!("{MEMBER}&DBInstanceIdentifier=c-3&MasterUsername=me");
    world.refuses(
        "CreateDBInstance",
        &foreign,
        "InvalidParameterCombination",
        "Set master user name for the DB Cluster",
    );
    let small = format!("{MEMBER}&DBInstanceIdentifier=c-3").replace("db.t4g.medium", "db.t3.micro");
    world.refuses("CreateDBInstance", &small, "InvalidParameterCombination", "DBInstanceClass=db.t3.micro");
    world.refuses("FailoverDBCluster", "DBClusterIdentifier=c", "InvalidDBClusterStateFault", "creating");
    world.settle();
    let zones = &world.plane.cloud.regions["us-east-1"].rds;
    assert_ne!(zones.instances["c-1"].zone, zones.instances["c-2"].zone, "members are spread over zones");

    world.refuses(
        "FailoverDBCluster",
        "DBClusterIdentifier=c&TargetDBInstanceIdentifier=c-1",
        "InvalidDBInstanceState",
        "writer",
    );
    let over = world.call("FailoverDBCluster", "DBClusterIdentifier=c").unwrap();
    assert_eq!(element(&over, "Status"), "failing-over");
    assert!(over.contains("<DBInstanceIdentifier>c-2</DBInstanceIdentifier><IsClusterWriter>true<"), "{over}");
    world.settle();
    world.refuses("StopDBInstance", "DBInstanceIdentifier=c-1", "InvalidParameterCombination", "not eligible");
    world.refuses(
        "DeleteDBCluster",
        "DBClusterIdentifier=c&SkipFinalSnapshot=true",
        "InvalidDBClusterStateFault",
        "still contains",
    );
    let last = "DBInstanceIdentifier=c-1&FinalDBSnapshotIdentifier=last";
    world.refuses("DeleteDBInstance", last, "InvalidParameterCombination", "deleting a cluster instance");
    for id in ["c-1", "c-2"] {
        world.call("DeleteDBInstance", &format!("DBInstanceIdentifier={id}")).unwrap();
    }
    world.refuses("DeleteDBCluster", "DBClusterIdentifier=c", "InvalidParameterCombination", "is required");
    let deleted = world.call("DeleteDBCluster", "DBClusterIdentifier=c&FinalDBSnapshotIdentifier=last").unwrap();
    assert_eq!(element(&deleted, "Status"), "deleting");
    assert!(world.plane.cloud.regions["us-east-1"].rds.cluster_snapshots.contains_key("last"));
}

#[test]
fn subnet_groups_cover_two_zones_and_are_not_deleted_while_in_use() {
    let mut world = World::new();
    let subnets: Vec<String> = world.plane.cloud.regions["us-east-1"].ec2.subnets.keys().cloned().collect();
    let form = |subnets: &[String]| {
        let list = subnets.iter().enumerate().map(|(at, id)| format!("&SubnetIds.SubnetIdentifier.{}={id}", at + 1));
        format!("DBSubnetGroupName=Data&DBSubnetGroupDescription=d{}", list.collect::<String>())
    };
    world.refuses("CreateDBSubnetGroup", &form(&subnets[..1]), "DBSubnetGroupDoesNotCoverEnoughAZs", "2 AZs");
    world.refuses("CreateDBSubnetGroup", &form(&["subnet-0".to_owned()]), "InvalidSubnet", "subnet-0");
    let created = world.call("CreateDBSubnetGroup", &form(&subnets[..2])).unwrap();
    assert_eq!(element(&created, "DBSubnetGroupName"), "data");
    world.refuses("CreateDBSubnetGroup", &form(&subnets[..2]), "DBSubnetGroupAlreadyExists", "data");
    world.call("CreateDBInstance", &format!("{ONE}&DBSubnetGroupName=data")).unwrap();
    world.refuses("DeleteDBSubnetGroup", "DBSubnetGroupName=data", "InvalidDBSubnetGroupStateFault", "one");
    world.settle();
    world.plane.cloud.regions.get_mut("us-east-1").unwrap().rds.instances.clear();
    world.call("DeleteDBSubnetGroup", "DBSubnetGroupName=data").unwrap();
    world.refuses("DeleteDBSubnetGroup", "DBSubnetGroupName=data", "DBSubnetGroupNotFoundFault", "data");
}

#[test]
fn parameter_groups_accept_the_values_that_the_engine_accepts() {
    let mut world = World::new();
    let create = format!("DBParameterGroupName=own&DBParameterGroupFamily={}&Description=d", family());
    let old = create.replace(&family(), "postgres9");
    world.refuses("CreateDBParameterGroup", &old, "InvalidParameterValue", "postgres9");
    world.call("CreateDBParameterGroup", &create).unwrap();
    world.refuses("CreateDBParameterGroup", &create, "DBParameterGroupAlreadyExists", "own");
    let set = |name: &str, value: &str, method: &str| {
        format!(
            "DBParameterGroupName=own&Parameters.Parameter.1.ParameterName={name}&\
             Parameters.Parameter.1.ParameterValue={value}&Parameters.Parameter.1.ApplyMethod={method}"
        )
    };
    let mut refuses =
        |form: String, code: &str, words: &str| world.refuses("ModifyDBParameterGroup", &form, code, words);
    refuses(set("max_connections", "40", "immediate"), "InvalidParameterCombination", "static parameter");
    refuses(set("port", "1", "pending-reboot"), "InvalidParameterValue", "cannot be modified");
    refuses(set("no_such", "1", "immediate"), "InvalidParameterValue", "Could not find parameter with name: no_such");
    refuses(set("work_mem", "1", "immediate"), "InvalidParameterValue", "64");
    let default = set("work_mem", "64", "immediate").replace("=own", &format!("=default.{}", family()));
    refuses(default, "InvalidParameterValue", "Cannot modify a default parameter group.");
    world.call("ModifyDBParameterGroup", &set("max_connections", "40", "pending-reboot")).unwrap();
    let user = world.call("DescribeDBParameters", "DBParameterGroupName=own&Source=user").unwrap();
    assert_eq!(element(&user, "ParameterName"), "max_connections");
    assert_eq!((element(&user, "ParameterValue"), element(&user, "ApplyType")), ("40", "static"));
    let page = world.call("DescribeDBParameters", "DBParameterGroupName=own&MaxRecords=20").unwrap();
    assert_eq!(page.matches("<Parameter>").count(), 20);
    let next = format!("DBParameterGroupName=own&MaxRecords=20&Marker={}", element(&page, "Marker"));
    assert_ne!(
        element(&world.call("DescribeDBParameters", &next).unwrap(), "ParameterName"),
        element(&page, "ParameterName")
    );

    world.call("CreateDBInstance", &format!("{ONE}&DBParameterGroupName=own")).unwrap();
    world.refuses("DeleteDBParameterGroup", "DBParameterGroupName=own", "InvalidDBParameterGroupState", "own");
    world.call("ResetDBParameterGroup", "DBParameterGroupName=own&ResetAllParameters=true").unwrap();
    let user = world.call("DescribeDBParameters", "DBParameterGroupName=own&Source=user").unwrap();
    assert!(!user.contains("<Parameter>"), "{user}");
    world.refuses(
        "DeleteDBParameterGroup",
        &format!("DBParameterGroupName=default.{}", family()),
        "InvalidDBParameterGroupState",
        "Default",
    );
}

#[test]
fn snapshots_are_restored_as_new_instances() {
    let mut world = World::new();
    world
        .call("CreateDBInstance", &format!("{ONE}&CopyTagsToSnapshot=true&Tags.Tag.1.Key=team&Tags.Tag.1.Value=a"))
        .unwrap();
    let create = "DBInstanceIdentifier=one&DBSnapshotIdentifier=s";
    world.refuses("CreateDBSnapshot", create, "InvalidDBInstanceState", "available state");
    world.settle();
    let created = world.call("CreateDBSnapshot", create).unwrap();
    assert_eq!(
        (element(&created, "Status"), element(&created, "PercentProgress"), element(&created, "Key")),
        ("creating", "0", "team")
    );
    let restore = "DBInstanceIdentifier=two&DBSnapshotIdentifier=s";
    world.refuses("RestoreDBInstanceFromDBSnapshot", restore, "InvalidDBSnapshotState", "not available");
    world.settle();
    world.refuses("CreateDBSnapshot", create, "DBSnapshotAlreadyExists", "s already exists");
    let restored = world.call("RestoreDBInstanceFromDBSnapshot", restore).unwrap();
    assert_eq!((element(&restored, "MasterUsername"), element(&restored, "DBName")), ("cloud", "tasks"));
    world.refuses("DeleteDBSnapshot", "DBSnapshotIdentifier=s", "InvalidDBSnapshotState", "restored from");
    world.settle();
    world.call("DeleteDBSnapshot", "DBSnapshotIdentifier=s").unwrap();
    world.refuses("DescribeDBSnapshots", "DBSnapshotIdentifier=s", "DBSnapshotNotFound", "s not found");
}

#[test]
fn replicas_need_backups_and_are_promoted_once() {
    let mut world = World::new();
    world.call("CreateDBInstance", &format!("{ONE}&BackupRetentionPeriod=0")).unwrap();
    world.settle();
    let create = "DBInstanceIdentifier=r&SourceDBInstanceIdentifier=one";
    world.refuses("CreateDBInstanceReadReplica", create, "InvalidDBInstanceState", "Automated backups are not enabled");
    world.call("ModifyDBInstance", "DBInstanceIdentifier=one&BackupRetentionPeriod=1").unwrap();
    let created = world.call("CreateDBInstanceReadReplica", create).unwrap();
    assert_eq!(element(&created, "ReadReplicaSourceDBInstanceIdentifier"), "one");
    world.settle();
    world.refuses(
        "ModifyDBInstance",
        "DBInstanceIdentifier=one&BackupRetentionPeriod=0",
        "InvalidDBInstanceState",
        "replicas",
    );
    world.call("PromoteReadReplica", "DBInstanceIdentifier=r").unwrap();
    world.refuses("PromoteReadReplica", "DBInstanceIdentifier=r", "InvalidDBInstanceState", "not a read replica");
}

#[test]
fn tags_are_kept_by_arn() {
    let mut world = World::new();
    let created = world.call("CreateDBInstance", ONE).unwrap();
    let arn = format!("ResourceName={}", element(&created, "DBInstanceArn"));
    world.call("AddTagsToResource", &format!("{arn}&Tags.Tag.1.Key=a&Tags.Tag.1.Value=1&Tags.Tag.2.Key=b")).unwrap();
    world.call("RemoveTagsFromResource", &format!("{arn}&TagKeys.member.1=a")).unwrap();
    let list = world.call("ListTagsForResource", &arn).unwrap();
    assert!(list.contains("<TagList><Tag><Key>b</Key><Value></Value></Tag></TagList>"), "{list}");
    world.refuses("ListTagsForResource", &arn.replace(":one", ":two"), "DBInstanceNotFound", "two");
    world.refuses("ListTagsForResource", "ResourceName=arn:aws:s3:::b", "InvalidParameterValue", "arn:aws:s3:::b");
    world.refuses("AddTagsToResource", &format!("{arn}&Tags.Tag.1.Key=aws:x"), "InvalidParameterValue", "aws:x");
}

#[test]
fn a_security_group_is_not_deleted_while_a_database_uses_it() {
    let mut world = World::new();
    world.call("CreateDBInstance", ONE).unwrap();
    let region = &world.plane.cloud.regions["us-east-1"];
    let group = &region.rds.instances["one"].place.security_groups[0];
    assert_eq!(region.users_of_security_group(group), [region.rds.instances["one"].resource_id.clone()]);
}

#[test]
fn features_are_recorded_or_refused_with_the_reason() {
    let mut world = World::new();
    let create = format!(
        "{ONE}&EnableCloudwatchLogsExports.member.1=postgresql&EnableCloudwatchLogsExports.member.2=upgrade\
         &EnablePerformanceInsights=true&Port=5544"
    );
    let created = world.call("CreateDBInstance", &create).unwrap();
    assert!(created.contains("<member>postgresql</member><member>upgrade</member>"), "{created}");
    assert_eq!(element(&created, "PerformanceInsightsRetentionPeriod"), "7");
    world.settle();
    assert!(world.call("DescribeDBInstances", "").unwrap().contains("<Port>5544</Port>"));
    let logs = "CloudwatchLogsExportConfiguration.DisableLogTypes.member.1=upgrade&EnablePerformanceInsights=false";
    let changed = world.call("ModifyDBInstance", &format!("DBInstanceIdentifier=one&{logs}")).unwrap();
    assert!(changed.contains("<EnabledCloudwatchLogsExports><member>postgresql</member></En"), "{changed}");
    assert!(!changed.contains("PerformanceInsightsRetentionPeriod"), "{changed}");
    for (parameter, code, words) in [
        ("EnableIAMDatabaseAuthentication=true", "InvalidParameterCombination", "authenticate by password"),
        ("LicenseModel=bring-your-own-license", "InvalidParameterCombination", "postgresql-license"),
        ("MonitoringInterval=7", "InvalidParameterValue", "MonitoringInterval"),
        ("MonitoringInterval=60", "InvalidParameterCombination", "MonitoringRoleARN value is required"),
        ("CACertificateIdentifier=no", "CertificateNotFound", "no"),
        ("OptionGroupName=no", "OptionGroupNotFoundFault", "Specified OptionGroupName: no not found."),
        ("CloudwatchLogsExportConfiguration.EnableLogTypes.member.1=audit", "InvalidParameterCombination", "audit"),
        ("PerformanceInsightsRetentionPeriod=31", "InvalidParameterCombination", "enable Performance Insights"),
        ("EnablePerformanceInsights=true&PerformanceInsightsRetentionPeriod=8", "InvalidParameterValue", "8"),
    ] {
        world.refuses("ModifyDBInstance", &format!("DBInstanceIdentifier=one&{parameter}"), code, words);
    }
    let key = format!("{}&KmsKeyId=k", ONE.replace("=one", "=two"));
    world.refuses("CreateDBInstance", &key, "InvalidParameterCombination", "encrypted storage");
}

#[test]
fn snapshots_are_shared_and_copied() {
    let mut world = World::new();
    world.call("CreateDBInstance", ONE).unwrap();
    world.settle();
    world.call("CreateDBSnapshot", "DBSnapshotIdentifier=first&DBInstanceIdentifier=one").unwrap();
    let copy = "SourceDBSnapshotIdentifier=first&TargetDBSnapshotIdentifier=second";
    world.refuses("CopyDBSnapshot", copy, "InvalidDBSnapshotState", "not in the available state");
    world.settle();
    let attributes = world.call("DescribeDBSnapshotAttributes", "DBSnapshotIdentifier=first").unwrap();
    assert!(
        attributes.contains("<AttributeName>restore</AttributeName><AttributeValues></AttributeValues>"),
        "{attributes}"
    );
    let share = "DBSnapshotIdentifier=first&AttributeName=restore&ValuesToAdd.AttributeValue.1=111122223333";
    let shared = world.call("ModifyDBSnapshotAttribute", share).unwrap();
    assert!(shared.contains("<AttributeValue>111122223333</AttributeValue>"), "{shared}");
    let unshare = share.replace("ToAdd", "ToRemove");
    assert!(!world.call("ModifyDBSnapshotAttribute", &unshare).unwrap().contains("111122223333"));
    let wrong = share.replace("111122223333", "bob");
    world.refuses("ModifyDBSnapshotAttribute", &wrong, "InvalidParameterValue", "bob");

    let copied = world.call("CopyDBSnapshot", copy).unwrap();
    assert!(element(&copied, "SourceDBSnapshotIdentifier").ends_with(":snapshot:first"), "{copied}");
    world.refuses("CopyDBSnapshot", copy, "DBSnapshotAlreadyExists", "second");
    world.call("DeleteDBSnapshot", "DBSnapshotIdentifier=first").unwrap();
    let restore = "DBInstanceIdentifier=restored&DBSnapshotIdentifier=second";
    world.call("RestoreDBInstanceFromDBSnapshot", restore).unwrap();
    world.refuses("DescribeDBSnapshotAttributes", "DBSnapshotIdentifier=first", "DBSnapshotNotFound", "first");
}

#[test]
fn option_groups_certificates_and_maintenance_are_described() {
    let mut world = World::new();
    let major = engine::major().unwrap();
    let groups = world.call("DescribeOptionGroups", "EngineName=postgres").unwrap();
    assert_eq!(element(&groups, "OptionGroupName"), format!("default:postgres-{major}"));
    let create =
        format!("OptionGroupName=own&EngineName=postgres&MajorEngineVersion={major}&OptionGroupDescription=Mine");
    world.call("CreateOptionGroup", &create).unwrap();
    world.refuses("CreateOptionGroup", &create, "OptionGroupAlreadyExistsFault", "own");
    world.call("CreateDBInstance", &format!("{ONE}&OptionGroupName=own")).unwrap();
    world.refuses("DeleteOptionGroup", "OptionGroupName=own", "InvalidOptionGroupStateFault", "one");
    world.settle();
    let default = format!("DBInstanceIdentifier=one&OptionGroupName=default:postgres-{major}");
    world.call("ModifyDBInstance", &default).unwrap();
    world.call("DeleteOptionGroup", "OptionGroupName=own").unwrap();
    world.refuses("DescribeOptionGroups", "OptionGroupName=own", "OptionGroupNotFoundFault", "own not found");

    let certificates = world.call("DescribeCertificates", "").unwrap();
    assert_eq!(certificates.matches("<CertificateIdentifier>").count(), 3);
    world.refuses("DescribeCertificates", "CertificateIdentifier=no", "CertificateNotFound", "no");
    let actions = world.call("DescribePendingMaintenanceActions", "").unwrap();
    assert!(actions.contains("<PendingMaintenanceActions></PendingMaintenanceActions>"), "{actions}");
}

#[test]
fn subscriptions_have_known_sources_and_categories() {
    let mut world = World::new();
    let own = "SubscriptionName=events&SnsTopicArn=arn:aws:sns:us-east-1:1:t";
    world.refuses("CreateEventSubscription", "SubscriptionName=e&SnsTopicArn=t", "SNSInvalidTopic", "not valid");
    let form = format!("{own}&SourceType=db-instance&SourceIds.SourceId.1=none");
    world.refuses("CreateEventSubscription", &form, "SourceNotFound", "The source none");
    let form = format!("{own}&SourceType=db-snapshot&EventCategories.EventCategory.1=backup");
    world.refuses("CreateEventSubscription", &form, "SubscriptionCategoryNotFound", "The category backup");
    world.call("CreateEventSubscription", own).unwrap();
    world.refuses("CreateEventSubscription", own, "SubscriptionAlreadyExist", "Subscription events already exists.");
    world.refuses(
        "AddSourceIdentifierToSubscription",
        "SubscriptionName=events&SourceIdentifier=one",
        "InvalidParameterCombination",
        "SourceType must be specified",
    );
    world.call("DeleteEventSubscription", "SubscriptionName=events").unwrap();
    world.refuses("DescribeEventSubscriptions", "SubscriptionName=events", "SubscriptionNotFound", "events not found");
    let shown = world.call("DescribeEventCategories", "SourceType=db-cluster-snapshot").unwrap();
    assert_eq!(shown.matches("<EventCategory>").count(), 1, "{shown}");
}
