//! The metrics of the cloud, as administrators read them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use hyper::{Method, Request};
use infra_local::{LocalCloud, NetworkChoice, Options};
use serde_json::Value;
use tokio::net::TcpStream;

use support::api::{exchange, token};
use support::{Api, ec2, element, eventually};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A cloud on the loopback interface in which a minute takes two seconds.
struct World {
    directory: tempfile::TempDir,
    cloud: LocalCloud,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { time_scale: 30.0, network: NetworkChoice::Loopback, ..Options::new(directory.path()) };
        World { cloud: LocalCloud::start(options).await.unwrap(), directory }
    }

    async fn query(&self, service: &str, form: &[(&str, &str)]) -> String {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let sent = Api::of(&self.cloud).send(service, Method::POST, "/", &[FORM], body.as_bytes()).await;
        let (status, text) = sent.unwrap();
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Sends `GET /_infra/metrics`.
    async fn metrics(&self, query: &str) -> (u16, Value) {
        let request = Request::get(format!("{}/_infra/metrics{query}", self.cloud.endpoint()))
            .header("authorization", format!("Bearer {}", token(self.directory.path())));
        let (status, text) = exchange(request.body(http_body_util::Full::default()).unwrap()).await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Waits for a series of a metric with a point that `wanted` accepts, and returns the series.
    async fn series(&self, metric: &str, wanted: impl Fn(&[f64]) -> bool) -> Value {
        eventually(async || {
            let (_, document) = self.metrics("").await;
            let series = document["series"].as_array().unwrap().iter().find(|it| it["metric"] == metric)?.clone();
            let points: Vec<Vec<f64>> = serde_json::from_value(series["points"].clone()).unwrap();
            points.iter().any(|point| wanted(point)).then_some(series)
        })
        .await
    }
}

/// Returns the metric, its dimensions and its unit.
fn identity(series: &Value) -> String {
    let dimensions = series["dimensions"].as_object().unwrap();
    let dimensions: Vec<_> =
        dimensions.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    format!(
        "{} {}/{} {} {}",
        series["region"].as_str().unwrap(),
        series["namespace"].as_str().unwrap(),
        series["metric"].as_str().unwrap(),
        dimensions.join(","),
        series["unit"]
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_of_groups_are_shown_to_administrators_before_they_are_published() {
    let world = World::new().await;
    let image = element(&ec2(&world.cloud, &[("Action", "DescribeImages")]).await.1, "imageId");
    let template = [
        ("Action", "CreateLaunchTemplate"),
        ("LaunchTemplateName", "template"),
        ("LaunchTemplateData.ImageId", &image),
        ("LaunchTemplateData.InstanceType", "t3.micro"),
    ];
    world.query("ec2", &template).await;
    let subnets = world.query("ec2", &[("Action", "DescribeSubnets")]).await;
    let group = [
        ("Action", "CreateAutoScalingGroup"),
        ("AutoScalingGroupName", "web"),
        ("MinSize", "0"),
        ("MaxSize", "1"),
        ("VPCZoneIdentifier", &element(&subnets, "subnetId")),
        ("LaunchTemplate.LaunchTemplateName", "template"),
        ("LaunchTemplate.Version", "1"),
    ];
    world.query("autoscaling", &group).await;
    let series = world.series("GroupDesiredCapacity", |point| point[1..] == [1.0, 0.0, 0.0, 0.0]).await;
    insta::assert_snapshot!(
        identity(&series), @"us-east-1 AWS/AutoScaling/GroupDesiredCapacity AutoScalingGroupName=web null"
    );
    world.series("GroupInServiceInstances", |point| point[1..] == [1.0, 0.0, 0.0, 0.0]).await;
    let listed = world.query("monitoring", &[("Action", "ListMetrics")]).await;
    assert!(!listed.contains("GroupDesiredCapacity"), "{listed}");

    let enable = [("Action", "EnableMetricsCollection"), ("AutoScalingGroupName", "web"), ("Granularity", "1Minute")];
    world.query("autoscaling", &enable).await;
    eventually(async || {
        let listed = world.query("monitoring", &[("Action", "ListMetrics")]).await;
        listed.contains("GroupDesiredCapacity").then_some(())
    })
    .await;
    let (_, document) = world.metrics("").await;
    let sizes = document["series"].as_array().unwrap().iter().filter(|it| it["metric"] == "GroupDesiredCapacity");
    assert_eq!(sizes.count(), 1, "{document}");
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_balancer_without_targets_are_its_own() {
    let world = World::new().await;
    let subnets = world.query("ec2", &[("Action", "DescribeSubnets")]).await;
    let subnets: Vec<&str> = subnets.split("<subnetId>").skip(1).map(|part| part.split('<').next().unwrap()).collect();
    let balancer = [
        ("Action", "CreateLoadBalancer"),
        ("Name", "front"),
        ("Subnets.member.1", subnets[0]),
        ("Subnets.member.2", subnets[1]),
    ];
    let balancer = world.query("elasticloadbalancing", &balancer).await;
    let groups = world.query("ec2", &[("Action", "DescribeSecurityGroups")]).await;
    let ingress = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", &*element(&groups, "groupId")),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "8080"),
        ("IpPermissions.1.ToPort", "8080"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    world.query("ec2", &ingress).await;
    let targets = [
        ("Action", "CreateTargetGroup"),
        ("Name", "targets"),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("VpcId", &*element(&groups, "vpcId")),
    ];
    let targets = world.query("elasticloadbalancing", &targets).await;
    let listener = [
        ("Action", "CreateListener"),
        ("LoadBalancerArn", &*element(&balancer, "LoadBalancerArn")),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", &*element(&targets, "TargetGroupArn")),
    ];
    world.query("elasticloadbalancing", &listener).await;
    let url = format!("http://{}:8080/", element(&balancer, "DNSName"));
    eventually(async || {
        let request = Request::get(&url).body(http_body_util::Full::default()).unwrap();
        exchange(request).await.filter(|(status, _)| *status == 503)
    })
    .await;
    let series = world.series("HTTPCode_ELB_5XX_Count", |point| point[2] >= 1.0).await;
    let label = element(&balancer, "LoadBalancerArn").rsplit("loadbalancer/").next().unwrap().to_owned();
    assert_eq!(
        identity(&series),
        format!("us-east-1 AWS/ApplicationELB/HTTPCode_ELB_5XX_Count LoadBalancer={label} \"Count\"")
    );
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_replication_lag_of_databases_are_measured() {
    let world = World::new().await;
    let cluster = [
        ("Action", "CreateDBCluster"),
        ("DBClusterIdentifier", "shop"),
        ("Engine", "aurora-postgresql"),
        ("MasterUsername", "cloud"),
        ("MasterUserPassword", "long-enough"),
    ];
    world.query("rds", &cluster).await;
    for name in ["one", "two"] {
        let member = [
            ("Action", "CreateDBInstance"),
            ("DBInstanceIdentifier", name),
            ("DBClusterIdentifier", "shop"),
            ("DBInstanceClass", "db.t4g.medium"),
            ("Engine", "aurora-postgresql"),
        ];
        world.query("rds", &member).await;
    }
    let groups = world.query("ec2", &[("Action", "DescribeSecurityGroups")]).await;
    let ingress = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", &*element(&groups, "groupId")),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "5432"),
        ("IpPermissions.1.ToPort", "5432"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    world.query("ec2", &ingress).await;
    let lag = world.series("AuroraReplicaLag", |point| (0.0..60_000.0).contains(&point[2])).await;
    insta::assert_snapshot!(identity(&lag), @r#"us-east-1 AWS/RDS/AuroraReplicaLag DBInstanceIdentifier=two "Milliseconds""#);

    world.series("DatabaseConnections", |point| point[2] < 0.1).await;
    let described = world.query("rds", &[("Action", "DescribeDBClusters")]).await;
    let address = format!("{}:5432", element(&described, "Endpoint"));
    let client = eventually(async || TcpStream::connect(&address).await.ok()).await;
    let connected = world.series("DatabaseConnections", |point| (0.9..1.1).contains(&point[2])).await;
    insta::assert_snapshot!(identity(&connected), @r#"us-east-1 AWS/RDS/DatabaseConnections DBInstanceIdentifier=one "Count""#);
    drop(client);
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_selected_by_time_and_region() {
    let world = World::new().await;
    for (name, value) in [("orders", "3"), ("returns", "1")] {
        let put = [
            ("Action", "PutMetricData"),
            ("Namespace", "Shop"),
            ("MetricData.member.1.MetricName", name),
            ("MetricData.member.1.Value", value),
        ];
        world.query("monitoring", &put).await;
    }
    let names = async |query: &str| {
        let (status, document) = world.metrics(query).await;
        let Some(series) = document["series"].as_array() else { return format!("{status} {}", document["error"]) };
        let names: Vec<_> = series.iter().filter(|it| it["namespace"] == "Shop").map(|it| &it["metric"]).collect();
        format!("{names:?}")
    };
    let now = world.metrics("").await.1["now"].as_i64().unwrap();
    insta::assert_snapshot!(names("").await, @r#"[String("orders"), String("returns")]"#);
    insta::assert_snapshot!(names("?region=us-east-1&since=0").await, @r#"[String("orders"), String("returns")]"#);
    insta::assert_snapshot!(names("?region=us-east-2").await, @"[]");
    insta::assert_snapshot!(names(&format!("?since={}", now + 60_000)).await, @"[]");
    insta::assert_snapshot!(names("?since=yesterday").await, @r#"400 "the parameter `since` is `yesterday`: it must be a number""#);
    insta::assert_snapshot!(names("?from=0").await, @r#"400 "the path has no parameter `from`; it has since, region""#);
    world.cloud.shutdown().await;
}
