//! Exit codes of all commands, as `docs/src/exit-codes.md` lists them.

use crate::place::Place;
use std::collections::BTreeSet;

const DONE: i32 = 0;
const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;
const CHANGES: i32 = 3;

/// Runs the commands in this order, and fails the test unless each exits with its code.
#[track_caller]
fn walk(place: &Place, commands: &[(&[&str], i32)]) -> BTreeSet<String> {
    for (arguments, code) in commands {
        let ran = place.run(arguments);
        assert_eq!(ran.code, Some(*code), "{arguments:?}: {}{}", ran.out, ran.err);
    }
    commands.iter().map(|(arguments, _)| arguments[0].to_owned()).collect()
}

#[test]
fn every_command_follows_the_table() {
    let place = &Place::new("shop");
    std::fs::write(place.path().join("file"), "").unwrap();
    let mut walked = walk(
        place,
        &[
            // Before the first deployment.
            (&["preview"], DONE),
            (&["preview", "--expect-no-changes"], CHANGES),
            (&["preview", "--nonsense"], WRONG_USE),
            (&["preview", "--target-urn", "nonesuch"], WRONG_USE),
            (&["output"], FAILED),
            (&["history"], DONE),
            (&["history", "--lines", "many"], WRONG_USE),
            (&["rollback", "7", "--yes"], WRONG_USE),
            (&["rollback", "--unpin"], WRONG_USE),
            (&["destroy", "--yes"], DONE),
            (&["destroy", "--preview"], DONE),
            (&["destroy"], WRONG_USE),
            (&["watch", "--once"], DONE),
            (&["refresh", "--expect-no-changes"], DONE),
            // Deployed.
            (&["up"], WRONG_USE),
            (&["up", "--yes", "--plan", "nonesuch"], WRONG_USE),
            (&["up", "--yes"], DONE),
            (&["preview", "--expect-no-changes"], DONE),
            (&["rehearse"], DONE),
            (&["rehearse", "--nonsense"], WRONG_USE),
            (&["permissions", "--nonsense"], WRONG_USE),
            (&["graph"], DONE),
            (&["graph", "--format", "nonsense"], WRONG_USE),
            (&["output", "address"], DONE),
            (&["output", "nonesuch"], WRONG_USE),
            (&["import"], DONE),
            (&["import", "--file", "nonesuch"], WRONG_USE),
            (&["import", "cloud:Nonesuch", "a", "b"], WRONG_USE),
            (&["exec", "nonesuch", "true"], WRONG_USE),
            (&["shell", "nonesuch"], WRONG_USE),
            (&["forward", "nonesuch", "80"], WRONG_USE),
            (&["forward", "nonesuch", "port"], WRONG_USE),
            (&["state", "list"], DONE),
            (&["state", "show", "nonesuch"], WRONG_USE),
            (&["state", "rm", "nonesuch"], WRONG_USE),
            (&["state", "verify"], DONE),
            (&["state", "restore"], DONE),
            (&["config", "list"], DONE),
            (&["config", "get", "nonesuch"], WRONG_USE),
            (&["config", "set", "nonesuch", "1"], WRONG_USE),
            (&["secrets", "status"], DONE),
            (&["secrets", "rewrap"], WRONG_USE),
            (&["unlock"], WRONG_USE),
            (&["unlock", "--yes"], DONE),
            (&["login-check"], WRONG_USE),
            (&["programs"], DONE),
            (&["ls"], DONE),
            (&["new", "9lives"], WRONG_USE),
            (&["bindings", "--schemas", "nonesuch", "AWS::S3::Bucket"], WRONG_USE),
            (&["local", "status"], FAILED),
            (&["local", "reset"], WRONG_USE),
            (&["local", "stop"], DONE),
            (&["console", "--port", "nonsense"], WRONG_USE),
            (&["mcp"], DONE),
            (&["completions", "bash"], DONE),
            (&["completions", "nonsense"], WRONG_USE),
            (&["destroy", "--yes"], DONE),
            (&["--directory", "file", "ls"], WRONG_USE),
        ],
    );
    walked.remove("--directory");
    let help = place.done(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // The continuation of a long description is indented further.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()));
    let listed: BTreeSet<String> = names.map(str::to_owned).collect();
    let missing: Vec<_> = listed.difference(&walked).collect();
    assert!(listed.len() > 20 && missing.is_empty(), "{missing:?} are not walked: {help}");
}
