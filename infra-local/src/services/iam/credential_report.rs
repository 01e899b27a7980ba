//! Credential reports: a table of the users and the state of their credentials.
//!
//! Source: IAM API reference, `GenerateCredentialReport`, `GetCredentialReport`; AWS IAM User Guide, "Generate credential
//! reports for your AWS account".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::IamOperation;
use crate::model::iam::{AccessKey, CredentialReport, Iam, User};
use crate::model::{Account, Cloud};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("GenerateCredentialReport", generate, &[]).on_any(),
    Operation::reads("GetCredentialReport", read, &[]).on_any(),
];

/// Period in which AWS returns the same report.
const VALID_HOURS: i64 = 4;

const COLUMNS: [&str; 22] = [
    "user",
    "arn",
    "user_creation_time",
    "password_enabled",
    "password_last_used",
    "password_last_changed",
    "password_next_rotation",
    "mfa_active",
    "access_key_1_active",
    "access_key_1_last_rotated",
    "access_key_1_last_used_date",
    "access_key_1_last_used_region",
    "access_key_1_last_used_service",
    "access_key_2_active",
    "access_key_2_last_rotated",
    "access_key_2_last_used_date",
    "access_key_2_last_used_region",
    "access_key_2_last_used_service",
    "cert_1_active",
    "cert_1_last_rotated",
    "cert_2_active",
    "cert_2_last_rotated",
];

const NOT_APPLICABLE: &str = "N/A";

/// Generates a report, unless the last one is still valid.
fn generate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    if cloud.iam.credential_report.as_ref().is_some_and(|report| is_valid(report, call.now)) {
        return Ok(Node::new().with("State", "COMPLETE"));
    }
    let content = content(&cloud.iam);
    cloud.iam.credential_report = Some(CredentialReport { generated: call.now, content });
    let description = "No report exists. Starting a new report generation task";
    Ok(Node::new().with("State", "STARTED").with("Description", description))
}

fn read(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let gone = |code: &'static str, message: &str| ApiError::new(code, message).with_status(410);
    let Some(report) = &cloud.iam.credential_report else {
        return Err(gone("ReportNotPresent", "No report exists. Generate one with GenerateCredentialReport."));
    };
    if !is_valid(report, call.now) {
        return Err(gone("ReportExpired", "The report has expired. Generate a new one with GenerateCredentialReport."));
    }
    Ok(Node::new()
        .with("Content", STANDARD.encode(&report.content))
        .with("ReportFormat", "text/csv")
        .with("GeneratedTime", report.generated))
}

fn is_valid(report: &CredentialReport, now: DateTime<Utc>) -> bool {
    now - report.generated < TimeDelta::hours(VALID_HOURS)
}

fn content(iam: &Iam) -> String {
    let rows = iam.users.values().map(|user| row(iam, user).join(","));
    let lines: Vec<String> = [COLUMNS.join(","), root(iam.account).join(",")].into_iter().chain(rows).collect();
    lines.join("\n")
}

/// Returns the row of the root user, which has an access key and no password.
fn root(account: Account) -> Vec<String> {
    let mut cells = vec!["<root_account>".to_owned(), format!("arn:aws:iam::{account}:root")];
    let password = ["not_supported", "no_information", "not_supported", "not_supported", "false"];
    cells.push(NOT_APPLICABLE.to_owned());
    cells.extend(password.map(str::to_owned));
    cells.push("true".to_owned());
    cells.extend(std::iter::repeat_n(NOT_APPLICABLE.to_owned(), 4));
    cells.extend(key(None));
    cells.extend(certificates());
    cells
}

fn row(iam: &Iam, user: &User) -> Vec<String> {
    let profile = user.login_profile.as_ref();
    let max_age = iam.password_policy.as_ref().and_then(|policy| policy.max_age);
    let rotation = profile.zip(max_age).map(|(profile, days)| profile.created + TimeDelta::days(days.into()));
    let mut cells = vec![
        user.name.clone(),
        user.arn.clone(),
        time(user.created),
        profile.is_some().to_string(),
        // No console accepts passwords.
        profile.map_or(NOT_APPLICABLE, |_| "no_information").to_owned(),
        profile.map_or(NOT_APPLICABLE.to_owned(), |profile| time(profile.created)),
        rotation.map_or(NOT_APPLICABLE.to_owned(), time),
        "false".to_owned(),
    ];
    let mut keys = user.access_keys.values();
    cells.extend(key(keys.next()));
    cells.extend(key(keys.next()));
    cells.extend(certificates());
    cells
}

fn key(key: Option<&AccessKey>) -> Vec<String> {
    let last = key.and_then(|key| key.last_used.as_ref());
    let text = |value: Option<String>| value.unwrap_or_else(|| NOT_APPLICABLE.to_owned());
    vec![
        key.is_some_and(|key| key.active).to_string(),
        text(key.map(|key| time(key.created))),
        text(last.map(|last| time(last.at))),
        text(last.map(|last| last.region.clone())),
        text(last.map(|last| last.service.clone())),
    ]
}

/// Returns the cells of signing certificates, which users of the local cloud do not have.
fn certificates() -> [String; 4] {
    ["false", NOT_APPLICABLE, "false", NOT_APPLICABLE].map(str::to_owned)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}
