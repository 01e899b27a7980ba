//! The page of the book that lists the promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the files below a directory with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { files(&path, extension) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Returns the names of all functions with the attribute of a test.
fn rust_tests(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim);
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in lines {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && !line.starts_with("#[") {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            tests.extend(name.map(|(name, _)| name.to_owned()));
            is_test = false;
        }
    }
    tests
}

#[test]
fn every_promise_is_verified_by_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = ["infra-local/src", "infra-local/tests", "tests/it"].map(|folder| files(&root.join(folder), "rs"));
    let tests: BTreeSet<String> =
        sources.iter().flatten().flat_map(|file| rust_tests(&fs::read_to_string(file).unwrap())).collect();
    let page = fs::read_to_string(root.join("docs/src/data-plane.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ["));
    let (mut count, mut problems) = (0, Vec::new());
    for row in rows {
        count += 1;
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [promise, behaviour, names] = cells[..] else {
            problems.push(format!("the row has not three cells: {row}"));
            continue;
        };
        if !promise.contains("](https://docs.aws.amazon.com/") || behaviour.is_empty() {
            problems.push(format!("the row leads to no page of AWS, or describes no behaviour: {row}"));
        }
        let names: Vec<&str> = names.split(", ").map(|name| name.trim_matches('`')).collect();
        for name in names {
            let exists = match name.split_once("::") {
                Some((file, function)) => fs::read_to_string(root.join("tests/peers").join(file))
                    .is_ok_and(|text| text.contains(&format!("\ndef {function}("))),
                None => tests.contains(name),
            };
            if !exists {
                problems.push(format!("there is no test `{name}`"));
            }
        }
    }
    assert!(count > 80, "{count} rows were found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
