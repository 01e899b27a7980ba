//! Events of the past 14 days.
//!
//! Source: Amazon RDS API reference, `DescribeEvents`.

use chrono::{DateTime, Duration, Utc};

use super::{FILTERS, PAGES, arn, combination, entries, filtered, number, page};
use crate::model::rds::event::{Event, RETENTION};
use crate::model::{ArnScope, Cloud};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[Operation::reads(
    "DescribeEvents",
    describe,
    &[
        &["SourceIdentifier", "SourceType", "StartTime", "EndTime", "Duration"],
        &["EventCategories", "EventCategories.EventCategory.N"],
        FILTERS,
        PAGES,
    ],
)
.on_any()];

/// Minutes of the default period.
const MINUTES: u32 = 60;

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let events = &cloud.region(call.region)?.rds.events;
    let (source, source_type) = (params.optional("SourceIdentifier"), params.optional("SourceType"));
    if source.is_some() && source_type.is_none() {
        return Err(combination("SourceType must be specified when SourceIdentifier is specified."));
    }
    let (start, end) = period(params, call.now)?;
    let categories = params.texts("EventCategories.EventCategory");
    let wanted = |(_, event): &(&String, &Event)| {
        (start..=end).contains(&event.at)
            && source_type.is_none_or(|kind| kind == event.source_type.name())
            && source.is_none_or(|source| source.eq_ignore_ascii_case(&event.source))
            && (categories.is_empty() || categories.iter().any(|category| category == event.category.name()))
    };
    let wanted: Vec<(&String, &Event)> = events.iter().filter(wanted).collect();
    let page = page(filtered(wanted.iter(), params, &[])?, params, |(number, _)| number)?;
    let shown = page.items.into_iter().map(|(_, event)| render(event, call.scope()));
    Ok(Node::new().with("Events", entries("Event", shown)).maybe("Marker", page.next))
}

/// Returns the period of a request: by default the past hour.
fn period(params: &Params, now: DateTime<Utc>) -> Outcome<(DateTime<Utc>, DateTime<Utc>)> {
    let most = u32::try_from(RETENTION.num_minutes()).unwrap_or(u32::MAX);
    let duration = number(params, "Duration", 1, most)?.map(|minutes| Duration::minutes(minutes.into()));
    let (start, end) = (time(params, "StartTime")?, time(params, "EndTime")?);
    let (start, end) = match (start, end) {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, duration.map_or(now, |duration| start + duration)),
        (None, end) => {
            let end = end.unwrap_or(now);
            (end - duration.unwrap_or(Duration::minutes(MINUTES.into())), end)
        }
    };
    if start > end {
        return Err(combination("The start time must be before the end time."));
    }
    Ok((start.max(now - RETENTION), end))
}

fn time(params: &Params, name: &str) -> Outcome<Option<DateTime<Utc>>> {
    let Some(text) = params.optional(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    // AWS's example leaves the seconds out: 2009-07-08T18:00Z.
    let minutes = || text.strip_suffix('Z').and_then(|text| format!("{text}:00Z").parse::<DateTime<Utc>>().ok());
    text.parse::<DateTime<Utc>>()
        .ok()
        .or_else(minutes)
        .map(Some)
        .ok_or_else(|| ApiError::invalid(format!("The {name} '{text}' is not a time such as 2026-12-31T08:00:00Z.")))
}

fn render(event: &Event, scope: ArnScope<'_>) -> Node {
    Node::new()
        .with("SourceIdentifier", &event.source)
        .with("SourceType", event.source_type.name())
        .with("Message", &event.message)
        .with("EventCategories", entries("EventCategory", [event.category.name()]))
        .with("Date", event.at)
        .with("SourceArn", arn(scope, event.source_type.of_arn(), &event.source))
}
