//! The recorded API calls: parameters, responses, decisions, and the absence of secrets.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, Request};
use infra_local::{Credentials, Fault, LocalCloud, Options, Requests};
use regex_lite::Regex;
use serde_json::{Value, json};

use support::api::{exchange, token};
use support::{Api, ec2, element, send};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn start(directory: &tempfile::TempDir, enforce_iam: bool) -> LocalCloud {
    LocalCloud::start(Options { enforce_iam, ..Options::new(directory.path()) }).await.unwrap()
}

/// Sends `GET /_infra/{path}`.
async fn administer(cloud: &LocalCloud, directory: &tempfile::TempDir, path: &str) -> (u16, String) {
    let request = Request::get(format!("{}/_infra/{path}", cloud.endpoint()))
        .header("authorization", format!("Bearer {}", token(directory.path())));
    exchange(request.body(http_body_util::Full::default()).unwrap()).await.unwrap()
}

/// Returns the calls after a number.
async fn calls(cloud: &LocalCloud, directory: &tempfile::TempDir, after: u64) -> Vec<Value> {
    let (status, text) = administer(cloud, directory, &format!("calls?after={after}")).await;
    assert_eq!(status, 200, "{text}");
    let page: Value = serde_json::from_str(&text).unwrap();
    page["calls"].as_array().unwrap().clone()
}

/// Sends a request to a service that uses forms.
async fn query(api: &Api, service: &str, form: &[(&str, &str)]) -> (u16, String) {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    api.send(service, Method::POST, "/", &[FORM], body.as_bytes()).await.unwrap()
}

/// Sends a request to a service that uses JSON.
async fn values(api: &Api, service: &str, target: &str, input: &Value) -> (u16, String) {
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    api.send(service, Method::POST, "/", &headers, input.to_string().as_bytes()).await.unwrap()
}

