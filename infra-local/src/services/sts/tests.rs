#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::OPERATIONS;
use crate::access::Identity;
use crate::model::iam::{AccessKey, SessionHolder};
use crate::services::iam;
use crate::testing::ControlPlane;

const ROLE: (&str, &str) = ("RoleArn", "arn:aws:iam::000000000000:role/r");
const NAME: (&str, &str) = ("RoleSessionName", "work");

fn form(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

fn ask(plane: &mut ControlPlane, operation: &str, parameters: &[(&str, &str)]) -> String {
    plane.query(OPERATIONS, operation, &form(parameters)).unwrap_or_else(|error| error)
}

fn assume(plane: &mut ControlPlane, parameters: &[(&str, &str)]) -> String {
    ask(plane, "AssumeRole", &[&[ROLE, NAME], parameters].concat())
}

fn text(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap_or_default();
    rest.split_once('<').map_or_else(|| panic!("{xml} has no {name}"), |(text, _)| text.to_owned())
}

/// Returns a cloud whose requests are signed by the user `eve`, with a role that has this trust policy.
fn with_trust(statements: &Value) -> ControlPlane {
    let mut plane = ControlPlane::new();
    plane.query(iam::OPERATIONS, "CreateUser", "UserName=eve").unwrap();
    let key = AccessKey { secret: "s".to_owned(), active: true, created: chrono::Utc::now(), last_used: None };
    plane.cloud.iam.users.get_mut("eve").unwrap().access_keys.insert("key".to_owned(), key);
    let trust = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let role = form(&[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust), ("MaxSessionDuration", "7200")]);
    plane.query(iam::OPERATIONS, "CreateRole", &role).unwrap();
    plane
}

fn allow(condition: &Value) -> Value {
    json!([{
        "Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Principal": {"AWS": "arn:aws:iam::000000000000:user/eve"}, "Condition": condition,
    }])
}

const DENIED: &str = "AccessDenied: User: arn:aws:iam::000000000000:user/eve is not authorized to perform: \
                      sts:AssumeRole on resource: arn:aws:iam::000000000000:role/r";

#[test]
fn conditions_of_trust_policies_are_evaluated() {
    let plane = &mut with_trust(&allow(&json!({"StringEquals": {"sts:ExternalId": "42"}})));
    assert_eq!(assume(plane, &[]), DENIED);
    assert_eq!(assume(plane, &[("ExternalId", "43")]), DENIED);
    let assumed = assume(plane, &[("ExternalId", "42")]);
    assert_eq!(text(&assumed, "Arn"), "arn:aws:sts::000000000000:assumed-role/r/work");

    let plane = &mut with_trust(&allow(&json!({"StringLike": {"sts:RoleSessionName": "${aws:username}-*"}})));
    assert_eq!(assume(plane, &[]), DENIED);
    let named = [ROLE, ("RoleSessionName", "eve-1")];
    assert!(ask(plane, "AssumeRole", &named).contains("<AccessKeyId>"));

    let plane = &mut with_trust(&allow(&json!({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}})));
    assert_eq!(assume(plane, &[]), DENIED);
    let own = json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::000000000000:user/eve"}});
    assert!(assume(&mut with_trust(&allow(&own)), &[]).contains("<AccessKeyId>"));
}

#[test]
fn trust_policies_deny_explicitly_and_by_exclusion() {
    let everyone = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}});
    let eve = json!({"AWS": "arn:aws:iam::000000000000:user/eve"});
    let denied = json!([everyone, {"Effect": "Deny", "Action": "sts:*", "Principal": eve}]);
    assert_eq!(assume(&mut with_trust(&denied), &[]), DENIED);
    let others = json!([everyone, {"Effect": "Deny", "Action": "sts:*", "NotPrincipal": eve}]);
    assert!(assume(&mut with_trust(&others), &[]).contains("<AccessKeyId>"));
    let root = json!({"AWS": "arn:aws:iam::000000000000:root"});
    let not_root = json!([everyone, {"Effect": "Deny", "Action": "sts:*", "NotPrincipal": root}]);
    assert_eq!(assume(&mut with_trust(&not_root), &[]), DENIED);
}

