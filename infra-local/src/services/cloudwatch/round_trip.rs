//! Parameters of CloudWatch that are read back.

use super::OPERATIONS;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_values};

const ALARM: &str = "arn:aws:cloudwatch:us-east-1:112233445566:alarm:";

const METRIC: &[(&str, &str)] =
    &[("DescribeAlarms", r#"{"AlarmNames": ["slow"]}"#), ("ListTagsForResource", r#"{"ResourceARN": "{prefix}slow"}"#)];

const COMPOSITE: &[(&str, &str)] = &[
    ("DescribeAlarms", r#"{"AlarmNames": ["both"], "AlarmTypes": ["CompositeAlarm"]}"#),
    ("ListTagsForResource", r#"{"ResourceARN": "{prefix}both"}"#),
];

const TRIPS: &[Trip] = &[
    Trip {
        operation: "PutMetricAlarm",
        request: r#"{"AlarmName": "slow", "AlarmDescription": "Too slow.", "ActionsEnabled": false,
                     "OKActions": ["arn:aws:sns:us-east-1:112233445566:fine"],
                     "AlarmActions": ["arn:aws:sns:us-east-1:112233445566:alarm"],
                     "InsufficientDataActions": ["arn:aws:sns:us-east-1:112233445566:silent"],
                     "MetricName": "Latency", "Namespace": "Shop", "ExtendedStatistic": "p99",
                     "Dimensions": [{"Name": "Store", "Value": "first"}], "Period": 120, "Unit": "Seconds",
                     "EvaluationPeriods": 5, "DatapointsToAlarm": 4, "Threshold": 1.25,
                     "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "breaching",
                     "EvaluateLowSampleCountPercentile": "evaluate", "Tags": [{"Key": "team", "Value": "blue"}]}"#,
        reads: METRIC,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutMetricAlarm",
        request: r#"{"AlarmName": "slow", "MetricName": "Latency", "Namespace": "Shop", "Statistic": "Average",
                     "Period": 60, "EvaluationPeriods": 1, "Threshold": 2.5, "ComparisonOperator": "LessThanThreshold"}"#,
        reads: METRIC,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutCompositeAlarm",
        request: r#"{"AlarmName": "both", "AlarmDescription": "Both.", "ActionsEnabled": false, "AlarmRule": "ALARM(slow)",
                     "OKActions": ["arn:aws:sns:us-east-1:112233445566:fine"],
                     "AlarmActions": ["arn:aws:sns:us-east-1:112233445566:alarm"],
                     "InsufficientDataActions": ["arn:aws:sns:us-east-1:112233445566:silent"],
                     "Tags": [{"Key": "team", "Value": "green"}]}"#,
        reads: COMPOSITE,
        ..Trip::EMPTY
    },
    Trip {
        operation: "SetAlarmState",
        request: r#"{"AlarmName": "slow", "StateValue": "ALARM", "StateReason": "a drill", "StateReasonData": "[17]"}"#,
        reads: METRIC,
        ..Trip::EMPTY
    },
    Trip {
        operation: "TagResource",
        request: r#"{"ResourceARN": "{prefix}slow", "Tags": [{"Key": "stage", "Value": "canary"}]}"#,
        reads: METRIC,
        ..Trip::EMPTY
    },
    Trip { operation: "EnableAlarmActions", request: r#"{"AlarmNames": ["slow"]}"#, reads: METRIC, ..Trip::EMPTY },
    Trip {
        operation: "PutDashboard",
        request: r#"{"DashboardName": "overview", "DashboardBody": "{\"widgets\": []}"}"#,
        reads: &[("GetDashboard", r#"{"DashboardName": "overview"}"#)],
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly("DisableAlarmActions", &["*"], "identifies the alarms, as EnableAlarmActions does"),
    WriteOnly("DeleteAlarms", &["*"], "identifies the alarms to delete"),
    WriteOnly("DeleteDashboards", &["*"], "identifies the dashboards to delete"),
    WriteOnly("UntagResource", &["*"], "identifies the tags to remove"),
];

#[test]
fn parameters_are_read_back() {
    let variables = Variables::from([("prefix", ALARM.to_owned())]);
    check_values(&mut round_trip::plane(), OPERATIONS, TRIPS, WRITE_ONLY, variables);
}
