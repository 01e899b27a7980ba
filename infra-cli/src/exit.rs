//! Exit codes, as listed by `stack --help` and `docs/src/exit-codes.md`.

use std::process::ExitCode;

/// Outcome of a command, as reported to the calling shell or script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command succeeded.
    Done,
    /// The command failed.
    Failed,
    /// The command line, the configuration or a file given to the command is wrong.
    WrongUse,
    /// `--expect-no-changes` or `watch --once` found changes.
    ChangesPending,
    /// Ctrl-C was pressed twice.
    Stopped,
}

impl Exit {
    /// All outcomes, ordered by code.
    const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::WrongUse, Self::ChangesPending, Self::Stopped];

    /// Returns the exit code of the process.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::WrongUse => 2,
            Self::ChangesPending => 3,
            // 128 + SIGINT, as shells report it.
            Self::Stopped => 130,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "the command succeeded, or there was nothing to do",
            Self::Failed => "the command failed, or Ctrl-C stopped it before it finished",
            Self::WrongUse => "an argument, a configuration value or a file is wrong; nothing changed",
            Self::ChangesPending => "`--expect-no-changes` or `watch --once` found changes",
            Self::Stopped => "a second Ctrl-C stopped the command at once; the next run resumes it",
        }
    }

    /// Returns the table of exit codes in `stack --help`.
    pub(crate) fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_same_table() {
        let page = include_str!("../../docs/src/exit-codes.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = Exit::ALL.map(|exit| format!("| `{}` | {} |", exit.code(), exit.meaning()));
        assert_eq!(rows, expected);
    }
}
