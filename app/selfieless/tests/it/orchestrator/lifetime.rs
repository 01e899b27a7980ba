//! Instances stop with their orchestrator.

use std::process::Stdio;

use kit::testing::{send, wait_until};

use super::{
    Kind, System,
    system::{self, FIRST_PORT, runs},
    with_both_runtimes,
};

fn processes_of(system: &System) -> Vec<String> {
    system.instances().iter().map(|instance| instance["id"].as_str().unwrap().to_owned()).collect()
}

fn instances_stop_with_the_orchestrator(kind: Kind) {
    for signal in ["-TERM", "-INT"] {
        let mut system = System::start(kind, &[("MINIMUM", "2")]);
        system.wait_for(2);
        let instances = processes_of(&system);
        assert_eq!(system.stop(signal).code(), Some(0));
        match &system.engine {
            Some(engine) => assert!(engine.ids().is_empty(), "all containers are removed"),
            None => assert!(instances.iter().all(|id| !runs(id))),
        }
        let first = (system.address.ip(), FIRST_PORT);
        assert!(std::net::TcpStream::connect(first).is_err(), "the port is free");
    }
}

with_both_runtimes! {
    instances_stop_with_the_orchestrator, processes_stop_with_the_orchestrator, containers_stop_with_the_orchestrator;
}

#[test]
fn a_killed_orchestrator_leaves_no_process() {
    let mut system = System::start(Kind::Processes, &[("MINIMUM", "3")]);
    system.wait_for(3);
    let instances = processes_of(&system);
    assert!(instances.iter().all(|id| runs(id)));
    system.child.kill().unwrap();
    system.child.wait().unwrap();
    wait_until("all instances are gone", || instances.iter().all(|id| !runs(id)));
}

#[test]
fn an_orchestrator_that_is_killed_during_a_start_leaves_no_process() {
    for _ in 0..5 {
        let mut system = System::start(Kind::Processes, &[("MINIMUM", "2")]);
        let ids = || -> Vec<String> {
            let shown = system.instances();
            shown.iter().filter_map(|instance| instance["id"].as_str().map(str::to_owned)).collect()
        };
        let mut instances = Vec::new();
        wait_until("both processes exist", || {
            instances = ids();
            instances.len() == 2
        });
        system.child.kill().unwrap();
        system.child.wait().unwrap();
        wait_until("all instances are gone", || instances.iter().all(|id| !runs(id)));
    }
}

#[test]
fn instances_have_metrics_on_their_own_ports() {
    let host = system::free_host();
    let metrics = format!("{host}:9100");
    let system = System::start_at(host, Kind::Processes, &[("METRICS_LISTEN", &metrics), ("MINIMUM", "2")]);
    system.wait_for(2);
    assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
    for (port, expected) in [
        (9100, "orchestrator_forwarded_total 1"),
        (9101, "route=\"/api/v1/acts/count\""),
        (9102, "route=\"/api/v1/_health\""),
    ] {
        let shown = send((host, port).into(), "GET /metrics", &[], "");
        assert!(shown.body.contains(expected), "{port}: {shown:?}");
    }
}

#[test]
fn invalid_settings_are_named() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        ("RUNTIME", "podman", "orchestrator: RUNTIME=podman is not process or docker"),
        ("PROGRAM", "/no/such/program", "orchestrator: /no/such/program cannot be started: No such file"),
        ("LISTEN", "nowhere", "orchestrator: LISTEN=nowhere is not <host>:<port>"),
        ("METRICS_LISTEN", "127.0.0.1:65535", "orchestrator: METRICS_LISTEN leaves no ports"),
        ("MAX_INSTANCES", "0", "orchestrator: MAX_INSTANCES=0 is not a whole number above zero"),
        ("LIMIT_SECONDS", "soon", "orchestrator: LIMIT_SECONDS=soon is not a whole number above zero"),
    ] {
        let mut command = system::command(&format!("{}:0", system::free_host()), directory.path());
        let output = command.env(name, value).stdin(Stdio::null()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}={value}: {stderr}");
        assert!(stderr.starts_with(expected), "{name}={value}: {stderr}");
    }
}
