//! The program `client` with a service.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kit::testing::{Served, sqlite_url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PASSWORD, serve, serve_with, sign_in};

/// Exit code, standard output, standard error.
type Outcome = (i32, String, String);

fn client(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    client_with(Path::new(env!("CARGO_BIN_EXE_client")), arguments, environment, "")
}

/// Runs the program, or a copy of it, in an empty directory, with this input.
fn client_with(program: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    for name in [
        "TASKS_URL",
        "TASKS_TOKENS",
        "XDG_STATE_HOME",
        "NO_COLOR",
        "CLICOLOR_FORCE",
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command.current_dir(&directory).env("HOME", directory.path()).args(arguments).envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The program may exit without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn printed(message: &str) -> Outcome {
    (0, format!("{message}\n"), String::new())
}

fn shown(arguments: &[&str], url: &str) -> Value {
    let (code, stdout, stderr) = client(arguments, &[("TASKS_URL", url)]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    serde_json::from_str(&stdout).unwrap()
}

fn url(service: &Served) -> String {
    format!("http://{}", service.address)
}

#[test]
fn tasks_are_created_changed_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let call = |arguments: &[&str]| client(arguments, &[("TASKS_URL", url)]);

    assert_eq!(call(&["GET"]), printed("[]"));
    assert_eq!(call(&["post", "--title", "Açaí", "--desc", "Dois"]), printed("Successfully added task!"));
    let added = shown(&["Get", "--id", "1"], url);
    assert_eq!((&added["title"], &added["description"]), (&json!("Açaí"), &json!("Dois")));
    let age = chrono::Utc::now() - tasks::timestamp::parse(added["pub_date"].as_str().unwrap()).unwrap();
    assert!((0..60).contains(&age.num_seconds()), "{added}");

    assert_eq!(call(&["PUT", "--id", "1", "--title", "Uva"]), printed("Successfully altered task!"));
    let (_, listed, _) = call(&["GET"]);
    let start =
        "[\n  {\n    \"model\": \"tasks.task\",\n    \"pk\": 1,\n    \"fields\": {\n      \"title\": \"Uva\",\n";
    assert!(listed.starts_with(start), "not indented, or in another order: {listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["pk"], &listed[0]["fields"]["title"]), (&json!(1), &json!("Uva")));
    assert_eq!(listed[0]["fields"]["description"], json!("Dois"));

    assert_eq!(call(&["DELETE", "--id", "1"]), printed("Successfully removed task!"));
    assert_eq!(call(&["GET"]), printed("[]"));
}

#[test]
fn a_refusal_shows_the_status() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    for arguments in [&["GET", "--id", "9"][..], &["DELETE", "--id", "9"], &["PUT", "--id", "9", "--title", "x"]] {
        let expected = format!(
            "Something went wrong! Try Again. ({url}/tasks/9 answered 404 Not Found: {{\"detail\":\"Not found.\"}})\n"
        );
        assert_eq!(client(arguments, &[("TASKS_URL", url)]), (1, String::new(), expected));
    }
    let (code, _, stderr) = client(&["POST", "--title", "", "--desc", "d", "--url", url], &[]);
    assert_eq!(code, 1);
    assert!(stderr.contains(r#"answered 400 Bad Request: {"title":["This field may not be blank."]}"#), "{stderr}");
}

#[test]
fn an_unreachable_service_is_reported() {
    // A free port, without a server.
    let address = kit::listen::bind("LISTEN", "127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, stdout, stderr) = client(&["GET", "--url", &format!("http://{address}/")], &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let start = format!("Something went wrong! Try Again. (http://{address}/tasks/ does not respond: ");
    assert!(stderr.starts_with(&start), "{stderr}");
}

#[test]
fn invalid_arguments_exit_with_2_and_a_hint() {
    let url = [("TASKS_URL", "http://127.0.0.1:1")];
    for (arguments, environment, missing) in [
        (&["GET"][..], &[][..], "add --url http://HOST:PORT, or set TASKS_URL"),
        (&["GET"], &[("TASKS_URL", "")], "add --url http://HOST:PORT, or set TASKS_URL"),
        (&["PUT", "--title", "x"], &url, "--id <ID>"),
        (&["PUT", "--id", "1"], &url, "--title <TITLE>"),
        (&["DELETE"], &url, "--id <ID>"),
        (&["POST", "--title", "x"], &url, "--desc <DESC>"),
        (&["POST", "--desc", "x"], &url, "--title <TITLE>"),
        (&["GET", "--url", "h t t p"], &url, "h t t p is not a URL"),
        (&["GET", "--url", "ftp://host"], &url, "ftp://host is not a URL of a service"),
        (&["BREW"], &url, "BREW"),
        (&["shell", "nowhere"], &url, "nowhere is not a URL of a service"),
        (&[], &url, "Usage: client"),
    ] {
        let (code, stdout, stderr) = client(arguments, environment);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(missing), "{arguments:?}: {stderr}");
    }
}

#[test]
fn colours_follow_the_terminal_and_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let add =
        |environment: &[(&str, &str)]| client(&["POST", "--title", "t", "--desc", "d", "--url", url], environment);
    let (green, plain) = ("\x1b[32mSuccessfully added task!\x1b[0m", "Successfully added task!");
    assert_eq!(add(&[]), printed(plain));
    assert_eq!(add(&[("CLICOLOR_FORCE", "1")]), printed(green));
    assert_eq!(add(&[("CLICOLOR_FORCE", "0")]), printed(plain));
    assert_eq!(add(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), printed(plain));

    let (_, _, stderr) = client(&["GET", "--id", "99", "--url", url], &[("CLICOLOR_FORCE", "1")]);
    assert!(stderr.starts_with("\x1b[31mSomething went wrong!") && stderr.ends_with("\x1b[0m\n"), "{stderr}");
}

#[test]
fn json_output_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let call = |arguments: &[&str]| {
        let (code, stdout, stderr) = client(arguments, &[("TASKS_URL", url)]);
        assert_eq!((stdout.lines().count(), stderr.as_str()), (1, ""), "{stdout}");
        (code, serde_json::from_str::<Value>(&stdout).unwrap())
    };
    assert_eq!(call(&["GET", "--json"]), (0, json!([])));
    let (code, added) = call(&["POST", "--title", "t", "--desc", "d", "--json"]);
    assert_eq!(
        (code, &added["ok"], &added["status"], &added["answer"]["id"]),
        (0, &json!(true), &json!(201), &json!(1))
    );
    assert_eq!(added["message"], "Successfully added task!");
    assert_eq!(call(&["GET", "--id", "1", "--json"]).1["title"], "t");
    assert_eq!(call(&["PUT", "--id", "1", "--desc", "e", "--json"]).1["answer"]["description"], "e");
    let (code, refused) = call(&["PUT", "--id", "1", "--title", "", "--json"]);
    assert_eq!((code, &refused["ok"], &refused["status"]), (1, &json!(false), &json!(400)));
    assert_eq!(refused["answer"], json!({ "title": ["This field may not be blank."] }));
    let deleted = json!({ "ok": true, "message": "Successfully removed task!", "status": 200, "answer": "Task successfully deleted!" });
    assert_eq!(call(&["DELETE", "--id", "1", "--json"]), (0, deleted));
    assert_eq!(call(&["DELETE", "--id", "1", "--json"]).1["status"], 404);
    drop(service);
    let (code, lost) = call(&["GET", "--json"]);
    assert_eq!((code, lost.get("status")), (1, None));
    assert!(lost["error"].as_str().unwrap().contains("does not respond"), "{lost}");
}

/// Signs in with the program, and returns the file of tokens.
fn login(directory: &TempDir, url: &str) -> PathBuf {
    let file = directory.path().join("state/tasks/tokens.json");
    let state = directory.path().join("state");
    let environment = [("XDG_STATE_HOME", state.to_str().unwrap()), ("TASKS_URL", url)];
    let program = Path::new(env!("CARGO_BIN_EXE_client"));
    let input = format!("{PASSWORD}\n");
    let outcome = client_with(program, &["login", "--username", "ana", "--register"], &environment, &input);
    assert_eq!(outcome, printed("Signed in as ana."));
    file
}

#[test]
fn a_token_is_stored_used_and_refreshed() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve_with(&sqlite_url(&directory), &[]);
    let url = &url(&service);
    let post = ["POST", "--title", "t", "--desc", "d"];
    let (code, _, stderr) = client(&post, &[("TASKS_URL", url)]);
    assert_eq!(code, 1);
    assert!(stderr.contains("answered 401 Unauthorized") && stderr.contains("Sign in with `client login`"), "{stderr}");

    let file = login(&directory, url);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let environment = [("TASKS_URL", url.as_str()), ("TASKS_TOKENS", file.to_str().unwrap())];
    assert_eq!(client(&post, &environment), printed("Successfully added task!"));

    // The token has expired by the clock of this machine, or by that of the service.
    for (field, value) in [("expires_at", json!(0)), ("access", json!("not.a.token"))] {
        let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let before = kept[url]["refresh"].clone();
        kept[url][field] = value;
        fs::write(&file, kept.to_string()).unwrap();
        assert_eq!(client(&post, &environment), printed("Successfully added task!"));
        let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_ne!(kept[url]["refresh"], before, "{field}");
    }
    // Concurrent clients use a refresh token once.
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    kept[url]["expires_at"] = json!(0);
    fs::write(&file, kept.to_string()).unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| client(&post, &environment))).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), printed("Successfully added task!"));
        }
    });

    // Tokens that the service refuses are deleted.
    kept[url]["refresh"] = json!("unknown");
    fs::write(&file, kept.to_string()).unwrap();
    let (code, _, stderr) = client(&post, &environment);
    assert!(code == 1 && stderr.contains("Sign in with `client login`"), "{stderr}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");

    fs::write(&file, "{").unwrap();
    let (code, _, stderr) = client(&post, &environment);
    assert!(code == 1 && stderr.contains("is damaged"), "{stderr}");
}

