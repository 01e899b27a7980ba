//! Events and new identifiers of databases, in a cloud that only has a control plane.

use hyper::Method;
use infra_local::{LocalCloud, Options};

use crate::support::{element, eventually, send};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MASTER: &str = "MasterUsername=cloud&MasterUserPassword=long-enough";

async fn start(directory: &tempfile::TempDir) -> LocalCloud {
    LocalCloud::start(Options { control_plane_only: true, ..Options::new(directory.path()) }).await.unwrap()
}

async fn rds(cloud: &LocalCloud, form: &str) -> (u16, String) {
    send(cloud, "rds", Method::POST, "/", &[FORM], format!("Action={form}").as_bytes()).await
}

/// Waits until a description contains this text, and returns it.
async fn described(cloud: &LocalCloud, form: &str, text: &str) -> String {
    eventually(async || {
        let (status, answer) = rds(cloud, form).await;
        (status == 200 && answer.contains(text)).then_some(answer)
    })
    .await
}

/// Returns the messages of the events of a source.
async fn events(cloud: &LocalCloud, kind: &str, source: &str) -> Vec<String> {
    let form = format!("DescribeEvents&SourceType={kind}&SourceIdentifier={source}");
    let (status, answer) = rds(cloud, &form).await;
    assert_eq!(status, 200, "{answer}");
    answer.split("<Event>").skip(1).map(|event| element(event, "Message")).collect()
}

const AVAILABLE: &str = "<DBInstanceStatus>available";

