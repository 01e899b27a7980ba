//! A local cloud in this process, which the tests call over HTTP as an AWS client does.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use infra_local::{Fault, LocalCloud, Options, Requests, StartError, daemon};

use support::{Api, ec2, element, eventually, instance, launch, lives, run, running_service, send, user_data};

const WAITS: &str = "#!/bin/sh\nexec sleep 600\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_state_survives_a_restart_and_so_does_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let endpoint = cloud.endpoint();
    let create = [("Action", "CreateSecurityGroup"), ("GroupName", "web"), ("GroupDescription", "d")];
    let (status, answer) = ec2(&cloud, &create).await;
    assert_eq!(status, 200, "{answer}");
    let group = element(&answer, "groupId");
    let (status, answer) = ec2(&cloud, &create).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (400, "InvalidGroup.Duplicate"));
    assert!(matches!(LocalCloud::start(Options::new(directory.path())).await, Err(StartError::InUse { .. })));
    cloud.shutdown().await;

    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    assert_eq!(cloud.endpoint(), endpoint);
    let (_, answer) = ec2(&cloud, &[("Action", "DescribeSecurityGroups"), ("GroupId.1", &group)]).await;
    assert_eq!(element(&answer, "groupName"), "web");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_parameters_and_operations_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let (status, answer) = ec2(&cloud, &[("Action", "DescribeVpcs"), ("Colour", "green")]).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (400, "UnsupportedParameter"));
    assert!(answer.contains("Colour"), "{answer}");
    let (_, answer) = ec2(&cloud, &[("Action", "FlyToTheMoon")]).await;
    assert_eq!(element(&answer, "Code"), "InvalidAction");
    let headers = [("x-amz-target", "AmazonSSM.GetParameter"), ("content-type", "application/x-amz-json-1.1")];
    let (status, answer) =
        send(&cloud, "ssm", Method::POST, "/", &headers, br#"{"Name": "/a", "Colour": "green"}"#).await;
    assert_eq!(status, 400);
    assert!(answer.contains("UnsupportedParameter") && answer.contains("Colour"), "{answer}");
    let (status, answer) = send(&cloud, "nosuchservice", Method::POST, "/", &[], b"").await;
    assert_eq!(status, 400);
    assert!(answer.contains("nosuchservice"), "{answer}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_and_a_failed_request_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let files = || ["cloud.json", "cloud.journal"].map(|name| std::fs::read(directory.path().join(name)).unwrap());
    let before = files();
    let create =
        [("Action", "CreateSecurityGroup"), ("GroupName", "web"), ("GroupDescription", "d"), ("DryRun", "true")];
    let (status, answer) = ec2(&cloud, &create).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (412, "DryRunOperation"));
    // The first rule is valid, the second is not: neither is added.
    let (_, answer) = ec2(&cloud, &[("Action", "DescribeSecurityGroups")]).await;
    let group = element(&answer, "groupId");
    let authorize = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "80"),
        ("IpPermissions.1.ToPort", "80"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ("IpPermissions.2.IpProtocol", "-1"),
        ("IpPermissions.2.Groups.1.GroupId", group.as_str()),
    ];
    let (_, answer) = ec2(&cloud, &authorize).await;
    assert_eq!(element(&answer, "Code"), "InvalidPermission.Duplicate");
    assert_eq!(files(), before);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cloud_adopts_the_processes_of_a_detached_one() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let id = launch(&cloud, WAITS).await;
    let pid = running_service(&cloud, &id, None).await.pid.unwrap();
    eventually(async || (instance(&cloud, &id).await.state == "running").then_some(())).await;
    cloud.detach().await;
    assert!(lives(pid));

    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    assert_eq!(running_service(&cloud, &id, None).await.pid, Some(pid));
    cloud.shutdown().await;
    assert!(!lives(pid));

    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let again = running_service(&cloud, &id, None).await.pid.unwrap();
    assert_ne!(again, pid);
    let (status, _) = ec2(&cloud, &[("Action", "TerminateInstances"), ("InstanceId.1", &id)]).await;
    assert_eq!(status, 200);
    eventually(async || (instance(&cloud, &id).await.state == "terminated").then_some(())).await;
    assert!(!lives(again));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_service_is_restarted_until_it_crashes_too_often() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let id = launch(&cloud, "#!/bin/sh\necho last words\nexit 7\n").await;
    let service = eventually(async || {
        let service = instance(&cloud, &id).await.services.first().cloned()?;
        (service.state == "failed").then_some(service)
    })
    .await;
    assert_eq!((service.restarts, service.pid), (4, None));
    assert_eq!(instance(&cloud, &id).await.state, "running");
    let (_, answer) = ec2(&cloud, &[("Action", "GetConsoleOutput"), ("InstanceId", &id)]).await;
    let console = String::from_utf8(STANDARD.decode(element(&answer, "output")).unwrap()).unwrap();
    assert!(console.contains("last words") && console.contains("too often"), "{console}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_is_restarted_as_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let id = launch(&cloud, WAITS).await;
    let pid = running_service(&cloud, &id, None).await.pid.unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let again = running_service(&cloud, &id, Some(pid)).await;
    assert_eq!(again.restarts, 1);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    send(&cloud, "s3", Method::PUT, "/bucket", &[], b"").await;
    assert_eq!(send(&cloud, "s3", Method::PUT, "/bucket/a/b", &[], b"content").await.0, 200);
    assert_eq!(send(&cloud, "s3", Method::PUT, "/bucket/a/b", &[("if-none-match", "*")], b"other").await.0, 412);
    cloud.shutdown().await;
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    assert_eq!(send(&cloud, "s3", Method::GET, "/bucket/a/b", &[], b"").await, (200, "content".to_owned()));
    assert_eq!(send(&cloud, "s3", Method::DELETE, "/bucket", &[], b"").await.0, 409);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_publishes_its_address_and_stops_on_request() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(daemon::find(directory.path()).await, None);
    let options = Options::new(directory.path());
    let running = tokio::spawn(async move { daemon::run(options).await });
    let found = eventually(async || daemon::find(directory.path()).await).await;
    assert_eq!(found.pid, std::process::id());
    let file = directory.path().join("daemon.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // A file of another process is ignored.
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&found.start_time.to_string(), "1")).unwrap();
    assert_eq!(daemon::find(directory.path()).await, None);
    std::fs::write(&file, text).unwrap();

    assert!(found.status().await.unwrap().is_empty());
    found.stop().await.unwrap();
    running.await.unwrap().unwrap();
    assert!(!file.exists());
    assert_eq!(daemon::find(directory.path()).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_waits_for_the_previous_one_and_keeps_its_successors_file() {
    let directory = tempfile::tempdir().unwrap();
    let previous = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let mut next = Box::pin(daemon::run(Options::new(directory.path())));
    assert!(futures::poll!(&mut next).is_pending(), "it waits for the lock");
    let next = tokio::spawn(next);
    previous.shutdown().await;
    let found = eventually(async || daemon::find(directory.path()).await).await;
    // A start fails at once while another cloud answers.
    let third = daemon::run(Options::new(directory.path())).await;
    assert!(matches!(third, Err(daemon::DaemonError::Start(StartError::InUse { .. }))), "{third:?}");
    assert_eq!(daemon::recorded(directory.path()), Some(found.clone()));
    found.stop().await.unwrap();
    next.await.unwrap().unwrap();
    assert_eq!(daemon::recorded(directory.path()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_cloud_is_another_cloud_and_a_restarted_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let id = async || {
        let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
        let id = cloud.id();
        assert_eq!(cloud.status().await.cloud_id, id);
        cloud.shutdown().await;
        id
    };
    let (first, second) = (id().await, id().await);
    assert_eq!(first, second);
    infra_local::reset(directory.path()).await.unwrap();
    assert_ne!(id().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_added_when_it_is_first_used_and_the_cloud_stays_empty() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let (_, answer) = ec2(&cloud, &[("Action", "DescribeRegions")]).await;
    assert_eq!(answer.matches("<regionName>").count(), 34);
    assert!(!cloud.status().await.regions.contains_key("ap-northeast-1"));
    cloud.inject(&Fault::LoseZone { zone: "ap-northeast-1d".to_owned() }).unwrap();
    let refused = cloud.inject(&Fault::LoseZone { zone: "ap-northeast-1b".to_owned() }).unwrap_err();
    assert!(refused.to_string().contains("ap-northeast-1a, ap-northeast-1c, ap-northeast-1d"), "{refused}");
    let status = cloud.status().await;
    assert!(status.regions.contains_key("ap-northeast-1") && status.is_empty());
    let create = [("Action", "CreateSecurityGroup"), ("GroupName", "web"), ("GroupDescription", "d")];
    assert_eq!(ec2(&cloud, &create).await.0, 200);
    let status = cloud.status().await;
    assert_eq!((status.regions["us-east-1"].counts["security_groups"], status.is_empty()), (1, false));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_outlives_a_full_disk_under_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let writes =
        "#!/bin/sh\ni=0\nwhile [ $i -lt 100 ]; do echo line; i=$((i+1)); done\ntouch written\nexec sleep 600\n";
    let id = launch(&cloud, writes).await;
    let first = running_service(&cloud, &id, None).await;
    let written = first.log.parent().unwrap().join("root/written");
    eventually(async || written.exists().then_some(())).await;

    let (status, answer) = ec2(&cloud, &[("Action", "StopInstances"), ("InstanceId.1", &id)]).await;
    assert_eq!(status, 200, "{answer}");
    eventually(async || (instance(&cloud, &id).await.state == "stopped").then_some(())).await;
    std::fs::remove_file(&written).unwrap();
    std::fs::remove_file(&first.log).unwrap();
    // Writes to this file fail, because no space is left.
    std::os::unix::fs::symlink("/dev/full", &first.log).unwrap();
    let (status, answer) = ec2(&cloud, &[("Action", "StartInstances"), ("InstanceId.1", &id)]).await;
    assert_eq!(status, 200, "{answer}");
    let second = running_service(&cloud, &id, first.pid).await;
    eventually(async || written.exists().then_some(())).await;
    let now = running_service(&cloud, &id, None).await;
    assert_eq!((now.pid, now.state.as_str(), now.restarts), (second.pid, "running", 0));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_machine_and_a_failed_zone_stop_all_their_processes() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let (one, other) = (launch(&cloud, WAITS).await, launch(&cloud, WAITS).await);
    let first = running_service(&cloud, &one, None).await.pid.unwrap();
    let second = running_service(&cloud, &other, None).await.pid.unwrap();

    let nothing = cloud.inject(&Fault::KillInstance { instance: "i-0".to_owned() }).unwrap_err();
    assert_eq!(nothing.to_string(), "there is no instance `i-0` that runs");
    cloud.inject(&Fault::KillInstance { instance: one.clone() }).unwrap();
    eventually(async || (instance(&cloud, &one).await.state == "terminated").then_some(())).await;
    eventually(async || (!lives(first)).then_some(())).await;

    let zone = instance(&cloud, &other).await.zone;
    cloud.inject(&Fault::LoseZone { zone: zone.clone() }).unwrap();
    eventually(async || (instance(&cloud, &other).await.state == "impaired").then_some(())).await;
    eventually(async || (!lives(second)).then_some(())).await;
    assert_eq!(cloud.status().await.faults, [format!("the zone {zone} is lost")]);
    let (_, answer) = ec2(&cloud, &[("Action", "DescribeInstanceStatus"), ("InstanceId.1", &other)]).await;
    assert!(answer.contains("<status>impaired</status>"), "{answer}");

    cloud.inject(&Fault::RestoreZone { zone }).unwrap();
    running_service(&cloud, &other, Some(second)).await;
    assert_eq!(instance(&cloud, &other).await.state, "running");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_dropped_response_is_executed_and_lag_hides_it() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let requests =
        |operation: &str| Requests { operation: operation.to_owned(), count: Some(1), ..Requests::default() };
    let create =
        |name: &'static str| [("Action", "CreateSecurityGroup"), ("GroupName", name), ("GroupDescription", "d")];
    let names = async || {
        let (_, answer) = ec2(&cloud, &[("Action", "DescribeSecurityGroups")]).await;
        ["dropped", "late", "refused"].map(|name| answer.contains(&format!("<groupName>{name}</groupName>")))
    };
    cloud.inject(&Fault::DropAnswers(requests("ec2:CreateSecurityGroup"))).unwrap();
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(create("dropped")).finish();
    let form_type = [("content-type", "application/x-www-form-urlencoded")];
    let dropped = Api::of(&cloud).send("ec2", Method::POST, "/", &form_type, form.as_bytes()).await;
    assert_eq!(dropped, None, "there is no response");
    assert_eq!(names().await, [true, false, false]);

    cloud.inject(&Fault::Errors(requests("ec2:Create*"))).unwrap();
    let (status, answer) = ec2(&cloud, &create("refused")).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (500, "InternalError"));
    assert_eq!(names().await, [true, false, false]);

    cloud.inject(&Fault::Lag { milliseconds: 3_600_000 }).unwrap();
    assert_eq!(ec2(&cloud, &create("late")).await.0, 200);
    assert_eq!(names().await, [true, false, false]);
    assert_eq!(ec2(&cloud, &create("late")).await.0, 400, "what is written is checked against what is");
    cloud.inject(&Fault::Clear).unwrap();
    assert_eq!(names().await, [true, true, false]);
    cloud.shutdown().await;
}

/// Returns the user data with an instruction to power the host off once it is configured.
fn built(user_data: &str) -> String {
    let text = String::from_utf8(STANDARD.decode(user_data).unwrap()).unwrap();
    let (first, config) = text.split_once('\n').unwrap();
    let mut config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["power_state"] = serde_json::json!({"mode": "poweroff"});
    STANDARD.encode(format!("{first}\n{config}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_contains_the_files_of_its_builder() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let user_data = built(&user_data(&Api::of(&cloud), WAITS, None).await);
    let (_, images) = ec2(&cloud, &[("Action", "DescribeImages")]).await;
    let builder = run(&cloud, &element(&images, "imageId"), Some(user_data)).await;
    let stopped = async |id: &str| {
        eventually(async || {
            let status = instance(&cloud, id).await;
            assert_ne!(status.state, "running", "{status:?}");
            (status.state == "stopped").then_some(status)
        })
        .await
    };
    // The host configures itself, without starting its services, and powers off.
    assert!(stopped(&builder).await.services.iter().all(|service| service.pid.is_none()));
    let (_, described) = ec2(&cloud, &[("Action", "DescribeInstances"), ("InstanceId.1", &builder)]).await;
    assert!(described.contains("Client.InstanceInitiatedShutdown"), "{described}");

    let create = [("Action", "CreateImage"), ("InstanceId", &builder), ("Name", "baked")];
    let (status, answer) = ec2(&cloud, &create).await;
    assert_eq!(status, 200, "{answer}");
    let image = element(&answer, "imageId");
    let (status, answer) = ec2(&cloud, &create).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (400, "InvalidAMIName.Duplicate"));
    let describe = [("Action", "DescribeImages"), ("Owner.1", "self"), ("ImageId.1", &image)];
    let snapshot = eventually(async || {
        let (_, answer) = ec2(&cloud, &describe).await;
        (element(&answer, "imageState") == "available").then(|| element(&answer, "snapshotId"))
    })
    .await;
    ec2(&cloud, &[("Action", "TerminateInstances"), ("InstanceId.1", &builder)]).await;
    // The instance must need only the image.
    send(&cloud, "s3", Method::DELETE, "/programs/service", &[], b"").await;
    std::fs::remove_dir_all(directory.path().join("artifacts")).unwrap();

    let launched = run(&cloud, &image, None).await;
    let service = running_service(&cloud, &launched, None).await;
    assert_eq!(service.name, "service");

    // Deregistering the image does not stop the instance; the image holds its snapshot.
    let delete_snapshot = [("Action", "DeleteSnapshot"), ("SnapshotId", snapshot.as_str())];
    let (_, answer) = ec2(&cloud, &delete_snapshot).await;
    assert_eq!(element(&answer, "Code"), "InvalidSnapshot.InUse");
    let (status, answer) = ec2(&cloud, &[("Action", "DeregisterImage"), ("ImageId", &image)]).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = ec2(&cloud, &delete_snapshot).await;
    assert_eq!(status, 200, "{answer}");
    eventually(async || std::fs::read_dir(directory.path().join("images")).unwrap().next().is_none().then_some(()))
        .await;
    assert!(lives(running_service(&cloud, &launched, None).await.pid.unwrap()));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_cannot_configure_itself_reports_it_and_keeps_running() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
    let user_data = built(&user_data(&Api::of(&cloud), WAITS, None).await);
    send(&cloud, "s3", Method::DELETE, "/programs/service", &[], b"").await;
    let (_, images) = ec2(&cloud, &[("Action", "DescribeImages")]).await;
    let builder = run(&cloud, &element(&images, "imageId"), Some(user_data)).await;
    eventually(async || (instance(&cloud, &builder).await.state == "running").then_some(())).await;
    let (_, answer) = ec2(&cloud, &[("Action", "GetConsoleOutput"), ("InstanceId", &builder)]).await;
    let console = String::from_utf8(STANDARD.decode(element(&answer, "output")).unwrap()).unwrap();
    assert!(
        console.contains("infra-setup failed: service: the artifact s3://programs/service does not exist"),
        "{console}"
    );
    cloud.shutdown().await;
}
