//! Operations as tables: a name, the parameters that are honoured, those that are knowingly ignored, and the code.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::model::Cloud;
use crate::state::address::AddressBlock;
use crate::wire::error::{ApiError, Outcome};
use crate::wire::query::{Params, pattern_of};

/// One request on its way to the code that answers it.
pub(crate) struct Call<'a, I> {
    pub(crate) input: I,
    pub(crate) region: &'a str,
    pub(crate) access_key: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The addresses this cloud may hand out.
    pub(crate) addresses: &'a AddressBlock,
    /// The cloud's directory.
    pub(crate) directory: &'a std::path::Path,
}

/// The code behind an operation. Writers run on a draft of the state, which replaces it only when they succeed:
/// a failed operation changes nothing, and `DryRun` is a success that is thrown away.
pub(crate) enum Run<I, O> {
    Reads(fn(&Cloud, &Call<'_, I>) -> Outcome<O>),
    Writes(fn(&mut Cloud, &Call<'_, I>) -> Outcome<O>),
}

impl<I, O> Clone for Run<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Run<I, O> {}

/// An entry of a service's table.
pub(crate) struct Operation<I, O> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<I, O>,
    /// Parameter names with `N` for numbers and without `member`: `Filter.N.Value.N`.
    honoured: &'static [&'static [&'static str]],
    /// Accepted without effect; named in the log when they are sent.
    ignored: &'static [&'static str],
}

impl<I, O> Operation<I, O> {
    /// An operation that only looks.
    pub(crate) const fn reads(
        name: &'static str,
        run: fn(&Cloud, &Call<'_, I>) -> Outcome<O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Self {
        Operation { name, run: Run::Reads(run), honoured, ignored: &[] }
    }

    /// An operation that may change the state.
    pub(crate) const fn writes(
        name: &'static str,
        run: fn(&mut Cloud, &Call<'_, I>) -> Outcome<O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Self {
        Operation { name, run: Run::Writes(run), honoured, ignored: &[] }
    }

    /// Parameters that are accepted and have no effect here.
    pub(crate) const fn ignoring(mut self, ignored: &'static [&'static str]) -> Self {
        self.ignored = ignored;
        self
    }

    /// The parameters it honours.
    #[cfg(test)]
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> + use<I, O> {
        self.honoured.iter().flat_map(|group| group.iter().copied())
    }

    fn honours(&self, pattern: &str) -> bool {
        self.honoured.iter().any(|group| group.contains(&pattern))
    }
}

impl<O> Operation<Params, O> {
    /// Refuses parameters that are in neither list, and logs the ignored ones by name.
    pub(crate) fn check(&self, params: &Params, always: &[&str]) -> Outcome<()> {
        let mut ignored = BTreeSet::new();
        for name in params.names() {
            let pattern = pattern_of(name);
            if always.contains(&name) || self.honours(&pattern) {
                continue;
            }
            if self.ignored.contains(&pattern.as_str()) {
                ignored.insert(pattern);
                continue;
            }
            // Query clients send an empty list as its bare name.
            let empty_list = params.optional(name) == Some("") && self.honours(&format!("{pattern}.N"));
            if !empty_list {
                return Err(unsupported(self.name, name));
            }
        }
        log_ignored(self.name, &ignored);
        Ok(())
    }
}

impl<O> Operation<Value, O> {
    /// The same for the top level of a JSON request; below it, the typed requests refuse unknown fields themselves.
    pub(crate) fn check(&self, input: &mut Value) -> Outcome<()> {
        let Value::Object(fields) = input else {
            return Err(ApiError::new("SerializationException", "the request is not a JSON object"));
        };
        let mut ignored = BTreeSet::new();
        for name in fields.keys() {
            if self.honours(name) {
                continue;
            }
            if !self.ignored.contains(&name.as_str()) {
                return Err(unsupported(self.name, name));
            }
            ignored.insert(name.clone());
        }
        fields.retain(|name, _| !ignored.contains(name));
        log_ignored(self.name, &ignored);
        Ok(())
    }
}

fn unsupported(operation: &str, parameter: &str) -> ApiError {
    ApiError::new(
        "UnsupportedParameter",
        format!("The local cloud does not honour the parameter {parameter} of {operation}; leave it out, or use AWS"),
    )
}

fn log_ignored(operation: &str, ignored: &BTreeSet<String>) {
    if !ignored.is_empty() {
        tracing::info!(operation, parameters = ?ignored, "accepted parameters without effect");
    }
}