#[tokio::test(flavor = "multi_thread")]
async fn events_survive_a_restart_and_the_deletion_of_their_source() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let create = format!(
        "CreateDBInstance&DBInstanceIdentifier=one&DBInstanceClass=db.t3.micro&Engine=postgres&AllocatedStorage=20&{MASTER}"
    );
    assert_eq!(rds(&cloud, &create).await.0, 200);
    described(&cloud, "DescribeDBInstances", AVAILABLE).await;
    let modify = "ModifyDBInstance&DBInstanceIdentifier=one&AllocatedStorage=40&MultiAZ=true&ApplyImmediately=true";
    assert_eq!(rds(&cloud, modify).await.0, 200);
    described(&cloud, "DescribeDBInstances", "<AllocatedStorage>40").await;
    described(&cloud, "DescribeDBInstances", AVAILABLE).await;
    let (status, answer) = rds(&cloud, "RebootDBInstance&DBInstanceIdentifier=one&ForceFailover=true").await;
    assert_eq!(status, 200, "{answer}");
    described(&cloud, "DescribeDBInstances", AVAILABLE).await;
    rds(&cloud, "DeleteDBInstance&DBInstanceIdentifier=one&FinalDBSnapshotIdentifier=last").await;
    eventually(async || (!rds(&cloud, "DescribeDBInstances").await.1.contains("<DBInstanceStatus>")).then_some(()))
        .await;
    let expected = [
        "DB instance created",
        "Applying modification to allocated storage",
        "Applying modification to convert to a Multi-AZ DB Instance",
        "Finished applying modification to allocated storage",
        "Finished applying modification to convert to a Multi-AZ DB Instance",
        "DB instance shutdown",
        "Multi-AZ instance failover started",
        "DB instance restarted",
        "Multi-AZ instance failover completed",
        "DB instance deleted",
    ];
    assert_eq!(events(&cloud, "db-instance", "one").await, expected);
    assert_eq!(events(&cloud, "db-snapshot", "last").await[0], "Creating manual snapshot");
    cloud.shutdown().await;

    let cloud = start(&directory).await;
    assert_eq!(events(&cloud, "db-instance", "one").await, expected);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_instance_has_another_arn_and_endpoint_and_keeps_its_tags_and_replicas() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let create = |id: &str| {
        format!(
            "CreateDBInstance&DBInstanceIdentifier={id}&DBInstanceClass=db.t3.micro&Engine=postgres&AllocatedStorage=20\
             &Tags.Tag.1.Key=team&Tags.Tag.1.Value=violet&{MASTER}"
        )
    };
    assert_eq!(rds(&cloud, &create("one")).await.0, 200);
    assert_eq!(rds(&cloud, &create("other")).await.0, 200);
    let before = described(&cloud, "DescribeDBInstances&DBInstanceIdentifier=one", AVAILABLE).await;
    let replica = "CreateDBInstanceReadReplica&DBInstanceIdentifier=copy&SourceDBInstanceIdentifier=one";
    assert_eq!(rds(&cloud, replica).await.0, 200);
    described(&cloud, "DescribeDBInstances&DBInstanceIdentifier=copy", AVAILABLE).await;
    described(&cloud, "DescribeDBInstances&DBInstanceIdentifier=one", AVAILABLE).await;

    let rename = "ModifyDBInstance&DBInstanceIdentifier=one&NewDBInstanceIdentifier=";
    let (status, taken) = rds(&cloud, &format!("{rename}other&ApplyImmediately=true")).await;
    assert_eq!((status, element(&taken, "Code").as_str()), (400, "DBInstanceAlreadyExists"));
    let (status, invalid) = rds(&cloud, &format!("{rename}a--b")).await;
    assert_eq!((status, element(&invalid, "Code").as_str()), (400, "InvalidParameterValue"));
    let (status, answer) = rds(&cloud, &format!("{rename}Two&ApplyImmediately=true")).await;
    assert_eq!(status, 200, "{answer}");
    let pending = answer.split_once("<PendingModifiedValues>").unwrap().1;
    assert_eq!(element(pending, "DBInstanceIdentifier"), "two");

    let after = described(&cloud, "DescribeDBInstances&DBInstanceIdentifier=two", AVAILABLE).await;
    assert_eq!(element(&after, "DBInstanceArn"), "arn:aws:rds:us-east-1:000000000000:db:two");
    assert_ne!(element(&after, "Address"), element(&before, "Address"));
    assert_eq!(element(&after, "DbiResourceId"), element(&before, "DbiResourceId"));
    assert!(after.contains("<Value>violet</Value>"), "{after}");
    assert_eq!(element(&after, "ReadReplicaDBInstanceIdentifier"), "copy");
    let (_, copy) = rds(&cloud, "DescribeDBInstances&DBInstanceIdentifier=copy").await;
    assert_eq!(element(&copy, "ReadReplicaSourceDBInstanceIdentifier"), "two");
    let (status, absent) = rds(&cloud, "DescribeDBInstances&DBInstanceIdentifier=one").await;
    assert_eq!((status, element(&absent, "Code").as_str()), (404, "DBInstanceNotFound"));
    // The previous identifier is free.
    assert_eq!(rds(&cloud, &create("one")).await.0, 200);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_cluster_keeps_its_members() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let create = format!("CreateDBCluster&DBClusterIdentifier=c&Engine=aurora-postgresql&{MASTER}");
    assert_eq!(rds(&cloud, &create).await.0, 200);
    let member = "CreateDBInstance&DBInstanceIdentifier=m&DBInstanceClass=db.t4g.medium&Engine=aurora-postgresql\
                  &DBClusterIdentifier=c";
    let before = described(&cloud, "DescribeDBClusters", "<Status>available").await;
    assert_eq!(rds(&cloud, member).await.0, 200);
    described(&cloud, "DescribeDBInstances", AVAILABLE).await;
    let rename = "ModifyDBCluster&DBClusterIdentifier=c&NewDBClusterIdentifier=fleet";
    let (status, answer) = rds(&cloud, rename).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(element(answer.split_once("<PendingModifiedValues>").unwrap().1, "DBClusterIdentifier"), "fleet");
    assert_eq!(rds(&cloud, &format!("{rename}&ApplyImmediately=true")).await.0, 200);
    let after = described(&cloud, "DescribeDBClusters", "<DBClusterIdentifier>fleet").await;
    assert_eq!(element(&after, "DBClusterArn"), "arn:aws:rds:us-east-1:000000000000:cluster:fleet");
    assert_ne!(element(&after, "Endpoint"), element(&before, "Endpoint"));
    assert_ne!(element(&after, "ReaderEndpoint"), element(&before, "ReaderEndpoint"));
    assert_eq!(element(&after, "DBInstanceIdentifier"), "m");
    let (_, member) = rds(&cloud, "DescribeDBInstances&DBInstanceIdentifier=m").await;
    assert_eq!(element(&member, "DBClusterIdentifier"), "fleet");
    let events = events(&cloud, "db-cluster", "fleet").await;
    assert_eq!(events, ["Renamed cluster from c to fleet"]);
    assert_eq!(rds(&cloud, &create).await.0, 200);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_server_has_not_run_has_no_log_file() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let create = format!(
        "CreateDBInstance&DBInstanceIdentifier=one&DBInstanceClass=db.t3.micro&Engine=postgres&AllocatedStorage=20&{MASTER}"
    );
    assert_eq!(rds(&cloud, &create).await.0, 200);
    for name in ["error/postgresql.log", "error/other.log"] {
        let form = format!("DownloadDBLogFilePortion&DBInstanceIdentifier=one&LogFileName={name}");
        let (status, answer) = rds(&cloud, &form).await;
        assert_eq!((status, element(&answer, "Code").as_str()), (404, "DBLogFileNotFoundFault"));
        assert!(element(&answer, "Message").contains(name), "{answer}");
    }
    cloud.shutdown().await;
}