#[test]
fn sessions_have_a_limited_duration() {
    let plane = &mut with_trust(&allow(&json!({})));
    let with = |plane: &mut ControlPlane, seconds: &str| assume(plane, &[("DurationSeconds", seconds)]);
    insta::assert_snapshot!(with(plane, "899"), @"ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900");
    insta::assert_snapshot!(with(plane, "43201"), @"ValidationError: 1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200");
    insta::assert_snapshot!(with(plane, "7201"), @"ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
    assert!(with(plane, "7200").contains("<AccessKeyId>"));
    let trust = allow(&json!({}));
    let session = json!({"AWS": "arn:aws:iam::000000000000:role/r"});
    let chained = json!([trust[0], {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": session}]);
    let role = plane.cloud.iam.roles.get_mut("r").unwrap();
    role.trust_policy = json!({"Version": "2012-10-17", "Statement": chained}).to_string();
    sign_as_session(plane, &[]);
    insta::assert_snapshot!(with(plane, "3601"), @"ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
    assert!(with(plane, "3600").contains("<AccessKeyId>"));
}

/// Assumes the role; the session signs the following requests.
fn sign_as_session(plane: &mut ControlPlane, parameters: &[(&str, &str)]) {
    let key = text(&assume(plane, parameters), "AccessKeyId");
    let session = plane.cloud.iam.sessions.remove(&key).unwrap();
    plane.cloud.iam.users.get_mut("eve").unwrap().access_keys.clear();
    plane.cloud.iam.sessions.insert("key".to_owned(), session);
}

#[test]
fn session_tags_need_permission_and_are_inherited_if_transitive() {
    let only_assume = json!([{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::000000000000:user/eve"},
    }]);
    let tag = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "web")];
    insta::assert_snapshot!(assume(&mut with_trust(&only_assume), &tag), @"AccessDenied: User: arn:aws:iam::000000000000:user/eve is not authorized to perform: sts:TagSession on resource: arn:aws:iam::000000000000:role/r");
    let mut trust = allow(&json!({"StringEqualsIfExists": {"aws:RequestTag/team": "web"}}));
    trust[0]["Principal"]["AWS"] = json!(["arn:aws:iam::000000000000:user/eve", "000000000000"]);
    let plane = &mut with_trust(&trust);
    assert_eq!(assume(plane, &[tag[0], ("Tags.member.1.Value", "db")]), DENIED);
    insta::assert_snapshot!(assume(plane, &[("TransitiveTagKeys.member.1", "x")]), @"InvalidParameterValue: The specified transitive tag key must be included in the requested tags.");
    let duplicate = [tag[0], tag[1], ("Tags.member.2.Key", "TEAM"), ("Tags.member.2.Value", "x")];
    insta::assert_snapshot!(assume(plane, &duplicate), @"InvalidParameterValue: Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    sign_as_session(plane, &[&tag[..], &[("TransitiveTagKeys.member.1", "team"), ("SourceIdentity", "eve")]].concat());
    insta::assert_snapshot!(assume(plane, &tag), @"InvalidParameterValue: One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.");
    let key = text(&assume(plane, &[]), "AccessKeyId");
    let session = &plane.cloud.iam.sessions[&key];
    assert_eq!((session.tags["team"].as_str(), session.source_identity.as_deref()), ("web", Some("eve")));
    assert_eq!(assume(plane, &[("SourceIdentity", "bob")]).split(':').next(), Some("AccessDenied"));
}

#[test]
fn session_policies_are_valid_and_exist() {
    let plane = &mut with_trust(&allow(&json!({})));
    insta::assert_snapshot!(assume(plane, &[("Policy", "{")]), @"MalformedPolicyDocument: Syntax errors in policy.");
    insta::assert_snapshot!(assume(plane, &[("PolicyArns.member.1.arn", "arn:aws:iam::000000000000:policy/no")]), @"ValidationError: The policy arn:aws:iam::000000000000:policy/no does not exist or is not attachable.");
    let arn = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    let assumed = assume(plane, &[("PolicyArns.member.1.arn", arn)]);
    assert_eq!(plane.cloud.iam.sessions[&text(&assumed, "AccessKeyId")].policy_arns, [arn]);
    assert!(assumed.contains("<PackedPolicySize>"), "{assumed}");
    insta::assert_snapshot!(ask(plane, "AssumeRole", &[ROLE, ("RoleSessionName", "a b")]), @r"ValidationError: 1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*");
}

#[test]
fn session_token_has_the_permissions_of_the_user() {
    let plane = &mut with_trust(&allow(&json!({})));
    let key = text(&ask(plane, "GetSessionToken", &[]), "AccessKeyId");
    let session = &plane.cloud.iam.sessions[&key];
    assert_eq!(session.holder, SessionHolder::User { user: "eve".to_owned() });
    assert_eq!((session.expires - session.issued.unwrap()).num_seconds(), 43_200);
    let identity = Identity::of_key(&plane.cloud.iam, &key);
    assert_eq!(identity.arn(&plane.cloud.iam), "arn:aws:iam::000000000000:user/eve");
    insta::assert_snapshot!(ask(plane, "GetSessionToken", &[("DurationSeconds", "129601")]), @"ValidationError: 1 validation error detected: Value '129601' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 129600");
    assert_eq!(text(&ask(plane, "GetCallerIdentity", &[]), "Arn"), "arn:aws:iam::000000000000:user/eve");
}
