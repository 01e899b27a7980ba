//! Commands around a stack: lists of stacks, new projects, suggestions for misspelt names, help and broken pipes.

use crate::place::Place;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn ls_shows_every_stack_in_the_store() {
    let place = &Place::new("shop");
    assert_eq!(place.done(&["ls"]), "there are no stacks; `up` creates one\n");
    place.done(&["up", "--yes"]);
    place.done(&["--stack", "staging", "up", "--yes"]);
    place.done(&["--stack", "staging", "destroy", "--yes"]);
    place.done(&["--program", "demanding", "--stack", "empty", "config", "set", "first", "x"]);
    std::fs::create_dir_all(place.state("shop/leftover")).unwrap();
    let table = place.done(&["ls"]);
    let columns = |line: &str| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = table.lines().map(columns).collect();
    assert_eq!(
        lines,
        ["PROGRAM STACK TARGET RESOURCES", "demanding empty - 0", "shop dev aws 2", "shop staging aws 0"]
    );
    assert!(table.lines().nth(2).unwrap().contains("  up by "), "{table}");
    assert!(table.lines().nth(3).unwrap().contains("  destroy by "), "{table}");
    let listed = place.json(&["ls"]);
    assert_eq!((&listed[1]["stack"], &listed[1]["resources"]), (&"dev".into(), &2.into()));
    assert_eq!(listed[1]["last_change"]["command"], "up");
}

#[test]
fn ls_shows_the_other_stacks_when_one_is_damaged() {
    let place = &Place::new("shop");
    place.done(&["up", "--yes"]);
    place.done(&["--stack", "broken", "up", "--yes"]);
    std::fs::write(place.state("shop/broken/state.json"), "{").unwrap();
    let ran = place.run(&["ls"]);
    let line = |stack: &str| ran.out.lines().find(|line| line.split_whitespace().nth(1) == Some(stack)).unwrap();
    assert!(line("dev").contains(" 2 ") && line("broken").contains(" unreadable "), "{}", ran.out);
    ran.fails(1, &["state.json", "shop"]);
}

#[test]
fn new_writes_a_project_that_cargo_accepts() {
    let place = &Place::new("shop");
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let shown = place.done(&["new", "web-shop"]);
    assert!(shown.starts_with("created the project `web-shop`"), "{shown}");
    let project = place.path().join("web-shop");
    let read = |file: &str| std::fs::read_to_string(project.join(file)).unwrap();
    // The workspace compiles the same file as an example.
    assert_eq!(read("src/main.rs"), include_str!("../../template/main.rs"));
    assert!(read(".gitignore").contains("/.infra") && read("README.md").starts_with("# web-shop\n"));

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--offline", "--format-version", "1"]).current_dir(&project);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let path_of = |name: &str| {
        let package = packages.iter().find(|package| package["name"] == name && package["source"].is_null());
        PathBuf::from(package.unwrap()["manifest_path"].as_str().unwrap())
    };
    assert_eq!(path_of("infra-aws"), std::fs::canonicalize(checkout).unwrap().join("infra-aws/Cargo.toml"));
    assert_eq!(path_of("web-shop"), std::fs::canonicalize(&project).unwrap().join("Cargo.toml"));

    let git = "https://example.com/infra.git";
    assert_eq!(place.json(&["new", "nested/other", "--infra", git])["name"], "other");
    let manifest = std::fs::read_to_string(place.path().join("nested/other/Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("infra-cli = {{ git = \"{git}\" }}")), "{manifest}");
    assert!(!place.infra("").exists(), "a new project needs no state");
}

#[test]
fn new_refuses_occupied_directories_and_invalid_names() {
    let place = &Place::new("shop");
    std::fs::create_dir(place.path().join("taken")).unwrap();
    std::fs::write(place.path().join("taken/notes"), "mine").unwrap();
    std::fs::write(place.path().join("file"), "mine").unwrap();
    std::fs::create_dir(place.path().join("free")).unwrap();
    place.run(&["new", "taken"]).fails(2, &["is not empty", "taken", "does not exist yet"]);
    place.run(&["new", "file"]).fails(2, &["not a directory"]);
    place.run(&["new", "9lives"]).fails(2, &["`9lives`", "beginning with a letter"]);
    place.run(&["new", "match"]).fails(2, &["`match`", "reserved word"]);
    place.run(&["new", "a b"]).fails(2, &["`a b`"]);
    place.run(&["new", "x", "--infra", "taken"]).fails(2, &["infra-core", "Git URL"]);
    place.run(&["new", "x", "--infra", "absent"]).fails(1, &["absent"]);
    let names: Vec<_> = std::fs::read_dir(place.path().join("taken")).unwrap().collect();
    assert!(names.len() == 1 && !place.path().join("x").exists());
    place.done(&["new", "free"]);
}

