//! Tests of the permissions that requests need, by the operation tables of the services.
#![allow(clippy::unwrap_used)]

use chrono::Utc;
use serde_json::{Value, json};

use super::service::{Service, find_operation};
use crate::access::{self, Context, Identity, RequestFacts, RequestTags, RequestedAction};
use crate::services::{Operation, ec2, iam};
use crate::testing::ControlPlane;
use crate::wire::{Node, Params};

type Table = &'static [&'static [Operation<Params, Node>]];

/// Returns a cloud with the user `eve`, an instance profile `web` and the role `web`.
fn cloud() -> ControlPlane {
    let mut plane = ControlPlane::new();
    plane.query(iam::OPERATIONS, "CreateUser", "UserName=eve").unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"},
    }});
    let role = form(&[("RoleName", "web"), ("AssumeRolePolicyDocument", &trust.to_string())]);
    plane.query(iam::OPERATIONS, "CreateRole", &role).unwrap();
    plane.query(iam::OPERATIONS, "CreateInstanceProfile", "InstanceProfileName=web").unwrap();
    plane.query(iam::OPERATIONS, "AddRoleToInstanceProfile", "InstanceProfileName=web&RoleName=web").unwrap();
    plane
}

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Replaces the policy of the user.
fn grant(plane: &mut ControlPlane, statements: &Value) {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let user = plane.cloud.iam.users.get_mut("eve").unwrap();
    user.inline_policies.insert("own".to_owned(), text);
}

/// Returns the decisions about a request of the user: `action resource`, and `DENIED` before the denied one.
fn decisions(plane: &ControlPlane, service: &str, operation: &str, parameters: &[(&str, &str)]) -> Vec<String> {
    let Some(Service::Query { operations, .. }) = Service::named(service) else { panic!("{service}") };
    let row = find_operation(operations, operation).unwrap();
    let params = Params::parse(form(parameters).as_bytes());
    row.check(&params, &[]).unwrap();
    let (patterns, tags) = (params.patterns(), RequestTags::of_params(&params));
    let facts = RequestFacts { service, operation, region: "us-east-1", parameters: &patterns, tags: &tags };
    let identity = Identity::User { access_key: "key".to_owned(), name: "eve".to_owned() };
    let context = &Context::default();
    let mut found = Vec::new();
    for requirement in access::requirements(&plane.cloud, &row.needs(service), &facts) {
        let (action, resources) = (requirement.action.as_str(), requirement.resources.as_slice());
        let requested = RequestedAction { action, resources, region: "us-east-1", now: Utc::now(), context };
        for decision in access::decide(&plane.cloud, &identity, &requested) {
            let resource = decision.resource.rsplit("000000000000:").next().unwrap();
            let denied = if decision.allows() { "" } else { "DENIED " };
            found.push(format!("{denied}{} {resource}", decision.action));
        }
    }
    found
}

fn is_allowed(decisions: &[String]) -> bool {
    !decisions.is_empty() && !decisions.iter().any(|decision| decision.starts_with("DENIED"))
}

fn create(plane: &mut ControlPlane, tables: Table, operation: &str, parameters: &[(&str, &str)]) -> String {
    plane.query(tables, operation, &form(parameters)).unwrap()
}

