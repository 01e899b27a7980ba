//! Dependency rules: between crates, between the modules of a crate, and between its files.

use crate::imports;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Every crate of ours, and those of ours it may use.
const CRATES: &[(&str, &[&str])] = &[
    ("infra-macros", &[]),
    ("infra-core", &["infra-macros"]),
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

/// The crates' root files, and the order of their modules: none uses a later one. An order is empty where there is none
/// yet.
const MODULES: &[(&str, &[&str])] = &[
    (
        "infra-core/src/lib.rs",
        &[
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
        ],
    ),
    ("infra-macros/src/lib.rs", &["attributes", "kind", "outputs"]),
    ("infra-aws/src/lib.rs", &[]),
    ("infra-local/src/lib.rs", &[]),
    (
        "infra-cli/src/lib.rs",
        &[
            "deployed",
            "exit",
            "arguments",
            "failure",
            "files",
            "owner",
            "passphrase",
            "local_cloud",
            "render",
            "session",
            "commands",
        ],
    ),
    (
        "app/kit/src/lib.rs",
        &[
            "connection",
            "health",
            "held",
            "migrate",
            "reply",
            "batch",
            "settings",
            "client",
            "database",
            "limits",
            "listen",
            "log",
            "metrics",
            "reader",
            "application",
            "server",
            "testing",
        ],
    ),
    (
        "app/tasks/src/lib.rs",
        &[
            "entity",
            "migration",
            "password",
            "timestamp",
            "input",
            "store",
            "users",
            "auth",
            "activity",
            "admin",
            "dialect",
            "front",
            "openapi",
            "app",
            "testing",
        ],
    ),
    ("app/tasks/src/bin/client/main.rs", &[]),
    (
        "crash/src/lib.rs",
        &[
            "files", "broken", "moment", "shelf", "world", "kinds", "programs", "place", "check", "disk", "life",
            "harness",
        ],
    ),
    ("stacks/lib.rs", &["multicloud_orm"]),
];

/// Groups of files that use each other although none should. A group that is gone must be removed here.
const CYCLES: &[(&str, &[&[&str]])] = &[
    (
        "infra-core/src/lib.rs",
        &[
            &["store/damage.rs", "store/lines.rs", "store/snapshot.rs"],
            &["store/file.rs", "store/secrets/files.rs"],
            &["store/secrets/document.rs", "store/secrets/unlock.rs"],
            &["value/capture.rs", "value/lower.rs", "value/source.rs"],
            &["value/map.rs", "value/value.rs"],
        ],
    ),
    ("infra-aws/src/lib.rs", &[&["client/attempts.rs", "error.rs"]]),
    (
        "infra-local/src/lib.rs",
        &[
            &[
                "access/identity.rs",
                "cloud.rs",
                "credentials.rs",
                "data/balancers.rs",
                "data/proxy/answer.rs",
                "data/proxy/body.rs",
                "data/proxy/connection.rs",
                "data/proxy/forward.rs",
                "data/proxy/headers.rs",
                "data/proxy/listener.rs",
                "data/proxy/pool.rs",
                "data/proxy/route.rs",
                "data/proxy/target.rs",
                "data/proxy/tunnel.rs",
                "s3/bucket.rs",
                "s3/cors.rs",
                "s3/mod.rs",
                "s3/objects.rs",
                "s3/service.rs",
            ],
            &["cloudcontrol/carry_out.rs", "cloudcontrol/kinds/mod.rs", "cloudcontrol/schema.rs"],
            &["data/confinement.rs", "data/process.rs"],
            &["data/groups/capacity.rs", "data/groups/members.rs", "data/groups/refresh.rs"],
            &["data/host.rs", "data/images.rs", "data/service.rs"],
            &["data/machine.rs", "model/instance.rs", "model/launch_template.rs"],
            &["ec2/image.rs", "ec2/instance.rs", "ec2/network_interface.rs"],
            &["ssm/listing.rs", "ssm/parameter.rs"],
        ],
    ),
    (
        "app/tasks/src/lib.rs",
        &[
            &["admin/error.rs", "admin/page.rs", "admin/permission.rs", "admin/session.rs", "admin/token.rs"],
        ],
    ),
    ("app/tasks/src/bin/client/main.rs", &[&["service.rs", "tokens.rs"]]),
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
fn modules_use_only_earlier_ones() {
    for (root, order) in MODULES.iter().filter(|(_, order)| !order.is_empty()) {
        let place = |file: &Path| {
            let module = module(file);
            order.iter().position(|known| *known == module)
        };
        for ((from, to), names) in &imports::of_crate(&tests::workspace().join(root)) {
            // Shared with another crate by `#[path]`.
            let elsewhere = |file: &Path| file.is_absolute() || file.starts_with("..");
            let known = |file: &Path| place(file).is_some() || module(file) == "lib" || elsewhere(file);
            if elsewhere(from) || elsewhere(to) {
                continue;
            }
            assert!(
                known(from) && known(to),
                "{root}: the order lacks the module of {} or {}",
                from.display(),
                to.display()
            );
            assert!(
                place(to) <= place(from) || place(from).is_none(),
                "{root}: {} uses {} of {}, whose module comes later",
                from.display(),
                listed(names),
                to.display()
            );
        }
    }
}

#[test]
fn files_do_not_use_each_other() {
    let known: BTreeMap<_, _> = CYCLES.iter().copied().collect();
    let mut problems = Vec::new();
    for (root, _) in MODULES {
        let uses = imports::of_crate(&tests::workspace().join(root));
        let cycles = imports::cycles(&uses);
        let known = known.get(root).copied().unwrap_or_default();
        let known: Vec<Vec<&Path>> = known.iter().map(|cycle| cycle.iter().map(Path::new).collect()).collect();
        for cycle in cycles.iter().filter(|cycle| !known.contains(cycle)) {
            problems.push(format!("{root}: these files use each other: {cycle:?}"));
            let inside = |file: &PathBuf| cycle.contains(&file.as_path());
            for ((from, to), names) in uses.iter().filter(|((from, to), _)| inside(from) && inside(to)) {
                problems.push(format!("  {} uses {} of {}", from.display(), listed(names), to.display()));
            }
        }
        let gone = known.iter().filter(|cycle| !cycles.contains(cycle));
        problems.extend(gone.map(|cycle| format!("{root}: remove {cycle:?} from the list, it is no cycle any more")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The top-level module of a file, whose path is relative to the root's directory.
fn module(file: &Path) -> &str {
    let first = file.components().next().and_then(|first| first.as_os_str().to_str());
    first.unwrap_or_default().trim_end_matches(".rs")
}

fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
