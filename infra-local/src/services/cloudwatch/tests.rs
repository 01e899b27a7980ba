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
        (json!({"AlarmActions": ["arn:aws:lambda:us-east-1:1:function:f"]}), "ValidationError", "Lambda functions"),
        (json!({"AlarmActions": ["arn:aws:sns:topic"]}), "ValidationError", "Invalid arn syntax"),
        (json!({"EvaluateLowSampleCountPercentile": "ignore"}), "ValidationError", "percentiles of few values"),
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
    let absent = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:none";
    assert_eq!(code(world.call("ListTagsForResource", json!({"ResourceARN": absent}))), "ResourceNotFoundException");
    assert_eq!(code(world.call("ListTagsForResource", json!({"ResourceARN": "arn:none"}))), "InvalidParameterValue");
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
    assert_eq!(code(world.call("GetMetricStatistics", with(call, json!({"Period": 7})))), "InvalidParameterValue");
    for bad in [
        json!({"Namespace": "AWS/EC2", "MetricData": [{"MetricName": "m", "Value": 1}]}),
        json!({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1, "Timestamp": 1}]}),
        json!({"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1, "Unit": "Bushels"}]}),
    ] {
        assert_eq!(code(world.call("PutMetricData", bad)), "InvalidParameterValue");
    }
    for (datum, expected) in [
        (
            json!({"MetricName": "m", "Value": 1, "Values": [1]}),
            "InvalidParameterCombination: The parameters MetricData.member.1.Value and MetricData.member.1.Values are \
             mutually exclusive and you have specified both.",
        ),
        (
            json!({"MetricName": "m", "Values": [1, 2], "Counts": [1]}),
            "InvalidParameterValue: The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the \
             same size.",
        ),
        (
            json!({"MetricName": "", "Value": 1}),
            "MissingParameter: The parameter MetricData.member.1.MetricName is required.",
        ),
    ] {
        let put = json!({"Namespace": "n", "MetricData": [datum]});
        assert_eq!(world.call("PutMetricData", put).unwrap_err(), expected);
    }
}

/// Puts a value per minute of a metric, and returns the first minute.
fn orders(world: &mut World, name: &str, values: &[f64]) -> i64 {
    let minute = Utc::now().timestamp() / 60 * 60 - 600;
    for (index, value) in (0_i64..).zip(values) {
        let datum = json!({"MetricName": name, "Value": value, "Timestamp": minute + 60 * index});
        world.call("PutMetricData", json!({"Namespace": "Shop", "MetricData": [datum]})).unwrap();
    }
    minute
}

#[test]
fn expressions_use_the_series_of_other_queries() {
    let mut world = World::new();
    let start = orders(&mut world, "Failed", &[1.0, 2.0, 3.0]);
    orders(&mut world, "All", &[4.0, 4.0, 12.0]);
    let metric = |id: &str, name: &str| {
        json!({"Id": id, "ReturnData": false, "MetricStat": {"Period": 60, "Stat": "Sum",
               "Metric": {"Namespace": "Shop", "MetricName": name}}})
    };
    let mut call = |queries: Value, more: Value| {
        let request = json!({"StartTime": start, "EndTime": start + 600, "ScanBy": "TimestampAscending",
                             "MetricDataQueries": queries});
        world.call("GetMetricData", with(request, more))
    };
    let rate = json!({"Id": "rate", "Expression": "percent / 100", "Label": "Failures"});
    let percent = json!({"Id": "percent", "Expression": "100 * failed / all", "ReturnData": false});
    let queries = json!([rate, metric("failed", "Failed"), metric("all", "All"), percent]);
    let found = call(queries.clone(), json!({})).unwrap();
    let results = found["MetricDataResults"].as_array().unwrap();
    assert_eq!(
        (results.len(), &results[0]["Label"], &results[0]["StatusCode"]),
        (1, &json!("Failures"), &json!("Complete"))
    );
    assert_eq!(results[0]["Values"], json!([0.25, 0.5, 0.25]));

    let page = call(queries.clone(), json!({"MaxDatapoints": 2})).unwrap();
    assert_eq!(page["MetricDataResults"][0]["Values"], json!([0.25, 0.5]));
    assert_eq!(page["MetricDataResults"][0]["StatusCode"], "PartialData");
    let rest = call(queries, json!({"MaxDatapoints": 2, "NextToken": page["NextToken"]})).unwrap();
    assert_eq!((&rest["MetricDataResults"][0]["Values"], &rest["NextToken"]), (&json!([0.25]), &Value::Null));

    for (queries, problem) in [
        (json!([{"Id": "e", "Expression": "e + 1"}]), "an id that no other query has, or itself"),
        (json!([{"Id": "e", "Expression": "SEARCH(x)"}, {"Id": "x", "Expression": "1"}]), "the function SEARCH"),
        (json!([{"Id": "e"}]), "Exactly one of MetricStat and Expression"),
        (json!([{"Id": "E", "Expression": "1"}]), "not matching the expected pattern"),
    ] {
        let error = call(queries, json!({})).unwrap_err();
        assert!(error.starts_with("ValidationError") && error.contains(problem), "{error}");
    }
}

