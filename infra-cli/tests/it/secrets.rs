//! Secrets: the key that encrypts them, and their absence from everything that is printed or stored.

use crate::place::{Place, files};

#[test]
fn a_passphrase_wraps_the_key() {
    let place = &Place::new("passwords");
    let right = [("INFRA_PASSPHRASE", "correct horse")];
    let wrong = [("INFRA_PASSPHRASE", "battery staple")];
    place.run(&["secrets", "status"]).prints("no key yet: the first secret or the first `up` creates it");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).prints("");
    let status = |place: &Place| -> serde_json::Value {
        serde_json::from_str(&place.run(&["--json", "secrets", "status"]).out).unwrap()
    };
    assert_eq!(status(place)["wrapped_by"], "nothing");
    place.run(&["secrets", "rewrap"]).fails(2, &["--passphrase", "--kms", "--plain"]);
    place.run(&["secrets", "rewrap", "--passphrase"]).fails(2, &["no new passphrase", "INFRA_NEW_PASSPHRASE"]);
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1";
    place.run(&["secrets", "rewrap", "--kms", arn]).fails(2, &["does not support `awskms://`"]);
    place.run(&["secrets", "rewrap", "--kms", "alias/x"]).fails(2, &["`alias/x` is not the ARN", "ARN"]);
    assert_eq!(place.run_with(&["secrets", "rewrap", "--passphrase"], &right, "").code, Some(0));
    assert_eq!(status(place)["wrapped_by"], "passphrase");

    let document = place.read("secrets.key");
    let get = ["config", "get", "token", "--show-secrets"];
    place.run(&get).fails(1, &["wrapped by a passphrase", "secrets.key", "INFRA_PASSPHRASE"]);
    place.run_with(&get, &wrong, "").fails(1, &["does not unwrap the key", "secrets.key", "INFRA_PASSPHRASE"]);
    place.run_with(&["secrets", "rotate"], &wrong, "").fails(1, &["does not unwrap the key"]);
    place.run_with(&["up", "--yes"], &wrong, "").fails(1, &["does not unwrap the key"]);
    assert_eq!(place.read("secrets.key"), document);
    place.run_with(&get, &right, "").prints("hunter2");
    place.run(&["config", "list"]).prints("token  [secret]");
    let file = place.path().join("passphrase");
    std::fs::write(&file, "correct horse\n").unwrap();
    let by_file = [("INFRA_PASSPHRASE_FILE", file.to_str().unwrap())];
    place.run_with(&get, &by_file, "").prints("hunter2");
    place.run_with(&get, &[("INFRA_PASSPHRASE_FILE", "/nonexistent/file")], "").fails(1, &["/nonexistent/file"]);

    let weak = [right[0], ("INFRA_NEW_PASSPHRASE", "short")];
    place.run_with(&["secrets", "rewrap", "--passphrase"], &weak, "").fails(1, &["too weak", "12 characters"]);
    place.run_with(&get, &right, "").prints("hunter2");
    let renew = [right[0], ("INFRA_NEW_PASSPHRASE", "another horse")];
    assert_eq!(place.run_with(&["secrets", "rewrap", "--passphrase"], &renew, "").code, Some(0));
    place.run_with(&get, &right, "").fails(1, &["does not unwrap the key"]);
    let new = [("INFRA_PASSPHRASE", "another horse")];
    assert_eq!(place.run_with(&["secrets", "rewrap", "--plain"], &new, "").code, Some(0));
    place.run(&get).prints("hunter2");
}

#[test]
fn the_key_is_rotated() {
    let place = &Place::new("passwords");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).prints("");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    let password = place.run(&["output", "password", "--show-secrets"]).out;
    let rotated = place.run(&["--json", "secrets", "rotate"]);
    let rotated: serde_json::Value = serde_json::from_str(&rotated.out).unwrap();
    assert_eq!((&rotated["stacks"], &rotated["finished"]), (&1.into(), &false.into()));
    let (from, to) = (rotated["from"].as_str().unwrap(), rotated["to"].as_str().unwrap());
    for file in ["passwords/dev/state.json", "passwords/dev/config.json"] {
        let text = place.read(file);
        assert!(text.contains(to) && !text.contains(&format!("{from}:")), "{file}: {text}");
    }
    place.run(&["output", "password", "--show-secrets"]).prints(password.trim_end());
    place.run(&["config", "get", "token", "--show-secrets"]).prints("hunter2");
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
    assert_eq!(place.run(&["destroy", "--yes"]).code, Some(0));
}

#[test]
fn a_lost_key_is_not_replaced() {
    let place = &Place::new("passwords");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).prints("");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    std::fs::remove_file(place.state("secrets.key")).unwrap();
    for command in [
        &["config", "set", "--force", "--secret", "other", "x"][..],
        &["up", "--yes"],
        &["preview"],
        &["state", "list"],
        &["secrets", "rotate"],
        &["secrets", "rewrap", "--plain"],
        &["--stack", "new", "up", "--yes"],
    ] {
        place.run(command).fails(1, &["secrets.key is missing", "restore it from a copy"]);
        assert_eq!(place.read("secrets.key"), "", "{command:?} created a key");
    }
}

/// Runs every command on a stack, as text and as JSON, with all log messages.
#[test]
fn no_secret_is_shown() {
    let place = &Place::new("passwords");
    let plan = place.path().join("plan.json");
    let plan = plan.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["config", "set", "--secret", "token", "hunter2-first"],
        &["config", "list"],
        &["preview", "--diff"],
        &["preview", "--save-plan", plan],
        &["up", "--yes", "--plan", plan],
        &["output"],
        &["config", "set", "--secret", "token", "hunter2-second"],
        &["preview", "--diff", "--replace", "password"],
        &["up", "--yes", "--replace", "password"],
        &["state", "list"],
        &["state", "show", "password"],
        &["state", "verify"],
        &["graph", "--format", "json"],
        &["graph", "--format", "dot"],
        &["refresh"],
        &["history"],
        &["secrets", "rotate"],
        &["secrets", "status"],
        &["rollback", "1", "--yes"],
        &["config", "get", "token"],
        &["output", "password"],
        &["destroy", "--yes"],
        &["history"],
    ];
    let mut passwords = std::collections::BTreeSet::new();
    let (mut shown, mut masked) = (String::new(), 0);
    for json in [false, true] {
        // A saved plan is valid for the state that it was computed from.
        let _ = std::fs::remove_file(plan);
        for command in commands {
            let arguments: Vec<&str> = json.then_some("--json").into_iter().chain(command.iter().copied()).collect();
            let ran = place.run_with(&arguments, &[("RUST_LOG", "trace")], "");
            let refused = matches!(command, ["config", "get", ..] | ["output", "password"]);
            assert_eq!(ran.code != Some(0), refused, "{arguments:?}: {}{}", ran.out, ran.err);
            let printed = ran.out + &ran.err;
            masked += printed.matches("[secret]").count();
            shown += &printed;
            let outputs = place.run(&["--json", "output", "--show-secrets"]).out;
            let outputs: serde_json::Value = serde_json::from_str(&outputs).unwrap_or_default();
            passwords.extend(outputs["password"].as_str().map(str::to_owned));
            shown += &files(place.path());
        }
    }
    assert!(passwords.len() >= 3 && masked > 10, "{passwords:?}");
    for secret in passwords.iter().map(String::as_str).chain(["hunter2"]) {
        let line = shown.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
