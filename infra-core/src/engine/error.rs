//! Errors of the engine.

use crate::{diagnostic::Diagnostic, plan::PlanFileError, stack::DeclareError, store::StoreError};

/// The reason why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program or its declarations cannot be planned. Nothing was changed.
    #[error("{}", list(.0))]
    Refused(Vec<Diagnostic>),
    /// The request contradicts itself or the stack. Nothing was changed.
    #[error("{}", list(.0))]
    WrongUse(Vec<Diagnostic>),
    /// The saved plan does not match the run. Nothing was changed.
    #[error(transparent)]
    PlanFile(#[from] PlanFileError),
}

impl EngineError {
    /// Returns one message per problem.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::Store(error) => vec![error.diagnostic()],
            Self::Refused(diagnostics)
            | Self::WrongUse(diagnostics)
            | Self::PlanFile(PlanFileError::Exceeded(diagnostics)) => diagnostics.clone(),
            Self::PlanFile(error) => {
                let hint = "save a new plan with `preview --save-plan FILE`, review it, and apply that one";
                vec![Diagnostic::from_error(error).about("the plan").hint(hint)]
            }
        }
    }
}

/// Converts the errors of a program to the error of the run.
pub(super) fn refused(errors: &[DeclareError]) -> EngineError {
    let misconfigured = errors.iter().any(|error| error.as_config().is_some());
    let diagnostics = errors
        .iter()
        .map(|error| match error.as_config() {
            Some(error) => Diagnostic::from_error(error).hint(error.hint()),
            None => Diagnostic::from_error(error),
        })
        .collect();
    if misconfigured { EngineError::WrongUse(diagnostics) } else { EngineError::Refused(diagnostics) }
}

fn list(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    texts.join("\n")
}
