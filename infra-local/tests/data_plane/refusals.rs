//! Operations that would need a data plane that does not exist.

use hyper::Method;
use infra_local::{LocalCloud, Options};

use crate::support::send;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test(flavor = "multi_thread")]
async fn operations_without_a_data_plane_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    for (service, operation) in [
        ("autoscaling", "PutWarmPool"),
        ("rds", "RestoreDBInstanceToPointInTime"),
        ("rds", "RestoreDBClusterToPointInTime"),
    ] {
        let form = format!("Action={operation}");
        let (status, text) = send(&cloud, service, Method::POST, "/", &[FORM], form.as_bytes()).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("<Code>InvalidAction</Code>") && text.contains(operation), "{text}");
    }
    let (status, text) = send(&cloud, "organizations", Method::POST, "/", &[FORM], b"Action=CreatePolicy").await;
    assert!(status >= 400 && text.contains("organizations"), "{status} {text}");
    cloud.shutdown().await;
}
