//! Lifecycle hooks and their completion.

use super::{NAME, named, named_mut, number, required, resource, validation};
use crate::model::Cloud;
use crate::model::autoscaling::{Group, Hook, Wait, global_timeout};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("PutLifecycleHook", put, &[NAME, HOOK]).on(&[resource::GROUP]),
    Operation::reads("DescribeLifecycleHooks", describe, &[NAME, &["LifecycleHookNames.N"]]).on_any(),
    Operation::writes("DeleteLifecycleHook", delete, &[NAME, &["LifecycleHookName"]]).on(&[resource::GROUP]),
    Operation::writes("CompleteLifecycleAction", complete, &[NAME, ACTION, &["LifecycleActionResult"]])
        .on(&[resource::GROUP]),
    Operation::writes("RecordLifecycleActionHeartbeat", heartbeat, &[NAME, ACTION]).on(&[resource::GROUP]),
];

const HOOK: &[&str] = &[
    "LifecycleHookName",
    "LifecycleTransition",
    "NotificationTargetARN",
    "NotificationMetadata",
    "HeartbeatTimeout",
    "DefaultResult",
];

const ACTION: &[&str] = &["LifecycleHookName", "LifecycleActionToken", "InstanceId"];

const LAUNCHING: &str = "autoscaling:EC2_INSTANCE_LAUNCHING";
const TERMINATING: &str = "autoscaling:EC2_INSTANCE_TERMINATING";

/// AWS's quota of hooks per group.
const LIMIT: usize = 50;

/// AWS's default of `HeartbeatTimeout`.
const HEARTBEAT_SECONDS: u32 = 3600;

/// Parameters of the hooks of a new group.
pub(super) const AT_CREATION: &[&str] = &[
    "LifecycleHookSpecificationList.N.LifecycleHookName",
    "LifecycleHookSpecificationList.N.LifecycleTransition",
    "LifecycleHookSpecificationList.N.NotificationTargetARN",
    "LifecycleHookSpecificationList.N.NotificationMetadata",
    "LifecycleHookSpecificationList.N.HeartbeatTimeout",
    "LifecycleHookSpecificationList.N.DefaultResult",
];

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    add(group, &call.input)?;
    Ok(Node::new())
}

/// Adds a hook to a group, or changes one.
pub(super) fn add(group: &mut Group, params: &Params) -> Outcome<()> {
    let name = required(params, "LifecycleHookName")?;
    let valid = |character: char| character.is_ascii_alphanumeric() || "-_/".contains(character);
    if name.len() > 255 || !name.chars().all(valid) {
        return Err(validation(format!("LifecycleHookName '{name}' must be 1 to 255 letters, digits and - _ /")));
    }
    if let Some(target) = params.optional("NotificationTargetARN").filter(|target| !target.is_empty()) {
        return Err(validation(format!(
            "The local cloud has no queues and topics: NotificationTargetARN {target} is not honoured; leave it out and ask DescribeAutoScalingInstances, or use AWS"
        )));
    }
    let before = group.hooks.get(name);
    if before.is_none() && group.hooks.len() >= LIMIT {
        return Err(ApiError::new("LimitExceeded", format!("A group has at most {LIMIT} lifecycle hooks")));
    }
    let launching = match (params.optional("LifecycleTransition"), before) {
        (Some(LAUNCHING), _) => true,
        (Some(TERMINATING), _) => false,
        (None, Some(before)) => before.launching,
        (None, None) => return Err(validation("LifecycleTransition must be specified for a new lifecycle hook")),
        (Some(other), _) => {
            return Err(validation(format!("LifecycleTransition is {LAUNCHING} or {TERMINATING}, not '{other}'")));
        }
    };
    let heartbeat = number(params, "HeartbeatTimeout", 30, 7200)?;
    let metadata = params.optional("NotificationMetadata").map(str::to_owned);
    let hook = Hook {
        name: name.to_owned(),
        launching,
        heartbeat_seconds: heartbeat.or(before.map(|hook| hook.heartbeat_seconds)).unwrap_or(HEARTBEAT_SECONDS),
        continues: match params.optional("DefaultResult") {
            Some(word) => continues("DefaultResult", word)?,
            None => before.is_some_and(|hook| hook.continues),
        },
        metadata: metadata.or_else(|| before.and_then(|hook| hook.metadata.clone())),
    };
    group.hooks.insert(hook.name.clone(), hook);
    Ok(())
}

