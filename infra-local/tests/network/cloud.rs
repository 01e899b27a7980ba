//! Injected network faults of a whole cloud.

use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use infra_local::{Fault, LocalCloud, NetworkChoice, Options};
use serde_json::{Value, json};

use crate::support::api::{exchange, token};
use crate::support::{ec2, element, eventually};

/// A cloud with its directory.
struct Running<'a> {
    cloud: LocalCloud,
    directory: &'a Path,
}

impl Running<'_> {
    async fn start(directory: &Path) -> Running<'_> {
        let options = Options { network: NetworkChoice::Namespaces, ..Options::new(directory) };
        Running { cloud: LocalCloud::start(options).await.unwrap(), directory }
    }

    /// Sends a request of an administrator.
    async fn ask(&self, path: &str, document: Value) -> (u16, Value) {
        let request = Request::post(format!("{}/_infra/{path}", self.cloud.endpoint()))
            .header("authorization", format!("Bearer {}", token(self.directory)))
            .body(Full::new(Bytes::from(document.to_string())))
            .unwrap();
        let (status, text) = exchange(request).await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Launches an instance in a zone. The members of the default security group reach each other.
    async fn launch(&self, zone: &str) -> String {
        let (_, images) = ec2(&self.cloud, &[("Action", "DescribeImages")]).await;
        let image = element(&images, "imageId");
        let form = [
            ("Action", "RunInstances"),
            ("ImageId", image.as_str()),
            ("InstanceType", "t3.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("Placement.AvailabilityZone", zone),
        ];
        let (status, answer) = ec2(&self.cloud, &form).await;
        assert_eq!(status, 200, "{answer}");
        element(&answer, "instanceId")
    }

    /// Returns the component that blocks a connection, and whether it really opens.
    async fn reach(&self, from: &str, to: &str) -> (Option<String>, bool) {
        let request = json!({"from": from, "to": to, "port": 22, "probe": true});
        let (status, reach) = self.ask("reach", request).await;
        assert_eq!(status, 200, "{reach}");
        (reach["blocked"]["id"].as_str().map(str::to_owned), reach["probed"].as_bool().unwrap())
    }

    async fn wait_until_open(&self, from: &str, to: &str) {
        eventually(async || (self.reach(from, to).await == (None, true)).then_some(())).await;
    }
}

pub(crate) async fn a_fault_of_a_zone_survives_the_cloud_and_affects_later_instances() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path()).await;
    let (one, beside) = (running.launch("us-east-1a").await, running.launch("us-east-1a").await);
    let other = running.launch("us-east-1b").await;
    running.wait_until_open(&one, &other).await;
    running.wait_until_open(&beside, &other).await;
    let partition = |to: &str| json!({"fault": "partition", "between": [one, to]});
    let (status, refused) = running.ask("fault", partition("us-east-1")).await;
    assert_eq!(status, 400);
    let reason = refused["error"].as_str().unwrap();
    assert!(reason.starts_with("nothing with a network interface and no zone is called `us-east-1`"), "{reason}");

    // When the answer arrives, packets are affected.
    let (status, done) = running.ask("fault", partition("us-east-1b")).await;
    let described = format!("packets between {one} and us-east-1b are dropped");
    assert_eq!((status, &done["done"]), (200, &json!(described)));
    let partitioned = (Some("partition".to_owned()), false);
    assert_eq!(running.reach(&one, &other).await, partitioned);
    assert_eq!(running.reach(&other, &one).await, partitioned);
    assert_eq!(running.reach(&beside, &other).await, (None, true));

    running.cloud.shutdown().await;
    let running = Running::start(directory.path()).await;
    assert_eq!(running.cloud.status().await.faults, [described]);
    let later = running.launch("us-east-1b").await;
    running.wait_until_open(&beside, &later).await;
    running.wait_until_open(&beside, &one).await;
    assert_eq!(running.reach(&one, &later).await, partitioned);

    let latency = Fault::NetworkLatency { between: [one.clone(), later.clone()], milliseconds: 1 };
    assert!(running.cloud.inject(&latency).is_err(), "this function does not wait");
    running.cloud.inject_and_wait(&Fault::Clear).await.unwrap();
    running.cloud.inject_and_wait(&latency).await.unwrap();
    assert_eq!(running.reach(&one, &later).await, (None, true));
    running.cloud.shutdown().await;
}
