//! Tables of operations: a name, the function, the honoured and the ignored parameters, and the resources for
//! authorisation.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::permission;
use crate::access::{Context, Dependent, Needs, Resource};
use crate::model::{Account, ArnScope, Cloud};
use crate::state::Shared;
use crate::state::address::AddressBlock;
use crate::state::objects::Objects;
use crate::wire::error::{ApiError, Outcome};
use crate::wire::members::{all_members, members};
use crate::wire::query::{Params, pattern_of};

/// A request with its parsed input, its region and its caller.
pub(crate) struct Call<'a, I> {
    pub(crate) input: I,
    pub(crate) region: &'a str,
    pub(crate) account: Account,
    pub(crate) access_key: &'a str,
    pub(crate) now: DateTime<Utc>,
    /// The addresses that this cloud can assign.
    pub(crate) addresses: &'a AddressBlock,
    /// The cloud's directory.
    pub(crate) directory: &'a std::path::Path,
    /// Condition keys of the request, such as `aws:UserAgent`.
    pub(crate) context: &'a Context,
    /// Recorded requests.
    pub(crate) requests: &'a dyn RequestLog,
}

impl<'a, I> Call<'a, I> {
    /// Returns the scope of the region's ARNs.
    pub(crate) fn scope(&self) -> ArnScope<'a> {
        ArnScope { region: self.region, account: self.account }
    }
}

/// The requests that the endpoint has recorded.
pub(crate) trait RequestLog {
    /// Calls `visit` with each request, the newest first, until it returns false.
    fn newest_first(&self, visit: &mut dyn FnMut(&RecordedRequest<'_>) -> bool);
}

/// A recorded request.
pub(crate) struct RecordedRequest<'a> {
    /// Request id.
    pub(crate) id: &'a str,
    pub(crate) at: DateTime<Utc>,
    /// The credential scope's service.
    pub(crate) service: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) region: &'a str,
    /// ARN of the caller, if it is known.
    pub(crate) caller: Option<&'a str>,
    pub(crate) access_key: &'a str,
    pub(crate) user_agent: &'a str,
    /// Parameters without secrets.
    pub(crate) parameters: &'a Value,
    /// Beginning of the response's text without secrets.
    pub(crate) answer: &'a str,
    /// Code and message of the error.
    pub(crate) error: Option<(&'a str, &'a str)>,
}

/// A log without requests.
pub(crate) struct NoRequests;

