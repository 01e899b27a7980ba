//! Tests of requests for each type.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::*;
use crate::services::iam;
use crate::state::address::AddressBlock;
use crate::testing::{ControlPlane, code};

pub(super) struct World {
    pub(super) plane: ControlPlane,
    now: DateTime<Utc>,
    enforce_iam: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Self { plane: ControlPlane::new(), now, enforce_iam: false }
    }

    pub(super) fn call(&mut self, name: &str, input: Value) -> Result<Value, String> {
        self.plane.now = Some(self.now);
        self.plane.values(OPERATIONS, name, input)
    }

    /// Executes one step of all pending requests.
    pub(super) fn step(&mut self) {
        let mut cloud = self.plane.cloud.clone();
        let addresses: &AddressBlock = self.plane.addresses();
        let directory = self.plane.directory();
        carry_out(&mut cloud, OperationContext { addresses, directory, enforce_iam: self.enforce_iam, now: self.now });
        self.plane.cloud = cloud;
    }

    /// Requests a change, and returns its result.
    pub(super) fn done(&mut self, name: &str, input: Value) -> Value {
        let answer = self.call(name, input).unwrap();
        let token = answer["ProgressEvent"]["RequestToken"].clone();
        while is_waiting(&self.plane.cloud) {
            self.step();
        }
        self.call("GetResourceRequestStatus", json!({"RequestToken": token})).unwrap()["ProgressEvent"].clone()
    }

    pub(super) fn create(&mut self, kind: &str, properties: Value) -> Value {
        self.done("CreateResource", json!({"TypeName": kind, "DesiredState": properties.to_string()}))
    }

    pub(super) fn created(&mut self, kind: &str, properties: Value) -> String {
        let event = self.create(kind, properties);
        assert_eq!(event["OperationStatus"], "SUCCESS", "{event}");
        event["Identifier"].as_str().unwrap().to_owned()
    }

    pub(super) fn read(&mut self, kind: &str, identifier: &str) -> Result<Value, String> {
        let answer = self.call("GetResource", json!({"TypeName": kind, "Identifier": identifier}))?;
        Ok(serde_json::from_str(answer["ResourceDescription"]["Properties"].as_str().unwrap()).unwrap())
    }

    pub(super) fn patch(&mut self, kind: &str, identifier: &str, patch: &Value) -> Value {
        let input = json!({"TypeName": kind, "Identifier": identifier, "PatchDocument": patch.to_string()});
        self.done("UpdateResource", input)
    }

    pub(super) fn patched(&mut self, kind: &str, identifier: &str, patch: Value) -> Value {
        let event = self.patch(kind, identifier, &patch);
        assert_eq!(event["OperationStatus"], "SUCCESS", "{event}");
        self.read(kind, identifier).unwrap()
    }

    pub(super) fn delete(&mut self, kind: &str, identifier: &str) -> Value {
        self.done("DeleteResource", json!({"TypeName": kind, "Identifier": identifier}))
    }
}

const GROUP: &str = "AWS::Logs::LogGroup";

fn group(name: &str) -> Value {
    json!({"TypeName": GROUP, "DesiredState": json!({"LogGroupName": name}).to_string()})
}

