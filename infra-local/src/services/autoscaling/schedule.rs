//! Scheduled actions.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{NAME, PAGES, named_mut, not_found, number, page, required, resource, validation};
use crate::model::Cloud;
use crate::model::autoscaling::cron::Cron;
use crate::model::autoscaling::{Group, Scheduled};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("PutScheduledUpdateGroupAction", put, &[NAME, &["Time"], ACTION]).on(&[resource::GROUP]),
    Operation::writes("BatchPutScheduledUpdateGroupAction", put_several, &[NAME, ACTIONS]).on(&[resource::GROUP]),
    Operation::writes("DeleteScheduledAction", delete, &[NAME, &["ScheduledActionName"]]).on(&[resource::GROUP]),
    Operation::writes("BatchDeleteScheduledAction", delete_several, &[NAME, &["ScheduledActionNames.N"]])
        .on(&[resource::GROUP]),
    Operation::reads(
        "DescribeScheduledActions",
        describe,
        &[NAME, &["ScheduledActionNames.N", "StartTime", "EndTime"], PAGES],
    )
    .on_any(),
];

const ACTION: &[&str] =
    &["ScheduledActionName", "StartTime", "EndTime", "Recurrence", "MinSize", "MaxSize", "DesiredCapacity", "TimeZone"];

const ACTIONS: &[&str] = &[
    "ScheduledUpdateGroupActions.N.ScheduledActionName",
    "ScheduledUpdateGroupActions.N.StartTime",
    "ScheduledUpdateGroupActions.N.EndTime",
    "ScheduledUpdateGroupActions.N.Recurrence",
    "ScheduledUpdateGroupActions.N.MinSize",
    "ScheduledUpdateGroupActions.N.MaxSize",
    "ScheduledUpdateGroupActions.N.DesiredCapacity",
    "ScheduledUpdateGroupActions.N.TimeZone",
];

/// AWS's limits of scheduled actions per group, and per request.
const LIMIT: usize = 125;
const BATCH: usize = 50;

/// Names of UTC. Other time zones need daylight saving rules, which the local cloud does not have.
const UTC_NAMES: &[&str] = &["UTC", "Etc/UTC", "Etc/GMT", "GMT", "Etc/UCT", "UCT", "Etc/Zulu", "Zulu", "Etc/Universal"];

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    put_one(group, &call.input, call)?;
    Ok(Node::new())
}

fn put_several(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let actions = call.input.structures("ScheduledUpdateGroupActions");
    if actions.is_empty() || actions.len() > BATCH {
        return Err(validation(format!("ScheduledUpdateGroupActions has 1 to {BATCH} members")));
    }
    let mut failed = Vec::new();
    for action in actions {
        let name = required(&action, "ScheduledActionName")?.to_owned();
        failed.extend(put_one(group, &action, call).err().map(|error| failure(&name, &error)));
    }
    Ok(Node::new().list("FailedScheduledUpdateGroupActions", failed))
}

