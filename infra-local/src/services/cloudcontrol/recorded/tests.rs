//! Tests of recorded resources, through Cloud Control.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::super::{needed_actions, tests::World};
use crate::state::schemas::{install_schemas, prepare};
use crate::testing::code;

const QUEUE: &str = "AWS::SQS::Queue";
const LOGIN: &str = "Shop::Store::Login";

/// Returns a world whose cloud has the schemas of a queue and a login.
fn world() -> World {
    let world = World::new();
    let queue = json!({
        "typeName": QUEUE,
        "properties": {
            "QueueName": {"type": "string", "maxLength": 80}, "FifoQueue": {"type": "boolean"},
            "DelaySeconds": {"type": "integer", "maximum": 900},
            "Arn": {"type": "string"}, "QueueUrl": {"type": "string"},
        },
        "additionalProperties": false,
        "readOnlyProperties": ["/properties/QueueUrl", "/properties/Arn"],
        "createOnlyProperties": ["/properties/FifoQueue", "/properties/QueueName"],
        "primaryIdentifier": ["/properties/QueueUrl"],
        "handlers": {
            "create": {"permissions": ["sqs:CreateQueue", "sqs:TagQueue"]},
            "read": {"permissions": ["sqs:GetQueueAttributes"]},
            "update": {"permissions": ["sqs:SetQueueAttributes", "sqs:GetQueueAttributes"]},
        },
    });
    let login = json!({
        "typeName": LOGIN,
        "properties": {
            "StoreId": {"type": "integer"}, "User": {"type": "string"}, "Password": {"type": "string"},
            "Profile": {"type": "object", "properties": {"Pin": {"type": "string"}, "Mail": {"type": "string"}}},
            "Endpoint": {"type": "object", "properties": {"Address": {"type": "string"}, "Port": {"type": "integer", "minimum": 1024}}},
            "Status": {"type": "string", "enum": ["CREATING", "ACTIVE"]},
            "LoginId": {"type": "string", "pattern": "^log-[0-9a-f]{8}$|^[0-9a-f]{17}$"},
            "Created": {"type": "string", "format": "date-time"},
        },
        "required": ["StoreId", "Password", "LoginId"],
        "additionalProperties": false,
        "writeOnlyProperties": ["/properties/Password", "/properties/Profile/Pin"],
        "readOnlyProperties": ["/properties/Endpoint/Address", "/properties/Endpoint/Port", "/properties/Status", "/properties/LoginId", "/properties/Created"],
        "primaryIdentifier": ["/properties/StoreId", "/properties/User"],
    });
    let (queue, login) = (queue.to_string(), login.to_string());
    let directory = world.plane.directory();
    install_schemas(directory, [(QUEUE, queue.as_str()), (LOGIN, login.as_str())]).unwrap();
    for name in [QUEUE, LOGIN] {
        prepare(directory, name);
    }
    world
}