#[test]
fn requests_change_from_pending_to_in_progress_to_success() {
    let mut world = World::new();
    let answer = world.call("CreateResource", group("g")).unwrap();
    let token = json!({"RequestToken": answer["ProgressEvent"]["RequestToken"]});
    assert_eq!(answer["ProgressEvent"]["OperationStatus"], "PENDING");
    assert_eq!(answer["ProgressEvent"]["Identifier"], "g");
    assert_eq!(code(world.read(GROUP, "g")), "ResourceNotFoundException");
    let mut seen = Vec::new();
    while is_waiting(&world.plane.cloud) {
        world.step();
        let event = world.call("GetResourceRequestStatus", token.clone()).unwrap();
        seen.push(event["ProgressEvent"]["OperationStatus"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["IN_PROGRESS", "SUCCESS"]);
    assert_eq!(world.read(GROUP, "g").unwrap()["LogGroupName"], "g");
    let unknown = json!({"RequestToken": "x"});
    assert_eq!(code(world.call("GetResourceRequestStatus", unknown)), "RequestTokenNotFoundException");
}

#[test]
fn client_tokens_are_valid_for_36_hours() {
    let mut world = World::new();
    let with_token = |name: &str| {
        let mut request = group(name);
        request["ClientToken"] = json!("token-1");
        request
    };
    let first = world.done("CreateResource", with_token("g"));
    let again = world.call("CreateResource", with_token("g")).unwrap();
    assert_eq!(again["ProgressEvent"]["RequestToken"], first["RequestToken"]);
    assert_eq!(again["ProgressEvent"]["OperationStatus"], "SUCCESS");
    assert_eq!(code(world.call("CreateResource", with_token("h"))), "ClientTokenConflictException");
    world.now += Duration::hours(37);
    let event = world.done("CreateResource", with_token("g"));
    assert_eq!((&event["OperationStatus"], &event["ErrorCode"]), (&json!("FAILED"), &json!("AlreadyExists")));
    world.now += Duration::days(7);
    world.created(GROUP, json!({"LogGroupName": "h"}));
    let listed = world.call("ListResourceRequests", json!({})).unwrap();
    assert_eq!(listed["ResourceRequestStatusSummaries"].as_array().unwrap().len(), 1);
}

#[test]
fn one_request_at_a_time_changes_a_resource_and_can_be_canceled() {
    let mut world = World::new();
    let token = world.call("CreateResource", group("g")).unwrap()["ProgressEvent"]["RequestToken"].clone();
    assert_eq!(code(world.call("CreateResource", group("g"))), "ConcurrentOperationException");
    world.created(GROUP, json!({"LogGroupName": "other"}));
    assert_eq!(
        code(world.call("CancelResourceRequest", json!({"RequestToken": token}))),
        "ConcurrentModificationException"
    );
    world.delete(GROUP, "g");
    let token = world.call("CreateResource", group("g")).unwrap()["ProgressEvent"]["RequestToken"].clone();
    let canceled = world.call("CancelResourceRequest", json!({"RequestToken": token})).unwrap();
    assert_eq!(canceled["ProgressEvent"]["OperationStatus"], "CANCEL_IN_PROGRESS");
    world.step();
    let filter = json!({"Operations": ["CREATE"], "OperationStatuses": ["CANCEL_COMPLETE"]});
    let listed = world.call("ListResourceRequests", json!({"ResourceRequestStatusFilter": filter})).unwrap();
    assert_eq!(listed["ResourceRequestStatusSummaries"][0]["RequestToken"], token);
    assert_eq!(code(world.read(GROUP, "g")), "ResourceNotFoundException");
}

#[test]
fn unknown_properties_are_refused_by_name() {
    let mut world = World::new();
    let mut refused = |kind: &str, properties: Value| {
        world.call("CreateResource", json!({"TypeName": kind, "DesiredState": properties.to_string()})).unwrap_err()
    };
    assert!(refused("Group", json!({})).starts_with("ValidationException: Value 'Group' at 'typeName'"));
    assert!(refused("Own::Thing::Kind", json!({})).starts_with("TypeNotFoundException"));
    let error = refused("AWS::SQS::Queue", json!({}));
    assert!(error.starts_with("UnsupportedActionException") && error.contains(GROUP), "{error}");
    let error = refused("AWS::SSM::Parameter", json!({"Nmae": "x", "Type": "String"}));
    assert_eq!(
        error,
        "ValidationException: Model validation failed (#: extraneous key [Nmae] is not permitted\n#: required key [Value] not found)"
    );
    let error = refused(GROUP, json!({"KmsKeyId": "k"}));
    assert!(error.starts_with("UnsupportedParameter") && error.contains("KmsKeyId"), "{error}");
    assert_eq!(
        code(world.call("CreateResource", json!({"TypeName": GROUP, "DesiredState": "{"}))),
        "InvalidRequestException"
    );
    for properties in [json!({"LogGroupName": "a b"}), json!({"LogGroupName": "a", "Arn": "a"})] {
        let event = world.create(GROUP, properties);
        assert_eq!((&event["OperationStatus"], &event["ErrorCode"]), (&json!("FAILED"), &json!("InvalidRequest")));
    }
}

#[test]
fn create_only_properties_are_not_updatable() {
    let mut world = World::new();
    world.created(GROUP, json!({"LogGroupName": "g", "RetentionInDays": 7}));
    let patch = json!([{"op": "replace", "path": "/LogGroupName", "value": "h"}]).to_string();
    let error = world.call("UpdateResource", json!({"TypeName": GROUP, "Identifier": "g", "PatchDocument": patch}));
    assert_eq!(
        error.unwrap_err(),
        "NotUpdatableException: Invalid patch update: createOnlyProperties [/properties/LogGroupName] cannot be updated"
    );
    let patch = json!([{"op": "remove", "path": "/Arn"}]).to_string();
    let error = world.call("UpdateResource", json!({"TypeName": GROUP, "Identifier": "g", "PatchDocument": patch}));
    assert_eq!(
        error.unwrap_err(),
        "ValidationException: Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated"
    );
    let missing = json!({"TypeName": GROUP, "Identifier": "none", "PatchDocument": "[]"});
    assert_eq!(code(world.call("UpdateResource", missing)), "ResourceNotFoundException");
    let deleted = world.delete(GROUP, "none");
    assert_eq!((&deleted["OperationStatus"], &deleted["ErrorCode"]), (&json!("FAILED"), &json!("NotFound")));
}

#[test]
fn log_groups_are_updated_and_listed_in_pages() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        world.created(GROUP, json!({"LogGroupName": name, "Tags": [{"Key": "team", "Value": "shop"}]}));
    }
    let read = world.patched(
        GROUP,
        "b",
        json!([
            {"op": "add", "path": "/RetentionInDays", "value": 7},
            {"op": "replace", "path": "/Tags", "value": [{"Key": "stage", "Value": "test"}]},
        ]),
    );
    assert_eq!(read["RetentionInDays"], 7);
    assert_eq!(read["Tags"], json!([{"Key": "stage", "Value": "test"}]));
    let read = world.patched(GROUP, "b", json!([{"op": "remove", "path": "/RetentionInDays"}]));
    assert_eq!(read.get("RetentionInDays"), None);
    let page = world.call("ListResources", json!({"TypeName": GROUP, "MaxResults": 2})).unwrap();
    let next = json!({"TypeName": GROUP, "NextToken": page["NextToken"]});
    let rest = world.call("ListResources", next).unwrap();
    let names = |page: &Value| -> Vec<String> {
        let all = page["ResourceDescriptions"].as_array().unwrap().iter();
        all.map(|one| one["Identifier"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(&page), names(&rest)), (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]));
    assert_eq!(world.delete(GROUP, "a")["OperationStatus"], "SUCCESS");
    assert_eq!(code(world.read(GROUP, "a")), "ResourceNotFoundException");
    assert!(world.created(GROUP, json!({})).starts_with("LogGroup-"));
}

