//! API calls to the local cloud, with the decisions of its access policies.
//!
//! The local cloud records a bounded number of calls. A page reads them from the newest on, in parts, until it has enough
//! that match.

mod filter;
mod footprint;
mod record;
mod statistics;

pub(crate) use record::{Call, Decision, Relation};
pub(crate) use statistics::{Slowest, Statistics};

use super::{
    Context, Problem, Query,
    history::Past,
    parameters::{Parameters, flag},
    system::System,
};
use crate::source::CloudAccess;
use filter::Filter;
use footprint::Footprint;
use infra_core::{diagnostic::Diagnostic, urn::Urn};
use record::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The parameters of the page.
pub(crate) const PARAMETERS: &[&str] =
    &["service", "operation", "caller", "errors", "denied", "q", "resource", "before", "limit", "follow"];

/// Number of calls, unless another one is requested, and the largest number.
const LIMIT: u64 = 100;
const MOST: u64 = 1000;

/// Number of calls per request to the local cloud, and maximum number of requests.
const PART: u64 = 500;
const PARTS: usize = 40;

/// Number of calls and of requests to the local cloud for the page of a resource.
const OF_RESOURCE: usize = 20;
const PARTS_OF_RESOURCE: usize = 6;

/// API calls with the choices for a filter.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CallList {
    /// The newest first.
    pub(crate) calls: Vec<Call>,
    /// Value of `before` with which the page shows older calls, if there may be any.
    pub(crate) older: Option<u64>,
    /// Number of calls that were read to find the matching ones.
    pub(crate) examined: usize,
    pub(crate) statistics: Statistics,
    /// The services, operations and callers of the calls that were read.
    pub(crate) services: BTreeSet<String>,
    pub(crate) operations: BTreeSet<String>,
    pub(crate) callers: BTreeSet<String>,
}

/// Parameters of the list for programs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CallsQuery {
    /// Service, such as `ec2`.
    service: Option<String>,
    /// Operation, such as `RunInstances`.
    operation: Option<String>,
    /// A part of the caller's ARN.
    caller: Option<String>,
    /// Only calls whose response is an error.
    #[serde(deserialize_with = "flag")]
    #[schemars(with = "bool")]
    errors: bool,
    /// Only calls with an action that a policy denied.
    #[serde(deserialize_with = "flag")]
    #[schemars(with = "bool")]
    denied: bool,
    /// URN of a resource: only calls that were made during its steps and name it, or that name it otherwise.
    resource: Option<String>,
    /// A text in the parameters, the answer, the error or the decisions.
    q: Option<String>,
    /// Only calls with a smaller number, from `older` of another answer.
    before: Option<u64>,
    /// Maximum number of calls, from 1 to 1000. 100 if omitted.
    limit: Option<u64>,
}

impl Query for CallsQuery {
    type View = CallList;

    async fn load(self, context: &Context) -> Result<CallList, Problem> {
        let on = |flag: bool| flag.then(|| "on".to_owned());
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let parameters = Parameters::of([
            ("service", self.service),
            ("operation", self.operation),
            ("caller", self.caller),
            ("errors", on(self.errors)),
            ("denied", on(self.denied)),
            ("q", self.q),
            ("resource", self.resource),
            ("before", number(self.before)),
            ("limit", number(self.limit)),
        ])?;
        CallList::load(context, &parameters).await
    }
}

/// Parameters of one call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallQuery {
    /// Number of the call, as the list shows it.
    number: u64,
}

impl Query for CallQuery {
    type View = Call;

    async fn load(self, context: &Context) -> Result<Call, Problem> {
        Call::load(context, &self.number.to_string()).await
    }
}

impl CallList {
    /// Reads calls. Parameters have the names [`PARAMETERS`].
    pub(crate) async fn load(context: &Context, parameters: &Parameters) -> Result<Self, Problem> {
        let filter = match (Filter::parse(parameters)?, parameters.text("resource")) {
            (filter, "") => filter,
            (filter, urn) => filter.of(Footprint::load(context, urn).await?),
        };
        let limit = parameters.number("limit", 1..=MOST)?.unwrap_or(LIMIT);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let before = parameters.number("before", 1..=u64::MAX)?;
        Self::read(&cloud(context)?, &filter, limit, PARTS, before).await
    }

