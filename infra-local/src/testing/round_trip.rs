//! Round trips: each honoured parameter of an operation that changes something is set and found in a description.
//!
//! A service has a table of [`Trip`]s, which are executed in order on one cloud, and a list of [`WriteOnly`] parameters
//! with their reasons. The check fails for a parameter that neither mentions, so a new parameter cannot be accepted and
//! lost.
//!
//! The cloud is another account than the default one, which no response may contain.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{ControlPlane, Tables};
use crate::model::Account;
use crate::services::Operation;
use crate::services::operation::Run;
use crate::wire::query::pattern_of;
use crate::wire::{Node, Params};

/// A request, and the requests whose responses contain its values. `{name}` stands for a variable.
#[derive(Clone, Copy)]
pub(crate) struct Trip {
    pub(crate) operation: &'static str,
    /// A form, or JSON.
    pub(crate) request: &'static str,
    /// Variables, and the members of the response that they get.
    pub(crate) keep: &'static [(&'static str, &'static str)],
    /// Operations and requests that read the values back.
    pub(crate) reads: &'static [(&'static str, &'static str)],
    /// Parameters that responses return under another name.
    pub(crate) renamed: &'static [(&'static str, &'static str)],
    /// Changes the state before the request, as the runtime does after a while.
    pub(crate) prepare: Option<fn(&mut ControlPlane)>,
}

impl Trip {
    pub(crate) const EMPTY: Trip =
        Trip { operation: "", request: "", keep: &[], reads: &[], renamed: &[], prepare: None };
}

/// Parameters of an operation that no response contains, or `*` for all of them, and the reason.
pub(crate) struct WriteOnly(pub(crate) &'static str, pub(crate) &'static [&'static str], pub(crate) &'static str);

/// Returns a cloud of an unusual account.
pub(crate) fn plane() -> ControlPlane {
    ControlPlane::of_account(ACCOUNT.parse().unwrap())
}

/// The account of [`plane`].
pub(crate) const ACCOUNT: &str = "112233445566";

/// Fails for a response that contains the default account.
#[track_caller]
fn check_account(operation: &str, answer: &str) {
    assert!(!answer.contains(Account::default().as_str()), "{operation} returns the default account: {answer}");
}

/// The variables of a table.
pub(crate) type Variables = BTreeMap<&'static str, String>;

/// Parameters that have been sent and found, by operation.
struct Coverage<'a> {
    write_only: &'a [WriteOnly],
    found: BTreeSet<(&'static str, String)>,
    problems: Vec<String>,
}

/// Executes the table of a Query service.
#[track_caller]
pub(crate) fn check_query(
    plane: &mut ControlPlane,
    tables: Tables<Params, Node>,
    trips: &[Trip],
    write_only: &[WriteOnly],
    mut variables: Variables,
) {
    let mut coverage = Coverage { write_only, found: BTreeSet::new(), problems: Vec::new() };
    for trip in trips {
        if let Some(prepare) = trip.prepare {
            prepare(plane);
        }
        let form = filled(trip.request, &variables);
        let answer = plane.query(tables, trip.operation, &form);
        let answer = answer.unwrap_or_else(|error| panic!("{} {form}: {error}", trip.operation));
        check_account(trip.operation, &answer);
        for (variable, name) in trip.keep {
            variables.insert(variable, super::element(&answer, name).to_owned());
        }
        let mut seen = String::new();
        for (operation, form) in trip.reads {
            let form = filled(form, &variables);
            let answer = plane.query(tables, operation, &form);
            let answer = answer.unwrap_or_else(|error| panic!("{operation} {form}: {error}"));
            check_account(operation, &answer);
            seen += &answer;
        }
        for (name, value) in form_urlencoded::parse(form.as_bytes()) {
            let pattern = pattern_of(&name);
            let expected = quick_xml::escape::escape(value.as_ref()).into_owned();
            let element = trip.element(&pattern);
            let is_found = seen.contains(&format!("<{element}>{expected}</{element}>"))
                || (is_distinctive(&value) && seen.contains(&format!(">{expected}<")));
            coverage.add(trip, pattern, &value, is_found, &seen);
        }
    }
    coverage.finish(tables);
}

/// Executes the table of a service that uses JSON values.
#[track_caller]
pub(crate) fn check_values(
    plane: &mut ControlPlane,
    tables: Tables<Value, Value>,
    trips: &[Trip],
    write_only: &[WriteOnly],
    mut variables: Variables,
) {
    let mut coverage = Coverage { write_only, found: BTreeSet::new(), problems: Vec::new() };
    for trip in trips {
        if let Some(prepare) = trip.prepare {
            prepare(plane);
        }
        let json = |text: &str, variables: &Variables| -> Value {
            let text = filled(text, variables);
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        let request = json(trip.request, &variables);
        let answer = plane.values(tables, trip.operation, request.clone());
        let answer = answer.unwrap_or_else(|error| panic!("{} {request}: {error}", trip.operation));
        check_account(trip.operation, &answer.to_string());
        for (variable, name) in trip.keep {
            let kept = leaves(&answer).into_iter().find(|(path, _)| path.rsplit('.').next() == Some(*name));
            let (_, kept) = kept.unwrap_or_else(|| panic!("no {name} in {answer}"));
            variables.insert(variable, kept.as_str().map_or_else(|| kept.to_string(), str::to_owned));
        }
        let mut seen = Vec::new();
        for (operation, request) in trip.reads {
            let request = json(request, &variables);
            let answer = plane.values(tables, operation, request.clone());
            let answer = answer.unwrap_or_else(|error| panic!("{operation} {request}: {error}"));
            check_account(operation, &answer.to_string());
            seen.extend(leaves(&answer));
        }
        for (path, value) in leaves(&request) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let element = trip.element(&path);
            let is_found = seen.iter().any(|(found, other)| {
                let named = found.rsplit('.').next() == Some(element);
                is_equal(&value, other) && (named || is_distinctive(&text))
            });
            coverage.add(trip, path, &text, is_found, &format!("{seen:?}"));
        }
    }
    coverage.finish(tables);
}

impl Trip {
    /// Returns the name under which responses return a parameter: `member` for a list of texts.
    fn element<'a>(&self, pattern: &'a str) -> &'a str {
        if let Some((_, to)) = self.renamed.iter().find(|(from, _)| *from == pattern) {
            return to;
        }
        match pattern.rsplit('.').next() {
            Some("N") | None => "member",
            Some(last) => last,
        }
    }
}