#[test]
fn misspelt_names_are_corrected() {
    let place = &Place::new("shop");
    place.run(&["prevew"]).fails(2, &["preview"]);
    place.run(&["--program", "shp", "preview"]).fails(2, &["did you mean `shop`?"]);
    place.run(&["preview", "--replace", "databse"]).fails(2, &["did you mean `database`?"]);
    place.run(&["preview", "--replace", "zzzzzzzz"]).fails(2, &["`database` can be relaunched"]);
    place.run(&["preview", "--exclude", "sevrer"]).fails(2, &["did you mean `server`?"]);
    place.run(&["import", "cloud:Servr", "web", "server-2"]).fails(2, &["did you mean `cloud:Server`?"]);
    place.run(&["completions", "bsh"]).fails(2, &["bash"]);
    place.done(&["up", "--yes"]);
    place.run(&["output", "adress"]).fails(2, &["did you mean `address`?"]);
}

#[test]
fn import_lists_types_and_asks_for_the_region() {
    let place = &Place::new("shop");
    let types = place.done(&["import"]);
    assert!(types.contains("cloud:Server  --region REGION") && !types.contains("random:Password"), "{types}");
    assert_eq!(place.json(&["import"])[0]["type"], "cloud:Server");
    place.run(&["import", "cloud:Balancer", "b", "b-1"]).fails(2, &["no resource type", "cloud:Server"]);
    place.run(&["import", "Zebra", "b", "b-1"]).fails(2, &["the types are:", "cloud:Server"]);
    place.run(&["import", "random:Password", "b", "x"]).fails(2, &["cannot be imported"]);
    let missing = ["the region of the cloud:Server `server-2` is missing", "--region north"];
    place.run(&["import", "cloud:Server", "web", "server-2"]).fails(2, &missing);
    place.run(&["import", "cloud:Server"]).fails(2, &["NAME"]);
    assert!(!place.state("shop/dev/state.json").exists());
    let imported = place.done(&["import", "cloud:Server", "web", "server-2", "--region", "north"]);
    assert!(imported.contains("stack.in_region(\"north\").add(\"web\", Server {"), "{imported}");
}

/// Runs commands whose standard output and standard error have no reader.
#[test]
fn broken_pipes_do_not_change_the_exit_code() {
    let place = &Place::new("shop");
    place.done(&["up", "--yes"]);
    let commands: [(&[&str], i32); 22] = [
        (&["completions", "bash"], 0),
        (&["completions", "zsh"], 0),
        (&["graph"], 0),
        (&["graph", "--format", "dot"], 0),
        (&["--json", "graph"], 0),
        (&["preview"], 0),
        (&["--json", "preview"], 0),
        (&["ls"], 0),
        (&["--json", "ls"], 0),
        (&["history"], 0),
        (&["--json", "history"], 0),
        (&["state", "list"], 0),
        (&["state", "show", "*"], 0),
        (&["output"], 0),
        (&["config", "keys"], 0),
        (&["programs"], 0),
        (&["import"], 0),
        (&["refresh"], 0),
        (&["--help"], 0),
        (&["output", "absent"], 2),
        (&["--json", "output", "absent"], 2),
        (&["destroy", "--yes"], 0),
    ];
    for (arguments, code) in commands {
        for log in ["", "trace"] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let mut command = place.command(arguments);
            command.env("RUST_LOG", log).stdout(writer.try_clone().unwrap()).stderr(writer);
            assert_eq!(command.status().unwrap().code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn help_groups_options_and_lists_exit_codes() {
    let place = &Place::new("shop");
    let help = place.done(&["--help"]);
    for heading in ["Stack and target:", "Storage:", "Execution and output:", "Exit codes:"] {
        assert!(help.lines().any(|line| line == heading), "`{heading}` is missing in: {help}");
    }
    assert!(help.contains("  130  a second Ctrl-C"), "{help}");
    let up = place.done(&["up", "--help"]);
    let planning = up.find("Planning:").unwrap();
    let selection = up.find("Selection:").unwrap();
    assert!(up.find("--refresh").unwrap() > planning && up.find("--target-urn").unwrap() > selection, "{up}");
    assert!(!up.contains("Exit codes:"));
}
