//! Active faults.

pub(crate) use infra_network::Symptom as NetworkSymptom;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Faults {
    pub(crate) requests: Vec<RequestFault>,
    /// Age of the state that control planes return, in milliseconds.
    pub(crate) lag_milliseconds: u64,
    pub(crate) network: Vec<NetworkFault>,
    /// Number of the last fault of requests or of the network.
    pub(crate) last_number: u64,
}

/// Faults of requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestFault {
    /// Identifies the fault until it ends; 0 for a fault of an earlier version, which ends with all others.
    #[serde(default)]
    pub(crate) number: u64,
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

/// A fault of the packets between two sides, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkFault {
    /// Identifies the fault until it ends; 0 for a fault of an earlier version, which ends with all others.
    #[serde(default)]
    pub(crate) number: u64,
    pub(crate) symptom: NetworkSymptom,
    pub(crate) between: [Side; 2],
}

/// One side of a network fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// Clients outside of the cloud, and AWS's endpoints.
    Internet,
    /// Everything in an availability zone, by the zone's full name.
    Zone(String),
    /// All interfaces of a resource.
    Resource {
        /// An id that no other resource ever has.
        id: String,
        /// The name that the user gave.
        name: String,
    },
}

impl Faults {
    /// Returns the number of a new fault. Numbers are not used again, also not after all faults were cleared.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Ends the fault with a number, and returns its description.
    pub(crate) fn end(&mut self, number: u64) -> Option<String> {
        if number == 0 {
            return None;
        }
        if let Some(position) = self.requests.iter().position(|fault| fault.number == number) {
            return Some(self.requests.remove(position).describe());
        }
        let position = self.network.iter().position(|fault| fault.number == number)?;
        Some(self.network.remove(position).describe())
    }

    /// Ends all faults.
    pub(crate) fn clear(&mut self) {
        *self = Faults { last_number: self.last_number, ..Faults::default() };
    }

    /// Adds a network fault. It replaces the one with a symptom of the same kind between the same sides, which is
    /// returned.
    pub(crate) fn add_to_network(&mut self, fault: NetworkFault) -> Option<NetworkFault> {
        let position = self.network.iter().position(|earlier| earlier.is_replaced_by(&fault));
        let replaced = position.map(|position| self.network.remove(position));
        self.network.push(fault);
        replaced
    }

    /// Counts down the faults that have struck, and forgets those that are used up.
    pub(crate) fn use_up(&mut self, struck: &[bool]) {
        for (fault, _) in self.requests.iter_mut().zip(struck).filter(|(_, struck)| **struck) {
            fault.remaining = fault.remaining.map(|remaining| remaining.saturating_sub(1));
        }
        self.requests.retain(|fault| fault.remaining != Some(0));
    }

    /// Returns the description of the age of answers, if they are delayed.
    pub(crate) fn describe_lag(&self) -> Option<String> {
        (self.lag_milliseconds > 0).then(|| format!("answers are {} ms old", self.lag_milliseconds))
    }
}

impl NetworkFault {
    fn is_replaced_by(&self, other: &NetworkFault) -> bool {
        let [one, two] = &self.between;
        let sides = |one: &Side, two: &Side| one.is(&other.between[0]) && two.is(&other.between[1]);
        let is_same_kind = std::mem::discriminant(&self.symptom) == std::mem::discriminant(&other.symptom);
        is_same_kind && (sides(one, two) || sides(two, one))
    }

    pub(crate) fn describe(&self) -> String {
        let [one, other] = self.between.each_ref().map(Side::name);
        match self.symptom {
            NetworkSymptom::Partition => format!("packets between {one} and {other} are dropped"),
            NetworkSymptom::PacketLoss(percent) => {
                format!("{percent}% of the packets between {one} and {other} are dropped")
            }
            NetworkSymptom::Latency(milliseconds) => {
                format!("packets between {one} and {other} are delayed by {milliseconds} ms")
            }
        }
    }
}

impl Side {
    /// Returns whether both are the same side, by whatever names.
    pub(crate) fn is(&self, other: &Side) -> bool {
        match (self, other) {
            (Side::Resource { id, .. }, Side::Resource { id: other, .. }) => id == other,
            _ => self == other,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Side::Internet => "internet",
            Side::Zone(name) | Side::Resource { name, .. } => name,
        }
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
            number: 1,
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
        let fault = |remaining| RequestFault {
            number: 1,
            symptom: Symptom::Error,
            operation: "*".to_owned(),
            percent: 100,
            remaining,
        };
        let mut faults = Faults { requests: vec![fault(Some(1)), fault(None), fault(Some(2))], ..Faults::default() };
        faults.use_up(&[true, true, true]);
        assert_eq!(faults.requests, [fault(None), fault(Some(1))]);
    }

    #[test]
    fn faults_end_by_their_numbers() {
        let mut faults = Faults::default();
        let request = |number| RequestFault {
            number,
            symptom: Symptom::Throttle,
            operation: "*".to_owned(),
            percent: 100,
            remaining: None,
        };
        let [one, two, three] = [(); 3].map(|()| faults.next_number());
        faults.requests = vec![request(0), request(one), request(two)];
        let between = [Side::Internet, Side::Zone("us-east-1a".to_owned())];
        faults.network.push(NetworkFault { number: three, symptom: NetworkSymptom::Partition, between });
        assert_eq!(faults.end(two).as_deref(), Some("requests are throttled"));
        assert_eq!(faults.requests, [request(0), request(one)]);
        assert_eq!(faults.end(two), None, "it has ended");
        assert_eq!(faults.end(0), None, "faults of earlier versions have no number");
        assert_eq!(faults.end(three).as_deref(), Some("packets between internet and us-east-1a are dropped"));
        faults.clear();
        assert_eq!((faults.requests.len(), faults.next_number()), (0, 4));
    }

    #[test]
    fn a_network_fault_replaces_one_of_its_kind_between_the_same_sides() {
        let resource = |name: &str| Side::Resource { id: "i-1".to_owned(), name: name.to_owned() };
        let zone = || Side::Zone("us-east-1a".to_owned());
        let fault = |symptom, between| NetworkFault { number: 0, symptom, between };
        let mut faults = Faults::default();
        let loss = fault(NetworkSymptom::PacketLoss(10), [resource("app"), zone()]);
        assert_eq!(faults.add_to_network(loss.clone()), None);
        assert_eq!(faults.add_to_network(fault(NetworkSymptom::Latency(200), [resource("app"), Side::Internet])), None);
        assert_eq!(faults.add_to_network(fault(NetworkSymptom::Partition, [resource("app"), zone()])), None);
        let replaced = faults.add_to_network(fault(NetworkSymptom::PacketLoss(20), [zone(), resource("i-1")]));
        assert_eq!(replaced, Some(loss));
        let described: Vec<String> = faults.network.iter().map(NetworkFault::describe).collect();
        insta::assert_snapshot!(described.join("\n"), @r"
        packets between app and internet are delayed by 200 ms
        packets between app and us-east-1a are dropped
        20% of the packets between us-east-1a and i-1 are dropped
        ");
    }
}