/// Creates a user with this inline policy, and returns a client with its key.
async fn user(api: &Api, name: &str, statements: &Value) -> Api {
    query(api, "iam", &[("Action", "CreateUser"), ("UserName", name)]).await;
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let policy =
        [("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "own"), ("PolicyDocument", &document)];
    assert_eq!(query(api, "iam", &policy).await.0, 200);
    let (_, key) = query(api, "iam", &[("Action", "CreateAccessKey"), ("UserName", name)]).await;
    let key = Credentials {
        access_key_id: element(&key, "AccessKeyId"),
        secret_access_key: element(&key, "SecretAccessKey"),
    };
    Api { key, ..api.clone() }
}

/// Replaces ids, times and addresses.
fn redacted(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[request]"),
        (r"\b(vpc|dopt)-[0-9a-f]{8,}", "$1-[id]"),
        (r"AKIA[0-9A-Z]+", "[key]"),
        (r#""microseconds": \d+"#, r#""microseconds": [time]"#),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, redaction)| {
        Regex::new(pattern).unwrap().replace_all(&text, *redaction).into_owned()
    })
}

/// Formats the caller, the operation, its outcome and the decisions of each call.
fn outline(calls: &[Value]) -> String {
    let mut lines = Vec::new();
    for call in calls {
        let text = |name: &str| call[name].as_str().unwrap_or("-").to_owned();
        let error = call["error"]["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
        lines.push(format!(
            "{} {}:{} {} {}{error}",
            text("caller"),
            text("service"),
            text("operation"),
            call["parameters"],
            call["status"]
        ));
        for decision in call["decisions"].as_array().unwrap() {
            let text = |name: &str| decision[name].as_str().unwrap_or("-").to_owned();
            let allowed = if decision["allowed"] == true { "allows" } else { "denies" };
            lines.push(format!("  {allowed} {} on {}: {}", text("action"), text("resource"), text("reason")));
        }
    }
    redacted(&lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_with_its_parameters_response_and_decision() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    let create = [
        ("Action", "CreateVpc"),
        ("Version", "2016-11-15"),
        ("CidrBlock", "10.1.0.0/16"),
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "Name"),
        ("TagSpecification.1.Tag.1.Value", "main"),
    ];
    assert_eq!(ec2(&cloud, &create).await.0, 200);
    let mut calls = calls(&cloud, &directory, 0).await;
    let answer = calls[0]["answer"].take();
    let decisions = calls[0]["decisions"].as_array_mut().unwrap();
    let contexts: Vec<Value> = decisions.iter_mut().map(|it| it["context"].take()).collect();
    insta::assert_snapshot!(redacted(&serde_json::to_string_pretty(&calls).unwrap()), @r#"
    [
      {
        "access_key": "[key]",
        "answer": null,
        "at": "[time]",
        "caller": "arn:aws:iam::000000000000:root",
        "decisions": [
          {
            "action": "ec2:CreateVpc",
            "allowed": true,
            "context": null,
            "policy": null,
            "reason": "root user",
            "resource": "arn:aws:ec2:us-east-1:000000000000:vpc/*",
            "statement": null
          },
          {
            "action": "ec2:CreateTags",
            "allowed": true,
            "context": null,
            "policy": null,
            "reason": "root user",
            "resource": "arn:aws:ec2:us-east-1:000000000000:vpc/*",
            "statement": null
          }
        ],
        "error": null,
        "microseconds": [time],
        "number": 1,
        "operation": "CreateVpc",
        "parameters": {
          "CidrBlock": "10.1.0.0/16",
          "TagSpecification": [
            {
              "ResourceType": "vpc",
              "Tag": [
                {
                  "Key": "Name",
                  "Value": "main"
                }
              ]
            }
          ]
        },
        "region": "us-east-1",
        "request_id": "[request]",
        "service": "ec2",
        "status": 200,
        "user_agent": ""
      }
    ]
    "#);
    assert_eq!(contexts[0]["aws:RequestTag/Name"], json!(["main"]));
    assert_eq!(contexts[0]["aws:PrincipalArn"], json!(["arn:aws:iam::000000000000:root"]));
    assert_eq!(contexts[1]["ec2:CreateAction"], json!(["CreateVpc"]));
    assert!(answer.as_str().unwrap().starts_with("<?xml"), "{answer}");
    assert!(answer.as_str().unwrap().contains("<cidrBlock>10.1.0.0/16</cidrBlock>"), "{answer}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_all_protocols_and_errors_are_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    let api = Api::of(&cloud);
    ec2(&cloud, &[("Action", "DescribeVpcs"), ("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", "vpc-1")]).await;
    ec2(&cloud, &[("Action", "DeleteVpc"), ("VpcId", "vpc-00000001")]).await;
    ec2(&cloud, &[("Action", "RunCluster"), ("Size", "7")]).await;
    values(&api, "ssm", "AmazonSSM.DescribeParameters", &json!({"MaxResults": 5})).await;
    query(&api, "monitoring", &[("Action", "ListMetrics"), ("Namespace", "n")]).await;
    query(&api, "lambda", &[("Action", "Invoke")]).await;
    let guessed = Credentials { secret_access_key: "guessed".into(), ..api.key.clone() };
    query(&Api { key: guessed, ..api.clone() }, "iam", &[("Action", "ListUsers"), ("PathPrefix", "/")]).await;
    cloud.inject(&Fault::Throttle(Requests { count: Some(1), ..Requests::default() })).unwrap();
    query(&api, "iam", &[("Action", "ListUsers"), ("PathPrefix", "/")]).await;
    cloud.inject(&Fault::DropAnswers(Requests { count: Some(1), ..Requests::default() })).unwrap();
    assert_eq!(api.send("iam", Method::POST, "/", &[FORM], b"Action=ListUsers").await, None);
    insta::assert_snapshot!(outline(&calls(&cloud, &directory, 0).await), @r#"
    arn:aws:iam::000000000000:root ec2:DescribeVpcs {"Filter":[{"Name":"vpc-id","Value":["vpc-1"]}]} 200
      allows ec2:DescribeVpcs on *: root user
    arn:aws:iam::000000000000:root ec2:DeleteVpc {"VpcId":"vpc-[id]"} 400 InvalidVpcID.NotFound
      allows ec2:DeleteVpc on arn:aws:ec2:us-east-1:000000000000:vpc/vpc-[id]: root user
    arn:aws:iam::000000000000:root ec2:RunCluster null 400 InvalidAction
    arn:aws:iam::000000000000:root ssm:DescribeParameters {"MaxResults":5} 200
      allows ssm:DescribeParameters on *: root user
    arn:aws:iam::000000000000:root monitoring:ListMetrics {"Namespace":"n"} 200
      allows cloudwatch:ListMetrics on *: root user
    - lambda: null 400 UnknownService
    - iam:ListUsers null 403 SignatureDoesNotMatch
    - iam:ListUsers null 400 Throttling
    arn:aws:iam::000000000000:root iam:ListUsers {} 200 ResponseDropped
      allows iam:ListUsers on *: root user
    "#);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_the_object_store_are_recorded_without_objects() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    send(&cloud, "s3", Method::PUT, "/photos", &[], b"").await;
    let object = b"<Secret>the object</Secret>";
    send(&cloud, "s3", Method::PUT, "/photos/a%20b", &[("content-type", "application/xml")], object).await;
    assert!(send(&cloud, "s3", Method::GET, "/photos/a%20b", &[], b"").await.1.contains("the object"));
    send(&cloud, "s3", Method::GET, "/photos/missing", &[], b"").await;
    send(&cloud, "s3", Method::HEAD, "/photos/missing", &[], b"").await;
    send(&cloud, "s3", Method::GET, "/photos?list-type=2", &[], b"").await;
    let remove = b"<Delete><Object><Key>a b</Key></Object></Delete>";
    send(&cloud, "s3", Method::POST, "/photos?delete", &[], remove).await;
    let recorded = calls(&cloud, &directory, 0).await;
    insta::assert_snapshot!(outline(&recorded), @r#"
    arn:aws:iam::000000000000:root s3:CreateBucket {"bucket":"photos"} 200
      allows s3:CreateBucket on arn:aws:s3:::photos: root user
    arn:aws:iam::000000000000:root s3:PutObject {"bucket":"photos","key":"a b"} 200
      allows s3:PutObject on arn:aws:s3:::photos/a b: root user
    arn:aws:iam::000000000000:root s3:GetObject {"bucket":"photos","key":"a b"} 200
      allows s3:GetObject on arn:aws:s3:::photos/a b: root user
    arn:aws:iam::000000000000:root s3:GetObject {"bucket":"photos","key":"missing"} 404 NoSuchKey
      allows s3:GetObject on arn:aws:s3:::photos/missing: root user
    arn:aws:iam::000000000000:root s3:HeadObject {"bucket":"photos","key":"missing"} 404 NoSuchKey
      allows s3:GetObject on arn:aws:s3:::photos/missing: root user
    arn:aws:iam::000000000000:root s3:ListObjectsV2 {"bucket":"photos"} 200
      allows s3:ListBucket on arn:aws:s3:::photos: root user
    arn:aws:iam::000000000000:root s3:DeleteObjects {"bucket":"photos"} 200
      allows s3:DeleteObject on arn:aws:s3:::photos/a b: root user
    "#);
    assert!(!json!(recorded).to_string().contains("the object"), "{recorded:?}");
    assert_eq!(recorded[3]["error"]["message"], "The specified key does not exist.");
    assert!(recorded[5]["answer"].as_str().unwrap().contains("<Key>a b</Key>"), "{}", recorded[5]);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_contain_the_statement_of_a_policy() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, true).await;
    let api = Api::of(&cloud);
    let statements = json!([
        {"Sid": "Read", "Effect": "Allow", "Action": ["ec2:Describe*", "s3:ListBucket"], "Resource": "*"},
        {"Effect": "Deny", "Action": "ec2:DescribeRegions", "Resource": "*"},
    ]);
    let eve = user(&api, "eve", &statements).await;
    let read_only = [
        ("Action", "AttachUserPolicy"),
        ("UserName", "eve"),
        ("PolicyArn", "arn:aws:iam::aws:policy/IAMReadOnlyAccess"),
    ];
    query(&api, "iam", &read_only).await;
    send(&cloud, "s3", Method::PUT, "/photos", &[], b"").await;
    let newest = calls(&cloud, &directory, 0).await.last().unwrap()["number"].as_u64().unwrap();
    for action in ["DescribeVpcs", "DescribeRegions"] {
        query(&eve, "ec2", &[("Action", action)]).await;
    }
    query(&eve, "ec2", &[("Action", "DeleteVpc"), ("VpcId", "vpc-00000001")]).await;
    query(&eve, "iam", &[("Action", "ListUsers")]).await;
    eve.send("s3", Method::GET, "/photos?list-type=2", &[], b"").await.unwrap();
    eve.send("s3", Method::PUT, "/photos/a", &[], b"x").await.unwrap();
    insta::assert_snapshot!(outline(&calls(&cloud, &directory, newest).await), @r#"
    arn:aws:iam::000000000000:user/eve ec2:DescribeVpcs {} 200
      allows ec2:DescribeVpcs on *: allowed by statement Read of policy own
    arn:aws:iam::000000000000:user/eve ec2:DescribeRegions {} 403 UnauthorizedOperation
      denies ec2:DescribeRegions on *: denied explicitly by statement 2 of policy own
    arn:aws:iam::000000000000:user/eve ec2:DeleteVpc {"VpcId":"vpc-[id]"} 403 UnauthorizedOperation
      denies ec2:DeleteVpc on arn:aws:ec2:us-east-1:000000000000:vpc/vpc-[id]: no statement allows it
    arn:aws:iam::000000000000:user/eve iam:ListUsers {} 200
      allows iam:ListUsers on *: allowed by statement 1 of policy arn:aws:iam::aws:policy/IAMReadOnlyAccess
    arn:aws:iam::000000000000:user/eve s3:ListObjectsV2 {"bucket":"photos"} 200
      allows s3:ListBucket on arn:aws:s3:::photos: allowed by statement Read of policy own
    arn:aws:iam::000000000000:user/eve s3:PutObject {"bucket":"photos","key":"a"} 403 AccessDenied
      denies s3:PutObject on arn:aws:s3:::photos/a: no statement allows it
    "#);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_name_the_caller_when_policies_are_not_enforced() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    let api = Api::of(&cloud);
    let eve = user(&api, "eve", &json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}])).await;
    query(&eve, "ec2", &[("Action", "DescribeVpcs")]).await;
    eve.send("s3", Method::PUT, "/photos", &[], b"").await.unwrap();
    insta::assert_snapshot!(outline(&calls(&cloud, &directory, 3).await), @r#"
    arn:aws:iam::000000000000:user/eve ec2:DescribeVpcs {} 200
      allows ec2:DescribeVpcs on *: not enforced
    arn:aws:iam::000000000000:user/eve s3:CreateBucket {"bucket":"photos"} 200
      allows s3:CreateBucket on arn:aws:s3:::photos: not enforced
    "#);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_calls_continue_after_a_number() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    for _ in 0..3 {
        ec2(&cloud, &[("Action", "DescribeRegions")]).await;
    }
    let numbers = async |path: &str| {
        let (status, text) = administer(&cloud, &directory, path).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        let Some(calls) = page["calls"].as_array() else { return format!("{status} {}", page["error"]) };
        let numbers: Vec<_> = calls.iter().map(|call| &call["number"]).collect();
        format!("{} {}", json!(numbers), page["next"])
    };
    insta::assert_snapshot!(numbers("calls").await, @"[1,2,3] 3");
    insta::assert_snapshot!(numbers("calls?limit=1").await, @"[3] 3");
    insta::assert_snapshot!(numbers("calls?after=0&limit=2").await, @"[1,2] 2");
    insta::assert_snapshot!(numbers("calls?after=2").await, @"[3] 3");
    insta::assert_snapshot!(numbers("calls?after=3").await, @"[] 3");
    insta::assert_snapshot!(numbers("calls?limit=5001").await, @r#"400 "the parameter `limit` is 5001: it must be between 1 and 5000""#);
    insta::assert_snapshot!(numbers("calls?since=1").await, @r#"400 "the path has no parameter `since`; it has after, limit""#);
    cloud.shutdown().await;
}

/// A secret that no response and no error repeats by chance. It is a valid password and a valid value.
const SECRET: &str = "Zs3cr3t<&>Zs3cr3t";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let cloud = start(&directory, false).await;
    let api = Api::of(&cloud);
    let encoded = STANDARD.encode(SECRET);
    let mut secrets = vec![SECRET.to_owned(), encoded.clone(), api.key.secret_access_key.clone()];
    secrets.extend(send_secrets(&api, &encoded).await);
    secrets.push(token(directory.path()));

    let (_, text) = administer(&cloud, &directory, "calls?after=0&limit=5000").await;
    let page: Value = serde_json::from_str(&text).unwrap();
    for call in page["calls"].as_array().unwrap() {
        let texts = texts(call);
        for secret in &secrets {
            let shown = texts.iter().find(|text| text.contains(secret.as_str()));
            assert_eq!(shown, None, "{call} contains {secret}");
            let in_xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            assert!(!texts.iter().any(|text| text.contains(&in_xml)), "{call} contains {in_xml}");
        }
        assert!(!call.to_string().contains("Signature="), "{call}");
    }
    // The resource is read until it is created.
    let is_early = |call: &&Value| call["operation"] == "GetResource" && call["status"] != 200;
    let calls = page["calls"].as_array().unwrap().iter();
    let outline: Vec<String> = calls.filter(|call| !is_early(call)).map(outcome).collect();
    insta::assert_snapshot!(outline.join("\n"), @r"
    ec2:DescribeImages 200
    ec2:RunInstances 200
    ec2:ModifyInstanceAttribute 400 IncorrectInstanceState
    ec2:ModifyInstanceAttribute 400 IncorrectInstanceState
    ec2:DescribeInstanceAttribute 200
    ec2:CreateLaunchTemplate 200
    ec2:CreateLaunchTemplateVersion 200
    ec2:DescribeLaunchTemplateVersions 200
    rds:CreateDBCluster 400 InvalidParameterValue
    rds:ModifyDBCluster 404 DBClusterNotFoundFault
    rds:CreateDBInstance 400 InvalidParameterValue
    rds:ModifyDBInstance 404 DBInstanceNotFound
    ssm:PutParameter 200
    ssm:PutParameter 200
    ssm:PutParameter 400 SerializationException
    ssm:PutParameter 400 ParameterPatternMismatchException
    ssm:GetParameter 200
    ssm:GetParameters 200
    ssm:GetParametersByPath 200
    ssm:GetParameterHistory 200
    cloudcontrolapi:CreateResource 200
    cloudcontrolapi:GetResource 200
    cloudcontrolapi:UpdateResource 200
    cloudcontrolapi:ListResources 200
    acm:ImportCertificate 400 ValidationException
    iam:CreateUser 200
    iam:CreateAccessKey 200
    iam:CreateRole 200
    sts:AssumeRole 200
    sts:GetCallerIdentity 200
    iam:CreateLoginProfile 404 NoSuchEntity
    ec2:CreateKeyPair 200
    iam:CreateUser 400 UnsupportedParameter
    iam:CreateServiceSpecificCredential 400 InvalidAction
    secretsmanager: 400 UnknownService
    s3:CreateBucket 200
    s3:PutObject 200
    s3:GetObject 200
    ");
    cloud.shutdown().await;
}

fn outcome(call: &Value) -> String {
    let code = call["error"]["code"].as_str().unwrap_or_default();
    format!("{}:{} {} {code}", call["service"].as_str().unwrap(), call["operation"].as_str().unwrap(), call["status"])
        .trim_end()
        .to_owned()
}

/// Returns all texts in a document.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| std::iter::once(name.clone()).chain(texts(value))).collect()
        }
        _ => Vec::new(),
    }
}

/// Sends requests with secrets in all parameters that contain some, and returns the secrets of the responses.
async fn send_secrets(api: &Api, encoded: &str) -> Vec<String> {
    let image = element(&query(api, "ec2", &[("Action", "DescribeImages")]).await.1, "imageId");
    let launch = [("ImageId", image.as_str()), ("InstanceType", "t3.micro"), ("MinCount", "1"), ("MaxCount", "1")];
    let run = [&[("Action", "RunInstances"), ("UserData", encoded)], &launch[..]].concat();
    let id = element(&query(api, "ec2", &run).await.1, "instanceId");
    let instance = ("InstanceId", id.as_str());
    for (name, value) in [("UserData.Value", encoded), ("Value", encoded)] {
        let modify = [("Action", "ModifyInstanceAttribute"), instance, ("Attribute", "userData"), (name, value)];
        query(api, "ec2", &modify).await;
    }
    let describe = [("Action", "DescribeInstanceAttribute"), instance, ("Attribute", "userData")];
    assert!(query(api, "ec2", &describe).await.1.contains(encoded));
    for action in ["CreateLaunchTemplate", "CreateLaunchTemplateVersion"] {
        let template = [("LaunchTemplateName", "template"), ("LaunchTemplateData.UserData", encoded)];
        query(api, "ec2", &[&[("Action", action)], &template[..]].concat()).await;
    }
    let versions = [("Action", "DescribeLaunchTemplateVersions"), ("LaunchTemplateName", "template")];
    let (_, versions) = query(api, "ec2", &versions).await;
    assert!(versions.contains(encoded), "{versions}");

    let password = ("MasterUserPassword", SECRET);
    for (action, name) in [
        ("CreateDBCluster", "DBClusterIdentifier"),
        ("ModifyDBCluster", "DBClusterIdentifier"),
        ("CreateDBInstance", "DBInstanceIdentifier"),
        ("ModifyDBInstance", "DBInstanceIdentifier"),
    ] {
        query(api, "rds", &[("Action", action), (name, "db"), password]).await;
    }
    send_parameters(api).await;
    let key = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}");
    let certificate = json!({"Certificate": STANDARD.encode("none"), "PrivateKey": STANDARD.encode(key)});
    values(api, "acm", "CertificateManager.ImportCertificate", &certificate).await;
    let mut issued = send_identities(api).await;
    query(api, "iam", &[("Action", "CreateLoginProfile"), ("UserName", "u"), ("Password", SECRET)]).await;
    let pair = [("Action", "CreateKeyPair"), ("KeyName", "pair"), ("KeyType", "ed25519")];
    issued.push(element(&query(api, "ec2", &pair).await.1, "keyMaterial"));
    // A parameter that no operation has, and an operation that the cloud does not have.
    query(api, "iam", &[("Action", "CreateUser"), ("UserName", "u"), ("NewPassword", SECRET)]).await;
    query(api, "iam", &[("Action", "CreateServiceSpecificCredential"), ("UserName", "u"), ("Text", SECRET)]).await;
    query(api, "secretsmanager", &[("Action", "CreateSecret"), ("SecretString", SECRET)]).await;
    api.send("s3", Method::PUT, "/secrets", &[], b"").await;
    api.send("s3", Method::PUT, "/secrets/k", &[], SECRET.as_bytes()).await;
    assert_eq!(api.send("s3", Method::GET, "/secrets/k", &[], b"").await.unwrap().1, SECRET);
    issued
}

/// Writes and reads parameters in all ways.
async fn send_parameters(api: &Api) {
    let put = json!({"Name": "/p", "Type": "SecureString", "Value": SECRET});
    assert_eq!(values(api, "ssm", "AmazonSSM.PutParameter", &put).await.0, 200);
    values(api, "ssm", "AmazonSSM.PutParameter", &json!({"Name": "/p", "Value": SECRET, "Overwrite": true})).await;
    values(api, "ssm", "AmazonSSM.PutParameter", &json!({"Name": "/p", "Value": [SECRET]})).await;
    let pattern = json!({"Name": "/o", "Type": "SecureString", "Value": SECRET, "AllowedPattern": "^a$"});
    values(api, "ssm", "AmazonSSM.PutParameter", &pattern).await;
    for (operation, input) in [
        ("GetParameter", json!({"Name": "/p", "WithDecryption": true})),
        ("GetParameters", json!({"Names": ["/p"], "WithDecryption": true})),
        ("GetParametersByPath", json!({"Path": "/", "WithDecryption": true})),
        ("GetParameterHistory", json!({"Name": "/p", "WithDecryption": true})),
    ] {
        let (_, text) = values(api, "ssm", &format!("AmazonSSM.{operation}"), &input).await;
        assert!(text.contains(SECRET), "{operation}: {text}");
    }
    let kind = "AWS::SSM::Parameter";
    let state = json!({"Name": "/q", "Type": "String", "Value": SECRET}).to_string();
    let create = json!({"TypeName": kind, "DesiredState": state});
    assert_eq!(values(api, "cloudcontrolapi", "CloudApiService.CreateResource", &create).await.0, 200);
    let read = json!({"TypeName": kind, "Identifier": "/q"});
    support::eventually(async || {
        let (_, text) = values(api, "cloudcontrolapi", "CloudApiService.GetResource", &read).await;
        text.contains(SECRET).then_some(())
    })
    .await;
    let patch = json!([{"op": "replace", "path": "/Value", "value": SECRET}]).to_string();
    let update = json!({"TypeName": kind, "Identifier": "/q", "PatchDocument": patch});
    values(api, "cloudcontrolapi", "CloudApiService.UpdateResource", &update).await;
    values(api, "cloudcontrolapi", "CloudApiService.ListResources", &json!({"TypeName": kind})).await;
}

/// Creates an access key and temporary credentials, and returns their secrets.
async fn send_identities(api: &Api) -> Vec<String> {
    query(api, "iam", &[("Action", "CreateUser"), ("UserName", "eve")]).await;
    let (_, key) = query(api, "iam", &[("Action", "CreateAccessKey"), ("UserName", "eve")]).await;
    let trust = json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]});
    let trust = trust.to_string();
    let role = [("Action", "CreateRole"), ("RoleName", "r"), ("AssumeRolePolicyDocument", trust.as_str())];
    let (_, role) = query(api, "iam", &role).await;
    let assume = [("Action", "AssumeRole"), ("RoleArn", &*element(&role, "Arn")), ("RoleSessionName", "session")];
    let (_, session) = query(api, "sts", &assume).await;
    let token = element(&session, "SessionToken");
    let temporary = Api {
        key: Credentials {
            access_key_id: element(&session, "AccessKeyId"),
            secret_access_key: element(&session, "SecretAccessKey"),
        },
        ..api.clone()
    };
    let headers = [FORM, ("x-amz-security-token", token.as_str())];
    let who = temporary.send("sts", Method::POST, "/", &headers, b"Action=GetCallerIdentity").await.unwrap();
    assert_eq!(who.0, 200, "{}", who.1);
    vec![element(&key, "SecretAccessKey"), temporary.key.secret_access_key, token]
}