#[test]
fn resources_are_recorded_with_synthesised_properties() {
    let mut world = world();
    let event = world.create(QUEUE, json!({"QueueName": "jobs", "DelaySeconds": 5}));
    assert_eq!(event["OperationStatus"], "SUCCESS", "{event}");
    let note = "Recorded, not running: the local cloud has no service for AWS::SQS::Queue";
    assert_eq!(event["StatusMessage"], note);
    let url = event["Identifier"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(world.read(QUEUE, &url).unwrap(), @r#"{"Arn":"arn:aws:sqs:us-east-1:000000000000:queue/jobs","DelaySeconds":5,"QueueName":"jobs","QueueUrl":"https://sqs.us-east-1.amazonaws.com/000000000000/jobs"}"#);
    assert_eq!(world.create(QUEUE, json!({"QueueName": "jobs"}))["ErrorCode"], "AlreadyExists");
    let read = world.patched(QUEUE, &url, json!([{"op": "replace", "path": "/DelaySeconds", "value": 9}]));
    assert_eq!((&read["DelaySeconds"], &read["QueueUrl"]), (&json!(9), &json!(url)));
    let other = world.created(QUEUE, json!({}));
    assert!(other.contains("/queue-"), "{other}");
    let listed = world.call("ListResources", json!({"TypeName": QUEUE})).unwrap();
    assert_eq!(listed["ResourceDescriptions"].as_array().unwrap().len(), 2);
    assert_eq!(world.delete(QUEUE, &url)["OperationStatus"], "SUCCESS");
    assert_eq!(code(world.read(QUEUE, &url)), "ResourceNotFoundException");
    assert_eq!(world.delete(QUEUE, &url)["ErrorCode"], "NotFound");
}

#[test]
fn operations_need_the_permissions_of_the_handlers_that_the_schema_lists() {
    let world = world();
    let needed = |operation: &str, name: &str| needed_actions(operation, name, world.plane.directory()).join(" ");
    assert_eq!(needed("CreateResource", QUEUE), "sqs:CreateQueue sqs:TagQueue");
    assert_eq!(needed("UpdateResource", QUEUE), "sqs:GetQueueAttributes sqs:SetQueueAttributes");
    assert_eq!(needed("DeleteResource", QUEUE), "");
    assert_eq!(needed("CreateResource", LOGIN), "");
    assert_eq!(needed("GetResource", "AWS::Logs::LogGroup"), "logs:DescribeLogGroups logs:ListTagsForResource");
}

#[test]
fn write_only_properties_are_not_stored() {
    let mut world = world();
    let properties = json!({"StoreId": 7, "User": "eve", "Password": "hunter2", "Profile": {"Pin": "1", "Mail": "m"}});
    let identifier = world.created(LOGIN, properties);
    assert_eq!(identifier, "7|eve");
    let read = world.read(LOGIN, &identifier).unwrap();
    assert_eq!((read.get("Password"), &read["Profile"]), (None, &json!({"Mail": "m"})));
    assert_eq!((&read["Status"], &read["Endpoint"]["Port"]), (&json!("ACTIVE"), &json!(1024)));
    assert_eq!(read["LoginId"].as_str().unwrap().len(), 17);
    assert_eq!(read["Created"], "2027-01-15T08:00:00.000Z");
    let recorded = &world.plane.cloud.regions["us-east-1"].cloudcontrol.recorded;
    assert!(!serde_json::to_string(recorded).unwrap().contains("hunter2"));
    assert!(!format!("{recorded:?}").contains("Mail"), "{recorded:?}");
    // An update need not repeat the password, although it is required.
    let read = world.patched(LOGIN, &identifier, json!([{"op": "add", "path": "/Profile/Mail", "value": "n"}]));
    assert_eq!(read["Profile"]["Mail"], "n");
}

#[test]
fn properties_are_validated_by_the_schema() {
    let mut world = world();
    let mut refused = |kind: &str, properties: Value| {
        world.call("CreateResource", json!({"TypeName": kind, "DesiredState": properties.to_string()})).unwrap_err()
    };
    insta::assert_snapshot!(refused(QUEUE, json!({"DelaySeconds": 901, "Size": 1})), @"
    ValidationException: Model validation failed (#/DelaySeconds: 901 is not less or equal to 900
    #: extraneous key [Size] is not permitted)
    ");
    insta::assert_snapshot!(refused(LOGIN, json!({"StoreId": "7"})), @"
    ValidationException: Model validation failed (#: required key [Password] not found
    #/StoreId: expected type: Integer, found: String)
    ");
    insta::assert_snapshot!(refused(QUEUE, json!([])), @"ValidationException: Model validation failed (#: expected type: JSONObject)");
    assert_eq!(
        code(world.call("CreateResource", json!({"TypeName": "AWS::SNS::Topic", "DesiredState": "{}"}))),
        "UnsupportedActionException"
    );
    let event = world.create(QUEUE, json!({"Arn": "a"}));
    assert_eq!(
        event["StatusMessage"],
        "Invalid Create: cannot create a resource using ReadOnly properties [/properties/Arn]."
    );
    let url = world.created(QUEUE, json!({"QueueName": "jobs"}));
    let mut update = |path: &str| {
        let patch = json!([{"op": "add", "path": path, "value": "other"}]).to_string();
        let input = json!({"TypeName": QUEUE, "Identifier": url, "PatchDocument": patch});
        world.call("UpdateResource", input).unwrap_err()
    };
    insta::assert_snapshot!(update("/QueueName"), @"NotUpdatableException: Invalid patch update: createOnlyProperties [/properties/QueueName] cannot be updated");
    insta::assert_snapshot!(update("/Arn"), @"ValidationException: Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated");
    insta::assert_snapshot!(update("/DelaySeconds"), @"ValidationException: Model validation failed (#/DelaySeconds: expected type: Integer, found: String)");
}

#[test]
fn types_with_a_service_keep_it() {
    let mut world = World::new();
    let schema = json!({"typeName": "AWS::Logs::LogGroup", "properties": {"Other": {"type": "string"}}}).to_string();
    install_schemas(world.plane.directory(), [("AWS::Logs::LogGroup", schema.as_str())]).unwrap();
    prepare(world.plane.directory(), "AWS::Logs::LogGroup");
    assert_eq!(world.created("AWS::Logs::LogGroup", json!({"LogGroupName": "g"})), "g");
    assert!(world.plane.cloud.regions["us-east-1"].logs.groups.contains_key("g"));
}
