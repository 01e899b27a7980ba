//! Commands on the local cloud, and the cloud that a stack belongs to.

use crate::{
    http::get,
    place::Place,
    variables::{ACCOUNT, FAIL, PORT},
};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

/// A running command, of which the test reads standard error.
struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
}

impl Running {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let err = BufReader::new(child.stderr.take().unwrap());
        Self { child, err }
    }

    #[track_caller]
    fn until(&mut self, word: &str) {
        let (mut line, mut all) = (String::new(), String::new());
        while !line.contains(word) {
            line.clear();
            assert!(self.err.read_line(&mut line).unwrap() > 0, "it exited without `{word}`: {all}");
            all += &line;
        }
    }

    #[track_caller]
    fn succeeds(mut self) {
        let mut rest = String::new();
        self.err.read_to_string(&mut rest).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{rest}");
    }
}

/// Returns the path of the note of the stack `dev`.
fn note(place: &Place) -> PathBuf {
    place.infra("local/note-dev")
}

/// Reads the document by which the process of the cloud describes itself.
fn daemon(place: &Place) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(place.infra("local/daemon.json")).unwrap()).unwrap()
}

const ANOTHER_CLOUD: &str = "was deployed to another local cloud";

const FOLLOWS: &str = "no service runs yet";

#[test]
fn a_stack_of_a_reset_cloud_is_created_again() {
    let place = &Place::new("notes");
    // An empty cloud keeps running only if it was started by `local start`.
    place.run(&["local", "start"]).succeeds();
    place.run(&["up"]).succeeds();
    assert!(note(place).exists());
    let before = daemon(place)["cloud_id"].as_str().unwrap().to_owned();
    place.run(&["local", "stop"]).succeeds();
    let again = place.run(&["preview", "--expect-no-changes"]).succeeds();
    assert!(!again.out.contains(ANOTHER_CLOUD), "a restarted cloud is the same one: {}", again.out);

    place.run(&["local", "reset", "--yes"]).succeeds();
    assert!(!note(place).exists());
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(3));
    // A run that fails before its refresh does not record the new cloud.
    assert_eq!(place.run_with(&["up"], &[(FAIL, "1")], "").code, Some(1));
    place.run(&["local", "start"]).succeeds();
    let up = place.run(&["up"]).succeeds();
    let after = daemon(place)["cloud_id"].as_str().unwrap().to_owned();
    for word in [ANOTHER_CLOUD, &before, &after] {
        assert!(up.out.contains(word), "`{word}` is missing in: {}", up.out);
    }
    assert!(note(place).exists(), "{}", up.out);

    let unchanged = place.run(&["preview", "--expect-no-changes"]).succeeds();
    assert!(!unchanged.out.contains(ANOTHER_CLOUD), "{}", unchanged.out);

    // Resources of the previous cloud need no deletion.
    place.run(&["local", "reset", "--yes"]).succeeds();
    let destroyed = place.run(&["destroy", "--yes"]).succeeds();
    assert!(destroyed.out.contains(ANOTHER_CLOUD), "{}", destroyed.out);
    assert!(!place.run(&["state", "list"]).out.contains("Note"));
}

#[test]
fn the_first_start_chooses_the_account_of_the_local_cloud() {
    let place = &Place::new("notes");
    place.run(&["local", "start", "--account", "12345"]).fails(2, &["--account", "exactly 12 digits"]);
    place.run(&["local", "start", "--account", "112233445566"]).succeeds();
    assert!(place.run(&["local", "status"]).succeeds().out.contains("account 112233445566"));
    place.run(&["local", "stop"]).succeeds();
    let other = ["local", "start", "--account", "999999999999"];
    place.run(&other).fails(2, &["112233445566", "999999999999", "local reset"]);
    place.run(&["local", "start"]).succeeds();
    assert!(place.run(&["local", "status"]).succeeds().out.contains("account 112233445566"));
    place.run(&["local", "reset", "--yes"]).succeeds();
    place.run(&other).succeeds();
    assert!(place.run(&["local", "status"]).succeeds().out.contains("account 999999999999"));
}

#[test]
fn another_aws_account_is_refused() {
    let place = &Place::new("notes");
    let (one, other) = ([(ACCOUNT, "111111111111")], [(ACCOUNT, "222222222222")]);
    let on_aws = |arguments: &[&str], account: &[(&str, &str)]| {
        place.run_with(&[&["--target", "aws"], arguments].concat(), account, "")
    };
    assert_eq!(on_aws(&["up", "--yes"], &[]).code, Some(1), "the account is not known");
    on_aws(&["up", "--yes"], &one).succeeds();
    let state = std::fs::read(place.state("notes/dev/state.json")).unwrap();
    let both = ["account 111111111111", "account 222222222222", "--stack", "state rm"];
    for command in [&["up", "--yes"][..], &["preview"], &["destroy", "--yes"], &["refresh"]] {
        on_aws(command, &other).fails(2, &both);
    }
    let elsewhere = ["--endpoint", "http://127.0.0.1:5000", "up", "--yes"];
    on_aws(&elsewhere, &one).fails(2, &["account 111111111111", "http://127.0.0.1:5000"]);
    place.run(&["up"]).fails(2, &["target `aws`", "--target aws"]);
    assert_eq!(std::fs::read(place.state("notes/dev/state.json")).unwrap(), state);
    on_aws(&["destroy", "--yes"], &one).succeeds();
    // A stack without resources may be deployed anywhere.
    on_aws(&["up", "--yes"], &other).succeeds();
}

