//! `stack config`, and the values that programs read.

use crate::place::Place;

#[test]
fn values_are_set_shown_and_removed() {
    let place = &Place::new("passwords");
    place.run(&["config", "list"]).prints("the stack `dev` of `passwords` has no configuration");
    place.run(&["config", "set", "port", "8080"]).prints("");
    place.run(&["config", "set", "--force", "below", "-1"]).prints("");
    place.run_with(&["config", "set", "--secret", "token"], &[], "hunter2\n").prints("");
    place.run(&["config", "set", "--force", "--secret", "other", "hunter3"]).prints("");
    place.run(&["config", "list"]).prints("below  -1\nother  [secret]\nport   8080\ntoken  [secret]");
    let list = place.run(&["--json", "config", "list"]);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["port"], serde_json::json!({"value": "8080", "secret": false}));
    assert_eq!(list["token"], serde_json::json!({"secret": true}));
    place.run(&["config", "get", "port"]).prints("8080");
    place.run(&["config", "get", "token", "--show-secrets"]).prints("hunter2");
    place.run(&["--json", "config", "get", "token", "--show-secrets"]).prints("\"hunter2\"");
    assert!(!place.read("passwords/dev/config.json").contains("hunter"));
    place.run(&["config", "unset", "token"]).prints("");
    place.run(&["config", "get", "token"]).fails(2, &["no configuration value `token`", "below, other, port"]);
    place.run(&["--stack", "two", "config", "list"]).prints("the stack `two` of `passwords` has no configuration");
}

#[test]
fn invalid_arguments_change_nothing() {
    let place = &Place::new("passwords");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).prints("");
    let before = place.read("passwords/dev/config.json");
    place.run(&["config", "get", "token"]).fails(2, &["`token` is secret", "--show-secrets"]);
    place.run(&["config", "set", "token", "x"]).fails(2, &["`token` is secret", "--secret token"]);
    place.run(&["config", "set", "a=b", "x"]).fails(2, &["`a=b`", "neither spaces nor"]);
    place.run(&["local", "status", "--watch"]).fails(2, &["`--watch`", "terminal"]);
    let json = place.run(&["--json", "local", "status", "--watch"]);
    assert!(json.code == Some(2) && json.out.contains("`--watch`"), "{}", json.out);
    place.run(&["config", "set", "port"]).fails(2, &["VALUE"]);
    place.run(&["config", "set", "--force", "--secret", "empty"]).fails(2, &["no value was entered for `empty`"]);
    place.run(&["config", "set", "x", "y", "--sekret"]).fails(2, &["--sekret"]);
    place.run(&["preview", "-c", "token=x"]).fails(2, &["`token` is secret"]);
    place.run(&["preview", "-c", "port=many"]).fails(2, &["`port` is `many`", "u16", "config set port"]);
    place.run(&["up", "--yes", "-c", "zones=[1]"]).fails(2, &["zones", "JSON", "expected a string"]);
    assert_eq!(place.read("passwords/dev/config.json"), before);
    assert_eq!(place.read("passwords/dev/state.json"), "");

    // The program reads this key as a plain value.
    place.run(&["config", "set", "--force", "--secret", "port", "81"]).prints("");
    place.run(&["preview"]).fails(2, &["`port` is secret", "config.secret(\"port\")"]);
}

#[test]
fn programs_read_the_values_that_were_set() {
    let place = &Place::new("passwords");
    place.run(&["config", "set", "zones", r#"["a", "b"]"#]).prints("");
    place.run(&["config", "set", "--secret", "token", "hunter2"]).prints("");
    let preview = place.run(&["--json", "preview", "-c", "port=81"]);
    assert_eq!(preview.code, Some(0), "{}{}", preview.out, preview.err);
    assert!(!preview.out.contains("hunter2"), "{}", preview.out);
    // A preview stores no configuration.
    place.run(&["config", "get", "port"]).fails(2, &["no configuration value `port`"]);
    let up = place.run(&["up", "--yes", "-c", "port=81"]);
    assert_eq!(up.code, Some(0), "{}{}", up.out, up.err);
    assert!(!up.out.contains("hunter2") && up.out.contains("[secret]"), "{}", up.out);
    place.run(&["output", "port"]).prints("81");
    place.run(&["output", "token"]).fails(1, &["secret"]);
    place.run(&["output", "token", "--show-secrets"]).prints("hunter2");
    for entry in std::fs::read_dir(place.state("passwords/dev")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("hunter2"), "{}", path.display());
    }
}

#[test]
fn config_refuses_keys_that_the_program_does_not_read() {
    let place = &Place::new("shop");
    place.run(&["config", "set", "serverSiz", "2"]).fails(2, &["does not read", "did you mean `serverSize`?"]);
    place.run(&["config", "set", "zebra", "2"]).fails(2, &["`zebra`", "it reads: serverSize, token", "--force"]);
    place.run(&["config", "set", "serverSize", "many"]).fails(2, &["`many`", "u32"]);
    place.run(&["config", "set", "serverSize", "2", "--secret"]).fails(2, &["`serverSize` is secret"]);
    assert!(!place.state("shop/dev/config.json").exists());
    place.done(&["config", "set", "serverSize", "2"]);
    place.done(&["config", "set", "--secret", "token", "hunter2"]);
    place.done(&["config", "set", "--force", "zebra", "2"]);
    place.run(&["config", "get", "serversize"]).fails(2, &["did you mean `serverSize`?"]);
    place.run(&["config", "unset", "tokn"]).fails(2, &["did you mean `token`?"]);
    let table = place.done(&["config", "keys"]);
    let lines: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = ["KEY TYPE DEFAULT VALUE", "serverSize u32 1 2", "token secret [secret]", "rehearse setting never"];
    assert_eq!(lines, expected);
    assert_eq!(place.json(&["config", "keys"])[0]["default"], "1");
    let preview = place.done(&["preview", "-c", "serverSizee=3"]);
    assert!(preview.contains("does not read the configuration value `serverSizee`"), "{preview}");
    assert!(preview.contains("did you mean `serverSize`?"), "{preview}");
}

#[test]
fn config_of_a_failing_program_can_be_set() {
    let place = &Place::new("shop");
    let set = |key: &str| place.run(&["--program", "demanding", "config", "set", key, "x"]);
    let second = set("second");
    assert!(
        second.err.contains("it is not known whether") && second.err.contains("`first` is not set"),
        "{}",
        second.err
    );
    assert_eq!(second.code, Some(0));
    assert_eq!(set("first").code, Some(0));
    set("third").fails(2, &["it reads: first, second"]);
}

#[test]
fn settings_of_commands_are_no_values_of_the_program() {
    let place = &Place::new("shop");
    place.run(&["config", "set", "rehearse", "sometimes"]).fails(2, &["cannot be `sometimes`", "never, always"]);
    place.run(&["config", "set", "rehearse", "always", "--secret"]).fails(2, &["cannot be secret"]);
    place.done(&["config", "set", "rehearse", "always"]);
    assert!(place.done(&["config", "keys"]).contains("always"));
    place.done(&["config", "set", "--secret", "token", "hunter2"]);
    let up = place.done(&["up", "--yes"]);
    assert!(up.contains("Rehearsed in"), "{up}");
    assert!(!up.contains("does not read the configuration value"), "{up}");
    let up = place.done(&["up", "--yes", "--no-rehearse"]);
    assert!(!up.contains("Rehearsed in"), "{up}");
    place.done(&["destroy", "--yes"]);
}
