//! Runs of plans: questions at a terminal, effects of rejected and failed runs, and pins.

use crate::place::{Place, files};
use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// The `stack` command at a terminal of 80 columns.
struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    fn run(place: &Place, arguments: &[&str]) -> Self {
        let stack = place.command(arguments);
        let words = std::iter::once(stack.get_program()).chain(stack.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let mut terminal = Command::new("script");
        // `exec`, because Ctrl-C also reaches a shell that waits, and ends it.
        let command = format!("stty cols 80 rows 24; exec {}", line.join(" "));
        terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env("SHELL", "/bin/sh");
        terminal.envs(stack.get_envs().filter_map(|(name, value)| Some((name, value?))));
        for (name, _) in stack.get_envs().filter(|(_, value)| value.is_none()) {
            terminal.env_remove(name);
        }
        terminal.env("NO_COLOR", "1");
        let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Waits for this text, and types an answer. Returns the output since the last answer.
    #[track_caller]
    fn answer(&mut self, question: &str, answer: &str) -> String {
        let mut bytes = [0; 4096];
        while !self.shown.contains(question) {
            let read = self.screen.read(&mut bytes).unwrap();
            assert!(read > 0, "`{question}` was not asked: {}", self.shown);
            self.shown += &String::from_utf8_lossy(&bytes[..read]);
        }
        self.keyboard.write_all(answer.as_bytes()).unwrap();
        std::mem::take(&mut self.shown)
    }

    /// Waits for the exit. Returns the exit code, and the output since the last answer.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        drop(self.keyboard);
        (self.child.wait().unwrap().code(), self.shown + &String::from_utf8_lossy(&rest))
    }
}

const CONFIRM: &str = "Make these changes? [y/N]";
const RELAUNCH: &str = "Relaunch the password (another password)? [y/N]";

fn local<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--target", "local"], arguments].concat()
}

fn password(place: &Place) -> String {
    place.run(&["output", "password", "--show-secrets"]).out
}

/// First question for a plan that already replaces the password: the confirmation, without an offer to relaunch it.
const RELAUNCH_NOT_OFFERED: &str = CONFIRM;

#[test]
fn destruction_is_confirmed_at_a_terminal() {
    let place = &Place::new("passwords");
    // In the local cloud, creations are not confirmed.
    let (code, shown) = Terminal::run(place, &local(&["up"])).end();
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{shown}");
    let first = password(place);

    let mut up = Terminal::run(place, &local(&["up", "-c", "length=30"]));
    let plan = up.answer(RELAUNCH_NOT_OFFERED, "n\n");
    assert!(plan.contains("1 to replace") && !plan.contains("Relaunch"), "{plan}");
    let (code, shown) = up.end();
    assert!(code == Some(1) && shown.contains("nothing was changed"), "{shown}");
    assert_eq!(password(place), first);
    place.run(&["config", "get", "length"]).fails(2, &["no configuration value `length`"]);

    let mut up = Terminal::run(place, &local(&["up", "-c", "length=30"]));
    up.answer(CONFIRM, "y\n");
    let (code, shown) = up.end();
    assert!(code == Some(0) && shown.contains("1 replaced, 1 deleted"), "{shown}");
    place.run(&["config", "get", "length"]).prints("30");

    // `--yes` skips the question. Without it and without a terminal, nothing is destroyed.
    let (code, shown) = Terminal::run(place, &local(&["up", "--yes", "-c", "length=31"])).end();
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{shown}");
    let before = password(place);
    let unconfirmed = ["a plan that replaces or deletes resources needs a confirmation", "`preview`", "`--yes`"];
    place.run(&local(&["up", "-c", "length=32"])).fails(2, &unconfirmed);
    let json = place.run(&local(&["--json", "up", "-c", "length=32"]));
    assert!(json.code == Some(2) && json.out.contains("add `--yes`"), "{}", json.out);
    place
        .run(&local(&["destroy"]))
        .fails(2, &["the deletion of the resources needs a confirmation", "destroy --preview"]);
    assert_eq!(password(place), before);
    place.run(&["config", "get", "length"]).prints("31");
    assert_eq!(place.run(&local(&["up", "--yes", "-c", "length=32"])).code, Some(0));
    place.run(&local(&["rollback", "1"])).fails(2, &["needs a confirmation", "`rollback SERIAL --preview`"]);

    let last = password(place);
    let preview = place.run(&local(&["destroy", "--preview"]));
    assert_eq!(preview.code, Some(0), "{}", preview.err);
    assert!(preview.out.contains("- Password password") && preview.out.contains("1 to delete"), "{}", preview.out);
    let mut destroy = Terminal::run(place, &local(&["destroy"]));
    assert!(destroy.answer(CONFIRM, "\n").contains("1 to delete"));
    assert_eq!(destroy.end().0, Some(1));
    assert_eq!(password(place), last);
    let mut destroy = Terminal::run(place, &local(&["destroy"]));
    destroy.answer(CONFIRM, "y\n");
    assert_eq!(destroy.end().0, Some(0));
    place.run(&local(&["state", "list"])).prints("the stack `dev` of `passwords` has no resources");
    place.run(&local(&["local", "status"])).fails(1, &["is not running"]);
}

