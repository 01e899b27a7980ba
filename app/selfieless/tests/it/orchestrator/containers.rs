//! Properties of containers.

use std::process::Stdio;

use kit::testing::wait_until;
use serde_json::{Value, json};

use super::{
    Kind, System,
    engine::IMAGE,
    system::{self, FIRST_PORT},
};

#[test]
fn a_container_has_the_environment_limits_and_labels() {
    let settings = [("CONTAINER_MEMORY_BYTES", "268435456"), ("CONTAINER_CPUS", "0.5"), ("PASSED_ON", "a=b c")];
    let system = System::start(Kind::Containers, &settings);
    system.wait_for(1);
    let [config] = &system.engine.as_ref().unwrap().configs()[..] else { panic!("one container") };
    assert_eq!(config["Image"], IMAGE);
    let (host, port) = (system.address.ip().to_string(), format!("{FIRST_PORT}/tcp"));
    assert_eq!(
        config["Labels"],
        json!({ "selfieless.orchestrator": system.address.to_string(), "selfieless.port": "8000" })
    );
    assert_eq!(config["HostConfig"]["PortBindings"], json!({ port: [{ "HostIp": host, "HostPort": "8000" }] }));
    assert_eq!(config["HostConfig"]["Memory"], 268_435_456);
    assert_eq!(config["HostConfig"]["NanoCpus"], 500_000_000);
    let variables: Vec<_> =
        config["Env"].as_array().unwrap().iter().map(|variable| variable.as_str().unwrap()).collect();
    for expected in ["LISTEN=0.0.0.0:8000", "PASSED_ON=a=b c", "ALLOW_CRASH=true"] {
        assert!(variables.contains(&expected), "{expected} is not in {variables:?}");
    }
    assert_eq!(variables.iter().filter(|variable| variable.starts_with("LISTEN=")).count(), 1);
    for local in ["PATH=", "HOME=", "DOCKER_HOST="] {
        assert!(!variables.iter().any(|variable| variable.starts_with(local)), "{local} is in {variables:?}");
    }
}

#[test]
fn containers_of_the_host_network_publish_no_ports() {
    let system = System::start(Kind::Containers, &[("DOCKER_NETWORK", "host")]);
    system.wait_for(1);
    let [config] = &system.engine.as_ref().unwrap().configs()[..] else { panic!("one container") };
    assert_eq!(config["HostConfig"]["NetworkMode"], "host");
    assert_eq!(config["HostConfig"]["PortBindings"], Value::Null);
    let listen = format!("LISTEN={}:8000", system.address.ip());
    assert!(config["Env"].as_array().unwrap().contains(&listen.into()));
}

#[test]
fn containers_of_a_killed_orchestrator_are_removed_by_the_next_one() {
    let mut system = System::start(Kind::Containers, &[("MINIMUM", "2")]);
    system.wait_for(2);
    let before = system.engine.as_ref().unwrap().ids();
    assert_eq!(before.len(), 2);
    system.kill_and_start_again(&[]);
    system.wait_for(1);
    let after = system.engine.as_ref().unwrap().ids();
    assert!(after.len() == 1 && !before.contains(&after[0]), "{before:?} {after:?}");
    assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
}

#[test]
fn a_missing_image_or_engine_is_named() {
    let system = System::start(Kind::Containers, &[]);
    let host = system.engine.as_ref().unwrap().host();
    for (host, image, expected) in [
        (&host[..], "none:1", "orchestrator: the image none:1 cannot be used: "),
        ("unix:///no/such/socket", IMAGE, "orchestrator: the Docker engine at unix:///no/such/socket failed: "),
        ("tcp://127.0.0.1:9", IMAGE, "orchestrator: the Docker engine at tcp://127.0.0.1:9 failed: "),
    ] {
        let mut command = system::command(&format!("{}:0", system::free_host()), system.directory.path());
        command.env("RUNTIME", "docker").env("DOCKER_HOST", host).env("IMAGE", image);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with(expected), "{stderr}");
    }
}

/// `tests/peers/containers` makes the image, and runs this test.
#[test]
#[ignore = "needs a Docker engine: DOCKER_HOST, and SELFIELESS_IMAGE with the service acts as its command"]
fn a_real_engine_replaces_removes_and_stops_containers() {
    let image = std::env::var("SELFIELESS_IMAGE").expect("SELFIELESS_IMAGE=<image of acts>");
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let settings = [
        ("RUNTIME", "docker"),
        ("DOCKER_HOST", &host),
        ("IMAGE", &image),
        ("DOCKER_NETWORK", "host"),
        ("CONTAINER_MEMORY_BYTES", "268435456"),
        ("CONTAINER_CPUS", "0.5"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("MINIMUM", "2"),
    ];
    let mut system = System::start(Kind::Processes, &settings);
    system.wait_for(2);
    assert_eq!(system.send("POST /api/v1/_crash", "").status, 200);
    wait_until("the failure is noticed", || system.count("replaced") == 1);
    system.wait_for(2);
    assert_eq!(system.instances()[0]["port"], FIRST_PORT);
    // The ports are free for the next orchestrator only after the containers of the killed one are removed.
    let ids =
        |system: &System| -> Vec<_> { system.instances().iter().map(|instance| instance["id"].clone()).collect() };
    let before = ids(&system);
    system.kill_and_start_again(&settings);
    system.wait_for(2);
    assert!(ids(&system).iter().all(|id| !before.contains(id)), "{before:?}");
    assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
    assert_eq!(system.stop("-TERM").code(), Some(0));
    assert!(std::net::TcpStream::connect((system.address.ip(), FIRST_PORT)).is_err());
}