impl RequestLog for NoRequests {
    fn newest_first(&self, _: &mut dyn FnMut(&RecordedRequest<'_>) -> bool) {}
}

/// Function of an operation. Functions of the first two kinds run while the state is locked, and perform no I/O.
/// `Writes` runs on a draft, which replaces the state only on success: a failed operation changes nothing, and `DryRun`
/// discards the draft of a successful one.
pub(crate) enum Run<I, O> {
    Reads(fn(&Cloud, &Call<'_, I>) -> Outcome<O>),
    Writes(fn(&mut Cloud, &Call<'_, I>) -> Outcome<O>),
    /// An operation with I/O. It locks the state only while it reads or changes it, and performs the I/O in between.
    Performs(fn(&State<'_>, &Call<'_, I>) -> Outcome<O>),
}

/// The state of an operation that performs I/O.
pub(crate) enum State<'a> {
    Shared(&'a Shared),
    /// The state of a test without a runtime.
    #[cfg(test)]
    Draft(std::cell::RefCell<&'a mut Cloud>),
}

impl State<'_> {
    /// Reads the state as control planes return it.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Cloud) -> T) -> T {
        match self {
            State::Shared(shared) => shared.read_delayed(look),
            #[cfg(test)]
            State::Draft(draft) => look(&draft.borrow()),
        }
    }

    /// Returns the buckets; `None` in a test without a runtime.
    pub(crate) fn objects(&self) -> Option<&Objects> {
        match self {
            State::Shared(shared) => Some(shared.objects()),
            #[cfg(test)]
            State::Draft(_) => None,
        }
    }

    /// Executes a change on a copy of the current state, which is discarded.
    pub(crate) fn dry_run<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        match self {
            State::Shared(shared) => shared.dry_run(change),
            #[cfg(test)]
            State::Draft(draft) => {
                let mut copy = Cloud::clone(&draft.borrow());
                change(&mut copy)
            }
        }
    }

    /// Changes the state completely or, when `change` fails, not at all.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Cloud) -> Outcome<T>) -> Outcome<T> {
        match self {
            State::Shared(shared) => shared.write(change),
            #[cfg(test)]
            State::Draft(draft) => {
                let mut copy = Cloud::clone(&draft.borrow());
                let value = change(&mut copy)?;
                copy.record_events(&draft.borrow(), Utc::now());
                **draft.borrow_mut() = copy;
                Ok(value)
            }
        }
    }
}

impl<I, O> Clone for Run<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Run<I, O> {}

/// Parameters that an operation honours.
enum Honoured {
    /// Parameter names with `N` for numbers and without `member`: `Filter.N.Value.N`.
    Listed(&'static [&'static [&'static str]]),
    /// The members of the request's type.
    Typed(RequestType),
}

/// Type of an operation's requests, described by its members.
pub(crate) struct RequestType {
    members: fn() -> &'static [&'static str],
    all_members: fn() -> BTreeSet<String>,
}

impl RequestType {
    /// Returns the type of the requests of an operation's code.
    pub(crate) const fn of<S, R: DeserializeOwned>(_: fn(S, &Call<'_, Value>, R) -> Outcome<Value>) -> RequestType {
        RequestType { members: members::<R>, all_members: all_members::<R> }
    }
}

/// A row of a table whose code receives the request as a type, which defines the honoured parameters:
/// `typed!(Reads, "ListCertificates", list)`. `input` of the service reads the request.
macro_rules! typed {
    ($kind:ident, $name:literal, $run:path) => {
        $crate::services::Operation::typed(
            $name,
            $crate::services::operation::Run::$kind(|state, call| $run(state, call, input(call)?)),
            $crate::services::operation::RequestType::of($run),
        )
    };
}

pub(crate) use typed;

/// An entry of a service's table.
pub(crate) struct Operation<I, O> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<I, O>,
    honoured: Honoured,
    /// Parameters that are accepted without effect; the log names them when they are sent.
    ignored: &'static [&'static [&'static str]],
    /// Resources for which the caller needs permission; without any, policies must allow the operation on `*`.
    pub(crate) resources: &'static [Resource],
    /// Other actions that the caller needs permission for.
    pub(crate) dependents: &'static [Dependent],
    /// False if every caller may execute the operation, even if a policy denies it.
    pub(crate) needs_permission: bool,
}

/// An operation whose resources are not declared yet. The type ensures that each row of a table declares them.
pub(crate) struct Undeclared<I, O>(Operation<I, O>);

impl<I, O> Undeclared<I, O> {
    /// Declares the resources that the caller needs permission for.
    pub(crate) const fn on(self, resources: &'static [Resource]) -> Operation<I, O> {
        let Undeclared(mut operation) = self;
        operation.resources = resources;
        operation
    }

    /// Declares that policies allow or deny the operation as a whole, not for single resources.
    pub(crate) const fn on_any(self) -> Operation<I, O> {
        self.on(&[])
    }
}

impl<I, O> Operation<I, O> {
    /// Declares an operation that only reads the state.
    pub(crate) const fn reads(
        name: &'static str,
        run: fn(&Cloud, &Call<'_, I>) -> Outcome<O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Undeclared<I, O> {
        Operation::undeclared(name, Run::Reads(run), honoured)
    }

    /// Declares an operation that may change the state.
    pub(crate) const fn writes(
        name: &'static str,
        run: fn(&mut Cloud, &Call<'_, I>) -> Outcome<O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Undeclared<I, O> {
        Operation::undeclared(name, Run::Writes(run), honoured)
    }

    /// Declares an operation that performs I/O.
    pub(crate) const fn performs(
        name: &'static str,
        run: fn(&State<'_>, &Call<'_, I>) -> Outcome<O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Undeclared<I, O> {
        Operation::undeclared(name, Run::Performs(run), honoured)
    }

    const fn undeclared(
        name: &'static str,
        run: Run<I, O>,
        honoured: &'static [&'static [&'static str]],
    ) -> Undeclared<I, O> {
        Undeclared(Operation {
            name,
            run,
            honoured: Honoured::Listed(honoured),
            ignored: &[],
            resources: &[],
            dependents: &[],
            needs_permission: true,
        })
    }

    /// Declares other actions that the caller needs permission for.
    pub(crate) const fn needing(mut self, dependents: &'static [Dependent]) -> Self {
        self.dependents = dependents;
        self
    }

    /// Declares that every caller may execute the operation.
    pub(crate) const fn without_permission(mut self) -> Self {
        self.needs_permission = false;
        self
    }

    /// Declares parameters that are accepted and have no effect.
    pub(crate) const fn ignoring(mut self, ignored: &'static [&'static [&'static str]]) -> Self {
        self.ignored = ignored;
        self
    }

    /// Returns the permissions that the operation of a service needs.
    pub(crate) fn needs(&self, service: &str) -> Needs {
        let (keys, tagging) = (permission::condition_keys(service), permission::tagging(service));
        Needs { resources: self.resources, dependents: self.dependents, keys, tagging }
    }

    /// Returns the honoured parameters. In JSON, these are the members of the request itself.
    #[cfg(test)]
    pub(crate) fn parameters(&self) -> Vec<&'static str> {
        match &self.honoured {
            Honoured::Listed(groups) => groups.concat(),
            Honoured::Typed(request) => (request.members)().to_vec(),
        }
    }

    /// Returns the honoured parameters, with the members of structures in JSON: `Tags.Key`.
    pub(crate) fn all_parameters(&self) -> BTreeSet<String> {
        match &self.honoured {
            Honoured::Listed(groups) => groups.concat().into_iter().map(str::to_owned).collect(),
            Honoured::Typed(request) => (request.all_members)(),
        }
    }

    /// Returns the parameters that are accepted without effect.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &'static str> + use<I, O> {
        self.ignored.iter().flat_map(|group| group.iter().copied())
    }

    fn ignores(&self, pattern: &str) -> bool {
        self.ignored.iter().any(|group| group.contains(&pattern))
    }

    fn honours(&self, pattern: &str) -> bool {
        match &self.honoured {
            Honoured::Listed(groups) => groups.iter().any(|group| group.contains(&pattern)),
            Honoured::Typed(request) => (request.members)().contains(&pattern),
        }
    }
}

impl<O> Operation<Params, O> {
    /// Refuses parameters that are in neither list, and logs the names of the ignored ones.
    pub(crate) fn check(&self, params: &Params, always: &[&str]) -> Outcome<()> {
        let mut ignored = BTreeSet::new();
        for name in params.names() {
            let pattern = pattern_of(name);
            if always.contains(&name) || self.honours(&pattern) {
                continue;
            }
            if self.ignores(&pattern) {
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

impl Operation<Value, Value> {
    /// Declares an operation with a type of requests; see [`typed!`].
    pub(crate) const fn typed(
        name: &'static str,
        run: Run<Value, Value>,
        request: RequestType,
    ) -> Undeclared<Value, Value> {
        Undeclared(Operation {
            name,
            run,
            honoured: Honoured::Typed(request),
            ignored: &[],
            resources: &[],
            dependents: &[],
            needs_permission: true,
        })
    }

    /// Refuses unknown parameters at the top level of a JSON request; below it, the typed requests refuse unknown
    /// fields themselves.
    pub(crate) fn check(&self, input: &mut Value) -> Outcome<()> {
        let Value::Object(fields) = input else {
            return Err(ApiError::new("SerializationException", "the request is not a JSON object"));
        };
        let mut ignored = BTreeSet::new();
        for name in fields.keys() {
            if self.honours(name) {
                continue;
            }
            if !self.ignores(name) {
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
