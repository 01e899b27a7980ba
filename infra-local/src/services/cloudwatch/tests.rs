//! Tests of the operations in each protocol.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{ControlPlane, code};
use crate::wire::{JsonVersion, Protocol};

const QUERY: Protocol = Protocol::Query { namespace: "urn:n" };

struct World {
    plane: ControlPlane,
}

impl World {
    fn new() -> Self {
        let plane = ControlPlane::new();
        Self { plane }
    }

    /// Executes a request as the server does, and returns the response as a value.
    fn carry(&mut self, protocol: Protocol, name: &str, body: &[u8]) -> Result<Value, String> {
        let input = protocol.read(body).map_err(|error| error.to_string())?;
        self.plane.values(OPERATIONS, name, input)
    }

    fn call(&mut self, name: &str, input: Value) -> Result<Value, String> {
        self.carry(Protocol::Json(JsonVersion::V1_0), name, input.to_string().as_bytes())
    }
}

fn alarm(name: &str) -> Value {
    json!({
        "AlarmName": name, "Namespace": "Shop", "MetricName": "Orders", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
        "Dimensions": [{"Name": "Store", "Value": "1"}], "Tags": [{"Key": "team", "Value": "shop"}],
    })
}

fn with(mut base: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        base[name] = value.clone();
    }
    base
}

#[test]
fn an_alarm_is_described_in_all_three_protocols() {
    let mut world = World::new();
    let form =
        b"Action=PutMetricAlarm&Version=2010-08-01&AlarmName=query&Namespace=Shop&MetricName=Orders&Statistic=Sum\
        &Period=60&EvaluationPeriods=3&DatapointsToAlarm=2&Threshold=5.0&ComparisonOperator=GreaterThanThreshold\
        &TreatMissingData=notBreaching&Dimensions.member.1.Name=Store&Dimensions.member.1.Value=1&AlarmActions=\
        &Tags.member.1.Key=team&Tags.member.1.Value=shop";
    world.carry(QUERY, "PutMetricAlarm", form).unwrap();
    world.call("PutMetricAlarm", alarm("json")).unwrap();
    world.carry(Protocol::Cbor, "PutMetricAlarm", &Protocol::Cbor.write("", &alarm("cbor"), "")).unwrap();
    let shown = world.call("DescribeAlarms", json!({})).unwrap();
    let mut alarms = shown["MetricAlarms"].as_array().unwrap().clone();
    assert_eq!(alarms.len(), 3);
    for alarm in &mut alarms {
        for own in ["AlarmName", "AlarmArn"] {
            alarm[own] = Value::Null;
        }
        for time in ["AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp"] {
            assert!(alarm[time].take().is_f64(), "{time}");
        }
    }
    assert!(alarms.windows(2).all(|pair| pair[0] == pair[1]), "{alarms:#?}");
    let xml = String::from_utf8(QUERY.write("DescribeAlarms", &shown, "r")).unwrap();
    assert!(xml.contains("<Dimensions><member><Name>Store</Name><Value>1</Value></member></Dimensions>"), "{xml}");
}

#[test]
fn invalid_and_unsupported_parameters_are_refused_by_name() {
    let mut world = World::new();
    for (more, expected, words) in [
        (json!({"Statistic": "Median"}), "ValidationError", "Statistic"),
        (json!({"ExtendedStatistic": "p99"}), "InvalidParameterCombination", "Exactly one"),
        (json!({"Period": 61}), "ValidationError", "multiple of 60"),
        (json!({"DatapointsToAlarm": 4}), "ValidationError", "DatapointsToAlarm"),
        (json!({"Period": 3600, "EvaluationPeriods": 25}), "ValidationError", "day"),
        (json!({"ComparisonOperator": "LessThanLowerThreshold"}), "ValidationError", "LessThanLowerThreshold"),
        (json!({"Metrics": []}), "UnsupportedParameter", "Metrics"),
        (json!({"AlarmActions": ["arn:aws:sns:us-east-1:1:topic"]}), "ValidationError", "Simple Notification Service"),
        (
            json!({"AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:x:autoScalingGroupName/g:policyName/p"]}),
            "ValidationError",
            "no scaling policy",
        ),
    ] {
        let error = world.call("PutMetricAlarm", with(alarm("a"), more)).unwrap_err();
        assert!(error.starts_with(expected) && error.contains(words), "{error}");
    }
    assert_eq!(code(world.call("DeleteAlarms", json!({"AlarmNames": ["none"]}))), "ResourceNotFound");
    let state = json!({"AlarmName": "none", "StateValue": "OK", "StateReason": "r"});
    assert_eq!(code(world.call("SetAlarmState", state)), "ResourceNotFound");
}

