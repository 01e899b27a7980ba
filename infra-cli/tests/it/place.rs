//! A directory to run the `stack` command in.

use crate::variables::NOTES;
use serde_json::Value as Json;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A working directory for one test, with `.infra` inside. A local cloud that still runs in it is stopped at the end.
pub(crate) struct Place {
    directory: TempDir,
    program: &'static str,
}

/// A command that has finished.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// Creates a directory whose commands run this program by default: `notes` in the local cloud, others on AWS.
    pub(crate) fn new(program: &'static str) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), program }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the path of a file in `.infra`.
    pub(crate) fn infra(&self, file: &str) -> PathBuf {
        self.path().join(".infra").join(file)
    }

    /// Returns the path of a file in the store of states.
    pub(crate) fn state(&self, file: &str) -> PathBuf {
        self.infra("state").join(file)
    }

    /// Reads a file in the store of states; a missing file is empty.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.state(file)).unwrap_or_default()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_test-stack"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INFRA_") || name.starts_with("TEST_")) {
            command.env_remove(name);
        }
        let target = if self.program == "notes" { "local" } else { "aws" };
        command.env("INFRA_PROGRAM", self.program).env("INFRA_TARGET", target).env("COLUMNS", "100");
        command.env("INFRA_DIRECTORY", self.infra("")).env(NOTES, self.infra("local"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    /// Runs the command with more variables and with this standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have finished before.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Ran { code: output.status.code(), out, err }
    }

    /// Runs the command, which must succeed, and returns its standard output.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        self.run(arguments).succeeds().out
    }

    /// Runs the command with `--json` and returns the document that it prints.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Json {
        serde_json::from_str(&self.done(&[&["--json"], arguments].concat())).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.infra("local").exists() {
            let _ = self.command(&["local", "stop"]).output();
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self
    }

    /// Fails the test unless the command succeeded and printed exactly this.
    #[track_caller]
    pub(crate) fn prints(self, out: &str) {
        assert_eq!((self.code, self.out.trim_end()), (Some(0), out), "{}", self.err);
    }

    /// Fails the test unless the command failed with this code and one error that contains these words.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in: {}", self.err);
        }
        assert_eq!(self.err.matches("error:").count(), 1, "{}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }
}

/// Returns the text of all files in a directory, recursively.
pub(crate) fn files(directory: &Path) -> String {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.map(|path| match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => files(&path),
    });
    texts.collect::<Vec<_>>().join("\n")
}