#[test]
fn a_wrong_password_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve_with(&sqlite_url(&directory), &[]);
    sign_in(&service, "ana");
    let url = url(&service);
    let program = Path::new(env!("CARGO_BIN_EXE_client"));
    let outcome = client_with(program, &["login", "--url", &url], &[], "ana\nwrong horse\n");
    let expected = "No active account found with the given credentials.\"})\n";
    assert!(outcome.0 == 1 && outcome.2.ends_with(expected) && !outcome.2.contains("horse"), "{outcome:?}");
}

#[test]
fn a_shell_runs_commands_interactively() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let shell = |input: &str| {
        let (code, stdout, stderr) = client_with(Path::new(env!("CARGO_BIN_EXE_client")), &["shell", url], &[], input);
        assert_eq!(code, 0, "{stderr}");
        (stdout, stderr)
    };
    let prompt = "tasks-api> ";
    assert_eq!(shell(""), (format!("{prompt}\n"), String::new()));
    assert_eq!(shell("\n  \nexit\nget all\n"), (prompt.repeat(3), String::new()));
    assert_eq!(shell("url\nquit\n"), (format!("{prompt}{url}\n{prompt}"), String::new()));
    assert_eq!(shell("get all\nquit\n"), (format!("{prompt}[]\n{prompt}"), String::new()));
    for unknown in ["brew tea", "get", "get one", "update", "delete", "post now", "exit now"] {
        let expected = format!("{prompt}Comando '{unknown}' não identificado.\n{prompt}");
        assert_eq!(shell(&format!("  {unknown} \nquit\n")), (expected, String::new()));
    }
    let (help, _) = shell("help\nquit\n");
    for command in ["get all", "get ID", "post", "update ID", "delete ID", "delete all", "url", "help", "exit, quit"] {
        assert!(help.lines().any(|line| line.strip_prefix(prompt).unwrap_or(line).starts_with(command)), "{command}");
    }

    let (posted, _) = shell("post\nAçaí\nDois\nquit\n");
    let start = format!("{prompt}title: description: {{\n  ");
    assert!(posted.starts_with(&start) && posted.contains(r#""title": "Açaí""#), "{posted}");
    let (updated, stderr) = shell("update 1\n\nTrês\nget 1\nquit\n");
    let start = format!("{prompt}title [Açaí]: description [Dois]: Task foi alterada com sucesso!\n{prompt}{{\n");
    assert!(updated.starts_with(&start), "{updated}{stderr}");
    assert!(updated.contains(r#""title": "Açaí""#) && updated.contains(r#""description": "Três""#), "{updated}");

    // The shell continues after an error.
    let (stdout, stderr) = shell("get 9\nupdate 9\ndelete 9\npost\n\n\ndelete 1\nquit\n");
    assert_eq!(stderr.matches("Something went wrong! Try Again. (").count(), 4, "{stderr}");
    assert_eq!(stderr.matches("answered 404 Not Found: Não achei a task especificada!").count(), 3, "{stderr}");
    assert!(stderr.contains("answered 401 Unauthorized: {\"title\":"), "{stderr}");
    assert!(!stderr.contains("Sign in"), "{stderr}");
    assert!(stdout.contains("Deletado com sucesso!"), "{stdout}");
    let (stdout, _) = shell("delete all\nget all\nquit\n");
    let expected = format!("{prompt}Todas as tasks fooram deletadas com sucesso!\n{prompt}[]\n{prompt}");
    assert_eq!(stdout, expected);
}

#[test]
fn the_stack_command_returns_the_url_of_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("client");
    // Other processes write the files: a child of another test could hold a file open that this one writes, which then
    // cannot be executed.
    let make = |command: &str, input: &str| {
        let mut shell =
            Command::new("sh").args(["-c", command]).current_dir(&programs).stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    };
    make(&format!("cp '{}' client", env!("CARGO_BIN_EXE_client")), "");
    let stack = |script: &str| make("cat > stack && chmod 755 stack", &format!("#!/bin/sh\n{script}\n"));
    let ask = |arguments: &[&str]| client_with(&program, arguments, &[], "");

    let (code, _, stderr) = ask(&["GET"]);
    assert!(code == 2 && stderr.contains("There is no program `stack` beside this one"), "{stderr}");
    stack(&format!(r#"test "$*" = "output url --json" && echo '"{}"'"#, url(&service)));
    assert_eq!(ask(&["GET"]), printed("[]"));
    assert_eq!(ask(&["GET", "--url", "http://127.0.0.1:1"]).0, 1, "what is given comes first");
    stack(r#"echo '{"event":"message","severity":"error","summary":"the stack `dev` has no outputs"}'; exit 1"#);
    let (code, _, stderr) = ask(&["GET"]);
    assert!(code == 2 && stderr.contains("(`stack output url` says: the stack `dev` has no outputs)"), "{stderr}");
}

#[test]
fn completions_are_printed() {
    for (shell, part) in [("bash", "_client()"), ("zsh", "#compdef client"), ("fish", "complete -c client")] {
        let (code, stdout, stderr) = client(&["completions", shell], &[]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(stdout.contains(part) && stdout.contains("DELETE"), "{shell}");
    }
}
