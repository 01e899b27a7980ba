//! `AWS::Logs::LogGroup`.

use serde_json::{Value, json};

use super::{LOGS, known, made_up, tag_changes, tag_list, tags, text};
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
    let name = text(wanted, "LogGroupName")?.unwrap_or_else(|| made_up("LogGroup"));
    let tags = tags(wanted)?;
    let tags = (!tags.is_empty()).then_some(tags);
    let group = json!({"logGroupName": name, "logGroupClass": wanted.get("LogGroupClass"), "tags": tags});
    caller.ask(cloud, &LOGS, "CreateLogGroup", group)?;
    retain(cloud, caller, &name, wanted)?;
    Ok(name)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, living: &Value, wanted: &Value) -> Outcome<()> {
    if wanted.get("LogGroupClass").is_some_and(|class| *class != living["LogGroupClass"]) {
        return Err(super::invalid("The class of a log group cannot be changed."));
    }
    if living.get("RetentionInDays") != wanted.get("RetentionInDays") {
        retain(cloud, caller, name, wanted)?;
    }
    let (set, gone) = tag_changes(&tags(living)?, &tags(wanted)?);
    let arn = living["Arn"].clone();
    if !set.is_empty() {
        caller.ask(cloud, &LOGS, "TagResource", json!({"resourceArn": arn, "tags": set}))?;
    }
    if !gone.is_empty() {
        caller.ask(cloud, &LOGS, "UntagResource", json!({"resourceArn": arn, "tagKeys": gone}))?;
    }
    Ok(())
}

fn retain(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, wanted: &Value) -> Outcome<()> {
    let group = json!({"logGroupName": name, "retentionInDays": wanted.get("RetentionInDays")});
    let operation =
        if wanted.get("RetentionInDays").is_some() { "PutRetentionPolicy" } else { "DeleteRetentionPolicy" };
    caller.ask(cloud, &LOGS, operation, group).map(drop)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, name: &str) -> Outcome<()> {
    caller.ask(cloud, &LOGS, "DeleteLogGroup", json!({"logGroupName": name})).map(drop)
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
