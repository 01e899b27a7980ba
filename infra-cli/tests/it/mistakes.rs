//! Messages of common mistakes: what failed, why, and what to do, in one error.

use crate::place::Place;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
};

#[test]
fn misspelt_commands_and_resources_are_named() {
    let place = &Place::new("passwords");
    place.run(&["destory"]).fails(2, &["unrecognized subcommand 'destory'", "'destroy'"]);
    place
        .run(&["preview", "--target-urn", "paswords"])
        .fails(2, &["no resource matches `paswords`", "did you mean `password`?"]);
    place.run(&["state", "show", "nonesuch"]).fails(2, &["no resource `nonesuch`", "`state list`"]);
}

#[test]
fn directories_that_cannot_be_used_are_named() {
    let place = &Place::new("notes");
    fs::write(place.path().join("file"), "mine").unwrap();
    for path in ["file", "file/below"] {
        place.run(&["--directory", path, "preview"]).fails(2, &[path, "directory", "`--directory`"]);
    }
    place.run(&["--directory", "/proc/none", "up"]).fails(1, &["cannot be created", "/proc/none", "--directory PATH"]);
    let missing = ["the list cannot be read", "nonesuch.json", "JSON list"];
    place.run(&["import", "--file", "nonesuch.json"]).fails(2, &missing);
}

#[test]
fn a_wrong_or_missing_passphrase_changes_nothing() {
    let place = &Place::new("passwords");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    let right = [("INFRA_NEW_PASSPHRASE", "correct horse battery staple")];
    place.run_with(&["secrets", "rewrap", "--passphrase"], &right, "").succeeds();
    let output = ["output", "password", "--show-secrets"];
    place.run(&output).fails(1, &["no passphrase is set", "INFRA_PASSPHRASE"]);
    let wrong = [("INFRA_PASSPHRASE", "wrong horse battery staple")];
    place.run_with(&output, &wrong, "").fails(1, &["the passphrase does not unwrap the key", "nothing was changed"]);
    let absent = [("INFRA_PASSPHRASE_FILE", "/absent")];
    let failed = place.run_with(&output, &absent, "");
    assert_eq!(failed.err.matches("No such file").count(), 1, "{}", failed.err);
    failed.fails(1, &["/absent: No such file", "check that the file exists"]);
}

#[test]
fn a_locked_stack_names_its_holder() {
    let place = &Place::new("passwords");
    let gate = place.path().join("gate");
    let mut holder = place.command(&["--json", "up", "--yes", "-c", &format!("gate={}", gate.display())]);
    let mut holder = holder.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(holder.stdout.take().unwrap());
    let mut read = String::new();
    while !read.contains("gated") || !read.contains("step_started") {
        assert!(out.read_line(&mut read).unwrap() > 0, "{read}");
    }
    let process = format!("process {}", holder.id());
    place.run(&["up", "--yes"]).fails(1, &["the stack is locked by another run", &process, "wait until"]);
    place.run(&["unlock", "--yes"]).fails(1, &["it belongs to a running process", &process]);
    fs::write(&gate, "").unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert_eq!(holder.wait().unwrap().code(), Some(0));
}

#[test]
fn a_program_that_panics_fails_like_others() {
    let place = &Place::new("panicking");
    for command in [&["preview"][..], &["--target", "local", "up"], &["rehearse"]] {
        let ran = place.run(command);
        assert_eq!(ran.code, Some(1), "{command:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("the program failed: `panicking` panicked: the shelf is empty"), "{}", ran.err);
        assert!(ran.err.contains("main.rs:"), "the place of the panic: {}", ran.err);
    }
    place.run(&["--target", "local", "local", "status"]).fails(1, &["is not running"]);
}

#[test]
fn a_port_in_use_is_named() {
    let place = &Place::new("notes");
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    place.run(&["local", "start", "--port", &port]).fails(1, &[&port, "in use", "choose another port"]);
    let console = ["console", "--no-browser", "--port", &port];
    place.run(&console).fails(1, &["the port of the console is in use", "`--port 0`"]);
    place.run(&["local", "start"]).succeeds();
    let forward = ["forward", "x", &format!("80:{port}")];
    place.run(&forward).fails(2, &["nothing with a network interface is called `x`"]);
}
