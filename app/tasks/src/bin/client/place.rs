//! Search for the URL of the service.
//!
//! The command line has precedence over `TASKS_URL`. Without either, the program `stack` in the directory of this program
//! returns the output `url` of the stack that was deployed from the current directory. `INFRA_PROGRAM`, `INFRA_STACK` and
//! the other variables of `stack` select the stack.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Returns the URL, or an error with a hint.
pub(crate) fn find(given: Option<String>) -> Result<String, String> {
    if let Some(url) = given.filter(|url| !url.is_empty()) {
        return Ok(url);
    }
    let missing = "the URL of the service is not known: add --url http://HOST:PORT, or set TASKS_URL";
    let Some(stack) = stack() else {
        return Err(format!("{missing}. (There is no program `stack` beside this one.)"));
    };
    query_stack(&stack).map_err(|why| format!("{missing}. (`stack output url` says: {why})"))
}

fn stack() -> Option<PathBuf> {
    let path = env::current_exe().ok()?.with_file_name("stack");
    path.is_file().then_some(path)
}

fn query_stack(stack: &Path) -> Result<String, String> {
    let mut command = Command::new(stack);
    command.args(["output", "url", "--json"]).stdin(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let output_text =
            String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
        return Err(summary(output_text.trim()));
    }
    serde_json::from_slice::<String>(&output.stdout).map_err(|error| format!("something that is not a URL ({error})"))
}

/// Returns the text of the messages of `stack`, which are JSON lines.
fn summary(output_text: &str) -> String {
    let last = output_text.lines().last().unwrap_or_default();
    let message = serde_json::from_str::<serde_json::Value>(last).ok();
    let text = message.as_ref().and_then(|message| message["summary"].as_str());
    text.unwrap_or(last).to_owned()
}
