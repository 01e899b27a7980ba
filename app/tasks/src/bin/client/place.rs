//! Where the service is.
//!
//! What is given comes first, on the command line or in `TASKS_URL`. Else the program `stack`, when it is in the same
//! folder as this one, is asked for the output `url` of the stack that was deployed from the current directory, just as
//! somebody would type it; `INFRA_PROGRAM`, `INFRA_STACK` and so on say which.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Finds the URL, or says what to do.
pub(crate) fn find(given: Option<String>) -> Result<String, String> {
    if let Some(url) = given.filter(|url| !url.is_empty()) {
        return Ok(url);
    }
    let missing = "where is the service? Give --url http://HOST:PORT, or set TASKS_URL to it";
    let Some(stack) = stack() else {
        return Err(format!("{missing}. (There is no program `stack` beside this one to ask.)"));
    };
    ask(&stack).map_err(|why| format!("{missing}. (`stack output url` says: {why})"))
}

fn stack() -> Option<PathBuf> {
    let path = env::current_exe().ok()?.with_file_name("stack");
    path.is_file().then_some(path)
}

fn ask(stack: &Path) -> Result<String, String> {
    let mut command = Command::new(stack);
    command.args(["output", "url", "--json"]).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        return Err(summary(said.trim()));
    }
    serde_json::from_slice::<String>(&output.stdout).map_err(|error| format!("something that is not a URL ({error})"))
}

/// What `stack` means: its messages are JSON, one per line.
fn summary(said: &str) -> String {
    let last = said.lines().last().unwrap_or_default();
    let message = serde_json::from_str::<serde_json::Value>(last).ok();
    let text = message.as_ref().and_then(|message| message["summary"].as_str());
    text.unwrap_or(last).to_owned()
}