    /// Reads the newest calls of a resource.
    pub(crate) async fn of_resource(
        context: &Context,
        system: &System,
        urn: &Urn,
        past: &[Past],
    ) -> Result<Self, Problem> {
        let filter = Filter::default().of(Footprint::of(system, urn, past));
        Self::read(&cloud(context)?, &filter, OF_RESOURCE, PARTS_OF_RESOURCE, None).await
    }

    async fn read(
        cloud: &CloudAccess,
        filter: &Filter,
        limit: usize,
        parts: usize,
        mut before: Option<u64>,
    ) -> Result<Self, Problem> {
        let mut calls = Self::none();
        for _ in 0..parts {
            let part = part(cloud, before).await?;
            let first = part.first().map(|call| call.number);
            calls.add(part, filter, limit);
            before = first.filter(|first| *first > 1);
            if before.is_none() || calls.calls.len() >= limit {
                break;
            }
        }
        // The last shown call is newer than the last one read if the limit is reached within a part.
        let last = calls.calls.last().filter(|_| calls.calls.len() >= limit).map(|call| call.number);
        calls.older = last.filter(|last| *last > 1).or(before);
        calls.statistics = Statistics::of(&calls.calls);
        Ok(calls)
    }

    fn none() -> Self {
        let names = BTreeSet::new;
        Self {
            calls: Vec::new(),
            older: None,
            examined: 0,
            statistics: Statistics::default(),
            services: names(),
            operations: names(),
            callers: names(),
        }
    }

    /// Adds the newest calls of a part that match.
    fn add(&mut self, part: Vec<Call>, filter: &Filter, limit: usize) {
        for call in part.into_iter().rev() {
            if self.calls.len() == limit {
                return;
            }
            self.examined += 1;
            self.services.insert(call.service.clone());
            self.operations.insert(call.operation.clone());
            self.callers.extend(call.caller.clone());
            let relation = filter.footprint().map(|footprint| footprint.relation(&call));
            if relation != Some(None) && filter.matches(&call) {
                self.calls.push(Call { relation: relation.flatten(), ..call });
            }
        }
    }
}

impl Call {
    /// Reads the call with a number.
    pub(crate) async fn load(context: &Context, number: &str) -> Result<Self, Problem> {
        let missing = || {
            let shown: String = number.chars().take(30).collect();
            let missing = Diagnostic::error(format!("the local cloud has no record of a call `{shown}`"));
            Problem::not_found(missing.hint("it keeps the last calls since its start; the page `API calls` lists them"))
        };
        let number = number.parse::<u64>().map_err(|_| missing())?;
        let cloud = cloud(context)?;
        let path = format!("calls?after={}&limit=1", number.saturating_sub(1));
        let found = read(&cloud, &path).await?.into_iter().find(|call| call.number == number);
        found.ok_or_else(missing)
    }
}

/// Returns the local cloud; on AWS, other tools show the calls.
fn cloud(context: &Context) -> Result<CloudAccess, Problem> {
    if context.source.target() != "local" {
        let remote = Diagnostic::error("the console shows calls to the local cloud only, and the target is AWS");
        return Err(remote.hint("`aws cloudtrail lookup-events` lists the calls on AWS").into());
    }
    Ok(context.cloud()?)
}

/// Returns the last calls before a number, or the last of all; the oldest first.
async fn part(cloud: &CloudAccess, before: Option<u64>) -> Result<Vec<Call>, Problem> {
    let Some(before) = before else {
        return read(cloud, &format!("calls?limit={PART}")).await;
    };
    let last = before - 1;
    let after = last.saturating_sub(PART);
    if last == after {
        return Ok(Vec::new());
    }
    let mut calls = read(cloud, &format!("calls?after={after}&limit={}", last - after)).await?;
    // If the cloud has dropped calls of the part, the response continues with newer ones.
    calls.retain(|call| call.number < before);
    Ok(calls)
}

async fn read(cloud: &CloudAccess, path: &str) -> Result<Vec<Call>, Problem> {
    let document = cloud.get(path).await?;
    let part: Result<Part, _> = serde_json::from_value(document);
    let part = part.map_err(|error| {
        let unknown =
            Diagnostic::error("the local cloud's list of calls has an unknown form").because(error.to_string());
        unknown.hint("restart the local cloud and the console with the same version of the program")
    })?;
    Ok(part.calls)
}