#[test]
fn the_history_records_the_changes_of_an_alarm() {
    let mut world = World::new();
    world.call("PutMetricAlarm", alarm("a")).unwrap();
    let state = |state: &str| json!({"AlarmName": "a", "StateValue": state, "StateReason": "drill"});
    world.call("SetAlarmState", state("ALARM")).unwrap();
    world.call("PutMetricAlarm", with(alarm("a"), json!({"Threshold": 7.0}))).unwrap();
    let shown = world.call("DescribeAlarms", json!({"StateValue": "ALARM", "AlarmNamePrefix": "a"})).unwrap();
    assert_eq!(shown["MetricAlarms"][0]["Threshold"], 7.0, "an update keeps the state");
    world.call("DisableAlarmActions", json!({"AlarmNames": ["a"]})).unwrap();
    world.call("DeleteAlarms", json!({"AlarmNames": ["a"]})).unwrap();
    let history = world.call("DescribeAlarmHistory", json!({"AlarmName": "a"})).unwrap();
    let summaries: Vec<&str> = history["AlarmHistoryItems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["HistorySummary"].as_str().unwrap())
        .collect();
    assert_eq!(
        summaries,
        [
            "Alarm \"a\" deleted",
            "Alarm \"a\" updated",
            "Alarm \"a\" updated",
            "Alarm updated from INSUFFICIENT_DATA to ALARM",
            "Alarm \"a\" created",
        ]
    );
    let page = world.call("DescribeAlarmHistory", json!({"MaxRecords": 2, "ScanBy": "TimestampAscending"})).unwrap();
    assert_eq!(page["AlarmHistoryItems"][0]["HistorySummary"], "Alarm \"a\" created");
    let next = json!({"MaxRecords": 5, "ScanBy": "TimestampAscending", "NextToken": page["NextToken"]});
    assert_eq!(world.call("DescribeAlarmHistory", next).unwrap()["AlarmHistoryItems"].as_array().unwrap().len(), 3);
}

#[test]
fn alarms_are_tagged() {
    let mut world = World::new();
    world.call("PutMetricAlarm", alarm("a")).unwrap();
    let arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a";
    world.call("TagResource", json!({"ResourceARN": arn, "Tags": [{"Key": "stage", "Value": "beta"}]})).unwrap();
    world.call("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["team"]})).unwrap();
    let tags = world.call("ListTagsForResource", json!({"ResourceARN": arn})).unwrap();
    assert_eq!(tags["Tags"], json!([{"Key": "stage", "Value": "beta"}]));
    assert_eq!(
        code(world.call("ListTagsForResource", json!({"ResourceARN": "arn:none"}))),
        "ResourceNotFoundException"
    );
}

#[test]
fn published_metrics_are_listed() {
    let mut world = World::new();
    let minute = Utc::now().timestamp() / 60 * 60 - 120;
    let store = json!([{"Name": "Store", "Value": "1"}]);
    let datum = |second: i64, value: Value| {
        with(json!({"MetricName": "Orders", "Dimensions": store, "Timestamp": minute + second, "Unit": "Count"}), value)
    };
    let put = json!({"Namespace": "Shop", "MetricData": [
        datum(1, json!({"Value": 2})),
        datum(2, json!({"Values": [1, 4], "Counts": [3, 1]})),
        datum(61, json!({"StatisticValues": {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}})),
    ]});
    world.call("PutMetricData", put).unwrap();
    let listed = world.call("ListMetrics", json!({"Namespace": "Shop", "Dimensions": [{"Name": "Store"}]})).unwrap();
    assert_eq!(listed["Metrics"], json!([{"Namespace": "Shop", "MetricName": "Orders", "Dimensions": store}]));
    let call = json!({
        "Namespace": "Shop", "MetricName": "Orders", "Dimensions": store, "StartTime": minute, "EndTime": minute + 120,
        "Period": 60, "Statistics": ["Sum", "SampleCount", "Maximum"], "ExtendedStatistics": ["p50"],
    });
    let found = world.call("GetMetricStatistics", call.clone()).unwrap();
    let points = found["Datapoints"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!((&points[0]["Sum"], &points[0]["SampleCount"]), (&json!(9.0), &json!(5.0)));
    assert_eq!(points[0]["ExtendedStatistics"]["p50"], 1.0);
    assert_eq!(points[1]["Maximum"], 6.0);
    let query = json!({
        "StartTime": minute, "EndTime": minute + 120,
        "MetricDataQueries": [{"Id": "q", "MetricStat": {"Period": 60, "Stat": "Average",
            "Metric": {"Namespace": "Shop", "MetricName": "Orders", "Dimensions": store}}}],
    });
    let data = world.call("GetMetricData", query).unwrap();
    assert_eq!(data["MetricDataResults"][0]["Values"], json!([5.0, 1.8]));
    let expression = json!({"StartTime": 0, "EndTime": 1, "MetricDataQueries": [{"Id": "q", "Expression": "1"}]});
    assert_eq!(code(world.call("GetMetricData", expression)), "ValidationError");
    assert_eq!(code(world.call("GetMetricStatistics", with(call, json!({"Period": 7})))), "InvalidParameterValue");
    for bad in [
        json!({"Namespace": "AWS/EC2", "MetricData": [{"MetricName": "m", "Value": 1}]}),
        json!({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1, "Timestamp": 1}]}),
        json!({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1, "Unit": "Bushels"}]}),
    ] {
        assert_eq!(code(world.call("PutMetricData", bad)), "InvalidParameterValue");
    }
    let both = json!({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1, "Values": [1]}]});
    assert_eq!(code(world.call("PutMetricData", both)), "InvalidParameterCombination");
}
