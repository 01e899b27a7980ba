//! Tests of the event history.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::OPERATIONS;
use crate::access::Context;
use crate::model::{Account, Cloud};
use crate::services::Call;
use crate::services::operation::{RecordedRequest, RequestLog, Run};
use crate::state::address::AddressBlock;

/// A recorded request: service, operation, parameters, answer.
struct Request(&'static str, &'static str, Value, &'static str);

/// Requests, the oldest first. The id of a request is its position.
struct Log(Vec<Request>);

const IDS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

impl RequestLog for Log {
    fn newest_first(&self, visit: &mut dyn FnMut(&RecordedRequest<'_>) -> bool) {
        for (index, Request(service, operation, parameters, answer)) in self.0.iter().enumerate().rev() {
            let request = RecordedRequest {
                id: IDS[index],
                at: begin() + TimeDelta::minutes(i64::try_from(index).unwrap()),
                service,
                operation,
                region: "us-east-1",
                caller: Some("arn:aws:iam::000000000000:user/ada"),
                access_key: "AKIA",
                user_agent: "aws-cli/2",
                parameters,
                answer,
                error: (*operation == "DeleteVpc").then_some(("DependencyViolation", "The vpc has dependencies")),
            };
            if !visit(&request) {
                return;
            }
        }
    }
}

fn history() -> Log {
    let vpc = json!({"VpcId": "vpc-00000000000000001"});
    Log(vec![
        Request("ec2", "CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}), "<vpcId>vpc-00000000000000001</vpcId>"),
        Request("ec2", "DescribeVpcs", json!({"VpcId": ["vpc-00000000000000001"]}), ""),
        Request("s3", "PutObject", json!({"bucket": "b", "key": "k"}), ""),
        Request("s3", "CreateBucket", json!({"bucket": "b"}), ""),
        Request("logs", "PutLogEvents", json!({"logGroupName": "g"}), ""),
        Request("ec2", "DeleteVpc", vpc, ""),
    ])
}

fn lookup(input: &Value) -> Result<Value, String> {
    let directory = tempfile::tempdir().unwrap();
    let (addresses, log) = (AddressBlock::claim(directory.path()).unwrap(), history());
    let call = Call {
        input: input.clone(),
        region: "us-east-1",
        account: Account::default(),
        access_key: "key",
        now: Utc::now(),
        addresses: &addresses,
        directory: Path::new("."),
        context: &Context::default(),
        requests: &log,
    };
    let Run::Reads(run) = OPERATIONS[0][0].run else { panic!("LookupEvents only reads") };
    run(&Cloud::default(), &call).map_err(|error| format!("{}: {}", error.code, error.message))
}

fn names(answer: &Value) -> Vec<&str> {
    answer["Events"].as_array().unwrap().iter().map(|event| event["EventName"].as_str().unwrap()).collect()
}

fn with(key: &str, value: &str) -> Value {
    json!({"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]})
}

#[test]
fn the_history_contains_management_events_with_the_newest_first() {
    let mut all = lookup(&json!({})).unwrap();
    assert_eq!(names(&all), ["DeleteVpc", "CreateBucket", "DescribeVpcs", "CreateVpc"]);
    let record: Value = serde_json::from_str(all["Events"][3]["CloudTrailEvent"].take().as_str().unwrap()).unwrap();
    insta::assert_snapshot!(all["Events"][3], @r#"{"CloudTrailEvent":null,"EventId":"0","EventName":"CreateVpc","EventSource":"ec2.amazonaws.com","EventTime":1700000000.0,"ReadOnly":"false","Resources":[{"ResourceName":"vpc-00000000000000001","ResourceType":"AWS::EC2::VPC"}],"Username":"ada"}"#);
    insta::assert_snapshot!(record, @r#"{"awsRegion":"us-east-1","eventCategory":"Management","eventID":"0","eventName":"CreateVpc","eventSource":"ec2.amazonaws.com","eventTime":"2023-11-14T22:13:20Z","eventType":"AwsApiCall","eventVersion":"1.11","managementEvent":true,"readOnly":false,"recipientAccountId":"000000000000","requestID":"0","requestParameters":{"CidrBlock":"10.0.0.0/16"},"responseElements":null,"sourceIPAddress":"127.0.0.1","userAgent":"aws-cli/2","userIdentity":{"accountId":"000000000000","arn":"arn:aws:iam::000000000000:user/ada","type":"IAMUser","userName":"ada"}}"#);
    let failed: Value = serde_json::from_str(all["Events"][0]["CloudTrailEvent"].as_str().unwrap()).unwrap();
    assert_eq!(failed["errorCode"], "DependencyViolation");
}

#[test]
fn events_are_found_by_their_attributes_and_time() {
    let found = |input: Value| names(&lookup(&input).unwrap()).join(" ");
    assert_eq!(found(with("ResourceName", "vpc-00000000000000001")), "DeleteVpc DescribeVpcs CreateVpc");
    assert_eq!(found(with("ResourceType", "AWS::EC2::VPC")), "DeleteVpc DescribeVpcs CreateVpc");
    assert_eq!(found(with("ReadOnly", "true")), "DescribeVpcs");
    assert_eq!(found(with("EventSource", "s3.amazonaws.com")), "CreateBucket");
    assert_eq!(found(with("Username", "ada")), "DeleteVpc CreateBucket DescribeVpcs CreateVpc");
    assert_eq!(found(with("Username", "bob")), "");
    let second = begin().timestamp() + 60;
    assert_eq!(found(json!({"EndTime": second})), "DescribeVpcs CreateVpc");
    assert_eq!(found(json!({"StartTime": second, "EndTime": second + 150})), "CreateBucket DescribeVpcs");
}

#[test]
fn pages_continue_after_the_last_event() {
    let first = lookup(&json!({"MaxResults": 3})).unwrap();
    assert_eq!(names(&first), ["DeleteVpc", "CreateBucket", "DescribeVpcs"]);
    let second = lookup(&json!({"MaxResults": 3, "NextToken": first["NextToken"]})).unwrap();
    assert_eq!(names(&second), ["CreateVpc"]);
    assert!(second.get("NextToken").is_none());
    assert!(lookup(&json!({"NextToken": "9"})).unwrap_err().starts_with("InvalidNextTokenException"));
}

#[test]
fn contradictory_requests_are_refused() {
    let two = json!({"LookupAttributes": [
        {"AttributeKey": "EventId", "AttributeValue": "1"}, {"AttributeKey": "Username", "AttributeValue": "ada"},
    ]});
    assert!(lookup(&two).unwrap_err().starts_with("InvalidLookupAttributesException"));
    let backwards = json!({"StartTime": 2, "EndTime": 1});
    assert!(lookup(&backwards).unwrap_err().starts_with("InvalidTimeRangeException"));
}
