//! Tests of the operations.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::runtime::logs;
use crate::testing::{ControlPlane, code};

struct World {
    plane: ControlPlane,
    now: DateTime<Utc>,
}

impl World {
    /// Creates a cloud with the stream `s` in the group `g`.
    fn new() -> Self {
        let plane = ControlPlane::new();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut world = Self { plane, now };
        world.call("CreateLogGroup", json!({"logGroupName": "g", "tags": {"team": "shop"}})).unwrap();
        world.call("CreateLogStream", json!({"logGroupName": "g", "logStreamName": "s"})).unwrap();
        world
    }

    fn call(&mut self, name: &str, input: Value) -> Result<Value, String> {
        self.plane.now = Some(self.now);
        self.plane.values(OPERATIONS, name, input)
    }

    /// Puts events with one second between them, beginning `seconds` before now.
    fn log(&mut self, seconds: i64, messages: &[&str]) -> Value {
        let from = self.now.timestamp_millis() - seconds * 1000;
        let events: Vec<Value> = (0..)
            .zip(messages)
            .map(|(second, message)| json!({"timestamp": from + second * 1000, "message": message}))
            .collect();
        self.call("PutLogEvents", json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events})).unwrap()
    }
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap()).collect()
}

#[test]
fn groups_and_streams_are_created_and_deleted() {
    let mut world = World::new();
    assert_eq!(code(world.call("CreateLogGroup", json!({"logGroupName": "g"}))), "ResourceAlreadyExistsException");
    assert_eq!(code(world.call("CreateLogGroup", json!({"logGroupName": "a b"}))), "InvalidParameterException");
    let stream = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(code(world.call("CreateLogStream", stream.clone())), "ResourceAlreadyExistsException");
    assert_eq!(
        code(world.call("CreateLogGroup", json!({"logGroupName": "k", "kmsKeyId": "k"}))),
        "UnsupportedParameter"
    );
    for days in [json!(2), json!(0)] {
        let policy = json!({"logGroupName": "g", "retentionInDays": days});
        assert_eq!(code(world.call("PutRetentionPolicy", policy)), "InvalidParameterException");
    }
    world.call("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 7})).unwrap();
    let shown = world.call("DescribeLogGroups", json!({"logGroupNamePrefix": "g"})).unwrap();
    assert_eq!(shown["logGroups"][0]["retentionInDays"], 7);
    assert_eq!(shown["logGroups"][0]["arn"], "arn:aws:logs:us-east-1:000000000000:log-group:g:*");
    world.log(10, &["hello"]);
    let files = |world: &World| std::fs::read_dir(world.plane.directory().join("logs")).unwrap().count();
    let sweep = |world: &World| {
        logs::remove_deleted_streams(world.plane.directory(), || logs::stream_files(&world.plane.cloud));
    };
    sweep(&world);
    assert_eq!(files(&world), 1);
    world.call("DeleteLogStream", stream.clone()).unwrap();
    assert_eq!(code(world.call("DeleteLogStream", stream)), "ResourceNotFoundException");
    sweep(&world);
    assert_eq!(files(&world), 0);
    world.call("DeleteLogGroup", json!({"logGroupName": "g"})).unwrap();
    assert_eq!(code(world.call("DescribeLogStreams", json!({"logGroupName": "g"}))), "ResourceNotFoundException");
}

#[test]
fn events_are_read_forwards_backwards_and_by_pattern() {
    let mut world = World::new();
    world.log(5, &["d", "e ERROR"]);
    world.log(60, &["a", "b ERROR", "c"]);
    let get = |more: Value| {
        let mut request = json!({"logGroupName": "g", "logStreamName": "s"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let first = world.call("GetLogEvents", get(json!({"startFromHead": true, "limit": 2}))).unwrap();
    assert_eq!(messages(&first), ["a", "b ERROR"]);
    let next = world.call("GetLogEvents", get(json!({"nextToken": first["nextForwardToken"]}))).unwrap();
    assert_eq!(messages(&next), ["c", "d", "e ERROR"]);
    let end = world.call("GetLogEvents", get(json!({"nextToken": next["nextForwardToken"]}))).unwrap();
    assert_eq!(end["nextForwardToken"], next["nextForwardToken"], "the end shows itself by the same token");
    let last = world.call("GetLogEvents", get(json!({"limit": 2}))).unwrap();
    assert_eq!(messages(&last), ["d", "e ERROR"]);
    let before = world.call("GetLogEvents", get(json!({"limit": 2, "nextToken": last["nextBackwardToken"]}))).unwrap();
    assert_eq!(messages(&before), ["b ERROR", "c"]);

    let found =
        world.call("FilterLogEvents", json!({"logGroupName": "g", "filterPattern": "ERROR", "limit": 1})).unwrap();
    assert_eq!(messages(&found), ["b ERROR"]);
    let more = json!({"logGroupName": "g", "filterPattern": "ERROR", "nextToken": found["nextToken"]});
    assert_eq!(messages(&world.call("FilterLogEvents", more).unwrap()), ["e ERROR"]);
    let streams = world.call("DescribeLogStreams", json!({"logGroupName": "g", "orderBy": "LastEventTime"})).unwrap();
    assert_eq!(streams["logStreams"][0]["lastEventTimestamp"], world.now.timestamp_millis() - 4000);
}

#[test]
fn old_events_are_reported_and_expired_ones_are_removed() {
    let mut world = World::new();
    let answer = world.log(15 * 24 * 3600, &["ancient"]);
    assert_eq!(answer["rejectedLogEventsInfo"], json!({"tooOldLogEventEndIndex": 1}));
    world.log(3600, &["kept"]);
    world.call("PutRetentionPolicy", json!({"logGroupName": "g", "retentionInDays": 1})).unwrap();
    let get = json!({"logGroupName": "g", "logStreamName": "s"});
    assert_eq!(messages(&world.call("GetLogEvents", get.clone()).unwrap()), ["kept"]);
    world.now += chrono::TimeDelta::days(2);
    assert!(messages(&world.call("GetLogEvents", get).unwrap()).is_empty());
    let put = |events: Value| json!({"logGroupName": "g", "logStreamName": "s", "logEvents": events});
    let now = world.now.timestamp_millis();
    let unordered = json!([{"timestamp": now, "message": "b"}, {"timestamp": now - 1, "message": "a"}]);
    assert_eq!(code(world.call("PutLogEvents", put(unordered))), "InvalidParameterException");
}

#[test]
fn the_size_of_a_streams_file_is_limited() {
    let mut world = World::new();
    let message = "x".repeat(100_000);
    for second in 0..60 {
        world.log(600 - second, &[message.as_str()]);
    }
    let group = &world.plane.cloud.regions["us-east-1"].logs.groups["g"];
    let size = store::bytes(world.plane.directory(), &group.streams["s"].file);
    assert!((1_000_000..=4_200_000).contains(&size), "{size}");
    let get = json!({"logGroupName": "g", "logStreamName": "s", "limit": 1});
    let last = world.call("GetLogEvents", get).unwrap();
    assert_eq!(last["events"][0]["timestamp"], world.now.timestamp_millis() - 541_000, "the newest are kept");
}

#[test]
fn tags_are_changed_by_arn_and_by_name() {
    let mut world = World::new();
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    world.call("TagResource", json!({"resourceArn": arn, "tags": {"stage": "beta"}})).unwrap();
    world.call("UntagLogGroup", json!({"logGroupName": "g", "tags": ["team"]})).unwrap();
    world.call("TagLogGroup", json!({"logGroupName": "g", "tags": {"owner": "ann"}})).unwrap();
    world.call("UntagResource", json!({"resourceArn": format!("{arn}:*"), "tagKeys": ["owner"]})).unwrap();
    for (name, request) in
        [("ListTagsForResource", json!({"resourceArn": arn})), ("ListTagsLogGroup", json!({"logGroupName": "g"}))]
    {
        assert_eq!(world.call(name, request).unwrap(), json!({"tags": {"stage": "beta"}}), "{name}");
    }
}

#[test]
fn metric_filters_publish_the_values_of_matching_events() {
    let mut world = World::new();
    let filter = |value: &str| {
        json!({"logGroupName": "g", "filterName": "errors", "filterPattern": "ERROR", "metricTransformations": [
            {"metricName": "Errors", "metricNamespace": "Shop", "metricValue": value, "defaultValue": 0.0}]})
    };
    assert_eq!(code(world.call("PutMetricFilter", filter("$.size"))), "InvalidParameterException");
    world.call("PutMetricFilter", filter("2")).unwrap();
    let groups = world.call("DescribeLogGroups", json!({})).unwrap();
    assert_eq!(groups["logGroups"][0]["metricFilterCount"], 1);
    world.log(600, &["ERROR one", "fine", "ERROR two"]);
    world.log(300, &["fine"]);
    let name = crate::model::cloudwatch::metrics::MetricName {
        region: "us-east-1".to_owned(),
        namespace: "Shop".to_owned(),
        name: "Errors".to_owned(),
        dimensions: std::collections::BTreeMap::new(),
    };
    let (from, to) = (world.now - chrono::TimeDelta::hours(1), world.now);
    let periods = world.plane.cloud.metrics.periods(&name, None, from, to, chrono::TimeDelta::minutes(1));
    let sum = crate::model::cloudwatch::metrics::Statistic::Sum;
    let sums: Vec<Option<f64>> = periods.iter().map(|period| period.statistic(sum)).collect();
    assert_eq!(sums, [Some(4.0), Some(0.0)], "a minute with matches, and one without");

    let test = json!({"filterPattern": "ERROR", "logEventMessages": ["fine", "an ERROR"]});
    let matches = world.call("TestMetricFilter", test).unwrap()["matches"].clone();
    assert_eq!(matches, json!([{"eventNumber": 2, "eventMessage": "an ERROR", "extractedValues": {}}]));
    let delete = json!({"logGroupName": "g", "filterName": "errors"});
    world.call("DeleteMetricFilter", delete.clone()).unwrap();
    assert_eq!(code(world.call("DeleteMetricFilter", delete)), "ResourceNotFoundException");
}

#[test]
fn a_group_has_two_subscription_filters() {
    let mut world = World::new();
    let put = |name: &str, destination: &str| json!({"logGroupName": "g", "filterName": name, "filterPattern": "", "destinationArn": destination});
    let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    for name in ["b", "a"] {
        world.call("PutSubscriptionFilter", put(name, stream)).unwrap();
    }
    assert_eq!(code(world.call("PutSubscriptionFilter", put("c", stream))), "LimitExceededException");
    assert_eq!(code(world.call("PutSubscriptionFilter", put("a", "arn:aws:s3:::b"))), "InvalidParameterException");
    let listed = world.call("DescribeSubscriptionFilters", json!({"logGroupName": "g", "limit": 1})).unwrap();
    assert_eq!(listed["subscriptionFilters"][0]["filterName"], "a");
    let next = json!({"logGroupName": "g", "nextToken": listed["nextToken"]});
    assert_eq!(world.call("DescribeSubscriptionFilters", next).unwrap()["subscriptionFilters"][0]["filterName"], "b");
    let delete = json!({"logGroupName": "g", "filterName": "b"});
    world.call("DeleteSubscriptionFilter", delete.clone()).unwrap();
    assert_eq!(code(world.call("DeleteSubscriptionFilter", delete)), "ResourceNotFoundException");
}

#[test]
fn queries_find_events_of_their_period() {
    let mut world = World::new();
    world.log(3600, &["too early"]);
    world.log(60, &[r#"{"level":"error","took":12}"#, r#"{"level":"info","took":3}"#]);
    let now = world.now.timestamp();
    let query = |text: &str| json!({"logGroupName": "g", "startTime": now - 120, "endTime": now, "queryString": text});
    let started = world.call("StartQuery", query("fields level, took | filter took > 5")).unwrap();
    let found = world.call("GetQueryResults", started.clone()).unwrap();
    assert_eq!(found["status"], "Complete");
    assert_eq!(found["results"][0][0], json!({"field": "level", "value": "error"}));
    assert_eq!(found["results"][0][1], json!({"field": "took", "value": "12"}));
    assert_eq!(found["results"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&found["statistics"]["recordsScanned"], &found["statistics"]["recordsMatched"]),
        (&json!(2.0), &json!(1.0))
    );
    let listed = world.call("DescribeQueries", json!({"logGroupName": "g"})).unwrap();
    assert_eq!(listed["queries"][0]["queryId"], started["queryId"]);
    assert_eq!(code(world.call("StopQuery", started)), "InvalidParameterException");
    assert_eq!(code(world.call("StartQuery", query("parse @message '*'"))), "MalformedQueryException");
    assert_eq!(code(world.call("GetQueryResults", json!({"queryId": "none"}))), "ResourceNotFoundException");
    let mut unknown = query("fields @message");
    unknown["logGroupName"] = json!("none");
    assert_eq!(code(world.call("StartQuery", unknown)), "ResourceNotFoundException");
}

#[test]
fn queries_are_saved() {
    let mut world = World::new();
    let query = json!({"name": "shop/slow", "queryString": "fields @message | limit 20", "logGroupNames": ["g"]});
    let id = world.call("PutQueryDefinition", query).unwrap()["queryDefinitionId"].clone();
    let change = json!({"queryDefinitionId": id, "name": "shop/fast", "queryString": "fields @timestamp"});
    assert_eq!(world.call("PutQueryDefinition", change).unwrap()["queryDefinitionId"], id);
    let shown = world.call("DescribeQueryDefinitions", json!({"queryDefinitionNamePrefix": "shop/"})).unwrap();
    assert_eq!(shown["queryDefinitions"][0]["name"], "shop/fast");
    assert_eq!(shown["queryDefinitions"][0]["queryLanguage"], "CWLI");
    let unknown = json!({"queryDefinitionId": "other", "name": "n", "queryString": "q"});
    assert_eq!(code(world.call("PutQueryDefinition", unknown)), "ResourceNotFoundException");
    assert_eq!(
        world.call("DeleteQueryDefinition", json!({"queryDefinitionId": id})).unwrap(),
        json!({"success": true})
    );
    assert_eq!(
        code(world.call("DeleteQueryDefinition", json!({"queryDefinitionId": id}))),
        "ResourceNotFoundException"
    );
}

#[test]
fn resource_policies_are_limited() {
    let mut world = World::new();
    let put = |number: usize| {
        let document = json!({"Version": "2012-10-17", "Statement": []}).to_string();
        json!({"policyName": format!("p{number}"), "policyDocument": document})
    };
    for number in 0..10 {
        world.call("PutResourcePolicy", put(number)).unwrap();
    }
    assert_eq!(code(world.call("PutResourcePolicy", put(10))), "LimitExceededException");
    let invalid = json!({"policyName": "p0", "policyDocument": "{"});
    assert_eq!(code(world.call("PutResourcePolicy", invalid)), "InvalidParameterException");
    world.call("DeleteResourcePolicy", json!({"policyName": "p0"})).unwrap();
    assert_eq!(code(world.call("DeleteResourcePolicy", json!({"policyName": "p0"}))), "ResourceNotFoundException");
    let shown = world.call("DescribeResourcePolicies", json!({})).unwrap();
    assert_eq!(shown["resourcePolicies"].as_array().unwrap().len(), 9);
}
