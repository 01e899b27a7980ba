//! EC2: the instance metadata service, user data, protection from termination.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use infra_local::{LocalCloud, NetworkChoice, Options};

use crate::support::{Api, ec2, element, eventually, instance, user_data};

async fn start(directory: &tempfile::TempDir) -> LocalCloud {
    let options = Options { network: NetworkChoice::Loopback, ..Options::new(directory.path()) };
    LocalCloud::start(options).await.unwrap()
}

/// Launches an instance with these parameters.
async fn launch(cloud: &LocalCloud, more: &[(&str, &str)]) -> String {
    let (_, images) = ec2(cloud, &[("Action", "DescribeImages")]).await;
    let image = element(&images, "imageId");
    let form = [
        ("Action", "RunInstances"),
        ("ImageId", image.as_str()),
        ("InstanceType", "t3.micro"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let (status, answer) = ec2(cloud, &[&form, more].concat()).await;
    assert_eq!(status, 200, "{answer}");
    element(&answer, "instanceId")
}

/// Sends a request to the metadata service, and returns the status and the body; `None` before it listens.
fn ask(address: Ipv4Addr, line: &str, headers: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((address, 1338)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{line} HTTP/1.1\r\nHost: {address}:1338\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Some((head[9..12].parse().unwrap(), body.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_needs_a_token_where_the_instance_requires_it() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let user_data = STANDARD.encode("#!/bin/sh\necho hello\n");
    let id = launch(
        &cloud,
        &[
            ("MetadataOptions.HttpTokens", "required"),
            ("MetadataOptions.InstanceMetadataTags", "enabled"),
            ("UserData", &user_data),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "colour"),
            ("TagSpecification.1.Tag.1.Value", "red"),
        ],
    )
    .await;
    let address = instance(&cloud, &id).await.address;
    let path = "GET /latest/meta-data/instance-id";
    let (status, _) = eventually(async || ask(address, path, "")).await;
    assert_eq!(status, 401);
    let token = |headers: &str| ask(address, "PUT /latest/api/token", headers).unwrap();
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds";
    assert_eq!(token("").0, 400);
    assert_eq!(token(&format!("{ttl}: 21601\r\n")).0, 400);
    assert_eq!(token(&format!("{ttl}: 60\r\nX-Forwarded-For: 192.0.2.1\r\n")).0, 403);
    let (status, text) = token(&format!("{ttl}: 21600\r\n"));
    assert_eq!(status, 200);
    let with = format!("X-aws-ec2-metadata-token: {text}\r\n");
    assert_eq!(ask(address, path, &with).unwrap(), (200, id.clone()));
    assert_eq!(ask(address, path, "X-aws-ec2-metadata-token: wrong\r\n").unwrap().0, 401);
    assert_eq!(ask(address, "GET /latest/meta-data/tags/instance/colour", &with).unwrap(), (200, "red".to_owned()));
    assert_eq!(ask(address, "GET /latest/user-data", &with).unwrap().1, "#!/bin/sh\necho hello\n");
    assert_eq!(ask(address, "GET /latest/meta-data/nothing", &with).unwrap().0, 404);

    // The options apply to a running instance; a given token is checked even if none is required.
    let modify = async |name: &str, value: &str| {
        let form = [("Action", "ModifyInstanceMetadataOptions"), ("InstanceId", id.as_str()), (name, value)];
        let (status, answer) = ec2(&cloud, &form).await;
        assert_eq!(status, 200, "{answer}");
    };
    modify("HttpTokens", "optional").await;
    assert_eq!(ask(address, path, "").unwrap(), (200, id.clone()));
    assert_eq!(ask(address, path, "X-aws-ec2-metadata-token: wrong\r\n").unwrap().0, 401);
    modify("InstanceMetadataTags", "disabled").await;
    assert_eq!(ask(address, "GET /latest/meta-data/tags/instance/colour", &with).unwrap().0, 404);
    modify("HttpEndpoint", "disabled").await;
    assert_eq!(ask(address, path, &with).unwrap().0, 403);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_from_termination_is_honoured() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let id = launch(&cloud, &[("DisableApiTermination", "true")]).await;
    let terminate = [("Action", "TerminateInstances"), ("InstanceId.1", id.as_str())];
    let (status, answer) = ec2(&cloud, &terminate).await;
    assert_eq!((status, element(&answer, "Code").as_str()), (400, "OperationNotPermitted"));
    assert!(answer.contains("disableApiTermination"), "{answer}");
    let lift =
        [("Action", "ModifyInstanceAttribute"), ("InstanceId", id.as_str()), ("DisableApiTermination.Value", "false")];
    assert_eq!(ec2(&cloud, &lift).await.0, 200);
    assert_eq!(ec2(&cloud, &terminate).await.0, 200);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_powers_off_is_stopped_or_terminated_by_its_shutdown_behaviour() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory).await;
    let user_data = user_data(&Api::of(&cloud), "#!/bin/sh\nexec sleep 600\n", None).await;
    let text = String::from_utf8(STANDARD.decode(user_data).unwrap()).unwrap();
    let (first, config) = text.split_once('\n').unwrap();
    let mut config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["power_state"] = serde_json::json!({"mode": "poweroff"});
    let user_data = STANDARD.encode(format!("{first}\n{config}"));
    for (behaviour, state) in [("stop", "stopped"), ("terminate", "terminated")] {
        let more = [("UserData", user_data.as_str()), ("InstanceInitiatedShutdownBehavior", behaviour)];
        let id = launch(&cloud, &more).await;
        let describe = [("Action", "DescribeInstances"), ("InstanceId.1", id.as_str())];
        let described = eventually(async || {
            let (_, text) = ec2(&cloud, &describe).await;
            text.contains(&format!("<name>{state}</name>")).then_some(text)
        })
        .await;
        assert!(described.contains("Client.InstanceInitiatedShutdown"), "{described}");
    }
    cloud.shutdown().await;
}
