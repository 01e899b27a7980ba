//! Parameters of Systems Manager that are read back.

use super::OPERATIONS;
use crate::testing::round_trip::{self, Trip, Variables, WriteOnly, check_values};

const READS: &[(&str, &str)] = &[
    ("GetParameter", r#"{"Name": "/shop/key", "WithDecryption": true}"#),
    ("DescribeParameters", "{}"),
    ("GetParameterHistory", r#"{"Name": "/shop/key"}"#),
    ("ListTagsForResource", r#"{"ResourceType": "Parameter", "ResourceId": "/shop/key"}"#),
];

const TRIPS: &[Trip] = &[
    Trip {
        operation: "PutParameter",
        request: r#"{"Name": "/shop/key", "Value": "value-1", "Description": "A key.", "Type": "SecureString",
                     "KeyId": "alias/shop", "Tags": [{"Key": "team", "Value": "blue"}], "Tier": "Advanced",
                     "DataType": "text", "AllowedPattern": "value-.*"}"#,
        reads: READS,
        ..Trip::EMPTY
    },
    Trip {
        operation: "LabelParameterVersion",
        request: r#"{"Name": "/shop/key", "ParameterVersion": 1, "Labels": ["release"]}"#,
        reads: READS,
        renamed: &[("ParameterVersion", "Version"), ("Labels", "Labels")],
        ..Trip::EMPTY
    },
    Trip {
        operation: "AddTagsToResource",
        request: r#"{"ResourceType": "Parameter", "ResourceId": "/shop/key", "Tags": [{"Key": "stage", "Value": "canary"}]}"#,
        reads: READS,
        ..Trip::EMPTY
    },
];

const WRITE_ONLY: &[WriteOnly] = &[
    WriteOnly("PutParameter", &["Overwrite"], "permits the change of a parameter"),
    WriteOnly("PutParameter", &["Policies"], "a text that DescribeParameters returns in parts; tested in tests.rs"),
    WriteOnly("AddTagsToResource", &["ResourceType"], "the only type of resources with tags is Parameter"),
    WriteOnly("DeleteParameter", &["*"], "identifies the parameter to delete"),
    WriteOnly("DeleteParameters", &["*"], "identifies the parameters to delete"),
    WriteOnly("UnlabelParameterVersion", &["*"], "identifies the labels to remove"),
    WriteOnly("RemoveTagsFromResource", &["*"], "identifies the tags to remove"),
];

#[test]
fn parameters_are_read_back() {
    check_values(&mut round_trip::plane(), OPERATIONS, TRIPS, WRITE_ONLY, Variables::new());
}
