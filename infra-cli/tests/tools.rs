//! Commands around a stack: listing stacks, new projects, known names, broken pipes, exit codes. The test runs itself
//! as the `stack` command.
#![allow(clippy::unwrap_used, missing_docs)]

use infra_core::{
    Config, Output, Resource, Result, Schema, Stack,
    provider::{Context, Created, Handler, Prior, ProviderError, Recovery, Registry},
    random::Password,
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

const AS_STACK: &str = "INFRA_TEST_AS_STACK";

type Test = (&'static str, fn(&Place));

/// A resource of a provider with regions.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Server {
    size: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct ServerOutputs {
    address: Output<String>,
}

impl Resource for Server {
    const TYPE: &'static str = "cloud:Server";
    type Outputs = ServerOutputs;

    fn schema() -> Schema {
        Schema::new()
    }
}

impl Handler for Server {
    type Client = ();

    async fn create(_: &Context<'_, ()>, _: &Self) -> Result<Created<Self>, ProviderError> {
        Ok(Created::new("server-1", ServerOutputs { address: "10.0.0.1".into() }))
    }

    async fn read(_: &Context<'_, ()>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(_: &Context<'_, ()>, prior: &Prior<Self>, _: &Self) -> Result<ServerOutputs, ProviderError> {
        Ok(prior.outputs.clone())
    }

    async fn delete(_: &Context<'_, ()>, _: &Prior<Self>) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn import(cx: &Context<'_, ()>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        cx.region()?;
        let created = Created::new(id, ServerOutputs { address: "10.0.0.2".into() });
        Ok((id == "server-2").then_some(Created { inputs: Some(Self { size: 2 }), ..created }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

fn program(stack: &Stack, config: &Config) -> Result {
    stack.provide("cloud", || Arc::new(Registry::new(()).regional().resource::<Server>()));
    let size = config.get_or("serverSize", 1_u32)?;
    config.secret("token")?;
    let password = stack.add("password", Password::of_length(20));
    let server = stack.in_region("north").add("server", Server { size });
    stack.relaunchable("database", &server.address, "a new server");
    stack.export("password", password.value);
    stack.export("address", server.address);
    Ok(())
}

/// Ends early: `second` is read only when `first` has a value.
fn demanding(_: &Stack, config: &Config) -> Result {
    config.require::<String>("first")?;
    config.require::<String>("second")?;
    Ok(())
}

fn main() -> ExitCode {
    infra_local::enable_launcher();
    if std::env::var_os(AS_STACK).is_some() {
        return infra_cli::run([infra_cli::program("shop", program), infra_cli::program("demanding", demanding)]);
    }
    let tests: [Test; 10] = [
        ("ls_shows_every_stack_in_the_store", ls_shows_every_stack_in_the_store),
        ("ls_shows_the_other_stacks_when_one_is_damaged", ls_shows_the_other_stacks_when_one_is_damaged),
        ("new_writes_a_project_that_cargo_accepts", new_writes_a_project_that_cargo_accepts),
        ("new_overwrites_nothing", new_overwrites_nothing),
        ("config_knows_the_keys_of_the_program", config_knows_the_keys_of_the_program),
        ("config_of_a_program_that_fails_is_still_settable", config_of_a_program_that_fails_is_still_settable),
        ("misspelt_names_are_corrected", misspelt_names_are_corrected),
        ("import_lists_types_and_asks_for_the_region", import_lists_types_and_asks_for_the_region),
        ("broken_pipes_end_quietly", broken_pipes_end_quietly),
        ("help_groups_options_and_lists_exit_codes", help_groups_options_and_lists_exit_codes),
    ];
    for (name, test) in tests {
        test(&Place(tempfile::tempdir().unwrap()));
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

/// The working directory of a test, with its `.infra` inside.
struct Place(tempfile::TempDir);

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn state(&self, file: &str) -> PathBuf {
        self.path().join(".infra/state").join(file)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for variable in std::env::vars().filter(|(name, _)| name.starts_with("INFRA_")) {
            command.env_remove(variable.0);
        }
        let directory = self.path().join(".infra");
        command.args(["--directory", directory.to_str().unwrap(), "--target", "aws"]).args(arguments);
        command.env(AS_STACK, "1").env("COLUMNS", "100").current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(&[&["--json"], arguments].concat())).unwrap()
    }
}

impl Ran {
    #[track_caller]
    fn complains(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in: {}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

fn ls_shows_every_stack_in_the_store(place: &Place) {
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

fn ls_shows_the_other_stacks_when_one_is_damaged(place: &Place) {
    place.done(&["up", "--yes"]);
    place.done(&["--stack", "broken", "up", "--yes"]);
    std::fs::write(place.state("shop/broken/state.json"), "{").unwrap();
    let ran = place.run(&["ls"]);
    let line = |stack: &str| ran.out.lines().find(|line| line.split_whitespace().nth(1) == Some(stack)).unwrap();
    assert!(line("dev").contains(" 2 ") && line("broken").contains(" unreadable "), "{}", ran.out);
    ran.complains(1, &["state.json", "shop"]);
}

fn new_writes_a_project_that_cargo_accepts(place: &Place) {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let shown = place.done(&["new", "web-shop"]);
    assert!(shown.starts_with("created the project `web-shop`"), "{shown}");
    let project = place.path().join("web-shop");
    let read = |file: &str| std::fs::read_to_string(project.join(file)).unwrap();
    // The text of the example that the workspace compiles.
    assert_eq!(read("src/main.rs"), include_str!("../template/main.rs"));
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
    assert!(!place.path().join(".infra").exists(), "a new project needs no state");
}

fn new_overwrites_nothing(place: &Place) {
    std::fs::create_dir(place.path().join("taken")).unwrap();
    std::fs::write(place.path().join("taken/notes"), "mine").unwrap();
    std::fs::write(place.path().join("file"), "mine").unwrap();
    std::fs::create_dir(place.path().join("free")).unwrap();
    place.run(&["new", "taken"]).complains(2, &["is not empty", "taken", "does not exist yet"]);
    place.run(&["new", "file"]).complains(2, &["not a directory"]);
    place.run(&["new", "9lives"]).complains(2, &["`9lives`", "beginning with a letter"]);
    place.run(&["new", "match"]).complains(2, &["`match`", "reserved word"]);
    place.run(&["new", "a b"]).complains(2, &["`a b`"]);
    place.run(&["new", "x", "--infra", "taken"]).complains(2, &["infra-core", "Git URL"]);
    place.run(&["new", "x", "--infra", "absent"]).complains(1, &["absent"]);
    let names: Vec<_> = std::fs::read_dir(place.path().join("taken")).unwrap().collect();
    assert!(names.len() == 1 && !place.path().join("x").exists());
    place.done(&["new", "free"]);
}

fn config_knows_the_keys_of_the_program(place: &Place) {
    place.run(&["config", "set", "serverSiz", "2"]).complains(2, &["does not read", "did you mean `serverSize`?"]);
    place.run(&["config", "set", "zebra", "2"]).complains(2, &["`zebra`", "it reads: serverSize, token", "--force"]);
    place.run(&["config", "set", "serverSize", "many"]).complains(2, &["`many`", "u32"]);
    place.run(&["config", "set", "serverSize", "2", "--secret"]).complains(2, &["`serverSize` is secret"]);
    assert!(!place.state("shop/dev/config.json").exists());
    place.done(&["config", "set", "serverSize", "2"]);
    place.done(&["config", "set", "--secret", "token", "hunter2"]);
    place.done(&["config", "set", "--force", "zebra", "2"]);
    place.run(&["config", "get", "serversize"]).complains(2, &["did you mean `serverSize`?"]);
    place.run(&["config", "unset", "tokn"]).complains(2, &["did you mean `token`?"]);
    let table = place.done(&["config", "keys"]);
    let lines: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines, ["KEY TYPE DEFAULT VALUE", "serverSize u32 1 2", "token secret [secret]"]);
    assert_eq!(place.json(&["config", "keys"])[0]["default"], "1");
    let preview = place.done(&["preview", "-c", "serverSizee=3"]);
    assert!(preview.contains("does not read the configuration value `serverSizee`"), "{preview}");
    assert!(preview.contains("did you mean `serverSize`?"), "{preview}");
}

fn config_of_a_program_that_fails_is_still_settable(place: &Place) {
    let set = |key: &str| place.run(&["--program", "demanding", "config", "set", key, "x"]);
    let second = set("second");
    assert!(second.err.contains("it is not known whether") && second.err.contains("no `first`"), "{}", second.err);
    assert_eq!(second.code, Some(0));
    assert_eq!(set("first").code, Some(0));
    set("third").complains(2, &["it reads: first, second"]);
}

fn misspelt_names_are_corrected(place: &Place) {
    place.run(&["prevew"]).complains(2, &["preview"]);
    place.run(&["--program", "shp", "preview"]).complains(2, &["did you mean `shop`?"]);
    place.run(&["preview", "--replace", "databse"]).complains(2, &["did you mean `database`?"]);
    place.run(&["preview", "--replace", "zzzzzzzz"]).complains(2, &["`database` can be relaunched"]);
    place.run(&["preview", "--exclude", "sevrer"]).complains(2, &["did you mean `server`?"]);
    place.run(&["import", "cloud:Servr", "web", "server-2"]).complains(2, &["did you mean `cloud:Server`?"]);
    place.run(&["completions", "bsh"]).complains(2, &["bash"]);
    place.done(&["up", "--yes"]);
    place.run(&["output", "adress"]).complains(2, &["did you mean `address`?"]);
}

fn import_lists_types_and_asks_for_the_region(place: &Place) {
    let types = place.done(&["import"]);
    assert!(types.contains("cloud:Server  --region REGION") && !types.contains("random:Password"), "{types}");
    assert_eq!(place.json(&["import"])[0]["type"], "cloud:Server");
    place.run(&["import", "cloud:Balancer", "b", "b-1"]).complains(2, &["no resource type", "cloud:Server"]);
    place.run(&["import", "Zebra", "b", "b-1"]).complains(2, &["the types are:", "cloud:Server"]);
    place.run(&["import", "random:Password", "b", "x"]).complains(2, &["cannot be imported"]);
    let missing = ["the region of the cloud:Server `server-2` is missing", "--region north"];
    place.run(&["import", "cloud:Server", "web", "server-2"]).complains(2, &missing);
    place.run(&["import", "cloud:Server"]).complains(2, &["NAME"]);
    assert!(!place.state("shop/dev/state.json").exists());
    let imported = place.done(&["import", "cloud:Server", "web", "server-2", "--region", "north"]);
    assert!(imported.contains("scope.add(\"web\", Server {"), "{imported}");
}

/// Runs commands whose standard output and standard error nobody reads.
fn broken_pipes_end_quietly(place: &Place) {
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

fn help_groups_options_and_lists_exit_codes(place: &Place) {
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
