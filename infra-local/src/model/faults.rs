//! Active faults.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Faults {
    pub(crate) requests: Vec<RequestFault>,
    /// Age of the state that control planes return, in milliseconds.
    pub(crate) lag_milliseconds: u64,
}

/// Faults of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestFault {
    pub(crate) symptom: Symptom,
    /// A pattern such as `ec2:Run*`.
    pub(crate) operation: String,
    /// Percentage of the matching requests.
    pub(crate) percent: u8,
    /// Remaining number of requests that the fault affects; `None` for no limit.
    pub(crate) remaining: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Symptom {
    Throttle,
    Error,
    DropAnswer,
    Latency { milliseconds: u64 },
}

impl Faults {
    /// Counts down the faults that affected a request, and drops those that are used up.
    pub(crate) fn use_up(&mut self, struck: &[bool]) {
        for (fault, _) in self.requests.iter_mut().zip(struck).filter(|(_, struck)| **struck) {
            fault.remaining = fault.remaining.map(|remaining| remaining.saturating_sub(1));
        }
        self.requests.retain(|fault| fault.remaining != Some(0));
    }

    /// Describes the active faults.
    pub(crate) fn describe(&self) -> Vec<String> {
        let lag = (self.lag_milliseconds > 0).then(|| format!("answers are {} ms old", self.lag_milliseconds));
        self.requests.iter().map(RequestFault::describe).chain(lag).collect()
    }
}

impl RequestFault {
    /// Returns whether the fault affects this operation.
    pub(crate) fn concerns(&self, operation: &str) -> bool {
        let mut rest = operation;
        let mut parts = self.operation.split('*').enumerate().peekable();
        while let Some((position, part)) = parts.next() {
            let last = parts.peek().is_none();
            let found = match (position, last) {
                (0, true) => return rest == part,
                (0, false) => rest.strip_prefix(part),
                (_, true) => return rest.ends_with(part),
                (_, false) => rest.find(part).map(|at| &rest[at + part.len()..]),
            };
            match found {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }

    pub(crate) fn describe(&self) -> String {
        let which = if self.operation == "*" { "requests".to_owned() } else { self.operation.clone() };
        let what = match self.symptom {
            Symptom::Throttle => "throttled".to_owned(),
            Symptom::Error => "answered with an internal error".to_owned(),
            Symptom::DropAnswer => "carried out, and their answers dropped".to_owned(),
            Symptom::Latency { milliseconds } => format!("delayed by {milliseconds} ms"),
        };
        let share = if self.percent < 100 { format!("{}% of ", self.percent) } else { String::new() };
        let count = self.remaining.map(|count| format!(", for {count} of them")).unwrap_or_default();
        format!("{share}{which} are {what}{count}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_operations() {
        let of = |operation: &str| RequestFault {
            symptom: Symptom::Throttle,
            operation: operation.to_owned(),
            percent: 100,
            remaining: Some(2),
        };
        assert!(of("*").concerns("ec2:RunInstances"));
        assert!(of("ec2:Run*").concerns("ec2:RunInstances"));
        assert!(of("ec2:*Instances").concerns("ec2:RunInstances"));
        assert!(!of("ec2:Run").concerns("ec2:RunInstances"));
        assert!(!of("ec2:*Vpc").concerns("ec2:RunInstances"));
        assert_eq!(of("ec2:Run*").describe(), "ec2:Run* are throttled, for 2 of them");
    }

    #[test]
    fn counted_faults_are_used_up() {
        let fault =
            |remaining| RequestFault { symptom: Symptom::Error, operation: "*".to_owned(), percent: 100, remaining };
        let mut faults = Faults { requests: vec![fault(Some(1)), fault(None), fault(Some(2))], lag_milliseconds: 0 };
        faults.use_up(&[true, true, true]);
        assert_eq!(faults.requests, [fault(None), fault(Some(1))]);
    }
}
