//! The account's rules for passwords.
//!
//! Source: IAM API reference, `UpdateAccountPasswordPolicy`; AWS IAM User Guide, "Set an account password policy for IAM
//! users".

use super::{IamOperation, no_such_entity, validation};
use crate::model::iam::{Iam, PasswordPolicy};
use crate::model::{Account, Cloud};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::reads("GetAccountPasswordPolicy", read, &[]).on_any(),
    Operation::writes(
        "UpdateAccountPasswordPolicy",
        update,
        &[
            &["MinimumPasswordLength", "RequireSymbols", "RequireNumbers", "RequireUppercaseCharacters"],
            &["RequireLowercaseCharacters", "AllowUsersToChangePassword", "MaxPasswordAge"],
            &["PasswordReusePrevention", "HardExpiry"],
        ],
    )
    .on_any(),
    Operation::writes("DeleteAccountPasswordPolicy", delete, &[]).on_any(),
];

/// Length that AWS requires without a policy, and the longest one.
const LENGTHS: (usize, usize) = (8, 128);
const SYMBOLS: &str = "!@#$%^&*()_+-=[]{}|'";

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let policy = cloud.iam.password_policy.as_ref().ok_or_else(|| unknown(call.account))?;
    let node = Node::new()
        .with("MinimumPasswordLength", policy.minimum_length)
        .with("RequireSymbols", policy.require_symbols)
        .with("RequireNumbers", policy.require_numbers)
        .with("RequireUppercaseCharacters", policy.require_uppercase)
        .with("RequireLowercaseCharacters", policy.require_lowercase)
        .with("AllowUsersToChangePassword", policy.allow_users_to_change)
        .with("ExpirePasswords", policy.max_age.is_some())
        .maybe("MaxPasswordAge", policy.max_age)
        .maybe("PasswordReusePrevention", policy.reuse_prevention)
        .maybe("HardExpiry", policy.hard_expiry);
    Ok(Node::new().with("PasswordPolicy", node))
}

/// Replaces the policy. Parameters that the request does not contain get their default values.
fn update(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    cloud.iam.password_policy = Some(PasswordPolicy {
        minimum_length: number(params, "MinimumPasswordLength", 6, 128)?.unwrap_or(6),
        require_symbols: params.flag("RequireSymbols")?,
        require_numbers: params.flag("RequireNumbers")?,
        require_uppercase: params.flag("RequireUppercaseCharacters")?,
        require_lowercase: params.flag("RequireLowercaseCharacters")?,
        allow_users_to_change: params.flag("AllowUsersToChangePassword")?,
        max_age: number(params, "MaxPasswordAge", 1, 1095)?,
        reuse_prevention: number(params, "PasswordReusePrevention", 1, 24)?,
        hard_expiry: params.parsed("HardExpiry")?,
    });
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    cloud.iam.password_policy.take().ok_or_else(|| unknown(call.account))?;
    Ok(Node::new())
}

/// Checks a password against the account's rules.
pub(super) fn check(iam: &Iam, password: &str) -> Outcome<()> {
    let (least, most) = LENGTHS;
    let least = iam.password_policy.as_ref().map_or(least, |policy| policy.minimum_length as usize);
    let violated = |message: String| Err(ApiError::new("PasswordPolicyViolation", message));
    if !(least..=most).contains(&password.chars().count()) {
        return violated(format!("Password should have a minimum length of {least}"));
    }
    let has = |wanted: &dyn Fn(char) -> bool| password.chars().any(wanted);
    let Some(policy) = &iam.password_policy else { return Ok(()) };
    let is_symbol = |it: char| SYMBOLS.contains(it);
    let rules = [
        (policy.require_uppercase, has(&|it: char| it.is_ascii_uppercase()), "one uppercase letter"),
        (policy.require_lowercase, has(&|it: char| it.is_ascii_lowercase()), "one lowercase letter"),
        (policy.require_numbers, has(&|it: char| it.is_ascii_digit()), "one number"),
        (policy.require_symbols, has(&is_symbol), "one of the following special characters: !@#$%^&*()_+-=[]{}|'"),
    ];
    match rules.into_iter().find(|(is_required, has, _)| *is_required && !has) {
        Some((_, _, text)) => violated(format!("Password should have at least {text}")),
        None => Ok(()),
    }
}

fn number(params: &Params, name: &str, least: u32, most: u32) -> Outcome<Option<u32>> {
    let value = params.parsed(name)?;
    if value.is_some_and(|value: u32| !(least..=most).contains(&value)) {
        return Err(validation(format!("{name} must be between {least} and {most}")));
    }
    Ok(value)
}

fn unknown(account: Account) -> ApiError {
    no_such_entity(&format!("The Password Policy with domain name {account}"))
}
