//! Policies of users: inline policies, and attached managed policies.

use super::policy::{attachable, render_attached};
use super::user::{user, user_mut};
use super::{IamOperation, PAGES, check_policy, encode_policy, name, no_such_entity, page, resource, with_page};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("PutUserPolicy", put, &[&["UserName", "PolicyName", "PolicyDocument"]]).on(&[resource::USER]),
    Operation::reads("GetUserPolicy", read, &[&["UserName", "PolicyName"]]).on(&[resource::USER]),
    Operation::writes("DeleteUserPolicy", delete, &[&["UserName", "PolicyName"]]).on(&[resource::USER]),
    Operation::reads("ListUserPolicies", list, &[&["UserName"], PAGES]).on(&[resource::USER]),
    Operation::writes("AttachUserPolicy", attach, &[&["UserName", "PolicyArn"]]).on(&[resource::USER]),
    Operation::writes("DetachUserPolicy", detach, &[&["UserName", "PolicyArn"]]).on(&[resource::USER]),
    Operation::reads("ListAttachedUserPolicies", list_attached, &[&["UserName", "PathPrefix"], PAGES])
        .on(&[resource::USER]),
];

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = name(&call.input, "PolicyName", 128)?;
    let document = call.input.required("PolicyDocument")?;
    check_policy(document)?;
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    user.inline_policies.insert(policy.to_owned(), document.to_owned());
    Ok(Node::new())
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let (user_name, policy) = (call.input.required("UserName")?, call.input.required("PolicyName")?);
    let user = user(&cloud.iam, user_name)?;
    let unknown = || no_such_entity(&format!("The user policy with name {policy}"));
    let document = user.inline_policies.get(policy).ok_or_else(unknown)?;
    Ok(Node::new()
        .with("UserName", user_name)
        .with("PolicyName", policy)
        .with("PolicyDocument", encode_policy(document)))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = call.input.required("PolicyName")?;
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    let unknown = || no_such_entity(&format!("The user policy with name {policy}"));
    user.inline_policies.remove(policy).ok_or_else(unknown)?;
    Ok(Node::new())
}

fn list(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, call.input.required("UserName")?)?;
    let page = page(user.inline_policies.keys().collect(), &call.input, |name: &&String| name)?;
    Ok(with_page(Node::new().list("PolicyNames", page.items), page.next))
}

fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = attachable(&cloud.iam, &call.input)?.to_owned();
    user_mut(cloud, call.input.required("UserName")?)?.attached_policies.insert(arn);
    Ok(Node::new())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = call.input.required("PolicyArn")?;
    let user = user_mut(cloud, call.input.required("UserName")?)?;
    if !user.attached_policies.remove(arn) {
        return Err(no_such_entity(&format!("Policy {arn}")));
    }
    Ok(Node::new())
}

fn list_attached(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let user = user(&cloud.iam, call.input.required("UserName")?)?;
    render_attached(&user.attached_policies, &call.input)
}
