//! Application Load Balancers: logs in a bucket, from the attribute to the object.

use hyper::{Method, Request};
use infra_local::{LocalCloud, NetworkChoice, Options};
use serde_json::json;

use crate::support::api::exchange;
use crate::support::{Api, element, eventually};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A cloud with a balancer that responds to all requests with 418.
struct World {
    cloud: LocalCloud,
    api: Api,
    balancer: String,
    url: String,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        // Five minutes are a tenth of a second.
        let options =
            Options { network: NetworkChoice::Loopback, time_scale: 3000.0, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let api = Api::of(&cloud);
        let mut world = World { cloud, api, balancer: String::new(), url: String::new(), _directory: directory };
        let subnets = world.query("ec2", &[("Action", "DescribeSubnets")]).await.unwrap();
        let subnets: Vec<&str> = subnets.split("<subnetId>").skip(1).map(|it| it.split('<').next().unwrap()).collect();
        let groups = world.query("ec2", &[("Action", "DescribeSecurityGroups")]).await.unwrap();
        let ingress = [
            ("Action", "AuthorizeSecurityGroupIngress"),
            ("GroupId", &*element(&groups, "groupId")),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "8080"),
            ("IpPermissions.1.ToPort", "8080"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
        ];
        world.query("ec2", &ingress).await.unwrap();
        let create = [
            ("Action", "CreateLoadBalancer"),
            ("Name", "web"),
            ("Subnets.member.1", subnets[0]),
            ("Subnets.member.2", subnets[1]),
        ];
        let created = world.query("elasticloadbalancing", &create).await.unwrap();
        world.balancer = element(&created, "LoadBalancerArn");
        world.url = format!("http://{}:8080/tea", element(&created, "DNSName"));
        let listener = [
            ("Action", "CreateListener"),
            ("LoadBalancerArn", &*world.balancer),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "418"),
        ];
        world.query("elasticloadbalancing", &listener).await.unwrap();
        world
    }

    /// Returns the response, or the code and the message of an error.
    async fn query(&self, service: &str, form: &[(&str, &str)]) -> Result<String, String> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let (status, text) = self.api.send(service, Method::POST, "/", &[FORM], body.as_bytes()).await.unwrap();
        let failure = || format!("{}: {}", element(&text, "Code"), element(&text, "Message")).replace("&apos;", "'");
        if status == 200 { Ok(text) } else { Err(failure()) }
    }

    async fn s3(&self, method: Method, path: &str, body: &[u8]) -> String {
        let (status, text) = self.api.send("s3", method, path, &[], body).await.unwrap();
        assert!(status < 300, "{path}: {status} {text}");
        text
    }

    /// Enables both logs; returns the error if the request is refused.
    async fn enable(&self, bucket: &str, prefix: &str) -> Option<String> {
        let mut form = vec![
            ("Action".to_owned(), "ModifyLoadBalancerAttributes".to_owned()),
            ("LoadBalancerArn".to_owned(), self.balancer.clone()),
        ];
        let values = ["access_logs", "connection_logs"]
            .into_iter()
            .flat_map(|log| [("enabled", "true"), ("bucket", bucket), ("prefix", prefix)].map(|it| (log, it)));
        for (number, (log, (name, value))) in (1..).zip(values) {
            form.push((format!("Attributes.member.{number}.Key"), format!("{log}.s3.{name}")));
            form.push((format!("Attributes.member.{number}.Value"), value.to_owned()));
        }
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.query("elasticloadbalancing", &form).await.err()
    }

    /// Returns the keys in the bucket `logs`.
    async fn keys(&self) -> Vec<String> {
        let list = self.s3(Method::GET, "/logs?list-type=2", b"").await;
        list.split("<Key>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_balancers_need_a_bucket_that_admits_them_and_are_delivered_to_it() {
    let world = World::new().await;
    let error = async |bucket, prefix| world.enable(bucket, prefix).await.unwrap_or_default();
    insta::assert_snapshot!(error("", "").await, @"InvalidConfigurationRequest: The value of 'access_logs.s3.bucket' cannot be empty");
    insta::assert_snapshot!(error("logs", "").await, @"InvalidConfigurationRequest: S3Bucket: logs does not exist");
    world.s3(Method::PUT, "/logs", b"").await;
    insta::assert_snapshot!(error("logs", "").await, @"InvalidConfigurationRequest: Access Denied for bucket: logs. Please check S3bucket permission");
    insta::assert_snapshot!(error("logs", "x/AWSLogs").await, @"InvalidConfigurationRequest: The value of 'access_logs.s3.prefix' must not contain 'AWSLogs'");
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/shop/AWSLogs/000000000000/*"}]});
    world.s3(Method::PUT, "/logs?policy", policy.to_string().as_bytes()).await;
    assert!(world.enable("logs", "").await.is_some(), "the policy permits another prefix");
    assert_eq!(world.keys().await, Vec::<String>::new());
    assert_eq!(world.enable("logs", "shop").await, None);
    let files = ["ELBAccessLogTestFile", "ELBConnectionLogTestFile"];
    assert_eq!(world.keys().await, files.map(|file| format!("shop/AWSLogs/000000000000/{file}")));

    // The listener applies the attribute a moment later.
    let balancer = world.balancer.rsplit('/').next().unwrap();
    let delivered = eventually(async || {
        let request = Request::get(&world.url).body(http_body_util::Full::default()).unwrap();
        assert!(exchange(request).await.is_none_or(|(status, _)| status == 418));
        let found: Vec<String> = world.keys().await.into_iter().filter(|key| key.contains(balancer)).collect();
        let of = |kind: &str| found.iter().any(|key| key.rsplit('/').next().unwrap().starts_with(kind));
        (of("000000000000_") && of("conn_log.000000000000_")).then_some(found)
    })
    .await;
    let folder = "shop/AWSLogs/000000000000/elasticloadbalancing/us-east-1/20";
    assert!(delivered.iter().all(|key| key.starts_with(folder) && key.ends_with(".log.gz")), "{delivered:?}");
    world.cloud.shutdown().await;
}
