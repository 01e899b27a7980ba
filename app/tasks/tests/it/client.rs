//! The program `client`, against a service.

use std::process::Command;

use kit::testing::{Served, sqlite_url};
use serde_json::{Value, json};

use crate::serve;

/// Exit code, standard output, standard error.
type Outcome = (i32, String, String);

fn client(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
    for name in ["TASKS_URL", "NO_COLOR", "CLICOLOR_FORCE", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let output = command.args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn said(message: &str) -> Outcome {
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
fn a_task_lives_and_dies() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let call = |arguments: &[&str]| client(arguments, &[("TASKS_URL", url)]);

    assert_eq!(call(&["GET"]), said("[]"));
    assert_eq!(call(&["post", "--title", "Açaí", "--desc", "Dois"]), said("Successfully added task!"));
    let added = shown(&["Get", "--id", "1"], url);
    assert_eq!((&added["title"], &added["description"]), (&json!("Açaí"), &json!("Dois")));
    let age = chrono::Utc::now() - tasks::timestamp::parse(added["pub_date"].as_str().unwrap()).unwrap();
    assert!((0..60).contains(&age.num_seconds()), "{added}");

    assert_eq!(call(&["PUT", "--id", "1", "--title", "Uva"]), said("Successfully altered task!"));
    let (_, listed, _) = call(&["GET"]);
    assert!(listed.starts_with("[\n  {\n"), "not indented: {listed}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["pk"], &listed[0]["fields"]["title"]), (&json!(1), &json!("Uva")));
    assert_eq!(listed[0]["fields"]["description"], json!("Dois"));

    assert_eq!(call(&["DELETE", "--id", "1"]), said("Successfully removed task!"));
    assert_eq!(call(&["GET"]), said("[]"));
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
fn nobody_there() {
    // A port that was just free.
    let address = kit::listen::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, stdout, stderr) = client(&["GET", "--url", &format!("http://{address}/")], &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let start = format!("Something went wrong! Try Again. (http://{address}/tasks/ does not answer: ");
    assert!(stderr.starts_with(&start), "{stderr}");
}

#[test]
fn wrong_use_is_exit_2_and_says_what_is_missing() {
    let url = [("TASKS_URL", "http://127.0.0.1:1")];
    for (arguments, environment, missing) in [
        (&["GET"][..], &[][..], "Give --url http://HOST:PORT, or set TASKS_URL"),
        (&["GET"], &[("TASKS_URL", "")], "Give --url http://HOST:PORT, or set TASKS_URL"),
        (&["PUT", "--title", "x"], &url, "PUT needs --id"),
        (&["PUT", "--id", "1"], &url, "PUT needs --title, --desc or both"),
        (&["DELETE"], &url, "DELETE needs --id"),
        (&["POST", "--title", "x"], &url, "POST needs --title and --desc"),
        (&["GET", "--url", "h t t p"], &url, "h t t p is not a URL"),
        (&["BREW"], &url, "BREW"),
        (&[], &url, "Usage: client"),
    ] {
        let (code, stdout, stderr) = client(arguments, environment);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains(missing), "{arguments:?}: {stderr}");
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let url = &url(&service);
    let add =
        |environment: &[(&str, &str)]| client(&["POST", "--title", "t", "--desc", "d", "--url", url], environment);
    let (green, plain) = ("\x1b[32mSuccessfully added task!\x1b[0m", "Successfully added task!");
    assert_eq!(add(&[]), said(plain));
    assert_eq!(add(&[("CLICOLOR_FORCE", "1")]), said(green));
    assert_eq!(add(&[("CLICOLOR_FORCE", "0")]), said(plain));
    assert_eq!(add(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), said(plain));

    let (_, _, stderr) = client(&["GET", "--id", "99", "--url", url], &[("CLICOLOR_FORCE", "1")]);
    assert!(stderr.starts_with("\x1b[31mSomething went wrong!") && stderr.ends_with("\x1b[0m\n"), "{stderr}");
}
