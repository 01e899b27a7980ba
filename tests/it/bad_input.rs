//! Bad input: one clear message, the exit code as designed, and nothing lost.

use std::{fs, net::TcpListener};
use tests::{Place, Ran, binary, until};

#[track_caller]
fn complains(ran: &Ran, code: i32, words: &[&str]) {
    ran.expect(code);
    for word in words {
        assert!(ran.err.contains(word), "`{word}` is missing in: {}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

#[test]
fn wrong_use_is_told_apart() {
    let place = Place::new();
    complains(&place.run(&["--program", "nonesuch", "preview"]), 2, &["nonesuch", "multicloud-orm"]);
    complains(&place.run(&["--stack", "a/b", "preview"]), 2, &["a/b", "letters"]);
    complains(&place.run(&["frobnicate"]), 2, &["frobnicate"]);
    complains(&place.run(&["preview", "--nonesuch"]), 2, &["--nonesuch"]);
    complains(&place.run(&["--parallel", "0", "preview"]), 2, &["1 to 1024"]);
    complains(&place.run(&["--backend", "ftp://host/x", "output"]), 2, &["ftp"]);
    complains(&place.run(&["up", "-c", "no-value"]), 2, &["KEY=VALUE"]);
    complains(&place.run(&["preview", "-c", "listenerPort=many"]), 2, &["listenerPort", "many", "u16", "config set"]);
    complains(&place.run(&["--target", "aws", "--stack", "cloud", "up"]), 2, &["--yes"]);
    complains(&place.run(&["output"]), 1, &["no outputs", "up"]);
    complains(&place.run(&["local", "logs", "i-none"]), 1, &["does not run", "local start"]);
    assert_eq!(place.status(), None);
}

#[test]
fn a_misspelt_configuration_value_is_warned_of() {
    let place = Place::new();
    let ran = place.run(&["preview", "-c", "listnerPort=81"]);
    ran.expect(0);
    assert!(ran.out.contains("`listnerPort`") && ran.out.contains("did you mean `listenerPort`?"), "{}", ran.out);
}

#[test]
fn without_credentials_aws_is_not_asked() {
    let place = Place::new();
    let output = place
        .stack(["--target", "aws", "preview"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", place.path())
        .env("INFRA_ARTIFACT_TASKS", binary("tasks"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no AWS credentials were found") && text.contains("AWS_PROFILE"), "{text}");
}

#[test]
fn a_backend_that_cannot_be_reached_is_an_error() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let backend = format!("s3://states/team?endpoint=http://127.0.0.1:{port}");
    let mut command = place.stack(["--backend", &backend, "up"]);
    let output = command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in ["the endpoint does not answer", "nothing was changed", "the backend's URL"] {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
    assert_eq!((text.matches("error:").count(), place.status()), (1, None), "{text}");
}

#[test]
fn nobody_has_to_read_to_the_end() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.stack(["graph", "--format", "dot"]).stdout(writer).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), text.as_ref()), (Some(0), ""));
}

#[test]
fn a_state_that_cannot_be_is_refused_and_kept() {
    let place = Place::new();
    place.run(&["up", "-c", "desired=1"]).expect(0);
    let path = place.path().join(".infra/state/multicloud-orm/dev/state.json");
    let good = fs::read_to_string(&path).unwrap();
    let cases: [(String, &[&str]); 4] = [
        (good[..good.len() / 2].to_owned(), &["state.json", "line"]),
        (good.replacen("\"version\": 2", "\"version\": 9", 1), &["format 9"]),
        (good.replace("multicloud-orm", "other"), &["state.json", "checksum", "`state restore`"]),
        (
            good.replacen("\"dependencies\": [", "\"dependencies\": [\"urn:infra:dev::multicloud-orm::a:B::c\",", 1),
            &["the record of `urn:infra:dev::multicloud-orm::", "checksum"],
        ),
    ];
    for (bad, words) in cases {
        assert_ne!(bad, good, "the case changes nothing");
        fs::write(&path, &bad).unwrap();
        for command in ["up", "preview", "destroy"] {
            complains(&place.run(&[command]), 1, words);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), bad, "a refused state is left as it is");
    }
    fs::write(&path, &good).unwrap();
    complains(&place.run(&["--target", "aws", "preview"]), 2, &["is deployed to the target `local`"]);
    place.run(&["preview", "-c", "desired=1", "--expect-no-changes"]).expect(0);
    place.run(&["destroy"]).expect(0);
    assert_eq!(place.status(), None);
}

#[test]
fn a_second_run_waits_outside() {
    let place = Place::new();
    let mut first = place.begin(&["up", "-c", "desired=1"]);
    until("the first run does something", || {
        let event = first.next_event().expect("the first run goes on");
        (event["event"] == "step_started").then_some(())
    });
    complains(&place.run(&["up"]), 1, &["another run holds the stack", "process"]);
    assert_eq!(first.wait(), Some(0));
    place.run(&["destroy"]).expect(0);
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new();
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = place.run(&["up", "-c", &format!("listenerPort={port}")]);
    complains(&ran, 1, &["listener", &port.to_string()]);
    drop(taken);
    place.run(&["up"]).expect(0);
    place.run(&["destroy"]).expect(0);
    assert_eq!(place.status(), None);
}

#[test]
fn an_application_that_never_becomes_healthy_shows_its_log() {
    let place = Place::new();
    // Some other program, which ends at once and says why.
    let output = place.stack(["up"]).env("INFRA_ARTIFACT_TASKS", binary("client")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Usage: tasks [OPTIONS] <COMMAND>"), "the log is missing in: {text}");
    // The right program mends it.
    place.run(&["up"]).expect(0);
    place.run(&["destroy"]).expect(0);
    assert_eq!(place.status(), None);
}
