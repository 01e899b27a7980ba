#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::OPERATIONS;
use crate::testing::ControlPlane;

/// Calls an operation with these parameters; returns the response, or the error's code and message.
fn ask(plane: &mut ControlPlane, operation: &str, parameters: &[(&str, &str)]) -> String {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    plane.query(OPERATIONS, operation, &form).unwrap_or_else(|error| error)
}

fn succeed(plane: &mut ControlPlane, operation: &str, parameters: &[(&str, &str)]) -> String {
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    plane.query(OPERATIONS, operation, &form).unwrap()
}

/// Returns the texts of all elements with this name.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

fn allow(action: &str) -> String {
    let statement = json!({"Sid": "A", "Effect": "Allow", "Action": action, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn trust(principal: &serde_json::Value) -> String {
    let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

const EVE: (&str, &str) = ("UserName", "eve");
const TEAM: (&str, &str) = ("GroupName", "team");

#[test]
fn groups_have_users_and_policies() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    succeed(plane, "CreateGroup", &[TEAM, ("Path", "/a/")]);
    insta::assert_snapshot!(ask(plane, "CreateGroup", &[("GroupName", "TEAM")]), @"EntityAlreadyExists: Group with name TEAM already exists.");
    insta::assert_snapshot!(ask(plane, "AddUserToGroup", &[TEAM, ("UserName", "bob")]), @"NoSuchEntity: The user with name bob cannot be found.");
    insta::assert_snapshot!(ask(plane, "AddUserToGroup", &[("GroupName", "no"), EVE]), @"NoSuchEntity: The group with name no cannot be found.");
    succeed(plane, "AddUserToGroup", &[TEAM, EVE]);
    let group = succeed(plane, "GetGroup", &[TEAM]);
    assert_eq!(texts(&group, "Arn"), ["arn:aws:iam::000000000000:group/a/team", "arn:aws:iam::000000000000:user/eve"]);
    assert_eq!(texts(&succeed(plane, "ListGroupsForUser", &[EVE]), "GroupName"), ["team"]);
    insta::assert_snapshot!(ask(plane, "DeleteUser", &[EVE]), @"DeleteConflict: Cannot delete entity, must remove users from group first.");
    insta::assert_snapshot!(ask(plane, "DeleteGroup", &[TEAM]), @"DeleteConflict: Cannot delete entity, must remove users from group first.");

    succeed(plane, "PutGroupPolicy", &[TEAM, ("PolicyName", "own"), ("PolicyDocument", &allow("s3:*"))]);
    succeed(plane, "AttachGroupPolicy", &[TEAM, ("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")]);
    succeed(plane, "UpdateGroup", &[TEAM, ("NewGroupName", "crew"), ("NewPath", "/b/")]);
    let crew = ("GroupName", "crew");
    assert_eq!(texts(&succeed(plane, "ListGroups", &[]), "Arn"), ["arn:aws:iam::000000000000:group/b/crew"]);
    assert_eq!(texts(&succeed(plane, "ListAttachedGroupPolicies", &[crew]), "PolicyName"), ["ReadOnlyAccess"]);
    assert_eq!(texts(&succeed(plane, "ListGroupPolicies", &[crew]), "member"), ["own"]);
    insta::assert_snapshot!(ask(plane, "GetGroupPolicy", &[crew, ("PolicyName", "no")]), @"NoSuchEntity: The group policy with name no cannot be found.");
    succeed(plane, "UpdateUser", &[EVE, ("NewUserName", "eva")]);
    assert_eq!(texts(&succeed(plane, "ListGroupsForUser", &[("UserName", "eva")]), "GroupName"), ["crew"]);
    succeed(plane, "RemoveUserFromGroup", &[crew, ("UserName", "eva")]);
    insta::assert_snapshot!(ask(plane, "DeleteGroup", &[crew]), @"DeleteConflict: Cannot delete entity, must detach all policies first.");
    succeed(plane, "DetachGroupPolicy", &[crew, ("PolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess")]);
    insta::assert_snapshot!(ask(plane, "DeleteGroup", &[crew]), @"DeleteConflict: Cannot delete entity, must delete policies first.");
    succeed(plane, "DeleteGroupPolicy", &[crew, ("PolicyName", "own")]);
    succeed(plane, "DeleteGroup", &[crew]);
    assert!(plane.cloud.iam.groups.is_empty());
}

#[test]
fn boundaries_are_managed_policies_in_use() {
    let plane = &mut ControlPlane::new();
    let made = succeed(plane, "CreatePolicy", &[("PolicyName", "limit"), ("PolicyDocument", &allow("s3:*"))]);
    let arn = texts(&made, "Arn").remove(0);
    let boundary = ("PermissionsBoundary", arn.as_str());
    let user = succeed(plane, "CreateUser", &[EVE, boundary]);
    assert_eq!(texts(&user, "PermissionsBoundaryArn"), [arn.as_str()]);
    let ec2 = trust(&json!({"Service": "ec2.amazonaws.com"}));
    succeed(plane, "CreateRole", &[("RoleName", "web"), ("AssumeRolePolicyDocument", &ec2)]);
    succeed(plane, "PutRolePermissionsBoundary", &[("RoleName", "web"), boundary]);
    let policy = succeed(plane, "GetPolicy", &[("PolicyArn", &arn)]);
    assert_eq!(texts(&policy, "PermissionsBoundaryUsageCount"), ["2"]);
    let used =
        succeed(plane, "ListEntitiesForPolicy", &[("PolicyArn", &arn), ("PolicyUsageFilter", "PermissionsBoundary")]);
    assert_eq!((texts(&used, "RoleName"), texts(&used, "UserName")), (vec!["web".to_owned()], vec!["eve".to_owned()]));
    insta::assert_snapshot!(ask(plane, "DeletePolicy", &[("PolicyArn", &arn)]), @"DeleteConflict: Cannot delete a policy attached to entities.");
    insta::assert_snapshot!(ask(plane, "PutUserPermissionsBoundary", &[EVE, ("PermissionsBoundary", "arn:aws:iam::000000000000:policy/no")]), @"NoSuchEntity: Scope ARN: arn:aws:iam::000000000000:policy/no does not exist or is not attachable.");
    succeed(plane, "DeleteUserPermissionsBoundary", &[EVE]);
    succeed(plane, "DeleteRolePermissionsBoundary", &[("RoleName", "web")]);
    succeed(plane, "DeletePolicy", &[("PolicyArn", &arn)]);
    assert_eq!(texts(&succeed(plane, "GetUser", &[EVE]), "PermissionsBoundary"), Vec::<String>::new());
}

#[test]
fn trust_policies_name_existing_principals() {
    let plane = &mut ControlPlane::new();
    let create = |plane: &mut ControlPlane, principal: &serde_json::Value| {
        ask(plane, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &trust(principal))])
    };
    let eve = json!({"AWS": "arn:aws:iam::000000000000:user/eve"});
    insta::assert_snapshot!(create(plane, &eve), @r#"MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::000000000000:user/eve""#);
    insta::assert_snapshot!(ask(plane, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", "{")]), @"MalformedPolicyDocument: This policy contains invalid Json");
    insta::assert_snapshot!(ask(plane, "CreateRole", &[("RoleName", "r"), ("AssumeRolePolicyDocument", &allow("sts:AssumeRole"))]), @"MalformedPolicyDocument: Has prohibited field Resource");
    succeed(plane, "CreateUser", &[EVE]);
    assert!(create(plane, &eve).contains("<RoleName>r</RoleName>"));
    insta::assert_snapshot!(create(plane, &eve), @"EntityAlreadyExists: Role with name r already exists.");
    insta::assert_snapshot!(ask(plane, "UpdateAssumeRolePolicy", &[("RoleName", "no"), ("PolicyDocument", "{")]), @"NoSuchEntity: The role with name no cannot be found.");
    let long = trust(&json!({"AWS": vec!["000000000000"; 200]}));
    insta::assert_snapshot!(ask(plane, "UpdateAssumeRolePolicy", &[("RoleName", "r"), ("PolicyDocument", &long)]), @"LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048");
    succeed(plane, "UpdateRoleDescription", &[("RoleName", "r"), ("Description", "reads")]);
    assert_eq!(texts(&succeed(plane, "GetRole", &[("RoleName", "r")]), "Description"), ["reads"]);
}

#[test]
fn invalid_policies_are_refused_by_all_kinds_of_entities() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    succeed(plane, "CreateGroup", &[TEAM]);
    let invalid = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*"}}).to_string();
    let (name, document) = (("PolicyName", "p"), ("PolicyDocument", invalid.as_str()));
    for answer in [
        ask(plane, "PutUserPolicy", &[EVE, name, document]),
        ask(plane, "PutGroupPolicy", &[TEAM, name, document]),
        ask(plane, "CreatePolicy", &[name, document]),
    ] {
        assert_eq!(answer, "MalformedPolicyDocument: Policy statement must contain resources.");
    }
    let resources: Vec<String> = (0..200).map(|number| format!("arn:aws:s3:::bucket-{number}")).collect();
    let statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": resources});
    let long = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    insta::assert_snapshot!(ask(plane, "PutUserPolicy", &[EVE, name, ("PolicyDocument", &long)]), @"LimitExceeded: Maximum policy size of 2048 bytes exceeded for user eve");
    assert!(plane.cloud.iam.users["eve"].inline_policies.is_empty());
}

#[test]
fn oidc_providers_have_clients_and_thumbprints() {
    let plane = &mut ControlPlane::new();
    let thumbprint = "a".repeat(40);
    let url = ("Url", "https://token.example/path");
    let create = [url, ("ClientIDList.member.1", "sts"), ("ThumbprintList.member.1", thumbprint.as_str())];
    let arn = texts(&succeed(plane, "CreateOpenIDConnectProvider", &create), "OpenIDConnectProviderArn").remove(0);
    assert_eq!(arn, "arn:aws:iam::000000000000:oidc-provider/token.example/path");
    insta::assert_snapshot!(ask(plane, "CreateOpenIDConnectProvider", &create), @"EntityAlreadyExists: Provider with url https://token.example/path already exists.");
    let provider = ("OpenIDConnectProviderArn", arn.as_str());
    succeed(plane, "AddClientIDToOpenIDConnectProvider", &[provider, ("ClientID", "other")]);
    succeed(plane, "RemoveClientIDFromOpenIDConnectProvider", &[provider, ("ClientID", "sts")]);
    succeed(plane, "TagOpenIDConnectProvider", &[provider, ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b")]);
    let read = succeed(plane, "GetOpenIDConnectProvider", &[provider]);
    assert_eq!(texts(&read, "Url"), ["token.example/path"]);
    assert!(read.contains("<ClientIDList><member>other</member></ClientIDList>"), "{read}");
    insta::assert_snapshot!(ask(plane, "UpdateOpenIDConnectProviderThumbprint", &[provider, ("ThumbprintList.member.1", "x")]), @"ValidationError: ThumbprintList: Member must have length 40 and consist of hexadecimal digits");
    succeed(plane, "UntagOpenIDConnectProvider", &[provider, ("TagKeys.member.1", "a")]);
    assert_eq!(texts(&succeed(plane, "ListOpenIDConnectProviderTags", &[provider]), "Key"), Vec::<String>::new());
    assert_eq!(texts(&succeed(plane, "ListOpenIDConnectProviders", &[]), "Arn"), [arn.as_str()]);
    succeed(plane, "DeleteOpenIDConnectProvider", &[provider]);
    insta::assert_snapshot!(ask(plane, "GetOpenIDConnectProvider", &[provider]), @"NoSuchEntity: OpenIDConnect Provider not found for arn arn:aws:iam::000000000000:oidc-provider/token.example/path");
}

#[test]
fn passwords_follow_the_rules_of_the_account() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    insta::assert_snapshot!(ask(plane, "GetAccountPasswordPolicy", &[]), @"NoSuchEntity: The Password Policy with domain name 000000000000 cannot be found.");
    succeed(
        plane,
        "UpdateAccountPasswordPolicy",
        &[("MinimumPasswordLength", "12"), ("RequireNumbers", "true"), ("MaxPasswordAge", "30")],
    );
    let policy = succeed(plane, "GetAccountPasswordPolicy", &[]);
    assert_eq!(
        (texts(&policy, "ExpirePasswords"), texts(&policy, "MaxPasswordAge")),
        (vec!["true".to_owned()], vec!["30".to_owned()])
    );
    insta::assert_snapshot!(ask(plane, "CreateLoginProfile", &[EVE, ("Password", "short")]), @"PasswordPolicyViolation: Password should have a minimum length of 12");
    insta::assert_snapshot!(ask(plane, "CreateLoginProfile", &[EVE, ("Password", "correct horse battery")]), @"PasswordPolicyViolation: Password should have at least one number");
    insta::assert_snapshot!(ask(plane, "GetLoginProfile", &[EVE]), @"NoSuchEntity: Login Profile for User eve cannot be found.");
    let password = ("Password", "correct horse 8attery");
    succeed(plane, "CreateLoginProfile", &[EVE, password, ("PasswordResetRequired", "true")]);
    insta::assert_snapshot!(ask(plane, "CreateLoginProfile", &[EVE, password]), @"EntityAlreadyExists: Login Profile for user eve already exists.");
    succeed(plane, "UpdateLoginProfile", &[EVE, ("PasswordResetRequired", "false")]);
    assert_eq!(texts(&succeed(plane, "GetLoginProfile", &[EVE]), "PasswordResetRequired"), ["false"]);
    insta::assert_snapshot!(ask(plane, "DeleteUser", &[EVE]), @"DeleteConflict: Cannot delete entity, must delete login profile first.");
    succeed(plane, "DeleteLoginProfile", &[EVE]);
    succeed(plane, "DeleteAccountPasswordPolicy", &[]);
    succeed(plane, "DeleteUser", &[EVE]);
}

/// The calls of clients that delete a user with all credentials.
#[test]
fn user_without_credentials_can_be_deleted_by_force() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    let key = texts(&succeed(plane, "CreateAccessKey", &[EVE]), "AccessKeyId").remove(0);
    let used = succeed(plane, "GetAccessKeyLastUsed", &[("AccessKeyId", &key)]);
    assert_eq!(
        (texts(&used, "UserName"), texts(&used, "ServiceName")),
        (vec!["eve".to_owned()], vec!["N/A".to_owned()])
    );
    for list in ["ListMFADevices", "ListSSHPublicKeys", "ListSigningCertificates", "ListServiceSpecificCredentials"] {
        assert!(succeed(plane, list, &[EVE]).contains("<IsTruncated>false</IsTruncated>"), "{list}");
        assert_eq!(ask(plane, list, &[("UserName", "no")]), "NoSuchEntity: The user with name no cannot be found.");
    }
    succeed(plane, "ListVirtualMFADevices", &[]);
    succeed(plane, "DeleteAccessKey", &[EVE, ("AccessKeyId", &key)]);
    insta::assert_snapshot!(ask(plane, "DeleteLoginProfile", &[EVE]), @"NoSuchEntity: Login Profile for User eve cannot be found.");
    succeed(plane, "DeleteUser", &[EVE]);
}

#[test]
fn account_is_summarised_and_has_one_alias() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    let summary = succeed(plane, "GetAccountSummary", &[]);
    assert!(summary.contains("<entry><key>Users</key><value>1</value></entry>"), "{summary}");
    succeed(plane, "CreateAccountAlias", &[("AccountAlias", "acme")]);
    insta::assert_snapshot!(ask(plane, "CreateAccountAlias", &[("AccountAlias", "acme")]), @"EntityAlreadyExists: The account alias acme already exists.");
    insta::assert_snapshot!(ask(plane, "DeleteAccountAlias", &[("AccountAlias", "other")]), @"NoSuchEntity: The account alias other cannot be found.");
    succeed(plane, "CreateAccountAlias", &[("AccountAlias", "acme-2")]);
    assert_eq!(texts(&succeed(plane, "ListAccountAliases", &[]), "member"), ["acme-2"]);
    assert!(ask(plane, "CreateAccountAlias", &[("AccountAlias", "A")]).starts_with("ValidationError: "));
}

#[test]
fn authorization_details_are_filtered_and_paged() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    succeed(plane, "CreateGroup", &[TEAM]);
    succeed(plane, "AddUserToGroup", &[TEAM, EVE]);
    succeed(plane, "AttachUserPolicy", &[EVE, ("PolicyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess")]);
    succeed(plane, "CreatePolicy", &[("PolicyName", "own"), ("PolicyDocument", &allow("s3:*"))]);
    let all = succeed(plane, "GetAccountAuthorizationDetails", &[]);
    assert!(all.contains("<GroupList><member>team</member></GroupList>"), "{all}");
    assert_eq!(texts(&all, "PolicyVersionList").len(), 2);
    let groups = succeed(plane, "GetAccountAuthorizationDetails", &[("Filter.member.1", "Group")]);
    assert_eq!((texts(&groups, "GroupName").len(), texts(&groups, "UserName").len()), (1, 0));
    let mut found = 0;
    let mut marker = String::new();
    loop {
        let page = succeed(plane, "GetAccountAuthorizationDetails", &[("MaxItems", "1"), ("Marker", &marker)]);
        found += 1;
        match texts(&page, "Marker").pop() {
            Some(next) => marker = next,
            None => break,
        }
    }
    assert_eq!(found, 4);
}

#[test]
fn service_linked_roles_belong_to_their_service() {
    let plane = &mut ControlPlane::new();
    let service = ("AWSServiceName", "autoscaling.amazonaws.com");
    let role = succeed(plane, "CreateServiceLinkedRole", &[service, ("CustomSuffix", "x")]);
    assert_eq!(
        texts(&role, "Arn"),
        ["arn:aws:iam::000000000000:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_x"]
    );
    insta::assert_snapshot!(ask(plane, "CreateServiceLinkedRole", &[service, ("CustomSuffix", "x")]), @"InvalidInput: Service role name AWSServiceRoleForAutoScaling_x has been taken in this account, please try a different suffix.");
    let name = ("RoleName", "AWSServiceRoleForAutoScaling_x");
    insta::assert_snapshot!(ask(plane, "DeleteRole", &[name]), @"UnmodifiableEntity: Cannot perform the operation on the protected role 'AWSServiceRoleForAutoScaling_x' - this role is only modifiable by AWS");
    let task = texts(&succeed(plane, "DeleteServiceLinkedRole", &[name]), "DeletionTaskId").remove(0);
    assert_eq!(
        texts(&succeed(plane, "GetServiceLinkedRoleDeletionStatus", &[("DeletionTaskId", &task)]), "Status"),
        ["SUCCEEDED"]
    );
    insta::assert_snapshot!(ask(plane, "GetRole", &[name]), @"NoSuchEntity: The role with name AWSServiceRoleForAutoScaling_x cannot be found.");
}

#[test]
fn policies_of_aws_are_listed() {
    let plane = &mut ControlPlane::new();
    let names = texts(&succeed(plane, "ListPolicies", &[("Scope", "AWS")]), "PolicyName");
    assert!(names.contains(&"AdministratorAccess".to_owned()), "{names:?}");
    assert!(texts(&succeed(plane, "ListPolicies", &[("Scope", "Local")]), "PolicyName").is_empty());
    insta::assert_snapshot!(ask(plane, "GetPolicy", &[("PolicyArn", "arn:aws:iam::000000000000:policy/no")]), @"NoSuchEntity: Policy arn:aws:iam::000000000000:policy/no was not found.");
    insta::assert_snapshot!(ask(plane, "ListUsers", &[("MaxItems", "0")]), @"ValidationError: 1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1");
}

#[test]
fn simulation_explains_decisions() {
    let plane = &mut ControlPlane::new();
    succeed(plane, "CreateUser", &[EVE]);
    let statement = json!([
        {"Sid": "Read", "Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::a/*",
         "Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}},
        {"Sid": "Keep", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"},
    ]);
    let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    succeed(plane, "PutUserPolicy", &[EVE, ("PolicyName", "own"), ("PolicyDocument", &document)]);
    let source = ("PolicySourceArn", "arn:aws:iam::000000000000:user/eve");
    let actions = [
        source,
        ("ActionNames.member.1", "s3:GetObject"),
        ("ActionNames.member.2", "s3:DeleteObject"),
        ("ResourceArns.member.1", "arn:aws:s3:::a/b"),
    ];
    let without = succeed(plane, "SimulatePrincipalPolicy", &actions);
    assert_eq!(texts(&without, "EvalDecision"), ["implicitDeny", "explicitDeny"]);
    assert!(
        without.contains("<MissingContextValues><member>aws:PrincipalTag/team</member></MissingContextValues>"),
        "{without}"
    );
    let entry = [
        ("ContextEntries.member.1.ContextKeyName", "aws:PrincipalTag/team"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "web"),
    ];
    let with = succeed(plane, "SimulatePrincipalPolicy", &[&actions[..], &entry[..]].concat());
    assert_eq!(texts(&with, "EvalDecision"), ["allowed", "explicitDeny"]);
    assert_eq!(texts(&with, "SourcePolicyId"), ["own", "own"]);
    let boundary = allow("ec2:*");
    let limited =
        [&actions[..2], &entry[..], &actions[3..], &[("PermissionsBoundaryPolicyInputList.member.1", &*boundary)]];
    let limited = succeed(plane, "SimulatePrincipalPolicy", &limited.concat());
    assert_eq!(texts(&limited, "EvalDecision"), ["implicitDeny"]);
    assert_eq!(texts(&limited, "AllowedByPermissionsBoundary"), ["false"]);
    let custom = [("PolicyInputList.member.1", boundary.as_str()), ("ActionNames.member.1", "ec2:RunInstances")];
    assert_eq!(texts(&succeed(plane, "SimulateCustomPolicy", &custom), "EvalDecision"), ["allowed"]);
    assert_eq!(
        texts(&succeed(plane, "GetContextKeysForPrincipalPolicy", &[source]), "member"),
        ["aws:PrincipalTag/team"]
    );
    insta::assert_snapshot!(ask(plane, "SimulatePrincipalPolicy", &[("PolicySourceArn", "arn:aws:iam::000000000000:user/no"), actions[1]]), @"NoSuchEntity: The user with name no cannot be found.");
}

#[test]
fn saml_providers_have_a_document_with_an_end() {
    let plane = &mut ControlPlane::new();
    let certificate = "A".repeat(1000);
    let document = |until: &str| {
        format!(
            "<EntityDescriptor entityID=\"x\"{until}><IDPSSODescriptor><X509Certificate>{certificate}</X509Certificate>\
             <SingleSignOnService Location=\"https://x\"/></IDPSSODescriptor></EntityDescriptor>"
        )
    };
    let (first, second) = (document(" validUntil=\"2046-01-01T00:00:00Z\""), document(""));
    let created = succeed(
        plane,
        "CreateSAMLProvider",
        &[
            ("Name", "company"),
            ("SAMLMetadataDocument", &first),
            ("Tags.member.1.Key", "team"),
            ("Tags.member.1.Value", "blue"),
        ],
    );
    let arn = ("SAMLProviderArn", "arn:aws:iam::000000000000:saml-provider/company");
    assert_eq!(texts(&created, "SAMLProviderArn"), [arn.1]);
    let read = succeed(plane, "GetSAMLProvider", &[arn]);
    assert_eq!(texts(&read, "ValidUntil"), ["2046-01-01T00:00:00.000Z"]);
    assert_eq!(texts(&read, "Key"), ["team"]);
    succeed(plane, "UpdateSAMLProvider", &[arn, ("SAMLMetadataDocument", &second)]);
    assert_eq!(texts(&succeed(plane, "ListSAMLProviders", &[]), "Arn"), [arn.1]);
    succeed(plane, "UntagSAMLProvider", &[arn, ("TagKeys.member.1", "team")]);
    assert!(texts(&succeed(plane, "ListSAMLProviderTags", &[arn]), "Key").is_empty());
    let again = ask(plane, "CreateSAMLProvider", &[("Name", "company"), ("SAMLMetadataDocument", &first)]);
    assert!(again.starts_with("EntityAlreadyExists: "), "{again}");
    let invalid = ask(plane, "CreateSAMLProvider", &[("Name", "other"), ("SAMLMetadataDocument", &certificate)]);
    assert!(invalid.starts_with("InvalidInput: "), "{invalid}");
    succeed(plane, "DeleteSAMLProvider", &[arn]);
    assert!(ask(plane, "GetSAMLProvider", &[arn]).starts_with("NoSuchEntity: "));
}

#[test]
fn a_credential_report_has_a_row_per_user_and_expires() {
    use base64::Engine as _;
    let plane = &mut ControlPlane::new();
    plane.now = Some(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    assert!(ask(plane, "GetCredentialReport", &[]).starts_with("ReportNotPresent: "));
    succeed(plane, "CreateUser", &[EVE]);
    succeed(plane, "CreateAccessKey", &[EVE]);
    assert_eq!(texts(&succeed(plane, "GenerateCredentialReport", &[]), "State"), ["STARTED"]);
    assert_eq!(texts(&succeed(plane, "GenerateCredentialReport", &[]), "State"), ["COMPLETE"]);
    let report = succeed(plane, "GetCredentialReport", &[]);
    let content = base64::engine::general_purpose::STANDARD.decode(&texts(&report, "Content")[0]).unwrap();
    let content = String::from_utf8(content).unwrap();
    let rows: Vec<Vec<&str>> = content.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 22), "{content}");
    insta::assert_snapshot!(content.lines().last().unwrap(), @"eve,arn:aws:iam::000000000000:user/eve,2027-01-15T08:00:00+00:00,false,N/A,N/A,N/A,false,true,2027-01-15T08:00:00+00:00,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A");
    plane.now = Some(chrono::DateTime::from_timestamp(1_800_000_000 + 5 * 3600, 0).unwrap());
    assert!(ask(plane, "GetCredentialReport", &[]).starts_with("ReportExpired: "));
}
