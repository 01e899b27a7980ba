//! Relational Database Service: PostgreSQL instances and clusters.

pub mod cluster;
pub mod cluster_parameter_group;
pub mod instance;
mod members;
pub mod parameter_group;
mod parameters;
pub mod subnet_group;

use crate::{error::AwsError, prelude::*, url::percent_encoded};
use aws_sdk_rds::{
    Client,
    types::{Tag, VpcSecurityGroupMembership},
};
use infra_core::{target::Readiness, value::Unresolved};
use std::{collections::BTreeSet, future::Future, time::Duration};

/// Longest time that the creation, change or deletion of a database takes, with backups and copies of much data.
const TIMEOUT: Duration = Duration::from_hours(1);

/// Returns a name for a resource that is declared without one. Names are in lower case, without `--`.
fn derived_name(cx: &Context<'_>, longest: usize) -> String {
    let mut name = cx.unique_name(longest).to_lowercase();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    name
}

/// Returns the problem of a name that no instance, cluster or group can have.
fn name_problem(name: Option<&str>, longest: usize) -> Option<Problem> {
    let name = name?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = (1..=longest).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
        && !name.ends_with('-')
        && !name.contains("--");
    (!valid).then(|| {
        Problem::new("name", format!("RDS does not accept the name `{name}`")).hint(format!(
            "begin with a letter, and write at most {longest} lower-case letters, digits and `-`, without `--` and \
             without `-` at the end"
        ))
    })
}

