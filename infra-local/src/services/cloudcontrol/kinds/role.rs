//! `AWS::IAM::Role`.

use serde_json::{Value, json};

use super::{Form, IAM, generated_name, items, known, only, tag_changes, tag_list, tags, text};
use crate::model::Cloud;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::invalid;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::Outcome;

pub(super) const KIND: Kind = Kind {
    name: "AWS::IAM::Role",
    identifier: "RoleName",
    properties: &[
        "AssumeRolePolicyDocument",
        "Description",
        "ManagedPolicyArns",
        "MaxSessionDuration",
        "Policies",
        "Tags",
    ],
    create_only: &["RoleName", "Path"],
    read_only: &["Arn", "RoleId"],
    only_on_aws: &["PermissionsBoundary"],
    required: &["AssumeRolePolicyDocument"],
    reading: &[
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:ListRoles",
    ],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let name = text(wanted, "RoleName")?.unwrap_or_else(|| generated_name("Role"));
    let form = Form::new()
        .with("RoleName", &name)
        .with("AssumeRolePolicyDocument", document(&wanted["AssumeRolePolicyDocument"]))
        .maybe("Path", text(wanted, "Path")?)
        .maybe("Description", text(wanted, "Description")?)
        .maybe("MaxSessionDuration", text(wanted, "MaxSessionDuration")?)
        .tags("Tags.member", &tags(wanted)?);
    caller.query(cloud, &IAM, "CreateRole", &form.0)?;
    policies(cloud, caller, &name, &Value::Null, wanted)?;
    Ok(name)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    let form = Form::new()
        .with("RoleName", name)
        .with("Description", text(wanted, "Description")?.unwrap_or_default())
        .with("MaxSessionDuration", text(wanted, "MaxSessionDuration")?.unwrap_or_else(|| "3600".to_owned()));
    caller.query(cloud, &IAM, "UpdateRole", &form.0)?;
    let trust = "AssumeRolePolicyDocument";
    if current[trust] != wanted[trust] {
        let form = Form::new().with("RoleName", name).with("PolicyDocument", document(&wanted[trust]));
        caller.query(cloud, &IAM, "UpdateAssumeRolePolicy", &form.0)?;
    }
    policies(cloud, caller, name, current, wanted)?;
    let (set, removed) = tag_changes(&tags(current)?, &tags(wanted)?);
    if !set.is_empty() {
        let form = Form::new().with("RoleName", name).tags("Tags.member", &set);
        caller.query(cloud, &IAM, "TagRole", &form.0)?;
    }
    if !removed.is_empty() {
        let keys = (1..).zip(&removed);
        let form = keys.fold(Form::new().with("RoleName", name), |form, (number, key)| {
            form.with(format!("TagKeys.member.{number}"), key)
        });
        caller.query(cloud, &IAM, "UntagRole", &form.0)?;
    }
    Ok(())
}

/// Reconciles inline and attached policies.
fn policies(cloud: &mut Cloud, caller: &Caller<'_>, role: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    let (old, new) = (inline(current)?, inline(wanted)?);
    for (policy, text) in new.iter().filter(|wanted| !old.contains(wanted)) {
        let form = Form::new().with("RoleName", role).with("PolicyName", policy).with("PolicyDocument", text);
        caller.query(cloud, &IAM, "PutRolePolicy", &form.0)?;
    }
    for (policy, _) in old.iter().filter(|(name, _)| new.iter().all(|(wanted, _)| wanted != name)) {
        let form = Form::new().with("RoleName", role).with("PolicyName", policy);
        caller.query(cloud, &IAM, "DeleteRolePolicy", &form.0)?;
    }
    let (old, new) = (items(current, "ManagedPolicyArns")?, items(wanted, "ManagedPolicyArns")?);
    let missing = new.iter().filter(|arn| !old.contains(arn)).map(|arn| ("AttachRolePolicy", arn));
    let surplus = old.iter().filter(|arn| !new.contains(arn)).map(|arn| ("DetachRolePolicy", arn));
    for (operation, arn) in missing.chain(surplus) {
        let arn = arn
            .as_str()
            .ok_or_else(|| invalid("Model validation failed (#/ManagedPolicyArns: expected type: String)"))?;
        let form = Form::new().with("RoleName", role).with("PolicyArn", arn);
        caller.query(cloud, &IAM, operation, &form.0)?;
    }
    Ok(())
}

/// Returns the names and documents of inline policies.
fn inline(properties: &Value) -> Outcome<Vec<(String, String)>> {
    let policy = |policy: &Value| {
        only(policy, "Policies", &["PolicyName", "PolicyDocument"])?;
        let name = text(policy, "PolicyName")?;
        let name =
            name.ok_or_else(|| invalid("Model validation failed (#/Policies: required key [PolicyName] not found)"))?;
        Ok((name, document(&policy["PolicyDocument"])))
    };
    items(properties, "Policies")?.iter().map(policy).collect()
}

/// Returns a policy as text. IAM's types accept it as text or as JSON.
fn document(policy: &Value) -> String {
    policy.as_str().map_or_else(|| policy.to_string(), str::to_owned)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, name: &str) -> Outcome<()> {
    let current = read(cloud, caller.region, name)?.unwrap_or_default();
    policies(cloud, caller, name, &current, &Value::Null)?;
    caller.query(cloud, &IAM, "DeleteRole", &Form::new().with("RoleName", name).0).map(drop)
}

fn read(cloud: &Cloud, _: &str, name: &str) -> Outcome<Option<Value>> {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text));
    Ok(cloud.iam.roles.get(name).map(|role| {
        let inline = role.inline_policies.iter();
        let inline = inline.map(|(name, text)| json!({"PolicyName": name, "PolicyDocument": parsed(text)}));
        known(json!({
            "RoleName": role.name,
            "RoleId": role.id,
            "Arn": role.arn,
            "Path": role.path,
            "Description": role.description.as_ref().filter(|text| !text.is_empty()),
            "MaxSessionDuration": role.max_session_seconds,
            "AssumeRolePolicyDocument": parsed(&role.trust_policy),
            "Policies": inline.collect::<Vec<_>>(),
            "ManagedPolicyArns": role.attached_policies,
            "Tags": tag_list(&role.tags),
        }))
    }))
}

fn list(cloud: &Cloud, _: &str) -> Outcome<Vec<String>> {
    Ok(cloud.iam.roles.keys().cloned().collect())
}
