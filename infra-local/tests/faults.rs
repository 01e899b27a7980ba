//! Failures and their consequences: machines, zones, hanging services, and the cloud itself.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use infra_local::{Fault, LocalCloud, Options, RegionStatus, daemon};
use rustix::process::{Pid, Signal, kill_process};

use support::{Api, api, element, eventually, lives, user_data};

const PORT: u16 = 8080;

/// Acceleration of AWS's waiting periods.
const TIME_SCALE: f64 = 60.0;

fn options(directory: &Path) -> Options {
    // The services run this executable, to which confined services have no access.
    Options { time_scale: TIME_SCALE, unconfined: true, ..Options::new(directory) }
}

/// A cloud, in this process or another, with two instances behind a load balancer, in zones a and b.
struct Application {
    api: Api,
    /// Directory of the cloud.
    directory: PathBuf,
    url: String,
}

impl Application {
    fn new(endpoint: &str, directory: &Path) -> Self {
        Self { api: Api::at(endpoint, directory), directory: directory.to_owned(), url: String::new() }
    }

    /// Deploys the application, and waits until both instances serve.
    async fn deploy(endpoint: &str, directory: &Path) -> Self {
        let mut application = Self::new(endpoint, directory);
        let access = application.ec2("CreateSecurityGroup", &[("GroupName", "web"), ("GroupDescription", "d")]).await;
        let access = element(&access, "groupId");
        let rule = [
            ("GroupId", access.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "8080"),
            ("IpPermissions.1.ToPort", "8080"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        application.ec2("AuthorizeSecurityGroupIngress", &rule).await;
        let image = element(&application.ec2("DescribeImages", &[]).await, "imageId");
        // The environment is exactly this, because nothing is inherited.
        let program = std::env::current_exe().unwrap();
        let script = format!("#!/bin/sh\nexec '{}' --ignored --exact serves\n", program.display());
        let user_data = user_data(&application.api, &script, Some(PORT)).await;
        let template = [
            ("LaunchTemplateName", "web"),
            ("LaunchTemplateData.ImageId", &image),
            ("LaunchTemplateData.InstanceType", "t3.micro"),
            ("LaunchTemplateData.UserData", &user_data),
            ("LaunchTemplateData.SecurityGroupId.1", &access),
        ];
        application.ec2("CreateLaunchTemplate", &template).await;

        let (one, other) = (application.subnet("us-east-1a").await, application.subnet("us-east-1b").await);
        let vpc = element(&application.ec2("DescribeVpcs", &[]).await, "vpcId");
        let balancer = [
            ("Name", "web"),
            ("Subnets.member.1", one.as_str()),
            ("Subnets.member.2", &other),
            ("SecurityGroups.member.1", &access),
        ];
        let balancer = application.elb("CreateLoadBalancer", &balancer).await;
        let (arn, address) = (element(&balancer, "LoadBalancerArn"), element(&balancer, "DNSName"));
        let patience = [
            ("LoadBalancerArn", arn.as_str()),
            ("Attributes.member.1.Key", "idle_timeout.timeout_seconds"),
            ("Attributes.member.1.Value", "2"),
        ];
        application.elb("ModifyLoadBalancerAttributes", &patience).await;
        let targets = [
            ("Name", "web"),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", &vpc),
            ("HealthCheckIntervalSeconds", "5"),
            ("HealthCheckTimeoutSeconds", "2"),
            ("HealthyThresholdCount", "2"),
        ];
        let targets = element(&application.elb("CreateTargetGroup", &targets).await, "TargetGroupArn");
        let listener = [
            ("LoadBalancerArn", arn.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &targets),
        ];
        application.elb("CreateListener", &listener).await;
        let group = [
            ("AutoScalingGroupName", "web"),
            ("LaunchTemplate.LaunchTemplateName", "web"),
            ("LaunchTemplate.Version", "1"),
            ("MinSize", "2"),
            ("MaxSize", "4"),
            ("DesiredCapacity", "2"),
            ("VPCZoneIdentifier", &format!("{one},{other}")),
            ("TargetGroupARNs.member.1", &targets),
            ("HealthCheckType", "ELB"),
            ("HealthCheckGracePeriod", "60"),
        ];
        application.ask("autoscaling", "CreateAutoScalingGroup", &group).await;
        application.url = format!("http://{address}:{PORT}");
        application.settled(&["us-east-1a", "us-east-1b"]).await;
        application
    }

    async fn ec2(&self, action: &str, form: &[(&str, &str)]) -> String {
        self.ask("ec2", action, form).await
    }

    async fn elb(&self, action: &str, form: &[(&str, &str)]) -> String {
        self.ask("elasticloadbalancing", action, form).await
    }

    async fn ask(&self, service: &str, action: &str, form: &[(&str, &str)]) -> String {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.append_pair("Action", action).extend_pairs(form).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let (status, text) = self.api.send(service, Method::POST, "/", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(status, 200, "{action}: {text}");
        text
    }

    async fn subnet(&self, zone: &str) -> String {
        let filter = [("Filter.1.Name", "availability-zone"), ("Filter.1.Value.1", zone)];
        element(&self.ec2("DescribeSubnets", &filter).await, "subnetId")
    }

    /// Returns the response of the balancer: the status, and the instance that answered.
    async fn get(&self) -> (u16, String) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(&self.url).body(Full::<Bytes>::default()).unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    async fn status(&self) -> RegionStatus {
        api::status(&self.api.endpoint, &self.directory).await.regions.remove("us-east-1").unwrap()
    }

    /// Waits until the group has exactly one healthy instance in each of these zones; returns their zones by address.
    async fn settled(&self, zones: &[&str]) -> BTreeMap<String, String> {
        eventually(async || {
            let status = self.status().await;
            let targets = &status.balancers[0].target_groups[0].targets;
            let healthy = targets.values().all(|health| health == "healthy");
            let members = targets.keys().filter_map(|target| {
                let id = target.split(':').next()?;
                status.instances.iter().find(|instance| instance.id == id && instance.state == "running")
            });
            let members: BTreeMap<String, String> =
                members.map(|instance| (instance.address.to_string(), instance.zone.clone())).collect();
            let mut found: Vec<&str> = members.values().map(String::as_str).collect();
            found.sort_unstable();
            let group = &status.groups[0];
            let whole = group.in_service == group.desired && targets.len() == zones.len();
            (whole && healthy && found == zones).then_some(members)
        })
        .await
    }

    /// Sends requests until each of these instances has responded, and checks that no other response arrives.
    async fn serves(&self, members: &BTreeMap<String, String>) {
        let mut answered = BTreeSet::new();
        eventually(async || {
            let (status, address) = self.get().await;
            assert_eq!(status, 200, "{address}");
            assert!(members.contains_key(&address), "{address} is none of {members:?}");
            answered.insert(address);
            (answered.len() == members.len()).then_some(())
        })
        .await;
    }

    /// Returns the processes of all services by the ids of their instances.
    async fn processes(&self) -> BTreeMap<String, u32> {
        let status = self.status().await;
        let running = status.instances.into_iter().filter_map(|it| Some((it.id, it.services.first()?.pid?)));
        running.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_on_a_killed_machine_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(options(directory.path())).await.unwrap();
    let application = Application::deploy(&cloud.endpoint(), directory.path()).await;
    let killed = application.status().await.instances[0].clone();
    cloud.inject(&Fault::KillInstance { instance: killed.id.clone() }).unwrap();
    eventually(async || {
        let status = application.status().await;
        status.instances.iter().any(|it| it.id == killed.id && it.state == "terminated").then_some(())
    })
    .await;
    let members = application.settled(&["us-east-1a", "us-east-1b"]).await;
    assert!(!members.contains_key(&killed.address.to_string()));
    application.serves(&members).await;
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_leave_a_failed_zone_and_return_after_its_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(options(directory.path())).await.unwrap();
    let application = Application::deploy(&cloud.endpoint(), directory.path()).await;
    cloud.inject(&Fault::LoseZone { zone: "us-east-1a".to_owned() }).unwrap();
    let members = application.settled(&["us-east-1b", "us-east-1b"]).await;
    application.serves(&members).await;
    cloud.inject(&Fault::RestoreZone { zone: "us-east-1a".to_owned() }).unwrap();
    let members = application.settled(&["us-east-1a", "us-east-1b"]).await;
    application.serves(&members).await;
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_target_delays_only_its_own_requests_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = LocalCloud::start(options(directory.path())).await.unwrap();
    let application = Application::deploy(&cloud.endpoint(), directory.path()).await;
    let (id, pid) = application.processes().await.pop_first().unwrap();
    let process = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let (one, other) = tokio::join!(application.get(), application.get());
    let mut answers = [one.0, other.0];
    answers.sort_unstable();
    assert_eq!(answers, [200, 504]);
    eventually(async || (!lives(pid)).then_some(())).await;
    let members = application.settled(&["us-east-1a", "us-east-1b"]).await;
    application.serves(&members).await;
    assert!(!application.processes().await.contains_key(&id));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_cloud_resumes_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let child = Process::start(directory.path());
    let endpoint = eventually(async || daemon::find(directory.path()).await).await.endpoint;
    let application = Application::deploy(&endpoint, directory.path()).await;
    let processes = application.processes().await;
    assert_eq!(processes.len(), 2);

    // The process is killed during changes; every answered change must survive.
    let answered = Arc::new(AtomicU32::new(0));
    let writer = tokio::spawn(write_until_it_dies(application.api.clone(), Arc::clone(&answered)));
    eventually(async || (answered.load(Ordering::Relaxed) >= 50).then_some(())).await;
    drop(child);
    writer.await.unwrap();
    let answered = answered.load(Ordering::Relaxed);
    assert!(processes.values().all(|pid| lives(*pid)));

    let cloud = LocalCloud::start(options(directory.path())).await.unwrap();
    assert_eq!(cloud.endpoint(), endpoint);
    for number in 1..=answered {
        let (status, text) = put(&application.api, number).await.unwrap();
        assert_eq!((status, text.contains("ParameterAlreadyExists")), (400, true), "{number} of {answered}: {text}");
    }
    let members = application.settled(&["us-east-1a", "us-east-1b"]).await;
    application.serves(&members).await;
    assert_eq!(application.processes().await, processes, "what runs is adopted, and nothing else is started");
    cloud.shutdown().await;
    eventually(async || processes.values().all(|pid| !lives(*pid)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_a_failed_zone_fail_over_to_other_zones() {
    let directory = tempfile::tempdir().unwrap();
    // The server runs as a separate user.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let cloud = LocalCloud::start(options(directory.path())).await.unwrap();
    let asked = Application::new(&cloud.endpoint(), directory.path());
    let owner = [("MasterUsername", "cloud"), ("MasterUserPassword", "correct-horse")];
    let cluster = [("DBClusterIdentifier", "cluster"), ("Engine", "aurora-postgresql")];
    asked.ask("rds", "CreateDBCluster", &[&cluster[..], &owner].concat()).await;
    for (id, zone) in [("one", "us-east-1a"), ("two", "us-east-1b")] {
        let member = [("DBInstanceIdentifier", id), ("DBInstanceClass", "db.t3.medium"), ("AvailabilityZone", zone)];
        asked.ask("rds", "CreateDBInstance", &[&cluster[..], &member].concat()).await;
    }
    let alone = [
        ("DBInstanceIdentifier", "alone"),
        ("DBInstanceClass", "db.t3.micro"),
        ("Engine", "postgres"),
        ("AllocatedStorage", "20"),
        ("MultiAZ", "true"),
    ];
    asked.ask("rds", "CreateDBInstance", &[&alone[..], &owner].concat()).await;
    // The writer, and state and role of each member.
    let look = async || {
        let status = asked.status().await;
        let writer = status.database_clusters[0].writer.clone();
        let each = status.databases.into_iter().map(|it| (it.id, (it.state, it.role, it.pid.is_some(), it.zone)));
        (writer, each.collect::<BTreeMap<_, _>>())
    };
    let available = async |writer: &str| {
        eventually(async || {
            let (found, databases) = look().await;
            let up = databases.values().all(|(state, _, runs, _)| state == "available" && *runs);
            (found.as_deref() == Some(writer) && up).then_some(databases)
        })
        .await
    };
    let before = available("one").await;
    assert_eq!(before["two"].1, "standby");

    cloud.inject(&Fault::LoseZone { zone: "us-east-1a".to_owned() }).unwrap();
    let lost = eventually(async || {
        let (writer, databases) = look().await;
        let (one, two, alone) = (&databases["one"], &databases["two"], &databases["alone"]);
        let taken = writer.as_deref() == Some("two") && two.0 == "available" && two.1 == "primary";
        (taken && one.0 == "impaired" && !one.2 && alone.0 == "available" && alone.2).then(|| databases.clone())
    })
    .await;
    assert_ne!(lost["alone"].3, "us-east-1a", "what has a second zone goes on there");

    cloud.inject(&Fault::RestoreZone { zone: "us-east-1a".to_owned() }).unwrap();
    assert_eq!(available("two").await["one"].1, "standby");
    cloud.shutdown().await;
}

/// Writes parameters one after another, and counts the successful responses.
async fn write_until_it_dies(api: Api, answered: Arc<AtomicU32>) {
    let mut number = 1;
    while let Some((status, text)) = put(&api, number).await {
        assert_eq!(status, 200, "{text}");
        answered.store(number, Ordering::Relaxed);
        number += 1;
    }
}

/// Puts a parameter; `None` without a response.
async fn put(api: &Api, number: u32) -> Option<(u16, String)> {
    let body = serde_json::json!({"Name": format!("/p/{number}"), "Value": "v", "Type": "String"}).to_string();
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.PutParameter")];
    api.send("ssm", Method::POST, "/", &headers, body.as_bytes()).await
}

/// A cloud in a separate process, which is killed when this is dropped.
struct Process(Child);

/// Environment variable with the directory of the process's cloud.
const DIRECTORY: &str = "INFRA_LOCAL_TEST_DIRECTORY";

impl Process {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "is_a_cloud"]).env(DIRECTORY, directory);
        Self(command.stdout(std::process::Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs in the child process of another test, as a local cloud"]
async fn is_a_cloud() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        daemon::run(options(Path::new(&directory))).await.unwrap();
    }
}

#[test]
#[ignore = "runs in instances of other tests, as their service"]
fn serves() {
    let Ok(address) = std::env::var("LISTEN") else { return };
    let name = address.split(':').next().unwrap().to_owned();
    for stream in std::net::TcpListener::bind(&address).unwrap().incoming() {
        let (name, mut stream) = (name.clone(), stream.unwrap());
        std::thread::spawn(move || {
            let mut request = [0; 4096];
            while let Ok(1..) = stream.read(&mut request) {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}
