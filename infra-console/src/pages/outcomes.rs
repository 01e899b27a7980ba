//! The outcomes of changes. A form redirects to the page, which shows the outcome.

use crate::views::Problem;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Number of outcomes that are kept.
const OUTCOMES: usize = 64;

/// The last outcomes, with their numbers.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<VecDeque<(u64, Outcome)>>);

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done(String),
    Refused(Diagnostic),
}

/// Parameters of a page that shows an outcome.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// Number of the outcome.
    outcome: Option<u64>,
}

impl Outcomes {
    /// Keeps an outcome, and returns its number.
    fn add(&self, outcome: Outcome) -> u64 {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = outcomes.back().map_or(1, |(last, _)| last + 1);
        if outcomes.len() == OUTCOMES {
            outcomes.pop_front();
        }
        outcomes.push_back((number, outcome));
        number
    }

    /// Returns the requested outcome, unless it is forgotten.
    pub(super) fn shown(&self, shown: &Shown) -> Option<Outcome> {
        let number = shown.outcome?;
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().find(|(known, _)| *known == number).map(|(_, outcome)| outcome.clone())
    }

    /// Redirects to the page with the outcome of a change. Problems other than refused values have pages of their own.
    pub(super) fn redirect(&self, path: &str, done: Result<String, Problem>) -> Result<Response, Problem> {
        let outcome = match done {
            Ok(done) => Outcome::Done(done),
            Err(problem) if problem.status == StatusCode::BAD_REQUEST => Outcome::Refused(problem.diagnostic),
            Err(problem) => return Err(problem),
        };
        Ok(Redirect::to(&format!("{path}?outcome={}", self.add(outcome))).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_outcomes_are_forgotten() {
        let outcomes = Outcomes::default();
        let numbers: Vec<u64> = (0..=OUTCOMES).map(|index| outcomes.add(Outcome::Done(index.to_string()))).collect();
        let shown = |index: usize| outcomes.shown(&Shown { outcome: Some(numbers[index]) });
        assert_eq!(shown(0), None);
        assert_eq!(shown(1), Some(Outcome::Done("1".to_owned())));
        assert_eq!(shown(OUTCOMES), Some(Outcome::Done(OUTCOMES.to_string())));
    }
}