/// Returns the problems of the account of a database.
fn account_problems(user: &str, password: &Input<String>, database: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let valid = |name: &str| {
        (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(letters)
    };
    if !valid(user) || ["admin", "rdsadmin"].contains(&user) {
        let problem = Problem::new("user", format!("RDS does not accept the user `{user}`"));
        problems.push(
            problem.hint("begin with a letter, write letters, digits and `_`, and neither `admin` nor `rdsadmin`"),
        );
    }
    if database.is_some_and(|name| !valid(name)) {
        let problem = Problem::new("database", "RDS does not accept this name of a database");
        problems.push(problem.hint("begin with a letter, and write letters, digits and `_`"));
    }
    let refused = |c: char| !c.is_ascii_graphic() || "/@\"".contains(c);
    if password.known().is_ok_and(|text| !(8..=128).contains(&text.len()) || text.contains(refused)) {
        let problem = Problem::new("password", "RDS does not accept this password");
        problems.push(problem.hint("write 8 to 128 printable ASCII characters without `/`, `@`, `\"` and spaces"));
    }
    problems
}

/// Returns the tags of the resource with this ARN.
async fn tags_of(rds: &Client, arn: &str) -> Result<Vec<Tag>> {
    let response = rds.list_tags_for_resource().resource_name(arn).send().await.context("ListTagsForResource")?;
    Ok(response.tag_list.unwrap_or_default())
}

/// Changes the user-defined tags of a resource, by `AddTagsToResource` and `RemoveTagsFromResource`.
async fn retag(
    rds: &Client,
    arn: &str,
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> Result<()> {
    let (set, removed) = tags::retag(old, new);
    if set.is_some() {
        rds.add_tags_to_resource().resource_name(arn).set_tags(set).send().await.context("AddTagsToResource")?;
    }
    if removed.is_some() {
        let call = rds.remove_tags_from_resource().resource_name(arn).set_tag_keys(removed);
        call.send().await.context("RemoveTagsFromResource")?;
    }
    Ok(())
}

/// Returns a declared name for a request.
fn known_name<T>(declared: Option<&Input<T>>) -> Result<Option<String>, Unresolved>
where
    T: Clone + serde::de::DeserializeOwned + Into<String>,
{
    Ok(declared.map(Input::known).transpose()?.map(Into::into))
}

/// Returns declared security groups for a create request; none for the VPC's default group.
fn known_groups(declared: &[Input<SecurityGroupId>]) -> Result<Option<Vec<String>>, Unresolved> {
    let groups: Vec<String> = declared.iter().map(|group| group.known().map(String::from)).collect::<Result<_, _>>()?;
    Ok((!groups.is_empty()).then_some(groups))
}

/// Returns whether the existing security groups differ from the declared ones. Without declared ones, all are accepted.
fn differ(existing: &[VpcSecurityGroupMembership], declared: Option<&[String]>) -> bool {
    let existing: BTreeSet<&str> = existing.iter().filter_map(|group| group.vpc_security_group_id()).collect();
    declared.is_some_and(|declared| existing != declared.iter().map(String::as_str).collect())
}

/// Returns the existing security groups that a declaration contains, in the recorded order when they are the same.
fn declared_groups(
    existing: &[VpcSecurityGroupMembership],
    recorded: Option<&[Input<SecurityGroupId>]>,
) -> Vec<Input<SecurityGroupId>> {
    match recorded {
        Some(recorded) if known_groups(recorded).is_ok_and(|known| !differ(existing, known.as_deref())) => {
            recorded.to_vec()
        }
        _ => existing
            .iter()
            .filter_map(|group| Some(SecurityGroupId::from(group.vpc_security_group_id()?).into()))
            .collect(),
    }
}

/// Returns the existing version if one is recorded, in the recorded spelling: `15` is equal to every `15.x`.
fn declared_version(existing: Option<&str>, recorded: Option<&str>) -> Option<String> {
    let (existing, recorded) = (existing?, recorded?);
    let same = existing == recorded || existing.strip_prefix(recorded).is_some_and(|rest| rest.starts_with('.'));
    Some(if same { recorded } else { existing }.to_owned())
}

/// Returns the existing port if one is recorded or it is not the default.
fn declared_port(existing: Option<i32>, recorded: Option<u16>) -> Option<u16> {
    let port = existing.and_then(|port| u16::try_from(port).ok());
    port.filter(|port| recorded.is_some() || *port != 5432)
}

/// Returns the name of the default parameter group of an engine: of the declared version, to which an update upgrades, or of
/// the existing one.
fn default_group(engine: &str, declared: Option<&str>, existing: Option<&str>) -> String {
    let major = declared.or(existing).and_then(|version| version.split('.').next()).unwrap_or_default();
    format!("default.{engine}{major}")
}

/// Returns the existing group of parameters or subnets if one is recorded or it is not a default group.
fn declared_group<T: From<String> + Serialize>(
    existing: Option<&str>,
    recorded: Option<&Input<T>>,
) -> Option<Input<T>> {
    let is_default = |name: &str| name == "default" || name.starts_with("default.");
    let name = existing.filter(|name| recorded.is_some() || !is_default(name))?;
    Some(T::from(name.to_owned()).into())
}

/// Returns the error of a declaration that is encrypted, with a snapshot that is not.
fn unencrypted(snapshot: &str, operation: &str) -> ProviderError {
    let message = format!("`encrypted` is true, but the snapshot `{snapshot}` is not encrypted");
    ProviderError::refused(message)
        .hint(format!("copy the snapshot with a KMS key (`{operation}`) and use the copy, or write `encrypted: false`"))
}

/// Returns whether clients connect to databases with TLS. The databases of a local cloud are reached on this machine
/// only.
fn with_tls(cx: &Context<'_>) -> bool {
    !cx.client().is_local()
}

/// Returns `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
fn url(tls: bool, user: &str, password: &str, endpoint: &str, database: Option<&str>) -> String {
    let parameters = if tls { "?sslmode=require" } else { "" };
    let (user, password) = (percent_encoded(user), percent_encoded(password));
    format!("postgres://{user}:{password}@{endpoint}/{}{parameters}", percent_encoded(database.unwrap_or("postgres")))
}

/// Returns the name of the snapshot that is created when a database is deleted. The name differs in each deletion.
fn final_snapshot(cx: &Context<'_>, id: &str) -> String {
    let operation: String = cx.operation().as_str().chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{id}-final-{}", operation.to_lowercase())
}

/// Repeats the request that deletes a database while it is created, changed or backed up.
async fn delete_when_idle<F>(cx: &Context<'_>, request: impl FnMut() -> F) -> Result<(), AwsError>
where
    F: Future<Output = Result<(), AwsError>>,
{
    let busy = ["InvalidDBClusterStateFault", "InvalidDBInstanceState", "InvalidDBInstanceStateFault"];
    let status = "waiting until the database can be deleted";
    wait::retry(cx, status, TIMEOUT, |error| error.has_code(&busy), request).await
}

/// Waits until a database is deleted, unless only the control plane is used.
async fn wait_until_deleted<F>(cx: &Context<'_>, mut exists: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    if cx.client().readiness() == Readiness::ControlPlane {
        return Ok(());
    }
    wait::until(cx, "waiting until the database is deleted", TIMEOUT, || {
        let exists = exists();
        async { Ok((!exists.await?).then_some(())) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(name_problem(Some("tasks-1"), 63), None);
        assert_eq!(name_problem(None, 63), None);
        for bad in ["", "Tasks", "1a", "a--b", "a-", "a_b", &"a".repeat(64)] {
            assert!(name_problem(Some(bad), 63).is_some(), "{bad}");
        }
    }

    #[test]
    fn accounts_are_checked() {
        assert!(account_problems("cloud", &"long-enough".into(), Some("tasks")).is_empty());
        let problems = account_problems("admin", &"a b c d e f".into(), Some("my-tasks"));
        let properties: Vec<_> = problems.into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["user", "database", "password"]);
    }

    #[test]
    fn major_version_is_equal_to_its_minor_versions() {
        assert_eq!(declared_version(Some("15.18"), Some("15")).as_deref(), Some("15"));
        assert_eq!(declared_version(Some("15.18"), Some("15.1")).as_deref(), Some("15.18"));
        assert_eq!(declared_version(Some("15.18"), None), None);
    }
}