#[test]
fn write_only_properties_of_parameters_are_not_returned() {
    let mut world = World::new();
    let kind = "AWS::SSM::Parameter";
    let properties = json!({"Name": "/p", "Type": "String", "Value": "1", "Description": "d", "Tags": {"a": "b"}});
    assert_eq!(world.created(kind, properties), "/p");
    assert_eq!(
        world.read(kind, "/p").unwrap(),
        json!({"Name": "/p", "Type": "String", "Value": "1", "DataType": "text"})
    );
    let read = world.patched(kind, "/p", json!([{"op": "replace", "path": "/Value", "value": "2"}]));
    assert_eq!(read["Value"], "2");
    let secure = world.create(kind, json!({"Type": "SecureString", "Value": "1"}));
    assert_eq!(secure["ErrorCode"], "InvalidRequest");
    assert_eq!(world.delete(kind, "/p")["OperationStatus"], "SUCCESS");
}

#[test]
fn creating_an_existing_alarm_is_refused() {
    let mut world = World::new();
    let kind = "AWS::CloudWatch::Alarm";
    let properties = json!({
        "AlarmName": "busy", "Namespace": "n", "MetricName": "m", "Statistic": "Average", "Period": 60,
        "EvaluationPeriods": 2, "Threshold": 5.5, "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "d", "Value": "v"}], "Tags": [{"Key": "a", "Value": "b"}],
    });
    world.created(kind, properties.clone());
    assert_eq!(world.create(kind, properties.clone())["ErrorCode"], "AlreadyExists");
    let read = world.patched(kind, "busy", json!([{"op": "replace", "path": "/Threshold", "value": 7}]));
    assert_eq!((&read["Threshold"], &read["Tags"]), (&json!(7.0), &properties["Tags"]));
    assert_eq!(world.delete(kind, "busy")["OperationStatus"], "SUCCESS");
}

