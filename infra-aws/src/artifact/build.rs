//! Building programs with cargo.

use infra_core::provider::ProviderError;
use serde::Deserialize;
use std::{
    collections::VecDeque,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::Mutex,
};

/// Number of lines of a failed build in its error.
const SHOWN_LINES: usize = 40;

/// Serialises builds, which wait for cargo's lock anyway, so that cargo prints no message about it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Builds a binary of the workspace, and returns its path. Passes cargo's progress to `status`.
pub(super) async fn cargo_build(name: &str, status: &(dyn Fn(String) + Sync)) -> Result<PathBuf, ProviderError> {
    let _turn = ONE_AT_A_TIME.lock().await;
    let root = workspace(name).await?;
    let mut command = cargo();
    command
        .args(["build", "--workspace", "--bin", name, "--message-format", "json-render-diagnostics"])
        .current_dir(&root);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(no_cargo)?;
    let progress = follow(child.stderr.take(), status);
    let output = read_all(child.stdout.take());
    let (last_lines, messages) = tokio::join!(progress, output);
    let exit = child.wait().await.map_err(no_cargo)?;
    if !exit.success() {
        let last_lines = last_lines.into_iter().collect::<Vec<_>>().join("\n");
        return Err(ProviderError::refused(format!(
            "`cargo build --bin {name}` failed in {}:\n{last_lines}",
            root.display()
        ))
        .hint(format!("correct the error, or pass an existing executable as {}=/path", super::variable(name))));
    }
    executable(&messages, name)
        .ok_or_else(|| ProviderError::refused(format!("cargo reported no path of the binary `{name}`")))
}

/// Returns the root of the workspace that the running program belongs to.
async fn workspace(name: &str) -> Result<PathBuf, ProviderError> {
    let start = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
    let output = cargo()
        .args(["locate-project", "--workspace", "--message-format", "plain"])
        .current_dir(&start)
        .output()
        .await
        .map_err(no_cargo)?;
    let manifest = String::from_utf8_lossy(&output.stdout);
    match Path::new(manifest.trim()).parent() {
        Some(root) if output.status.success() => Ok(root.to_owned()),
        _ => {
            let reason = String::from_utf8_lossy(&output.stderr);
            let reason = reason.trim().trim_start_matches("error: ");
            let message = format!("no workspace to build `{name}` in: {reason}");
            let variable = super::variable(name);
            Err(ProviderError::refused(message)
                .hint(format!("run this in the workspace, or pass an existing executable as {variable}=/path")))
        }
    }
}

/// Returns a `cargo` command without the variables that `cargo run` sets for its package. Build scripts that watch such
/// variables would run again, and so would those of the next `cargo run`.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_a_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns whether `cargo run` sets the variable, for the package whose program it runs.
fn is_of_a_package(variable: &str) -> bool {
    const SET: [&str; 7] = [
        "CARGO",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "OUT_DIR",
    ];
    SET.contains(&variable) || variable.starts_with("CARGO_PKG_")
}

fn no_cargo(error: std::io::Error) -> ProviderError {
    ProviderError::refused(format!("cargo cannot be run: {error}"))
        .hint("install Rust, or pass existing executables as INFRA_ARTIFACT_<NAME>=/path")
}

/// Passes each line to `status`, and returns the last ones.
async fn follow(stream: Option<impl AsyncRead + Unpin>, status: &(dyn Fn(String) + Sync)) -> VecDeque<String> {
    let mut last = VecDeque::new();
    let Some(stream) = stream else { return last };
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.trim().is_empty() {
            status(line.trim().to_owned());
        }
        if last.len() == SHOWN_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // The bytes before an error are kept; the caller reports a missing message.
        let _ = stream.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Deserialize)]
struct Message {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// Returns the path of the binary in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.target.name == name && message.target.kind.iter().any(|kind| kind == "bin"))
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_called_as_from_a_shell() {
        assert!(["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "CARGO"].into_iter().all(is_of_a_package));
        assert!(!["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL", "PATH"].into_iter().any(is_of_a_package));
    }

    #[test]
    fn path_of_the_executable_is_found_in_the_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"tasks","kind":["lib"]},"executable":null}"#,
            "\n",
            r#"{"reason":"build-script-executed","out_dir":"/o"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"tasks","kind":["bin"]},"executable":"/t/debug/tasks"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages, "tasks"), Some(PathBuf::from("/t/debug/tasks")));
        assert_eq!(executable(messages, "other"), None);
    }
}
