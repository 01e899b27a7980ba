//! `stack state` on damaged and missing states.

use crate::place::Place;

#[test]
fn a_damaged_state_is_restored() {
    let place = &Place::new("passwords");
    assert_eq!(place.run(&["up", "--yes"]).code, Some(0));
    assert_eq!(place.run(&["up", "--yes", "-c", "port=81"]).code, Some(0));
    place.run(&["state", "restore"]).prints("the files of the stack are undamaged: there is nothing to restore");
    let path = place.state("passwords/dev/state.json");
    let password = place.run(&["output", "password", "--show-secrets"]).out;

    let damaged = place.read("passwords/dev/state.json").replacen("\"length\": 20", "\"length\": 21", 1);
    std::fs::write(&path, &damaged).unwrap();
    for command in [&["preview"][..], &["up", "--yes"], &["state", "verify"], &["destroy", "--yes"]] {
        place.run(command).fails(1, &["state.json", "random:Password::password", "checksum", "`state restore`"]);
    }
    place.run(&["state", "restore"]).fails(2, &["confirmation", "state.json.previous + journal", "`--yes`"]);
    assert_eq!(place.read("passwords/dev/state.json"), damaged, "nothing is restored without a confirmation");
    let restored = place.run(&["state", "restore", "--yes"]);
    assert_eq!(restored.code, Some(0), "{}", restored.err);
    for part in ["serial", "1 resources", "state.json.damaged-1"] {
        assert!(restored.out.contains(part), "{part} is missing in: {}", restored.out);
    }
    assert_eq!(place.read("passwords/dev/state.json.damaged-1"), damaged);
    place.run(&["output", "password", "--show-secrets"]).prints(password.trim_end());
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));

    std::fs::remove_file(&path).unwrap();
    for command in [&["preview"][..], &["up", "--yes"], &["destroy", "--yes"]] {
        place.run(command).fails(1, &["state.json is missing", "history.json", "`state restore`"]);
    }
    let json = place.run(&["--json", "state", "restore", "--yes"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&json["restored"], &json["resources"], &json["unused_lines"]), (&true.into(), &1.into(), &0.into()));
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
    assert_eq!(place.run(&["destroy", "--yes"]).code, Some(0));
}
