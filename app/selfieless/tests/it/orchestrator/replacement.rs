//! Instances that fail are replaced on the same port.

use std::net::TcpStream;

use kit::testing::wait_until;

use super::{
    Kind, System,
    system::{FIRST_PORT, script},
    with_both_runtimes,
};

fn ids(system: &System) -> Vec<String> {
    system.instances().iter().map(|instance| instance["id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn a_crashed_instance_is_replaced(kind: Kind) {
    let system = System::start(kind, &[("MINIMUM", "2")]);
    system.wait_for(2);
    let before = ids(&system);
    // The first one crashes.
    assert_eq!(system.send("POST /api/v1/_crash", "").body, "{}");
    wait_until("the failure is noticed", || system.count("replaced") == 1);
    // The crashed instance receives no more requests.
    for _ in 0..8 {
        assert_eq!(system.send("GET /api/v1/acts/count", "").body, "[0]");
    }
    system.wait_for(2);
    let (after, instances) = (ids(&system), system.instances());
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1], before[1]);
    assert_eq!(instances[0]["port"], FIRST_PORT);
    assert_eq!((&instances[0]["replaced"], &instances[1]["replaced"]), (&1.into(), &0.into()));
    let failure = instances[0]["last_failure"].as_str().unwrap();
    assert_eq!(failure, "the health check has the status 500 Internal Server Error");
    for _ in 0..4 {
        assert_eq!(system.send("GET /api/v1/acts/count", "").body, "[0]");
    }
}

fn a_killed_instance_is_replaced_and_its_requests_are_retried(kind: Kind) {
    // Requests notice the failure, before the next health check.
    let system = System::start(kind, &[("MINIMUM", "2"), ("HEALTH_SECONDS", "600")]);
    system.wait_for(2);
    let before = ids(&system);
    system.kill_instance(&before[1]);
    let killed = (system.address.ip(), FIRST_PORT + 1);
    wait_until("the instance refuses connections", || TcpStream::connect(killed).is_err());
    wait_until("the failure is noticed", || {
        // No client notices it.
        assert_eq!(system.send("GET /api/v1/acts/count", "").status, 200);
        assert_eq!(system.send("POST /api/v1/categories", "[").status, 400);
        system.count("replaced") == 1
    });
    assert!(system.count("retried") > 0);
    system.wait_for(2);
    let after = ids(&system);
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(system.instances()[1]["port"], FIRST_PORT + 1);
    assert_eq!(system.count("unavailable"), 0);
}

fn the_only_instance_is_replaced(kind: Kind) {
    let system = System::start(kind, &[]);
    system.wait_for(1);
    system.kill_instance(&ids(&system)[0]);
    wait_until("the instance is replaced", || {
        let answer = system.send("GET /api/v1/acts/count", "");
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200 && system.count("replaced") == 1
    });
}

with_both_runtimes! {
    a_crashed_instance_is_replaced, a_crashed_process_is_replaced, a_crashed_container_is_replaced;
    a_killed_instance_is_replaced_and_its_requests_are_retried,
        requests_to_a_killed_process_are_retried, requests_to_a_killed_container_are_retried;
    the_only_instance_is_replaced, the_only_process_is_replaced, the_only_container_is_replaced;
}

#[test]
fn an_instance_that_hangs_is_replaced() {
    let system = System::start(Kind::Processes, &[("MINIMUM", "2"), ("HEALTH_TIMEOUT_SECONDS", "0.5")]);
    system.wait_for(2);
    let before = ids(&system);
    super::system::signal("-STOP", &before[0]);
    wait_until("the instance is replaced", || system.count("replaced") == 1);
    system.wait_for(2);
    assert_ne!(ids(&system)[0], before[0]);
    assert!(!super::system::runs(&before[0]), "the previous process was killed");
    let failure = system.instances()[0]["last_failure"].as_str().unwrap().to_owned();
    assert_eq!(failure, "no response to the health check within 500ms");
}

#[test]
fn without_a_healthy_instance_the_answer_is_503() {
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "exit 3");
    let system = System::start(Kind::Processes, &[("PROGRAM", &program)]);
    for method in ["GET", "POST"] {
        let answer = system.send(&format!("{method} /api/v1/acts/count"), "");
        let detail = r#"{"detail":"No instance is healthy. Try again shortly."}"#;
        assert_eq!((answer.status, answer.body.as_str()), (503, detail));
    }
    assert_eq!(system.send("GET /healthz", "").status, 503);
    assert_eq!(system.send("GET /", "").status, 200);
    wait_until("the failure is shown", || {
        system.instances()[0]["last_failure"] == "the instance exited while it started"
    });
}

#[test]
fn a_start_has_a_time_limit() {
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "exec sleep 600");
    let system = System::start(Kind::Processes, &[("PROGRAM", &program), ("START_SECONDS", "0.2")]);
    wait_until("the failure is shown", || {
        let failure = system.instances()[0]["last_failure"].clone();
        failure.as_str().is_some_and(|failure| failure.starts_with("not healthy within 200ms of its start: "))
    });
}
