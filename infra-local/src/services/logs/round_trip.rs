//! Parameters of CloudWatch Logs that are read back.

use super::OPERATIONS;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_values};

const GROUP: &[(&str, &str)] = &[
    ("DescribeLogGroups", "{}"),
    ("ListTagsForResource", r#"{"resourceArn": "arn:aws:logs:us-east-1:112233445566:log-group:shop"}"#),
];

const TRIPS: &[Trip] = &[
    Trip {
        operation: "CreateLogGroup",
        request: r#"{"logGroupName": "shop", "logGroupClass": "STANDARD", "tags": {"team": "blue"}}"#,
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutRetentionPolicy",
        request: r#"{"logGroupName": "shop", "retentionInDays": 120}"#,
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "CreateLogStream",
        request: r#"{"logGroupName": "shop", "logStreamName": "first"}"#,
        reads: &[("DescribeLogStreams", r#"{"logGroupName": "shop"}"#), ("DescribeLogGroups", "{}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutMetricFilter",
        request: r#"{"logGroupName": "shop", "filterName": "errors", "filterPattern": "ERROR -test",
                     "metricTransformations": [{"metricName": "Errors", "metricNamespace": "Shop", "metricValue": "17",
                                                "defaultValue": 0.25, "unit": "Count"}]}"#,
        reads: &[("DescribeMetricFilters", r#"{"logGroupName": "shop"}"#)],
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutSubscriptionFilter",
        request: r#"{"logGroupName": "shop", "filterName": "all", "filterPattern": "WARN",
                     "destinationArn": "arn:aws:kinesis:us-east-1:112233445566:stream/s",
                     "roleArn": "arn:aws:iam::112233445566:role/logs", "distribution": "Random"}"#,
        reads: &[("DescribeSubscriptionFilters", r#"{"logGroupName": "shop"}"#)],
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutQueryDefinition",
        request: r#"{"name": "shop/slow", "queryString": "fields @message", "queryLanguage": "CWLI",
                     "logGroupNames": ["shop"]}"#,
        reads: &[("DescribeQueryDefinitions", "{}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "PutResourcePolicy",
        request: r#"{"policyName": "writers", "policyDocument": "{\"Version\": \"2012-10-17\", \"Statement\": []}"}"#,
        reads: &[("DescribeResourcePolicies", "{}")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "TagResource",
        request: r#"{"resourceArn": "arn:aws:logs:us-east-1:112233445566:log-group:shop", "tags": {"stage": "canary"}}"#,
        reads: GROUP,
        ..Trip::EMPTY
    },
    Trip {
        operation: "TagLogGroup",
        request: r#"{"logGroupName": "shop", "tags": {"owner": "operations"}}"#,
        reads: GROUP,
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly("PutLogEvents", &["*"], "events need the present time; read back in tests.rs"),
    WriteOnly("StartQuery", &["*"], "selects events; tested in tests.rs"),
    WriteOnly("StopQuery", &["*"], "identifies the query"),
    WriteOnly("GetQueryResults", &["*"], "reads"),
    WriteOnly("DeleteLogGroup", &["*"], "identifies the group to delete"),
    WriteOnly("DeleteLogStream", &["*"], "identifies the stream to delete"),
    WriteOnly("DeleteRetentionPolicy", &["*"], "identifies the group"),
    WriteOnly("DeleteMetricFilter", &["*"], "identifies the filter to delete"),
    WriteOnly("DeleteSubscriptionFilter", &["*"], "identifies the filter to delete"),
    WriteOnly("PutQueryDefinition", &["clientToken", "queryDefinitionId"], "identify the query; read back in tests.rs"),
    WriteOnly("DeleteQueryDefinition", &["*"], "identifies the query to delete"),
    WriteOnly("DeleteResourcePolicy", &["*"], "identifies the policy to delete"),
    WriteOnly("UntagResource", &["*"], "identifies the tags to remove"),
    WriteOnly("UntagLogGroup", &["*"], "identifies the tags to remove"),
    WriteOnly("DescribeLogGroups", &["*"], "reads"),
    WriteOnly("DescribeLogStreams", &["*"], "reads"),
    WriteOnly("GetLogEvents", &["*"], "reads"),
    WriteOnly("FilterLogEvents", &["*"], "reads"),
];

#[test]
fn parameters_are_read_back() {
    check_values(&mut round_trip::plane(), OPERATIONS, TRIPS, WRITE_ONLY, Variables::new());
}
