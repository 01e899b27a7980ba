//! Passwords of users for the console. The local cloud records that there is one; the password itself is checked against
//! the account's rules and then forgotten, because nothing signs in with it.
//!
//! Source: IAM API reference, `CreateLoginProfile` and related operations.

use super::user::user;
use super::{IamOperation, already_exists, no_such_entity, password_policy, resource, user_mut};
use crate::model::Cloud;
use crate::model::iam::LoginProfile;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

const PROFILE: &[&str] = &["UserName", "Password", "PasswordResetRequired"];

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateLoginProfile", create, &[PROFILE]).on(&[resource::USER]),
    Operation::reads("GetLoginProfile", read, &[&["UserName"]]).on(&[resource::USER]),
    Operation::writes("UpdateLoginProfile", update, &[PROFILE]).on(&[resource::USER]),
    Operation::writes("DeleteLoginProfile", delete, &[&["UserName"]]).on(&[resource::USER]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    password_policy::check(&cloud.iam, call.input.required("Password")?)?;
    let user = user_mut(cloud, name)?;
    if user.login_profile.is_some() {
        return Err(already_exists(&format!("Login Profile for user {name}")));
    }
    let password_reset_required = call.input.flag("PasswordResetRequired")?;
    let profile = LoginProfile { created: call.now, password_reset_required };
    let answer = Node::new().with("LoginProfile", render(name, &profile));
    user.login_profile = Some(profile);
    Ok(answer)
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    let profile = user(&cloud.iam, name)?.login_profile.as_ref().ok_or_else(|| unknown(name))?;
    Ok(Node::new().with("LoginProfile", render(name, profile)))
}

fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    if let Some(password) = call.input.optional("Password") {
        password_policy::check(&cloud.iam, password)?;
    }
    let reset: Option<bool> = call.input.parsed("PasswordResetRequired")?;
    let profile = user_mut(cloud, name)?.login_profile.as_mut().ok_or_else(|| unknown(name))?;
    profile.password_reset_required = reset.unwrap_or(profile.password_reset_required);
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("UserName")?;
    user_mut(cloud, name)?.login_profile.take().ok_or_else(|| unknown(name))?;
    Ok(Node::new())
}

fn unknown(name: &str) -> ApiError {
    no_such_entity(&format!("Login Profile for User {name}"))
}

fn render(name: &str, profile: &LoginProfile) -> Node {
    Node::new()
        .with("UserName", name)
        .with("CreateDate", profile.created)
        .with("PasswordResetRequired", profile.password_reset_required)
}
