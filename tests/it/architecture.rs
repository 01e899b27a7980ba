//! Dependency rules: between crates, between the modules of a crate, and between its files.

use crate::imports;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The crates of the workspace, each with the workspace crates that it may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("infra-macros", &[]),
    ("infra-core", &["infra-macros"]),
    ("infra-network", &[]),
    ("infra-aws", &["infra-core", "infra-network"]),
    ("infra-local", &["infra-network"]),
    ("infra-graph", &["infra-core"]),
    ("infra-records", &["infra-core"]),
    ("infra-console", &["infra-core", "infra-graph", "infra-records"]),
    ("infra-rehearsal", &["infra-core", "infra-local"]),
    ("infra-bindings", &[]),
    (
        "infra-cli",
        &[
            "infra-core",
            "infra-local",
            "infra-graph",
            "infra-records",
            "infra-console",
            "infra-rehearsal",
            "infra-bindings",
        ],
    ),
    ("stacks", &["infra-core", "infra-aws", "infra-cli"]),
    ("kit", &[]),
    ("tasks", &["kit"]),
    ("bookstore", &["kit"]),
    ("selfieless", &["kit"]),
    ("patterns", &["kit"]),
    ("crash", &["infra-core"]),
    ("examples", &["infra-core", "infra-aws", "infra-cli", "infra-local"]),
    ("tests", &["infra-core", "infra-aws", "infra-cli", "infra-local", "infra-rehearsal", "stacks", "tasks"]),
];

