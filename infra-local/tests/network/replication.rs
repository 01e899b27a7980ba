//! Replication between the databases of two instances, over their private addresses.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use infra_local::{LocalCloud, NetworkChoice, Options};
use serde_json::{Value, json};

use crate::skip::skip;
use crate::support::{ec2, element, run, send};

/// Limit for a copy of a primary. It only affects a test that fails.
const PATIENCE: Duration = Duration::from_mins(3);

/// Line of the console of a host whose standby streams.
const STREAMING: &str = "infra: the standby streams from its primary";

async fn put_parameter(cloud: &LocalCloud, name: &str, value: &str) {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.PutParameter")];
    let body = json!({"Name": name, "Value": value, "Type": "SecureString"}).to_string();
    let (status, text) = send(cloud, "ssm", Method::POST, "/", &headers, body.as_bytes()).await;
    assert_eq!(status, 200, "{text}");
}

/// Launches an instance with a database server in this role of a replication.
async fn launch(cloud: &LocalCloud, image: &str, engine: &str, primary: Option<&str>) -> String {
    let mut replication = json!({"password": {"parameter": "/replication"}});
    if let Some(primary) = primary {
        replication["primary"] = primary.into();
    }
    let database = json!({
        "database": "tasks", "user": "cloud", "password": {"parameter": "/password"}, "replication": replication,
    });
    let machine: Value = json!({"machine": 1, "image": "debian-12", engine: database});
    let file = json!({"path": "/etc/infra/machine.json", "content": machine.to_string()});
    let user_data = format!("#cloud-config\n{}", json!({"write_files": [file]}));
    run(cloud, image, Some(STANDARD.encode(user_data))).await
}

async fn wait_for_line(cloud: &LocalCloud, instance: &str, line: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, answer) = ec2(cloud, &[("Action", "GetConsoleOutput"), ("InstanceId", instance)]).await;
        let console = STANDARD.decode(element(&answer, "output")).unwrap();
        let console = String::from_utf8_lossy(&console);
        if console.contains(line) {
            return;
        }
        assert!(Instant::now() < deadline, "{console}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn a_standby_streams_from_the_private_address_of_its_primary() {
    let installed = [("postgres", "/usr/lib/postgresql"), ("mariadb", "/usr/sbin/mariadbd")];
    let (installed, missing): (Vec<_>, Vec<_>) = installed.iter().partition(|(_, path)| Path::new(path).exists());
    for (engine, path) in missing {
        skip(&format!("{engine} is not installed: there is no {path}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let options = Options { network: NetworkChoice::Namespaces, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    put_parameter(&cloud, "/password", "it's secret").await;
    put_parameter(&cloud, "/replication", "it's another").await;
    let (_, images) = ec2(&cloud, &[("Action", "DescribeImages")]).await;
    let image = element(&images, "imageId");
    for (engine, _) in installed {
        let primary = launch(&cloud, &image, engine, None).await;
        let (_, described) = ec2(&cloud, &[("Action", "DescribeInstances"), ("InstanceId.1", &primary)]).await;
        let address = element(&described, "privateIpAddress");
        assert!(address.starts_with("172.31."), "{address}");
        let standby = launch(&cloud, &image, engine, Some(&address)).await;
        wait_for_line(&cloud, &standby, STREAMING).await;
    }
    cloud.shutdown().await;
}
