//! The log groups of a stack on AWS, whose events CloudWatch Logs keeps.

use super::{
    filter::{Filter, longest_word},
    parse::parse,
    search::{Found, Search},
    sources::{Kind, LogSource},
};
use crate::views::{Context, Problem, parameters::Parameters};
use chrono::{DateTime, TimeDelta, Utc};
use infra_core::{
    diagnostic::Diagnostic,
    monitoring::{LogEvent, LogQuery},
    state::State,
};
use std::path::PathBuf;

/// Time range of a search without a start. Each request reads the events from the oldest one on.
const RANGE: TimeDelta = TimeDelta::hours(1);

/// Maximum number of groups that are searched for a page, because each one needs a request, which are limited per second.
const GROUPS: usize = 10;

/// Type of a log group.
const KIND: &str = "aws:logs:LogGroup";

/// Lists the log groups of the stack.
pub(super) async fn groups(context: &Context) -> Result<Vec<LogSource>, Problem> {
    let mut groups = context.source.state().await?.map(|state| recorded(&state)).unwrap_or_default();
    groups.iter_mut().enumerate().for_each(|(position, group)| group.position = position);
    if groups.is_empty() {
        let none = Diagnostic::error("the stack has no log group on AWS");
        let hint = format!(
            "declare one (`{KIND}`) and deploy it with `stack --target aws up`; `aws logs tail GROUP --follow` shows others"
        );
        return Err(Problem::not_found(none.hint(hint)));
    }
    Ok(groups)
}

/// Searches groups, and returns the last records that match. Adds the reasons why records may be missing.
pub(super) async fn search(
    context: &Context,
    groups: &[LogSource],
    (filter, limit): (&Filter, usize),
    parameters: &Parameters,
    notices: &mut Vec<String>,
) -> Result<Search, Problem> {
    let monitoring = context.monitoring()?;
    let to = filter.to.unwrap_or_else(Utc::now);
    let from = filter.from.unwrap_or(to - RANGE);
    let text = longest_word(parameters.text("q"));
    let mut search = Search::default();
    for (source, group) in groups.iter().enumerate().take(GROUPS) {
        let query = LogQuery {
            group: group.of.clone(),
            from: from.timestamp_millis(),
            to: to.timestamp_millis(),
            text: text.to_owned(),
            limit,
        };
        let region = group.region.as_deref().unwrap_or_default();
        let Some(found) = monitoring.log_events(region, &query).await? else {
            notices.push(format!("The log group {} does not exist any more.", group.of));
            continue;
        };
        if found.is_cut {
            let of = &group.of;
            notices
                .push(format!("Only the first events of {of} in the time range were searched: choose a shorter one."));
        }
        search.has_older |= found.has_older;
        let records = found.events.into_iter().filter_map(|event| record(source, event));
        search.records.extend(records.filter(|found| filter.matches(&found.parsed, &found.raw)));
    }
    if groups.len() > GROUPS {
        notices.push(format!("Only {GROUPS} of {} log groups were searched: choose one.", groups.len()));
    }
    if !text.is_empty() {
        notices.push("CloudWatch Logs distinguishes upper and lower case.".to_owned());
    }
    search.records.sort_by_key(|found| found.order);
    let surplus = search.records.len().saturating_sub(limit);
    search.has_older |= surplus > 0;
    search.records.drain(..surplus);
    Ok(search)
}

fn recorded(state: &State) -> Vec<LogSource> {
    let groups = state.resources.iter().filter(|(urn, _)| urn.kind() == KIND);
    let group = |id: &String, region: Option<String>| LogSource {
        id: id.clone(),
        of: id.clone(),
        name: None,
        service: "events".to_owned(),
        label: id.clone(),
        kind: Kind::Group,
        region,
        state: None,
        path: PathBuf::new(),
        position: 0,
    };
    let current = groups.filter_map(|(_, resource)| resource.current.as_ref());
    current.filter_map(|generation| Some(group(generation.id.as_ref()?, generation.region.clone()))).collect()
}

fn record(source: usize, event: LogEvent) -> Option<Found> {
    let time = DateTime::from_timestamp_millis(event.at)?;
    let mut parsed = parse(&event.message);
    parsed.add("stream", &event.stream);
    Some(Found { source, time: Some(time), order: time, parsed, raw: event.message })
}
