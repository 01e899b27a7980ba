//! Messages written for the person who runs a stack.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing to do.
    Note,
    /// The run goes on, but somebody should look.
    Warning,
    /// The run, or a part of it, failed.
    Error,
}

/// One message: what happened, to which resource, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// The URN or file the message is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// One sentence: what happened.
    pub summary: String,
    /// Why, in as many lines as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error with nothing but its summary.
    pub fn error(summary: impl Into<String>) -> Self {
        Self::of(Severity::Error, summary)
    }

    /// A warning with nothing but its summary.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self::of(Severity::Warning, summary)
    }

    /// A note with nothing but its summary.
    pub fn note(summary: impl Into<String>) -> Self {
        Self::of(Severity::Note, summary)
    }

    /// An error made from any error, its causes as the detail.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let causes: Vec<String> =
            std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string).collect();
        let mut diagnostic = Self::error(error.to_string());
        if !causes.is_empty() {
            diagnostic.detail = Some(causes.join("\n"));
        }
        diagnostic
    }

    /// Names the resource or file it is about.
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Says why.
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of(severity: Severity, summary: impl Into<String>) -> Self {
        Self { severity, subject: None, summary: summary.into(), detail: None, hint: None }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.summary)?;
        if let Some(subject) = &self.subject {
            write!(f, "\n  at: {subject}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "\n  why: {}", detail.replace('\n', "\n       "))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", hint.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}
