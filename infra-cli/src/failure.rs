//! Errors that a command fails with.

use crate::{exit::Exit, render::style};
use infra_core::{diagnostic::Diagnostic, engine::EngineError, plan::PlanFileError, store::StoreError};
use std::{io, process::ExitCode};

/// Kind of a failure, which determines the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The command failed.
    Failed,
    /// The command line, the configuration or an input file is wrong.
    WrongUse,
}

/// Error of a command, as one or more diagnostics.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Failure {
    pub(crate) fn failed(summary: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, diagnostics: vec![Diagnostic::error(summary)] }
    }

    pub(crate) fn of(diagnostic: Diagnostic) -> Self {
        Self { kind: Kind::Failed, diagnostics: vec![diagnostic] }
    }

    pub(crate) fn wrong_use(diagnostic: Diagnostic) -> Self {
        Self { kind: Kind::WrongUse, diagnostics: vec![diagnostic] }
    }

    /// Converts the error of a request to the local cloud about something that an argument names.
    pub(crate) fn named(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::wrong_use(Diagnostic::error(error.to_string())),
            _ => error.into(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.diagnostics.last_mut() {
            last.hint = Some(hint.into());
        }
        self
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let kind = match &error {
            EngineError::WrongUse(_) => Kind::WrongUse,
            EngineError::Store(StoreError::Config { problem, .. }) if problem.is_wrong_use() => Kind::WrongUse,
            EngineError::PlanFile(error) if !matches!(error, PlanFileError::Exceeded(_)) => Kind::WrongUse,
            _ => Kind::Failed,
        };
        Self { kind, diagnostics: error.diagnostics() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Prints the diagnostics of a failure to standard error, or as JSON lines to standard output.
pub(crate) fn report(failure: &Failure, json: bool) -> ExitCode {
    for diagnostic in &failure.diagnostics {
        if json {
            let event = infra_core::event::Event::Message(diagnostic.clone());
            print_line!("{}", serde_json::to_string(&event).unwrap_or_default());
        } else {
            print_error!("{}", style::diagnostic(diagnostic, style::error_width()));
        }
    }
    match failure.kind {
        Kind::Failed => Exit::Failed.into(),
        Kind::WrongUse => Exit::WrongUse.into(),
    }
}
