//! Messages for the user.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The severity of a [`Diagnostic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Information that requires no action.
    Note,
    /// The run continues, but the user should check the cause.
    Warning,
    /// The run or a part of it failed.
    Error,
}

/// A message: what happened, to which resource, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The URN or file the message is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Description of the event, in one sentence.
    pub summary: String,
    /// The cause, in one or more lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Creates an error with a summary only.
    pub fn error(summary: impl Into<String>) -> Self {
        Self::of(Severity::Error, summary)
    }

    /// Creates a warning with a summary only.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self::of(Severity::Warning, summary)
    }

    /// Creates a note with a summary only.
    pub fn note(summary: impl Into<String>) -> Self {
        Self::of(Severity::Note, summary)
    }

    /// Converts an error. Its sources become the detail, except for those that its text contains.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut diagnostic = Self::error(error.to_string());
        let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
        let causes: Vec<String> = causes.filter(|cause| !diagnostic.summary.contains(cause)).collect();
        if !causes.is_empty() {
            diagnostic.detail = Some(causes.join("\n"));
        }
        diagnostic
    }

    /// Sets the resource or file that the message is about.
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// Sets the cause.
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of(severity: Severity, summary: impl Into<String>) -> Self {
        Self { severity, subject: None, summary: summary.into(), detail: None, hint: None }
    }
}

/// Returns the candidate most similar to `text`, if one is similar enough to be a misspelling of it. The last segment of
/// a path or a type token is compared as well, so that `SecurtyGroup` finds `aws:ec2:SecurityGroup`.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(&candidate.to_lowercase(), &text);
    let scored = candidates.into_iter().map(|candidate| {
        let last = candidate.rsplit(['/', ':']).next().unwrap_or(candidate);
        (likeness(candidate).max(likeness(last)), candidate)
    });
    let best = scored.filter(|(likeness, _)| *likeness > 0.5).max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, candidate)| candidate)
}

/// Returns a hint that names the candidate most similar to `text`, if there is one.
pub fn did_you_mean<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(text, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        #[source]
        source: Option<Box<Layer>>,
    }

    #[test]
    fn causes_that_an_error_contains_are_not_repeated() {
        let cause = || Some(Box::new(Layer { text: "no such file", source: None }));
        let repeated = Layer { text: "key: no such file", source: cause() };
        assert_eq!(Diagnostic::from_error(&repeated).detail, None);
        let other = Layer { text: "no key", source: cause() };
        assert_eq!(Diagnostic::from_error(&other).detail.as_deref(), Some("no such file"));
    }

    #[test]
    fn misspelt_names_find_their_nearest_candidate() {
        let kinds = ["aws:ec2:SecurityGroup", "aws:ec2:Subnet", "aws:s3:Bucket"];
        assert_eq!(nearest("aws:ec2:SecurtyGroup", kinds), Some("aws:ec2:SecurityGroup"));
        assert_eq!(nearest("subnets", kinds), Some("aws:ec2:Subnet"));
        assert_eq!(nearest("database", kinds), None);
        assert_eq!(did_you_mean("buket", kinds).as_deref(), Some("did you mean `aws:s3:Bucket`?"));
        assert_eq!(did_you_mean("x", []), None);
    }
}