/// The root files of the crates with the order of their modules: a module uses only modules before it. An empty list means
/// that the modules have no order yet.
const MODULES: &[(&str, &[&str])] = &[
    (
        "infra-core/src/lib.rs",
        &[
            "diagnostic",
            "monitoring",
            "instances",
            "boundary",
            "intern",
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
    (
        "infra-aws/src/lib.rs",
        &[
            "ids",
            "client",
            "error",
            "wait",
            "tags",
            "url",
            "region",
            "prelude",
            "sts",
            "s3",
            "ssm",
            "iam",
            "logs",
            "acm",
            "cloudcontrol",
            "architecture",
            "artifact",
            "machine",
            "ec2",
            "network",
            "postgres_host",
            "replicated_database",
            "elbv2",
            "autoscaling",
            "service_group",
            "cloudwatch",
            "rds",
            "monitoring",
            "instances",
            "login",
            "cloudtrail",
            "key",
            "objects",
            "schemas",
            "reporting",
            "policies",
            "provider",
        ],
    ),
    ("infra-network/src/lib.rs", &["cidr", "fault", "reach"]),
    ("infra-local/src/lib.rs", &["wire", "model", "state", "domain", "access", "services", "runtime", "server"]),
    ("infra-bindings/src/lib.rs", &["error", "schema", "catalog", "names", "prose", "shape", "resource", "emit"]),
    (
        "infra-graph/src/lib.rs",
        &[
            "drawing", "order", "build", "group", "rows", "cells", "place", "route", "layout", "text", "style",
            "legend", "svg", "dot",
        ],
    ),
    ("infra-records/src/lib.rs", &["format", "files", "prune", "recorder", "list", "line", "run", "read", "critical"]),
    (
        "infra-console/src/lib.rs",
        &[
            "source",
            "engine_source",
            "cloud",
            "audit",
            "plot",
            "views",
            "access",
            "live",
            "pages",
            "api",
            "mcp",
            "server",
        ],
    ),
    (
        "infra-rehearsal/src/lib.rs",
        &[
            "breaker",
            "calls",
            "report",
            "translation",
            "schemas",
            "scratch",
            "stand_in",
            "answers",
            "seed",
            "stage",
            "rehearse",
            "crashes",
            "policy",
            "compaction",
            "documents",
            "comparison",
            "conditions",
            "alteration",
            "updates",
            "lifecycle",
            "permissions",
            "host_roles",
        ],
    ),
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
            "settings",
            "session",
            "schemas",
            "deployment",
            "posix_shell",
            "remote",
            "commands",
        ],
    ),
    (
        "app/kit/src/lib.rs",
        &[
            "connection",
            "health",
            "labels",
            "held",
            "migrate",
            "reply",
            "form",
            "csrf",
            "password",
            "batch",
            "combine",
            "settings",
            "limit",
            "signed",
            "session",
            "client",
            "database",
            "limits",
            "listen",
            "log",
            "metrics",
            "reader",
            "endpoints",
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
    ("app/bookstore/src/lib.rs", &["money", "entity", "migration", "input", "users", "shop", "pages", "api", "app"]),
    (
        "app/selfieless/src/lib.rs",
        &["refusal", "body", "path", "settings", "openapi", "operation", "users", "acts", "pages", "orchestrator"],
    ),
    ("app/patterns/src/lib.rs", &["operation", "sql", "input", "signature", "forward", "cluster", "openapi", "tier"]),
    ("app/patterns/src/bin/patterns/main.rs", &["service", "table", "send_requests", "bench"]),
    (
        "crash/src/lib.rs",
        &[
            "files", "broken", "moment", "objects", "cloud", "kinds", "programs", "sandbox", "check", "disk",
            "scenario", "harness",
        ],
    ),
    ("stacks/lib.rs", &["multicloud_orm"]),
];

/// Folders of modules, and the levels of the modules in them: none uses one of a later level, or another one of its own
/// level. The folder's `mod.rs` belongs to all levels.
const FOLDERS: &[(&str, &str, &[&[&str]])] = &[
    (
        "infra-local/src/lib.rs",
        "domain",
        &[
            &["elbv2", "machine", "mariadb", "names", "postgres", "s3", "ssm"],
            &["autoscaling", "ec2", "rds"],
            &["network"],
            &["dns"],
        ],
    ),
    (
        "infra-local/src/lib.rs",
        "services",
        &[
            &["permission"],
            &["operation", "tags"],
            &[
                "acm",
                "autoscaling",
                "cloudtrail",
                "cloudwatch",
                "ec2",
                "elbv2",
                "iam",
                "logs",
                "rds",
                "s3",
                "ssm",
                "sts",
            ],
            &["cloudcontrol"],
        ],
    ),
    (
        "infra-local/src/lib.rs",
        "runtime",
        &[
            &["background", "descriptors", "executable", "inside", "user"],
            &["network"],
            &["confinement"],
            &["process"],
            &["server_home"],
            &[
                "artifact",
                "public_address",
                "gateways",
                "logs",
                "mariadb",
                "metadata",
                "postgres",
                "proxy",
                "resolver",
                "s3",
                "fabric_testing",
                "ssm",
            ],
            &["engine"],
            &["autoscaling", "elbv2", "rds", "service"],
            &["cloudwatch", "control_plane", "images", "session"],
            &["host"],
            &["instances"],
        ],
    ),
    (
        "infra-local/src/lib.rs",
        "server",
        &[
            &[
                "calls",
                "capabilities",
                "credentials",
                "events",
                "inventory",
                "metrics",
                "party",
                "permissions",
                "resource_requests",
                "start_error",
                "usage",
            ],
            &["faults", "host_roles", "reach", "session", "tunnel"],
            &["status"],
            &["network_map"],
            &["endpoint", "options", "running"],
            &["directory", "remote"],
            &["local_cloud"],
            &["daemon"],
        ],
    ),
];

/// Known groups of files with circular uses. A group that is no longer circular must be removed from this list.
const CYCLES: &[(&str, &[&[&str]])] = &[
    (
        "app/tasks/src/lib.rs",
        &[&["admin/error.rs", "admin/page.rs", "admin/permission.rs", "admin/session.rs", "admin/token.rs"]],
    ),
    ("app/tasks/src/bin/client/main.rs", &[&["service.rs", "tokens.rs"]]),
];

#[test]
fn crates_depend_only_on_allowed_crates() {
    let mut metadata = tests::cargo();
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(tests::workspace());
    let metadata: Json = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let allowed: BTreeMap<_, _> = CRATES.iter().copied().collect();
    assert_eq!(packages.len(), allowed.len(), "`CRATES` does not match the crates of the workspace");
    for package in packages {
        let user = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let name = dependency["name"].as_str().unwrap();
            let in_workspace = allowed.contains_key(name) && name != user;
            assert!(!in_workspace || allowed[user].contains(&name), "{user} must not depend on {name}");
        }
    }
}

#[test]
fn modules_use_only_earlier_ones() {
    for (root, order) in MODULES.iter().filter(|(_, order)| !order.is_empty()) {
        let position = |file: &Path| {
            let module = module(file);
            order.iter().position(|known| *known == module)
        };
        for ((from, to), names) in &imports::of_crate(&tests::workspace().join(root)) {
            // Files of other crates, which are included by `#[path]`.
            let is_external = |file: &Path| file.is_absolute() || file.starts_with("..");
            let is_known = |file: &Path| position(file).is_some() || module(file) == "lib" || is_external(file);
            if is_external(from) || is_external(to) {
                continue;
            }
            assert!(
                is_known(from) && is_known(to),
                "{root}: the order of modules does not contain the module of {} or {}",
                from.display(),
                to.display()
            );
            assert!(
                position(to) <= position(from) || position(from).is_none(),
                "{root}: {} uses {} of {}, whose module comes later",
                from.display(),
                listed(names),
                to.display()
            );
        }
    }
}

#[test]
fn modules_of_a_folder_use_only_earlier_levels() {
    for (root, folder, levels) in FOLDERS {
        let inside = |file: &Path| file.strip_prefix(folder).ok().map(Path::to_owned);
        let level = |file: &Path| levels.iter().position(|level| level.contains(&module(file)));
        for ((from, to), names) in &imports::of_crate(&tests::workspace().join(root)) {
            let (Some(from), Some(to)) = (inside(from), inside(to)) else { continue };
            let outside = |file: &Path| module(file) == "mod";
            if outside(&from) || outside(&to) || module(&from) == module(&to) {
                continue;
            }
            let (Some(user), Some(used)) = (level(&from), level(&to)) else {
                panic!("{root}: the levels of {folder} lack the module of {} or {}", from.display(), to.display());
            };
            assert!(
                used < user,
                "{root}: {} uses {} of {}, which is not on an earlier level of {folder}",
                from.display(),
                listed(names),
                to.display()
            );
        }
    }
}

#[test]
fn files_have_no_circular_uses() {
    let known: BTreeMap<_, _> = CYCLES.iter().copied().collect();
    let mut problems = Vec::new();
    for (root, _) in MODULES {
        let uses = imports::of_crate(&tests::workspace().join(root));
        let cycles = imports::cycles(&uses);
        let known = known.get(root).copied().unwrap_or_default();
        let known: Vec<Vec<&Path>> = known.iter().map(|cycle| cycle.iter().map(Path::new).collect()).collect();
        for cycle in cycles.iter().filter(|cycle| !known.contains(cycle)) {
            problems.push(format!("{root}: circular uses between the files {cycle:?}"));
            let inside = |file: &PathBuf| cycle.contains(&file.as_path());
            for ((from, to), names) in uses.iter().filter(|((from, to), _)| inside(from) && inside(to)) {
                problems.push(format!("  {} uses {} of {}", from.display(), listed(names), to.display()));
            }
        }
        let resolved = known.iter().filter(|cycle| !cycles.contains(cycle));
        problems.extend(resolved.map(|cycle| format!("{root}: remove {cycle:?} from `CYCLES`: it is not circular")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Returns the top-level module of a file, whose path is relative to the directory of the crate's root.
fn module(file: &Path) -> &str {
    let first = file.components().next().and_then(|first| first.as_os_str().to_str());
    first.unwrap_or_default().trim_end_matches(".rs")
}

fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
