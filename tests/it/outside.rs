//! A crate outside of the workspace embeds infra-aws.

use std::fs;
use tempfile::TempDir;

#[test]
fn a_crate_outside_of_the_workspace_builds_against_infra_aws() {
    let workspace = tests::workspace();
    let directory = TempDir::new().unwrap();
    let dependency = |name: &str| format!("{name} = {{ path = {:?} }}\n", workspace.join(name));
    let manifest = format!(
        "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{}{}tokio = {{ version = \"1\", features = [\"full\"] }}\n\n[profile.dev.package.\"*\"]\ndebug = false\n",
        dependency("infra-core"),
        dependency("infra-aws"),
    );
    fs::write(directory.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(directory.path().join("src")).unwrap();
    fs::copy(workspace.join("examples/embedding.rs"), directory.path().join("src/main.rs")).unwrap();
    // The same versions, so that what is built already serves.
    fs::copy(workspace.join("Cargo.lock"), directory.path().join("Cargo.lock")).unwrap();
    let output = tests::cargo()
        .args(["check", "--offline", "--quiet"])
        .current_dir(directory.path())
        .env("CARGO_TARGET_DIR", workspace.join("target"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