#[test]
fn relaunches_are_offered_after_the_plan() {
    let place = &Place::new("passwords");
    assert_eq!(place.run(&local(&["up"])).code, Some(0));
    let first = password(place);
    let mut up = Terminal::run(place, &local(&["up"]));
    let plan = up.answer(RELAUNCH, "y\n");
    assert!(plan.find("1 unchanged").unwrap() < plan.find(RELAUNCH).unwrap(), "{plan}");
    let plan = up.answer(CONFIRM, "n\n");
    assert!(plan.contains("± Password password") && plan.contains("1 to replace"), "{plan}");
    assert_eq!(up.end().0, Some(1));
    assert_eq!(password(place), first);

    // Ctrl-C answers a question with no, and releases the stack.
    let mut up = Terminal::run(place, &local(&["up"]));
    up.answer(RELAUNCH, "\u{3}");
    let (code, shown) = up.end();
    assert!(code == Some(0) && shown.contains("1 unchanged in"), "{shown}");

    let mut up = Terminal::run(place, &local(&["up"]));
    up.answer(RELAUNCH, "y\n");
    up.answer(CONFIRM, "y\n");
    assert_eq!(up.end().0, Some(0));
    assert_ne!(password(place), first);
    assert_eq!(place.run(&local(&["destroy", "--yes"])).code, Some(0));
}

#[test]
fn previews_as_json_end_with_the_event_that_ends_other_runs() {
    let place = &Place::new("passwords");
    let events = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let ran = place.run(&[&["--json"], arguments].concat()).succeeds();
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let preview = events(&["preview"]);
    assert_eq!(preview[preview.len() - 2]["event"], "planned_outputs");
    let up = events(&["up", "--yes"]);
    for arguments in [&["destroy", "--preview"][..], &["rollback", "1", "--preview"], &["preview"]] {
        let events = events(arguments);
        let last = events.last().unwrap();
        assert_eq!((&last["event"], &last["success"]), (&"run_finished".into(), &true.into()), "{arguments:?}");
        assert_eq!(last["counts"], serde_json::json!({}), "{arguments:?} executes nothing");
        let members = |event: &serde_json::Value| event.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(members(last), members(up.last().unwrap()));
    }
}

#[test]
fn an_interrupted_run_leaves_no_spinner() {
    let place = &Place::new("passwords");
    let gate = place.path().join("gate");
    let mut up = Terminal::run(place, &["up", "--yes", "-c", &format!("gate={}", gate.display())]);
    up.answer("creating Password gated", "\u{3}");
    let shown = up.answer("finishing the running operations", "");
    assert!(shown.contains("^C") && shown.contains("\r\u{1b}[2K\u{1b}[1A"), "{shown:?}");
    std::fs::write(&gate, "").unwrap();
    let (code, shown) = up.end();
    let last = shown.trim_end().lines().last().unwrap();
    assert!(code == Some(1) && last.contains("interrupted: 2 created, 1 not started in "), "{shown:?}");
}

#[test]
fn a_plan_that_fails_leaves_no_empty_cloud() {
    let place = &Place::new("passwords");
    for command in
        [&["up", "-c", "length=3"][..], &["up", "-c", "length=no"], &["preview", "-c", "length=3"], &["preview"]]
    {
        assert_eq!(place.run(&local(command)).code == Some(0), command == ["preview"]);
        place.run(&local(&["local", "status"])).fails(1, &["is not running"]);
    }
    // A cloud that ran before keeps running.
    assert_eq!(place.run(&local(&["local", "start"])).code, Some(0));
    assert_eq!(place.run(&local(&["up", "-c", "length=3"])).code, Some(1));
    assert_eq!(place.run(&local(&["local", "status"])).code, Some(0));
    assert_eq!(place.run(&local(&["local", "stop"])).code, Some(0));
}

