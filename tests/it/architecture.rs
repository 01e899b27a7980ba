//! Who may know whom: between crates, and between the modules of the engine.

use serde_json::Value as Json;
use std::{collections::BTreeMap, fs, path::Path};

/// Every crate of ours, and those of ours it may use.
const CRATES: &[(&str, &[&str])] = &[
    ("infra-core", &[]),
    ("infra-aws", &["infra-core"]),
    ("infra-local", &[]),
    ("infra-cli", &["infra-core", "infra-local"]),
    ("stacks", &["infra-core", "infra-aws", "infra-cli"]),
    ("kit", &[]),
    ("tasks", &["kit"]),
    ("crash", &["infra-core"]),
    ("examples", &["infra-core", "infra-aws", "infra-cli", "infra-local"]),
    ("tests", &["infra-core", "infra-aws", "infra-cli", "infra-local", "stacks", "tasks"]),
];

/// The modules of the engine: none uses one behind it.
const MODULES: &[&str] = &[
    "diagnostic",
    "boundary",
    "urn",
    "names",
    "value",
    "target",
    "config",
    "resource",
    "diff",
    "execution",
    "options",
    "policy",
    "graph",
    "state",
    "event",
    "provider",
    "random",
    "stack",
    "store",
    "reference",
    "plan",
    "execute",
    "engine",
    "testing",
];

#[test]
fn crates_know_only_whom_they_may() {
    let mut metadata = tests::cargo();
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(tests::workspace());
    let metadata: Json = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let allowed: BTreeMap<_, _> = CRATES.iter().copied().collect();
    assert_eq!(packages.len(), allowed.len(), "a crate is missing in this test's list");
    for package in packages {
        let user = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let ours = allowed.contains_key(name) && name != user;
            assert!(!ours || allowed[user].contains(&name), "{user} must not use {name}");
        }
    }
}

#[test]
fn modules_of_the_engine_look_only_back() {
    let source = tests::workspace().join("infra-core/src");
    let library = fs::read_to_string(source.join("lib.rs")).unwrap();
    for line in library.lines() {
        if let Some(module) = line.strip_prefix("pub mod ") {
            let module = module.trim_end_matches(';');
            assert!(MODULES.contains(&module), "`{module}` is missing in this test's order");
        }
    }
    let mut edges = 0;
    for (place, module) in MODULES.iter().enumerate() {
        for used in used_modules(&source, module) {
            let Some(other) = MODULES.iter().position(|known| *known == used) else {
                continue;
            };
            edges += 1;
            assert!(other <= place, "`{module}` uses `{used}`, which comes after it");
        }
    }
    assert!(edges > 40, "only {edges} edges were seen: the test does not see how modules are used");
}

/// What stands behind `crate::` in the module's files, tests included.
fn used_modules(source: &Path, module: &str) -> Vec<String> {
    let mut files = vec![source.join(format!("{module}.rs"))];
    if let Ok(directory) = fs::read_dir(source.join(module)) {
        files.extend(directory.map(|entry| entry.unwrap().path()));
    }
    let mut used = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(file).unwrap();
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            if let Some(group) = rest.strip_prefix('{') {
                used.extend(group_heads(group));
            } else {
                used.push(word(rest));
            }
        }
    }
    used
}

/// The first segments of `{a::b, c::{d, e}, f}`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut heads, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && c.is_alphabetic() => {
                heads.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