#[test]
fn composite_alarms_follow_the_states_of_their_children() {
    let mut world = World::new();
    for name in ["slow", "failing"] {
        world.call("PutMetricAlarm", alarm(name)).unwrap();
    }
    let topic = "arn:aws:sns:us-east-1:000000000000:ops";
    let put = |name: &str, rule: &str| json!({"AlarmName": name, "AlarmRule": rule, "AlarmActions": [topic]});
    world.call("PutCompositeAlarm", put("both", "ALARM(slow) AND ALARM(\"failing\")")).unwrap();
    world.call("PutCompositeAlarm", put("outer", "NOT OK(both)")).unwrap();
    let state = |world: &mut World, name: &str| {
        let shown =
            world.call("DescribeAlarms", json!({"AlarmNames": [name], "AlarmTypes": ["CompositeAlarm"]})).unwrap();
        shown["CompositeAlarms"][0]["StateValue"].as_str().unwrap().to_owned()
    };
    assert_eq!((state(&mut world, "both"), state(&mut world, "outer")), ("OK".to_owned(), "OK".to_owned()));
    for name in ["slow", "failing"] {
        world.call("SetAlarmState", json!({"AlarmName": name, "StateValue": "ALARM", "StateReason": "drill"})).unwrap();
    }
    assert_eq!((state(&mut world, "both"), state(&mut world, "outer")), ("ALARM".to_owned(), "ALARM".to_owned()));
    let history = json!({"AlarmName": "both", "AlarmTypes": ["CompositeAlarm"], "HistoryItemType": "Action"});
    let history = world.call("DescribeAlarmHistory", history).unwrap();
    let summary = history["AlarmHistoryItems"][0]["HistorySummary"].as_str().unwrap();
    assert!(summary.starts_with(&format!("Failed to execute action {topic}")), "{summary}");

    let names = |answer: &Value, list: &str| -> Vec<String> {
        let alarms = answer[list].as_array().unwrap().iter();
        alarms.map(|alarm| alarm["AlarmName"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.call("DescribeAlarms", json!({})).unwrap();
    assert_eq!((names(&all, "MetricAlarms").len(), names(&all, "CompositeAlarms").len()), (2, 0));
    let children = world.call("DescribeAlarms", json!({"ChildrenOfAlarmName": "both"})).unwrap();
    assert_eq!(names(&children, "MetricAlarms"), ["failing", "slow"]);
    let parents = world.call("DescribeAlarms", json!({"ParentsOfAlarmName": "both"})).unwrap();
    assert_eq!(
        (names(&parents, "MetricAlarms").len(), names(&parents, "CompositeAlarms")),
        (0, vec!["outer".to_owned()])
    );

    for (rule, problem) in [
        ("ALARM(none)", "does not exist"),
        ("ALARM(slow", "must not contain errors"),
        ("ALARM(outer)", "cannot depend on itself"),
    ] {
        let error = world.call("PutCompositeAlarm", put("both", rule)).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
    assert_eq!(code(world.call("PutMetricAlarm", alarm("both"))), "ValidationError");
    world.call("DeleteAlarms", json!({"AlarmNames": ["outer", "both"]})).unwrap();
    assert_eq!(code(world.call("DeleteAlarms", json!({"AlarmNames": ["slow", "both"]}))), "ResourceNotFound");
    assert_eq!(names(&world.call("DescribeAlarms", json!({})).unwrap(), "MetricAlarms").len(), 2, "none was deleted");
}

#[test]
fn dashboards_are_stored_listed_and_deleted() {
    let mut world = World::new();
    let body = json!({"widgets": []}).to_string();
    for name in ["a1", "a2", "b"] {
        world.call("PutDashboard", json!({"DashboardName": name, "DashboardBody": body})).unwrap();
    }
    let listed = world.call("ListDashboards", json!({"DashboardNamePrefix": "a"})).unwrap();
    let entries = listed["DashboardEntries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["Size"]), (2, &json!(body.len())));
    assert_eq!(entries[0]["DashboardArn"], "arn:aws:cloudwatch::000000000000:dashboard/a1");
    let xml = String::from_utf8(QUERY.write("ListDashboards", &listed, "r")).unwrap();
    assert!(xml.contains("<LastModified>20"), "{xml}");
    assert_eq!(world.call("GetDashboard", json!({"DashboardName": "b"})).unwrap()["DashboardBody"], json!(body));
    assert_eq!(code(world.call("DeleteDashboards", json!({"DashboardNames": ["b", "c"]}))), "ResourceNotFound");
    world.call("DeleteDashboards", json!({"DashboardNames": ["b"]})).unwrap();
    let error = world.call("GetDashboard", json!({"DashboardName": "b"})).unwrap_err();
    assert_eq!(error, "ResourceNotFound: Dashboard b does not exist");
    let bad = json!({"DashboardName": "b", "DashboardBody": "{"});
    assert_eq!(code(world.call("PutDashboard", bad)), "InvalidParameterInput");
}