#[test]
fn configuration_is_stored_by_runs_that_passed_planning() {
    let place = &Place::new("passwords");
    place.run(&["up", "--yes", "-c", "length=3"]).fails(1, &["3 is not between 8 and 1000"]);
    place.run(&["up", "--yes", "-c", "port=many"]).fails(2, &["`port` is `many`"]);
    place.run(&["up", "--yes", "-c", "length=21", "--target-urn", "nothing"]).fails(2, &["`nothing`"]);
    place.run(&["config", "list"]).prints("the stack `dev` of `passwords` has no configuration");
    assert_eq!(place.read("passwords/dev/target"), "", "a stack without a successful plan has no target");
    assert_eq!(place.run(&["up", "--yes", "-c", "length=21", "-c", "port=81"]).code, Some(0));
    place.run(&["config", "list"]).prints("length  21\nport    81");
    assert!(place.read("passwords/dev/target").ends_with("{\"target\":\"aws\"}"));
    // An empty plan stores it as well.
    assert_eq!(place.run(&["up", "--yes", "-c", "unread=x"]).code, Some(0));
    place.run(&["config", "get", "unread"]).prints("x");
}

#[test]
fn unknown_stack_is_not_created() {
    let place = &Place::new("passwords");
    let unknown = |arguments: &[&str]| place.run(&[&["--stack", "typo"], arguments].concat());
    assert_eq!(unknown(&["preview", "-c", "length=21"]).code, Some(0));
    unknown(&["destroy", "--yes"]).prints("note: the stack `typo` of `passwords` has no resources");
    unknown(&["destroy", "--preview"]).prints("note: the stack `typo` of `passwords` has no resources");
    unknown(&["state", "list"]).prints("the stack `typo` of `passwords` has no resources");
    unknown(&["output"]).fails(1, &["the stack `typo` has no outputs"]);
    unknown(&["rollback", "1", "--preview"]).fails(2, &["cannot be rolled back to serial 1"]);
    assert_eq!((unknown(&["history"]).code, unknown(&["config", "list"]).code), (Some(0), Some(0)));
    assert_eq!(files(place.path()), "");
    assert!(std::fs::read_dir(place.path()).unwrap().next().is_none());
}

#[test]
fn a_rollback_can_be_pinned() {
    let place = &Place::new("passwords");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["up", "--yes", "-c", "length=30"]).code, Some(0));
    let rolled_back = place.run(&["rollback", "1", "--yes"]);
    assert!(rolled_back.out.contains("undoes this rollback"), "{}", rolled_back.out);
    let rolled_back = place.run(&["rollback", "1", "--yes", "--pin"]);
    assert!(rolled_back.code == Some(0) && !rolled_back.out.contains("undoes"), "{}", rolled_back.out);
    place.run(&["up", "--yes"]).fails(2, &["`dev` is pinned", "pinned to serial 1 by", "`up --unpin`"]);
    let preview = place.run(&["preview"]);
    assert!(preview.code == Some(0) && preview.out.contains("`dev` is pinned"), "{}", preview.out);
    let unpinned = place.run(&["rollback", "--unpin"]);
    assert!(unpinned.code == Some(0) && unpinned.out.contains("it was pinned to serial 1"), "{}", unpinned.out);
    place.run(&["rollback", "--unpin"]).fails(2, &["`dev` is not pinned"]);
    place.run(&["rollback"]).fails(2, &["SERIAL"]);
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    place.run(&["rollback", "1", "--yes", "--pin"]);
    assert_eq!(place.run(&["up", "--yes", "--unpin"]).code, Some(0));
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
}

#[test]
fn a_demonstration_runs_after_the_first_deployment_only() {
    let place = &Place::new("demonstrated");
    let programs = place.run(&["programs"]).succeeds().out;
    assert!(programs.ends_with("\ndemonstrated  passwords, with a demonstration\n"), "{programs}");
    let first = place.run(&["up", "--yes", "-c", "port=8080"]);
    assert!(first.code == Some(0) && first.err.contains("demonstration at port 8080"), "{}", first.err);
    let second = place.run(&["up", "--yes", "-c", "length=30"]);
    assert!(second.code == Some(0) && !second.err.contains("demonstration"), "{}", second.err);
    place.run(&["destroy", "--yes"]).succeeds();
    let skipped = place.run(&["up", "--yes", "--no-demo"]);
    assert!(skipped.code == Some(0) && !skipped.err.contains("demonstration"), "{}", skipped.err);
    let hint = "the stack is deployed; `--no-demo` skips the demonstration";
    place.run(&["--stack", "two", "up", "--yes", "-c", "port=1"]).fails(1, &["port 1 is closed", hint]);
    place.run(&["--stack", "two", "output", "port"]).prints("1");
}
