//! `AWS::Logs::LogGroup`.

use serde_json::{Value, json};

use super::{LOGS, generated_name, known, tag_changes, tag_list, tags, text};
use crate::model::Cloud;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::Outcome;

pub(super) const KIND: Kind = Kind {
    name: "AWS::Logs::LogGroup",
    identifier: "LogGroupName",
    properties: &["RetentionInDays", "Tags", "LogGroupClass"],
    create_only: &["LogGroupName"],
    read_only: &["Arn"],
    only_on_aws: &[
        "KmsKeyId",
        "DataProtectionPolicy",
        "DeletionProtectionEnabled",
        "FieldIndexPolicies",
        "ResourcePolicyDocument",
    ],
    required: &[],
    reading: &["logs:DescribeLogGroups", "logs:ListTagsForResource"],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let name = text(wanted, "LogGroupName")?.unwrap_or_else(|| generated_name("LogGroup"));
    let tags = tags(wanted)?;
    let tags = (!tags.is_empty()).then_some(tags);
    let group = json!({"logGroupName": name, "logGroupClass": wanted.get("LogGroupClass"), "tags": tags});
    caller.call_json(cloud, &LOGS, "CreateLogGroup", group)?;
    retain(cloud, caller, &name, wanted)?;
    Ok(name)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    if wanted.get("LogGroupClass").is_some_and(|class| *class != current["LogGroupClass"]) {
        return Err(super::invalid("The class of a log group cannot be changed."));
    }
    if current.get("RetentionInDays") != wanted.get("RetentionInDays") {
        retain(cloud, caller, name, wanted)?;
    }
    let (set, removed) = tag_changes(&tags(current)?, &tags(wanted)?);
    let arn = current["Arn"].clone();
    if !set.is_empty() {
        caller.call_json(cloud, &LOGS, "TagResource", json!({"resourceArn": arn, "tags": set}))?;
    }
    if !removed.is_empty() {
        caller.call_json(cloud, &LOGS, "UntagResource", json!({"resourceArn": arn, "tagKeys": removed}))?;
    }
    Ok(())
}

fn retain(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, wanted: &Value) -> Outcome<()> {
    let group = json!({"logGroupName": name, "retentionInDays": wanted.get("RetentionInDays")});
    let operation =
        if wanted.get("RetentionInDays").is_some() { "PutRetentionPolicy" } else { "DeleteRetentionPolicy" };
    caller.call_json(cloud, &LOGS, operation, group).map(drop)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, name: &str) -> Outcome<()> {
    caller.call_json(cloud, &LOGS, "DeleteLogGroup", json!({"logGroupName": name})).map(drop)
}

fn read(cloud: &Cloud, region: &str, name: &str) -> Outcome<Option<Value>> {
    let group = cloud.region(region)?.logs.groups.get(name);
    Ok(group.map(|group| {
        known(json!({
            "LogGroupName": group.name,
            "Arn": format!("{}:*", group.arn),
            "LogGroupClass": "STANDARD",
            "RetentionInDays": group.retention_days,
            "Tags": tag_list(&group.tags),
        }))
    }))
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    Ok(cloud.region(region)?.logs.groups.keys().cloned().collect())
}
