//! Invalid input: a clear error message, the documented exit code, and no loss of state.

use std::{fs, net::TcpListener};
use tests::{Completed, Project, binary, until};

#[track_caller]
fn assert_error(completed: &Completed, code: i32, words: &[&str]) {
    completed.expect(code);
    for word in words {
        assert!(completed.err.contains(word), "`{word}` is missing in: {}", completed.err);
    }
    assert!(!completed.err.contains("panicked"), "{}", completed.err);
}

#[test]
fn invalid_arguments_have_their_own_messages_and_exit_codes() {
    let project = Project::new();
    assert_error(&project.run(&["--program", "nonesuch", "preview"]), 2, &["nonesuch", "multicloud-orm"]);
    assert_error(&project.run(&["--stack", "a/b", "preview"]), 2, &["a/b", "letters"]);
    assert_error(&project.run(&["frobnicate"]), 2, &["frobnicate"]);
    assert_error(&project.run(&["preview", "--nonesuch"]), 2, &["--nonesuch"]);
    assert_error(&project.run(&["--parallel", "0", "preview"]), 2, &["1 to 1024"]);
    assert_error(&project.run(&["--backend", "ftp://host/x", "output"]), 2, &["ftp"]);
    assert_error(&project.run(&["up", "--yes", "-c", "no-value"]), 2, &["KEY=VALUE"]);
    assert_error(
        &project.run(&["preview", "-c", "listenerPort=many"]),
        2,
        &["listenerPort", "many", "u16", "config set"],
    );
    assert_error(&project.run(&["--target", "aws", "--stack", "cloud", "up"]), 2, &["--yes"]);
    assert_error(&project.run(&["output"]), 1, &["no outputs", "up"]);
    assert_error(&project.run(&["local", "logs", "i-none"]), 1, &["is not running", "local start"]);
    assert_eq!(project.status(), None);
}

#[test]
fn misspelt_configuration_key_causes_a_warning() {
    let project = Project::new();
    let completed = project.run(&["preview", "-c", "listnerPort=81"]);
    completed.expect(0);
    assert!(
        completed.out.contains("`listnerPort`") && completed.out.contains("did you mean `listenerPort`?"),
        "{}",
        completed.out
    );
}

#[test]
fn missing_aws_credentials_are_reported() {
    let project = Project::new();
    let output = project
        .stack(["--target", "aws", "preview"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.path())
        .env("INFRA_ARTIFACT_TASKS", binary("tasks"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no AWS credentials were found") && text.contains("AWS_PROFILE"), "{text}");
}

#[test]
fn unreachable_backend_is_reported() {
    let project = Project::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let backend = format!("s3://states/team?endpoint=http://127.0.0.1:{port}");
    let mut command = project.stack(["--backend", &backend, "up"]);
    let output = command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in ["the endpoint does not answer", "nothing was changed", "the URL of the backend"] {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
    assert_eq!((text.matches("error:").count(), project.status()), (1, None), "{text}");
}

#[test]
fn closed_pipe_of_the_output_is_no_error() {
    let project = Project::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = project.stack(["graph", "--format", "dot"]).stdout(writer).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), text.as_ref()), (Some(0), ""));
}

#[test]
fn invalid_state_is_refused_and_kept() {
    let project = Project::new();
    project.run(&["up", "--yes", "-c", "desired=1"]).expect(0);
    let path = project.path().join(".infra/state/multicloud-orm/dev/state.json");
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
        assert_ne!(bad, good, "the case does not change the state");
        fs::write(&path, &bad).unwrap();
        for command in [&["up", "--yes"][..], &["preview"], &["destroy", "--yes"]] {
            assert_error(&project.run(command), 1, words);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), bad, "a refused state is not changed");
    }
    fs::write(&path, &good).unwrap();
    assert_error(&project.run(&["--target", "aws", "preview"]), 2, &["is deployed to the target `local`"]);
    project.run(&["preview", "-c", "desired=1", "--expect-no-changes"]).expect(0);
    project.run(&["destroy", "--yes"]).expect(0);
    assert_eq!(project.status(), None);
}

#[test]
fn concurrent_run_of_the_same_stack_is_refused() {
    let project = Project::new();
    let mut first = project.spawn(&["up", "--yes", "-c", "desired=1"]);
    until("the first run has started a step", || {
        let event = first.next_event().expect("the first run continues");
        (event["event"] == "step_started").then_some(())
    });
    assert_error(&project.run(&["up", "--yes"]), 1, &["the stack is locked by another run", "process"]);
    assert_eq!(first.wait(), Some(0));
    project.run(&["destroy", "--yes"]).expect(0);
}

#[test]
fn listener_port_in_use_is_reported() {
    let project = Project::new();
    let occupied = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = occupied.local_addr().unwrap().port();
    let completed = project.run(&["up", "--yes", "-c", &format!("listenerPort={port}")]);
    assert_error(&completed, 1, &["listener", &port.to_string()]);
    drop(occupied);
    project.run(&["up", "--yes"]).expect(0);
    project.run(&["destroy", "--yes"]).expect(0);
    assert_eq!(project.status(), None);
}

#[test]
fn log_of_an_application_that_never_becomes_healthy_is_shown() {
    let project = Project::new();
    // Another executable, which prints its usage and exits immediately.
    let output = project.stack(["up", "--yes"]).env("INFRA_ARTIFACT_TASKS", binary("client")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Usage: tasks [OPTIONS] <COMMAND>"), "the log is missing in: {text}");
    // The correct executable recovers the stack.
    project.run(&["up", "--yes"]).expect(0);
    project.run(&["destroy", "--yes"]).expect(0);
    assert_eq!(project.status(), None);
}
