//! A recorded request as a management event.
//!
//! Source: [record contents](https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html).

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::model::{Account, ids};
use crate::services::operation::RecordedRequest;

/// Beginnings of the names of operations that change nothing.
const READS: &[&str] = &["Describe", "Get", "List", "Head", "Lookup", "Search", "Select", "Filter", "Simulate"];

/// Operations on data, which the event history does not contain, by the scope of their service.
const DATA_EVENTS: &[(&str, &[&str])] = &[
    ("monitoring", &["GetMetricData", "GetMetricStatistics", "GetMetricWidgetImage", "PutMetricData"]),
    ("logs", &["FilterLogEvents", "GetLogEvents", "PutLogEvents"]),
];

/// Endings of the parameters that contain the name or the id of a resource.
const NAMING: &[&str] = &["Id", "Ids", "Name", "Names", "Arn", "Arns", "ARN", "Identifier", "bucket"];

/// Maximum number of resources of an event.
const RESOURCES_LIMIT: usize = 20;

/// Types of resources, by the prefix of their ids.
const TYPES: &[(&str, &str)] = &[
    ("acl", "AWS::EC2::NetworkAcl"),
    ("ami", "AWS::EC2::Ami"),
    ("eipalloc", "AWS::EC2::EIP"),
    ("eni", "AWS::EC2::NetworkInterface"),
    ("i", "AWS::EC2::Instance"),
    ("igw", "AWS::EC2::InternetGateway"),
    ("lt", "AWS::EC2::LaunchTemplate"),
    ("nat", "AWS::EC2::NatGateway"),
    ("pcx", "AWS::EC2::VPCPeeringConnection"),
    ("rtb", "AWS::EC2::RouteTable"),
    ("sg", "AWS::EC2::SecurityGroup"),
    ("snap", "AWS::EC2::Snapshot"),
    ("subnet", "AWS::EC2::Subnet"),
    ("vol", "AWS::EC2::Volume"),
    ("vpc", "AWS::EC2::VPC"),
];

/// Returns whether the event history contains a request: it is a management event with a known caller.
pub(super) fn is_management(request: &RecordedRequest<'_>) -> bool {
    let is_data = DATA_EVENTS
        .iter()
        .any(|(service, operations)| *service == request.service && operations.contains(&request.operation));
    let is_object = request.service == "s3" && request.parameters.get("key").is_some();
    !is_data && !is_object && request.caller.is_some()
}

/// Returns whether an operation changes nothing.
pub(super) fn is_read(operation: &str) -> bool {
    READS.iter().any(|verb| operation.starts_with(verb))
}

/// Returns the name of the caller: a user's name, the name of a role's session, or `root`.
pub(super) fn user_name<'a>(request: &RecordedRequest<'a>) -> &'a str {
    let arn = request.caller.unwrap_or_default();
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

/// Returns the names and ids of the resources of a request, in the parameters and in the response.
pub(super) fn resources(request: &RecordedRequest<'_>) -> Vec<String> {
    let mut names = Vec::new();
    collect("", request.parameters, &mut names);
    let words = request.answer.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    for id in words.filter(|word| ids::is_id(word)).filter(|_| !is_read(request.operation)) {
        push(id, &mut names);
    }
    names
}

fn collect(name: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) if NAMING.iter().any(|ending| name.ends_with(ending)) => push(text, names),
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, names)),
        Value::Object(members) => members.iter().for_each(|(name, member)| collect(name, member, names)),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn push(name: &str, names: &mut Vec<String>) {
    if names.len() < RESOURCES_LIMIT && !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// Returns the type of a resource with this id, if the id has a known prefix.
pub(super) fn resource_type(name: &str) -> Option<&'static str> {
    let prefix = name.rsplit_once('-')?.0;
    TYPES.iter().find(|(known, _)| *known == prefix).map(|(_, kind)| *kind)
}

/// Returns the description of an event in `LookupEvents`.
pub(super) fn render(request: &RecordedRequest<'_>, account: Account) -> Value {
    let resources: Vec<Value> = resources(request)
        .into_iter()
        .map(|name| match resource_type(&name) {
            Some(kind) => json!({"ResourceType": kind, "ResourceName": name}),
            None => json!({"ResourceName": name}),
        })
        .collect();
    json!({
        "EventId": request.id,
        "EventName": request.operation,
        "ReadOnly": is_read(request.operation).to_string(),
        "EventTime": request.at.timestamp_millis() as f64 / 1000.0,
        "EventSource": source(request),
        "Username": user_name(request),
        "Resources": resources,
        "CloudTrailEvent": record(request, account).to_string(),
    })
}

/// Returns the host name of the service.
pub(super) fn source(request: &RecordedRequest<'_>) -> String {
    format!("{}.amazonaws.com", request.service)
}

/// Returns the record of a request, whose text is part of the event.
fn record(request: &RecordedRequest<'_>, account: Account) -> Value {
    let arn = request.caller.unwrap_or_default();
    let kind = match arn {
        arn if arn.contains(":assumed-role/") => "AssumedRole",
        arn if arn.ends_with(":root") => "Root",
        _ => "IAMUser",
    };
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": kind, "arn": arn, "accountId": account, "userName": user_name(request)},
        "eventTime": request.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "eventSource": source(request),
        "eventName": request.operation,
        "awsRegion": request.region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": request.user_agent,
        "requestParameters": request.parameters,
        "responseElements": null,
        "requestID": request.id,
        "eventID": request.id,
        "readOnly": is_read(request.operation),
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
    });
    if let Some((code, message)) = request.error {
        record["errorCode"] = json!(code);
        record["errorMessage"] = json!(message);
    }
    record
}