fn put_one(group: &mut Group, params: &Params, call: &Call<'_, Params>) -> Outcome<()> {
    let name = required(params, "ScheduledActionName")?;
    if name.chars().count() > 255 {
        return Err(validation("ScheduledActionName must have 1 to 255 characters"));
    }
    let before = group.schedule.get(name).cloned();
    if before.is_none() && group.schedule.len() >= LIMIT {
        return Err(ApiError::new("LimitExceeded", format!("A group has at most {LIMIT} scheduled actions")));
    }
    // `Time` is the former name of `StartTime`.
    let start = time(params, "StartTime")?.or(time(params, "Time")?);
    let end = time(params, "EndTime")?;
    let text = |name| params.optional(name).filter(|text: &&str| !text.is_empty()).map(str::to_owned);
    let (recurrence, time_zone) = (text("Recurrence"), text("TimeZone"));
    if let Some(zone) = time_zone.as_deref().filter(|zone| !UTC_NAMES.contains(zone)) {
        return Err(validation(format!(
            "The local cloud keeps schedules in UTC alone: TimeZone '{zone}' is not honoured; write the Recurrence in UTC, or use AWS"
        )));
    }
    if let Some(past) = [start, end].into_iter().flatten().find(|time| *time <= call.now) {
        return Err(validation(format!("Given time {past} is in the past")));
    }
    // Parameters that an update omits keep their values.
    let kept = |value: fn(&Scheduled) -> Option<DateTime<Utc>>| before.as_ref().and_then(value);
    let start = start.or(kept(|action| action.start).filter(|start| *start > call.now));
    let end = end.or(kept(|action| action.end));
    let recurrence = recurrence.or_else(|| before.as_ref()?.recurrence.clone());
    let time_zone = time_zone.or_else(|| before.as_ref()?.time_zone.clone());
    let cron = recurrence.as_deref().map(Cron::parse).transpose();
    let cron = cron.map_err(|error| validation(format!("Recurrence: {error}")))?;
    if start.is_some() && end.is_some() && end <= start {
        return Err(validation("EndTime must be after StartTime"));
    }
    let from = start.unwrap_or(call.now);
    let next = match (&cron, start) {
        // The first occurrence may be the start time itself.
        (Some(cron), _) => {
            cron.next(from - chrono::TimeDelta::minutes(1)).filter(|next| *next >= from).or(cron.next(from))
        }
        (None, start) => start,
    };
    let next = next.ok_or_else(|| validation("A scheduled action needs a StartTime in the future or a Recurrence"))?;
    let size = |name| number(params, name, 0, 10_000);
    let (min, max, desired) = (size("MinSize")?, size("MaxSize")?, size("DesiredCapacity")?);
    let min = min.or_else(|| before.as_ref()?.min);
    let max = max.or_else(|| before.as_ref()?.max);
    let desired = desired.or_else(|| before.as_ref()?.desired);
    if min.is_none() && max.is_none() && desired.is_none() {
        return Err(validation("At least one of MinSize, MaxSize and DesiredCapacity must be specified"));
    }
    if min.zip(max).is_some_and(|(min, max)| min > max) {
        return Err(validation("MaxSize must be greater than or equal to MinSize"));
    }
    let arn = before.map_or_else(
        || {
            let (id, group) = (Uuid::new_v4(), &group.name);
            let own =
                format!("scheduledUpdateGroupAction:{id}:autoScalingGroupName/{group}:scheduledActionName/{name}");
            call.scope().arn("autoscaling", own)
        },
        |before| before.arn.clone(),
    );
    let action = Scheduled { name: name.to_owned(), arn, start, end, recurrence, time_zone, min, max, desired, next };
    group.schedule.insert(action.name.clone(), action);
    Ok(())
}

fn time(params: &Params, name: &str) -> Outcome<Option<DateTime<Utc>>> {
    let Some(text) = params.optional(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<DateTime<Utc>>() {
        Ok(time) => Ok(Some(time)),
        Err(_) => Err(validation(format!("{name} '{text}' must be a time such as 2026-12-31T08:00:00Z"))),
    }
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let name = required(&call.input, "ScheduledActionName")?;
    group.schedule.remove(name).map(|_| Node::new()).ok_or_else(|| unknown(name))
}

fn delete_several(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let names = call.input.texts("ScheduledActionNames");
    let absent = names.iter().filter(|name| group.schedule.remove(*name).is_none());
    let failed: Vec<Node> = absent.map(|name| failure(name, &unknown(name))).collect();
    Ok(Node::new().list("FailedScheduledActions", failed))
}

fn failure(name: &str, error: &ApiError) -> Node {
    Node::new()
        .with("ScheduledActionName", name)
        .with("ErrorCode", error.code.as_ref())
        .with("ErrorMessage", &error.message)
}

fn unknown(name: &str) -> ApiError {
    validation(format!("Scheduled action name not found - no scheduled action has the name {name}"))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let name = params.optional("AutoScalingGroupName");
    if let Some(name) = name.filter(|name| !region.autoscaling.groups.contains_key(*name)) {
        return Err(not_found(name));
    }
    let names = params.texts("ScheduledActionNames");
    let (from, to) = (time(params, "StartTime")?, time(params, "EndTime")?);
    let groups = region.autoscaling.groups.values().filter(|group| name.is_none_or(|name| group.name == name));
    let actions = groups.flat_map(|group| group.schedule.values().map(move |action| (group, action)));
    // AWS ignores the times when names are given.
    let wanted = actions.filter(|(_, action)| {
        let in_time = from.is_none_or(|from| action.next >= from) && to.is_none_or(|to| action.next <= to);
        if names.is_empty() { in_time } else { names.contains(&action.name) || names.contains(&action.arn) }
    });
    let page = page(wanted.collect(), params, |(_, action)| &action.arn)?;
    let shown = page.items.into_iter().map(|(group, action)| render(group, action));
    Ok(Node::new().list("ScheduledUpdateGroupActions", shown).maybe("NextToken", page.next))
}

fn render(group: &Group, action: &Scheduled) -> Node {
    let start = action.start.unwrap_or(action.next);
    Node::new()
        .with("AutoScalingGroupName", &group.name)
        .with("ScheduledActionName", &action.name)
        .with("ScheduledActionARN", &action.arn)
        .with("Time", start)
        .with("StartTime", start)
        .maybe("EndTime", action.end)
        .maybe("Recurrence", action.recurrence.as_ref())
        .maybe("MinSize", action.min)
        .maybe("MaxSize", action.max)
        .maybe("DesiredCapacity", action.desired)
        .maybe("TimeZone", action.time_zone.as_ref())
}