#[test]
fn roles_are_created_and_deleted_with_their_policies() {
    let mut world = World::new();
    let kind = "AWS::IAM::Role";
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]});
    let managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    let properties = json!({
        "RoleName": "web", "AssumeRolePolicyDocument": trust, "Description": "d", "Tags": [{"Key": "a", "Value": "b"}],
        "Policies": [{"PolicyName": "read", "PolicyDocument": policy}], "ManagedPolicyArns": [managed],
    });
    world.created(kind, properties.clone());
    let read = world.read(kind, "web").unwrap();
    for name in ["AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns", "Tags", "Description"] {
        assert_eq!(read[name], properties[name], "{name}");
    }
    let read = world.patched(
        kind,
        "web",
        json!([{"op": "remove", "path": "/Policies"}, {"op": "remove", "path": "/ManagedPolicyArns/0"},
            {"op": "add", "path": "/MaxSessionDuration", "value": 7200}, {"op": "remove", "path": "/Description"}]),
    );
    assert_eq!((read.get("Policies"), read.get("ManagedPolicyArns"), read.get("Description")), (None, None, None));
    assert_eq!(read["MaxSessionDuration"], 7200);
    assert_eq!(world.delete(kind, "web")["OperationStatus"], "SUCCESS");
}

#[test]
fn networks_are_made_of_types_too() {
    let mut world = World::new();
    let (vpcs, subnets, groups) = ("AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup");
    let vpc = world.created(vpcs, json!({"CidrBlock": "10.0.0.0/16", "EnableDnsHostnames": true}));
    assert_eq!(world.read(vpcs, &vpc).unwrap()["EnableDnsHostnames"], true);
    let subnet = json!({"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "us-east-1b", "Tags": [{"Key": "a", "Value": "b"}]});
    let subnet = world.created(subnets, subnet);
    let read =
        world.patched(subnets, &subnet, json!([{"op": "replace", "path": "/MapPublicIpOnLaunch", "value": true}]));
    assert_eq!((&read["MapPublicIpOnLaunch"], &read["AvailabilityZone"]), (&json!(true), &json!("us-east-1b")));
    let web = json!({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "0.0.0.0/0", "Description": "web"});
    let group = world.created(groups, json!({"VpcId": vpc, "GroupDescription": "d", "SecurityGroupIngress": [web]}));
    let read = world.read(groups, &group).unwrap();
    assert_eq!(read["SecurityGroupIngress"], json!([web]));
    assert_eq!(read["SecurityGroupEgress"], json!([{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]));
    let inner = json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "SourceSecurityGroupId": group});
    let read = world.patched(
        groups,
        &group,
        json!([{"op": "replace", "path": "/SecurityGroupIngress", "value": [inner]},
            {"op": "add", "path": "/Tags", "value": [{"Key": "a", "Value": "b"}]}]),
    );
    assert_eq!((&read["SecurityGroupIngress"], &read["Tags"][0]["Key"]), (&json!([inner]), &json!("a")));
    assert_eq!(world.delete(vpcs, &vpc)["ErrorCode"], "ResourceConflict");
    for (kind, id) in [(groups, &group), (subnets, &subnet), (vpcs, &vpc)] {
        assert_eq!(world.delete(kind, id)["OperationStatus"], "SUCCESS", "{kind}");
    }
}

#[test]
fn requests_are_executed_with_the_permissions_of_the_caller() {
    let mut world = World::new();
    world.enforce_iam = true;
    world.plane.query(iam::OPERATIONS, "CreateUser", "UserName=eve").unwrap();
    let answer = world.plane.query(iam::OPERATIONS, "CreateAccessKey", "UserName=eve").unwrap();
    let key = answer.split("<AccessKeyId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let create = |world: &mut World, name: &str| {
        world.call("CreateResource", group(name)).unwrap();
        let requests = &mut world.plane.cloud.region_mut("us-east-1").unwrap().cloudcontrol.requests;
        requests.values_mut().last().unwrap().access_key.clone_from(&key);
        world.step();
        world.step();
        let region = world.plane.cloud.region("us-east-1").unwrap();
        region.cloudcontrol.requests.values().last().unwrap().clone()
    };
    let refused = create(&mut world, "shop");
    assert_eq!(refused.error, Some(crate::model::cloudcontrol::ErrorCode::AccessDenied));
    assert!(refused.message.unwrap().contains("logs:CreateLogGroup"));
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "arn:aws:logs:*:*:log-group:shop*"}]});
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("UserName", "eve"), ("PolicyName", "p"), ("PolicyDocument", &policy.to_string())])
        .finish();
    world.plane.query(iam::OPERATIONS, "PutUserPolicy", &form).unwrap();
    assert_eq!(create(&mut world, "shop").error, None);
    assert!(create(&mut world, "bank").error.is_some());
}
