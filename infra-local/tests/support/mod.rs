//! Helpers for tests of a running cloud: signed requests, and waiting for their effects.
#![allow(clippy::unwrap_used, dead_code)]

pub(crate) mod api;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use infra_local::{InstanceStatus, LocalCloud, ServiceStatus};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

pub(crate) use api::Api;

/// Sends a signed request and returns status and body.
pub(crate) async fn send(
    cloud: &LocalCloud,
    service: &str,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, String) {
    Api::of(cloud).send(service, method, path, headers, body).await.unwrap()
}

pub(crate) async fn ec2(cloud: &LocalCloud, form: &[(&str, &str)]) -> (u16, String) {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    send(cloud, "ec2", Method::POST, "/", &[("content-type", "application/x-www-form-urlencoded")], body.as_bytes())
        .await
}

/// Returns the text of the first element with this name.
pub(crate) fn element(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {xml}"));
    rest.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not happen within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn instance(cloud: &LocalCloud, id: &str) -> InstanceStatus {
    let status = cloud.status().await;
    status.regions["us-east-1"].instances.iter().find(|instance| instance.id == id).unwrap().clone()
}

pub(crate) async fn running_service(cloud: &LocalCloud, id: &str, not: Option<u32>) -> ServiceStatus {
    eventually(async || {
        let service = instance(cloud, id).await.services.first().cloned()?;
        (service.pid.is_some() && service.pid != not).then_some(service)
    })
    .await
}

/// Launches an instance with a service that runs this shell script.
pub(crate) async fn launch(cloud: &LocalCloud, script: &str) -> String {
    let user_data = user_data(&Api::of(cloud), script, None).await;
    let (_, images) = ec2(cloud, &[("Action", "DescribeImages")]).await;
    run(cloud, &element(&images, "imageId"), Some(user_data)).await
}

/// Launches an instance of this image.
pub(crate) async fn run(cloud: &LocalCloud, image: &str, user_data: Option<String>) -> String {
    let mut form = vec![
        ("Action", "RunInstances"),
        ("ImageId", image),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    form.extend(user_data.as_ref().map(|user_data| ("UserData", user_data.as_str())));
    let (status, answer) = ec2(cloud, &form).await;
    assert_eq!(status, 200, "{answer}");
    element(&answer, "instanceId")
}

/// Uploads a shell script to a bucket and returns the user data of a machine that runs it as a service.
pub(crate) async fn user_data(api: &Api, script: &str, port: Option<u16>) -> String {
    api.send("s3", Method::PUT, "/programs", &[], b"").await;
    let (status, text) = api.send("s3", Method::PUT, "/programs/service", &[], script.as_bytes()).await.unwrap();
    assert_eq!(status, 200, "{text}");
    let mut service = serde_json::json!({
        "name": "service",
        "artifact": {"bucket": "programs", "key": "service", "sha256": hex::encode(Sha256::digest(script))},
    });
    if let Some(port) = port {
        service["listen"] = port.into();
    }
    let machine = serde_json::json!({"machine": 1, "image": "debian-12", "services": [service]});
    let file = serde_json::json!({"path": "/etc/infra/machine.json", "content": machine.to_string()});
    STANDARD.encode(format!("#cloud-config\n{}", serde_json::json!({"write_files": [file]})))
}

pub(crate) fn lives(pid: u32) -> bool {
    // A zombie does not count as running.
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
}