impl Coverage<'_> {
    fn is_write_only(&self, operation: &str, pattern: &str) -> bool {
        let listed = |WriteOnly(name, parameters, _): &WriteOnly| {
            (*name == operation || *name == "*") && (parameters.contains(&"*") || parameters.contains(&pattern))
        };
        self.write_only.iter().any(listed)
    }

    fn add(&mut self, trip: &Trip, pattern: String, value: &str, is_found: bool, seen: &str) {
        if self.is_write_only(trip.operation, &pattern) {
            return;
        }
        if !is_found {
            self.problems.push(format!("{} lost {pattern} = {value}: {seen}", trip.operation));
        }
        self.found.insert((trip.operation, pattern));
    }

    /// Reports the parameters of all operations with changes that were neither sent nor listed.
    #[track_caller]
    fn finish<I, O>(mut self, tables: Tables<I, O>) {
        let writes = tables
            .iter()
            .flat_map(|table| table.iter())
            .filter(|operation: &&Operation<I, O>| matches!(operation.run, Run::Writes(_) | Run::Performs(_)));
        let mut known = BTreeSet::new();
        for operation in writes {
            let parameters = operation.all_parameters();
            for pattern in &parameters {
                known.insert((operation.name, pattern.clone()));
                let is_structure = parameters.iter().any(|other| other.starts_with(&format!("{pattern}.")));
                // The values of a map have its name and their keys.
                let sent = self.found.iter().any(|(name, found)| {
                    *name == operation.name && (found == pattern || found.starts_with(&format!("{pattern}.")))
                });
                if !sent && !is_structure && !self.is_write_only(operation.name, pattern) {
                    self.problems.push(format!("{} {pattern}: neither read back nor listed", operation.name));
                }
            }
            known.insert((operation.name, "*".to_owned()));
        }
        for WriteOnly(name, parameters, reason) in self.write_only {
            assert!(!reason.is_empty(), "{name}: write the reason");
            for parameter in *parameters {
                let exists = known
                    .iter()
                    .any(|(operation, pattern)| (*name == "*" || name == operation) && pattern == parameter);
                if !exists {
                    self.problems.push(format!("{name} {parameter} is listed, but no such parameter is honoured"));
                }
            }
        }
        assert!(self.problems.is_empty(), "{} problems:\n{}", self.problems.len(), self.problems.join("\n"));
    }
}

fn filled(text: &str, variables: &Variables) -> String {
    variables.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Returns whether a value proves by itself that it was read back: unlike a boolean or a small number.
fn is_distinctive(value: &str) -> bool {
    value.len() > 2 && !["true", "false", "TRUE", "FALSE"].contains(&value)
}

fn is_equal(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
        _ => one == other,
    }
}

/// Returns the values of a tree that have no members, with the names on their path.
fn leaves(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => {
            let inner = fields.iter().flat_map(|(name, field)| {
                leaves(field).into_iter().map(move |(path, leaf)| {
                    (if path.is_empty() { name.clone() } else { format!("{name}.{path}") }, leaf)
                })
            });
            inner.collect()
        }
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        leaf => vec![(String::new(), leaf.clone())],
    }
}