#[test]
fn a_command_does_not_stop_the_cloud_that_another_one_uses() {
    let place = &Place::new("notes");
    let work = |stack: &str| {
        for _ in 0..4 {
            for command in [&["up"][..], &["destroy", "--yes"], &["preview"]] {
                let ran = place.run(&[&["--stack", stack], command].concat());
                assert_eq!(ran.code, Some(0), "{stack} {command:?}: {}{}", ran.out, ran.err);
            }
        }
    };
    std::thread::scope(|scope| {
        let stacks = ["a", "b", "c", "d", "e"].map(|stack| scope.spawn(move || work(stack)));
        stacks.into_iter().for_each(|stack| stack.join().unwrap());
    });
    // The last command has stopped it.
    place.run(&["local", "status"]).fails(1, &["is not running"]);
}

#[test]
fn a_command_waits_for_a_cloud_that_is_stopping() {
    let place = &Place::new("notes");
    place.run(&["local", "start"]).succeeds();
    let first = daemon(place);
    let process = Pid::from_raw(i32::try_from(first["pid"].as_u64().unwrap()).unwrap()).unwrap();
    // The process neither answers nor exits, as while it stops a large database.
    kill_process(process, Signal::STOP).unwrap();
    let mut up = Running::new(place.command(&["up"]));
    up.until("is stopping");
    kill_process(process, Signal::TERM).unwrap();
    kill_process(process, Signal::CONT).unwrap();
    up.succeeds();
    assert!(note(place).exists());
    assert_ne!(daemon(place)["pid"], first["pid"]);
}

#[test]
fn a_cloud_stops_when_its_directory_is_removed() {
    let place = &Place::new("notes");
    place.run(&["local", "start"]).succeeds();
    let first = daemon(place);
    let process = Pid::from_raw(i32::try_from(first["pid"].as_u64().unwrap()).unwrap()).unwrap();
    std::fs::remove_dir_all(place.infra("local")).unwrap();
    // The next cloud of the path neither waits for the old process nor is affected by it.
    place.run(&["local", "start"]).succeeds();
    let next = daemon(place);
    assert_ne!(next["cloud_id"], first["cloud_id"]);
    let deadline = Instant::now() + Duration::from_mins(1);
    while test_kill_process(process).is_ok() {
        assert!(Instant::now() < deadline, "the cloud of the removed directory still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(daemon(place), next);
    assert!(place.run(&["local", "status"]).succeeds().out.contains("no resources"));
}

#[test]
fn env_and_health_describe_the_running_cloud() {
    let place = &Place::new("notes");
    assert_eq!(place.run(&["local", "env"]).code, Some(1));
    place.run(&["local", "start"]).succeeds();
    let lines = place.run(&["local", "env", "--region", "eu-west-1"]).succeeds().out;
    let script = format!("{lines}\necho $AWS_ENDPOINT_URL $AWS_REGION $AWS_ACCESS_KEY_ID");
    let evaluated = Command::new("sh").args(["-c", &script]).output().unwrap();
    let evaluated = String::from_utf8(evaluated.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(&place.run(&["--json", "local", "env"]).out).unwrap();
    let endpoint = json["AWS_ENDPOINT_URL"].as_str().unwrap();
    assert_eq!(endpoint, daemon(place)["endpoint"]);
    assert_eq!(json["AWS_REGION"], "us-east-1");
    let expected = format!("{endpoint} eu-west-1 {}", json["AWS_ACCESS_KEY_ID"].as_str().unwrap());
    assert_eq!(evaluated.trim_end(), expected);
    for path in ["/health", "/_infra/health"] {
        let answer = get(endpoint, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"running"}"#), "{answer}");
    }
    assert!(place.run(&["local", "status"]).succeeds().out.contains("no resources"));
}

#[test]
fn a_program_reads_the_occupied_ports_of_the_machine() {
    let place = &Place::new("notes");
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    // Without the kernel's table of sockets, no port is known to be occupied.
    let known = Path::new("/proc/net/tcp").exists().to_string();
    let port = listener.local_addr().unwrap().port().to_string();
    place.run_with(&["up"], &[(PORT, &port)], "").succeeds();
    assert_eq!(place.run(&["output", "occupied"]).succeeds().out.trim_end(), known);
    drop(listener);
    place.run_with(&["up"], &[(PORT, &port)], "").succeeds();
    assert_eq!(place.run(&["output", "occupied"]).succeeds().out.trim_end(), "false");
}

#[test]
fn follow_ends_when_the_cloud_stops() {
    let place = &Place::new("notes");
    place.run(&["local", "logs", "--follow"]).fails(1, &["is not running"]);
    place.run(&["local", "start"]).succeeds();
    let mut follow = Running::new(place.command(&["local", "logs", "--follow"]));
    follow.until(FOLLOWS);
    place.run(&["local", "stop"]).succeeds();
    follow.until("the local cloud has stopped");
    follow.succeeds();
}

#[test]
fn follow_ends_with_ctrl_c() {
    let place = &Place::new("notes");
    place.run(&["local", "start"]).succeeds();
    place.run(&["local", "logs", "nothing", "--follow"]).fails(2, &["no instance `nothing`"]);
    let mut follow = Running::new(place.command(&["local", "logs", "--follow"]));
    follow.until(FOLLOWS);
    kill_process(Pid::from_child(&follow.child), Signal::INT).unwrap();
    follow.succeeds();
}