fn continues(name: &str, word: &str) -> Outcome<bool> {
    match word {
        "CONTINUE" => Ok(true),
        "ABANDON" => Ok(false),
        other => Err(validation(format!("{name} is CONTINUE or ABANDON, not '{other}'"))),
    }
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named(cloud.region(call.region)?, &call.input)?;
    let names = call.input.texts("LifecycleHookNames");
    if let Some(absent) = names.iter().find(|name| !group.hooks.contains_key(*name)) {
        return Err(unknown(absent));
    }
    let wanted = group.hooks.values().filter(|hook| names.is_empty() || names.contains(&hook.name));
    Ok(Node::new().list("LifecycleHooks", wanted.map(|hook| render(hook, group))))
}

fn render(hook: &Hook, group: &Group) -> Node {
    Node::new()
        .with("LifecycleHookName", &hook.name)
        .with("AutoScalingGroupName", &group.name)
        .with("LifecycleTransition", if hook.launching { LAUNCHING } else { TERMINATING })
        .maybe("NotificationMetadata", hook.metadata.as_ref())
        .with("HeartbeatTimeout", hook.heartbeat_seconds)
        .with("GlobalTimeout", global_timeout(hook.heartbeat_seconds))
        .with("DefaultResult", if hook.continues { "CONTINUE" } else { "ABANDON" })
}

/// Deletes a hook, after completing its waits: launches are abandoned, terminations continue.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let name = required(&call.input, "LifecycleHookName")?;
    let hook = group.hooks.remove(name).ok_or_else(|| unknown(name))?;
    for wait in group.members.iter_mut().flat_map(|member| &mut member.waits).filter(|wait| wait.hook == name) {
        wait.continues.get_or_insert(!hook.launching);
    }
    Ok(Node::new())
}

fn complete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let continues = continues("LifecycleActionResult", required(&call.input, "LifecycleActionResult")?)?;
    waiting(cloud, call)?.continues = Some(continues);
    Ok(Node::new())
}

fn heartbeat(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    waiting(cloud, call)?.heartbeat = call.now;
    Ok(Node::new())
}

/// Returns the wait that a request identifies by its token, or by hook and instance.
fn waiting<'a>(cloud: &'a mut Cloud, call: &Call<'_, Params>) -> Outcome<&'a mut Wait> {
    let params = &call.input;
    let name = required(params, "LifecycleHookName")?;
    let (token, instance) = (params.optional("LifecycleActionToken"), params.optional("InstanceId"));
    if token.is_none() && instance.is_none() {
        return Err(validation("LifecycleActionToken or InstanceId must be specified"));
    }
    let group = named_mut(cloud.region_mut(call.region)?, params)?;
    if !group.hooks.contains_key(name) {
        return Err(unknown(name));
    }
    let members = group.members.iter_mut().filter(|member| instance.is_none_or(|id| id == member.instance));
    let mut waits = members.flat_map(|member| &mut member.waits);
    let meant = |wait: &&mut Wait| {
        wait.hook == name && wait.continues.is_none() && token.is_none_or(|token| token == wait.token)
    };
    waits.find(meant).ok_or_else(|| {
        let what = token.map(|token| format!("token {token}"));
        let what = what.unwrap_or_else(|| format!("instance ID {}", instance.unwrap_or_default()));
        validation(format!("No active Lifecycle Action found with {what}"))
    })
}

fn unknown(name: &str) -> ApiError {
    validation(format!("Lifecycle hook not found - no lifecycle hook has the name {name}"))
}