fn text(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

const LAUNCH: &[(&str, &str)] =
    &[("ImageId", "ami-1"), ("InstanceType", "t3.micro"), ("MinCount", "1"), ("MaxCount", "1"), ("KeyName", "k")];

#[test]
fn launch_needs_permission_for_all_of_its_resources_and_for_tags_and_role() {
    let plane = &mut cloud();
    grant(plane, &json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let tagged = [
        ("IamInstanceProfile.Name", "web"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "web"),
    ];
    let request = [LAUNCH, &tagged].concat();
    let all = decisions(plane, "ec2", "RunInstances", &request);
    let kinds: Vec<&str> = all.iter().map(|it| it.split_once('/').map_or(it.as_str(), |(kind, _)| kind)).collect();
    assert_eq!(
        kinds,
        [
            "ec2:RunInstances arn:aws:ec2:us-east-1::image",
            "ec2:RunInstances instance",
            "ec2:RunInstances network-interface",
            "ec2:RunInstances volume",
            "ec2:RunInstances subnet",
            "ec2:RunInstances security-group",
            "ec2:RunInstances key-pair",
            "iam:PassRole role",
            "ec2:CreateTags instance",
        ]
    );
    grant(plane, &json!([{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]));
    assert_eq!(decisions(plane, "ec2", "RunInstances", &request)[7], "DENIED iam:PassRole role/web");
    assert!(is_allowed(&decisions(plane, "ec2", "RunInstances", LAUNCH)));
    let launch = json!({"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*"});
    let pass = |service: &str| {
        json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": service}}})
    };
    let tag = |action: &str| {
        json!({"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*",
        "Condition": {"StringEquals": {"ec2:CreateAction": action}, "ForAllValues:StringEquals": {"aws:TagKeys": "team"}}})
    };
    grant(plane, &json!([launch, pass("ec2.amazonaws.com"), tag("RunInstances")]));
    assert!(is_allowed(&decisions(plane, "ec2", "RunInstances", &request)));
    grant(plane, &json!([launch, pass("rds.amazonaws.com"), tag("RunInstances")]));
    assert!(!is_allowed(&decisions(plane, "ec2", "RunInstances", &request)));
    grant(plane, &json!([launch, pass("ec2.amazonaws.com"), tag("CreateVolume")]));
    assert!(!is_allowed(&decisions(plane, "ec2", "RunInstances", &request)));
}

#[test]
fn keys_of_the_launch_decide_even_with_if_exists() {
    let plane = &mut cloud();
    let only = |plane: &mut ControlPlane, condition: Value| {
        grant(
            plane,
            &json!([
                {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"},
                {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": condition},
            ]),
        );
        is_allowed(&decisions(plane, "ec2", "RunInstances", LAUNCH))
    };
    assert!(only(plane, json!({"StringNotEquals": {"ec2:InstanceType": "t3.micro"}})));
    assert!(!only(plane, json!({"StringNotEqualsIfExists": {"ec2:InstanceType": "t3.nano"}})));
    assert!(!only(plane, json!({"Null": {"aws:RequestTag/team": "true"}})));
    assert!(!only(plane, json!({"StringLike": {"ec2:AvailabilityZone": "us-east-1*"}})));
}

#[test]
fn launch_template_gives_the_launch_its_resources() {
    let plane = &mut cloud();
    let data = [
        ("LaunchTemplateName", "tpl"),
        ("LaunchTemplateData.ImageId", "ami-1"),
        ("LaunchTemplateData.InstanceType", "t3.large"),
        ("LaunchTemplateData.IamInstanceProfile.Name", "web"),
    ];
    create(plane, ec2::OPERATIONS, "CreateLaunchTemplate", &data);
    let group = [
        ("AutoScalingGroupName", "g"),
        ("MinSize", "0"),
        ("MaxSize", "1"),
        ("LaunchTemplate.LaunchTemplateName", "tpl"),
        ("AvailabilityZones.member.1", "us-east-1a"),
    ];
    grant(plane, &json!([{"Effect": "Allow", "Action": ["autoscaling:*", "ec2:*"], "Resource": "*"}]));
    let denied = decisions(plane, "autoscaling", "CreateAutoScalingGroup", &group);
    assert_eq!(denied.last().unwrap(), "DENIED iam:PassRole role/web", "{denied:?}");
    grant(
        plane,
        &json!([
            {"Effect": "Allow", "Action": ["autoscaling:*", "iam:PassRole"], "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*",
             "Condition": {"StringEqualsIfExists": {"ec2:InstanceType": "t3.large"}, "Bool": {"aws:ViaAWSService": "false"}}},
        ]),
    );
    assert!(is_allowed(&decisions(plane, "autoscaling", "CreateAutoScalingGroup", &group)));
    let templates = plane.cloud.regions["us-east-1"].ec2.launch_templates.keys().next().unwrap().clone();
    let only_template =
        json!({"ArnLike": {"ec2:LaunchTemplate": format!("arn:aws:ec2:*:*:launch-template/{templates}")}});
    let allow = json!({"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*", "Condition": only_template});
    grant(plane, &json!([allow, {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"}]));
    assert!(!is_allowed(&decisions(plane, "ec2", "RunInstances", LAUNCH)));
    let by_template = [("LaunchTemplate.LaunchTemplateName", "tpl"), ("MinCount", "1"), ("MaxCount", "1")];
    assert!(is_allowed(&decisions(plane, "ec2", "RunInstances", &by_template)));
}

#[test]
fn tags_of_resources_and_of_the_caller_decide() {
    let plane = &mut cloud();
    let vpc = create(
        plane,
        ec2::OPERATIONS,
        "CreateVpc",
        &[
            ("CidrBlock", "10.9.0.0/16"),
            ("TagSpecification.1.ResourceType", "vpc"),
            ("TagSpecification.1.Tag.1.Key", "team"),
            ("TagSpecification.1.Tag.1.Value", "web"),
        ],
    );
    let vpc = text(&vpc, "vpcId");
    let own = json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}});
    grant(plane, &json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": own}]));
    let delete = |plane: &ControlPlane| is_allowed(&decisions(plane, "ec2", "DeleteVpc", &[("VpcId", &vpc)]));
    assert!(!delete(plane));
    let tag = |plane: &mut ControlPlane, value: &str| {
        plane.cloud.iam.users.get_mut("eve").unwrap().tags.insert("team".to_owned(), value.to_owned());
    };
    tag(plane, "db");
    assert!(!delete(plane));
    tag(plane, "web");
    assert!(delete(plane));
    let in_vpc = json!({"StringEquals": {"ec2:VpcID": vpc}});
    grant(
        plane,
        &json!([
            {"Effect": "Allow", "Action": "ec2:CreateSubnet", "Resource": "arn:aws:ec2:*:*:subnet/*"},
            {"Effect": "Allow", "Action": "ec2:CreateSubnet", "Resource": "arn:aws:ec2:*:*:vpc/*", "Condition": in_vpc},
        ]),
    );
    let subnet = |plane: &ControlPlane, vpc: &str| {
        is_allowed(&decisions(plane, "ec2", "CreateSubnet", &[("VpcId", vpc), ("CidrBlock", "10.9.1.0/24")]))
    };
    assert!(subnet(plane, &vpc));
    assert!(!subnet(plane, "vpc-2"));
}

#[test]
fn tagging_at_creation_needs_its_own_action() {
    let plane = &mut cloud();
    let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")];
    let last = |plane: &ControlPlane, service: &str, operation: &str, parameters: &[(&str, &str)]| {
        let tagged = [parameters, &tag].concat();
        decisions(plane, service, operation, &tagged).pop().unwrap()
    };
    grant(plane, &json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}]));
    let group = [("Name", "g"), ("Protocol", "HTTP"), ("Port", "80")];
    assert_eq!(
        last(plane, "elasticloadbalancing", "CreateTargetGroup", &group),
        "elasticloadbalancing:AddTags targetgroup/g/*"
    );
    let balancer = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/b/50dc6c495c0c9188";
    let listener = [("LoadBalancerArn", balancer), ("Protocol", "HTTP"), ("Port", "80")];
    assert_eq!(
        last(plane, "elasticloadbalancing", "CreateListener", &listener),
        "elasticloadbalancing:AddTags listener/app/b/50dc6c495c0c9188/*"
    );
    let database = [("DBInstanceIdentifier", "d"), ("Engine", "postgres"), ("DBInstanceClass", "db.t3.micro")];
    let tagged = [&database[..], &[("Tags.Tag.1.Key", "team"), ("Tags.Tag.1.Value", "web")]].concat();
    let tagged = decisions(plane, "rds", "CreateDBInstance", &tagged).pop().unwrap();
    assert_eq!(tagged, "rds:AddTagsToResource db:d");
    assert_eq!(last(plane, "iam", "CreateUser", &[("UserName", "bob")]), "iam:TagUser user/bob");
    let role = [("RoleName", "r"), ("AssumeRolePolicyDocument", "{}")];
    assert_eq!(last(plane, "iam", "CreateRole", &role), "iam:TagRole role/r");
    let engine = json!({"StringNotEquals": {"rds:DatabaseEngine": "postgres"}});
    grant(
        plane,
        &json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "rds:CreateDBInstance", "Resource": "arn:aws:rds:*:*:db:*", "Condition": engine},
        ]),
    );
    assert!(is_allowed(&decisions(plane, "rds", "CreateDBInstance", &database)));
    let mysql = [database[0], ("Engine", "mysql"), database[2]];
    assert!(!is_allowed(&decisions(plane, "rds", "CreateDBInstance", &mysql)));
}

#[test]
fn permissions_for_iam_depend_on_policies_and_boundaries() {
    let plane = &mut cloud();
    let read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    grant(
        plane,
        &json!([
            {"Effect": "Allow", "Action": "iam:AttachRolePolicy", "Resource": "*",
             "Condition": {"ArnEquals": {"iam:PolicyARN": read_only}}},
            {"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*",
             "Condition": {"StringEquals": {"iam:PermissionsBoundary": read_only}}},
        ]),
    );
    let attach = |plane: &ControlPlane, arn: &str| {
        is_allowed(&decisions(plane, "iam", "AttachRolePolicy", &[("RoleName", "web"), ("PolicyArn", arn)]))
    };
    assert!(attach(plane, read_only));
    assert!(!attach(plane, "arn:aws:iam::aws:policy/AdministratorAccess"));
    assert!(!is_allowed(&decisions(plane, "iam", "CreateUser", &[("UserName", "bob")])));
    assert!(is_allowed(&decisions(
        plane,
        "iam",
        "CreateUser",
        &[("UserName", "bob"), ("PermissionsBoundary", read_only)]
    )));
    plane.cloud.iam.users.get_mut("eve").unwrap().boundary = Some(read_only.to_owned());
    assert!(!attach(plane, read_only));
}
