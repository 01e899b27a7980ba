//! Relational Database Service: PostgreSQL instances and clusters.

pub mod cluster;
pub mod cluster_parameter_group;
pub mod instance;
mod members;
pub mod parameter_group;
mod parameters;
mod replica;
pub mod subnet_group;

use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
    ids::SecurityGroupId,
    postgres_host::percent_encoded,
    tags,
};
use aws_sdk_rds::{
    Client,
    types::{Tag, VpcSecurityGroupMembership},
};
use infra_core::{
    Input,
    provider::{Context, Problem, ProviderError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long a database may take to come about, to change or to go: backups, and copies of large data, are part of it.
const PATIENCE: Duration = Duration::from_hours(1);

/// A name for what the program gives none. The service knows names in lower case, without `--`.
fn derived_name(cx: &Context<'_, Aws>, longest: usize) -> String {
    let mut name = cx.unique_name(longest).to_lowercase();
    while name.contains("--") {
        name = name.replace("--", "-");
    }
    name
}

/// What is wrong with the name of an instance, cluster or group.
fn name_problem(name: Option<&str>, longest: usize) -> Option<Problem> {
    let name = name?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=longest).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(allowed)
        && !name.ends_with('-')
        && !name.contains("--");
    (!fits).then(|| {
        Problem::new("name", format!("AWS does not take the name `{name}`")).hint(format!(
            "begin with a letter, and write at most {longest} lower-case letters, digits and `-`, without `--` and \
             without `-` at the end"
        ))
    })
}

/// What is wrong with the account of a database.
fn account_problems(user: &str, password: &Input<String>, database: Option<&str>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let proper = |name: &str| {
        (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(letters)
    };
    if !proper(user) || ["admin", "rdsadmin"].contains(&user) {
        let problem = Problem::new("user", format!("AWS does not take the user `{user}`"));
        problems.push(
            problem.hint("begin with a letter, write letters, digits and `_`, and neither `admin` nor `rdsadmin`"),
        );
    }
    if database.is_some_and(|name| !proper(name)) {
        let problem = Problem::new("database", "AWS does not take this name of a database");
        problems.push(problem.hint("begin with a letter, and write letters, digits and `_`"));
    }
    let refused = |c: char| !c.is_ascii_graphic() || "/@\"".contains(c);
    if password.known().is_ok_and(|text| !(8..=128).contains(&text.len()) || text.contains(refused)) {
        let problem = Problem::new("password", "AWS does not take this password");
        problems.push(problem.hint("write 8 to 128 printable ASCII characters without `/`, `@`, `\"` and spaces"));
    }
    problems
}

fn tag_list(cx: &Context<'_, Aws>, own: &BTreeMap<String, String>) -> Vec<Tag> {
    let all = tags::all(cx).into_iter().chain(own.clone());
    all.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn are_ours(cx: &Context<'_, Aws>, living: &[Tag]) -> bool {
    tags::are_ours(cx, living.iter().map(|tag| (tag.key(), tag.value())))
}

/// What lives of the recorded tags of one's own; others may add theirs.
fn own_tags(living: &[Tag], recorded: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = |tag: &Tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()));
    living.iter().filter_map(kept).filter(|(key, _)| recorded.contains_key(key)).collect()
}

/// Asks for the tags of what has this ARN.
async fn tags_of(rds: &Client, arn: &str) -> Result<Vec<Tag>, AwsError> {
    let answer = rds.list_tags_for_resource().resource_name(arn).send().await.context("ListTagsForResource")?;
    Ok(answer.tag_list.unwrap_or_default())
}

/// Gives something other tags of one's own.
async fn retag(
    rds: &Client,
    arn: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), AwsError> {
    if old != new && !new.is_empty() {
        let set = new.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let call = rds.add_tags_to_resource().resource_name(arn).set_tags(Some(set));
        call.send().await.context("AddTagsToResource")?;
    }
    let removed: Vec<String> = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    if !removed.is_empty() {
        let call = rds.remove_tags_from_resource().resource_name(arn).set_tag_keys(Some(removed));
        call.send().await.context("RemoveTagsFromResource")?;
    }
    Ok(())
}

fn known_groups(groups: &[Input<SecurityGroupId>]) -> Result<Vec<String>, ProviderError> {
    groups.iter().map(|group| Ok(group.known()?.into())).collect()
}

/// The security groups as they live, in the recorded order when they are the same; the VPC's own stay unsaid.
fn living_groups(
    living: &[VpcSecurityGroupMembership],
    recorded: &[Input<SecurityGroupId>],
) -> Vec<Input<SecurityGroupId>> {
    let ids = || living.iter().filter_map(VpcSecurityGroupMembership::vpc_security_group_id);
    let known = known_groups(recorded).unwrap_or_default();
    let same = ids().collect::<BTreeSet<_>>() == known.iter().map(String::as_str).collect();
    if same || recorded.is_empty() {
        return recorded.to_vec();
    }
    ids().map(|id| SecurityGroupId::from(id).into()).collect()
}

/// The version in the recorded words: `15` is any `15.x`.
fn living_version(living: Option<&str>, recorded: Option<&str>) -> Option<String> {
    let (living, recorded) = (living?, recorded?);
    let same = living == recorded || living.strip_prefix(recorded).is_some_and(|rest| rest.starts_with('.'));
    Some(if same { recorded } else { living }.to_owned())
}

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. AWS's databases offer TLS; what never leaves this machine needs none.
fn url(cx: &Context<'_, Aws>, user: &str, password: &str, endpoint: &str, database: Option<&str>) -> String {
    let tls = if cx.client().is_local() { "" } else { "?sslmode=require" };
    let (user, password) = (percent_encoded(user), percent_encoded(password));
    format!("postgres://{user}:{password}@{endpoint}/{}{tls}", percent_encoded(database.unwrap_or("postgres")))
}

/// A name for the snapshot that is left when something goes: not the same in its next life.
fn last_snapshot(cx: &Context<'_, Aws>, id: &str) -> String {
    let operation: String = cx.operation().as_str().chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{id}-final-{}", operation.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_service_knows_them() {
        assert_eq!(name_problem(Some("tasks-1"), 63), None);
        assert_eq!(name_problem(None, 63), None);
        for bad in ["", "Tasks", "1a", "a--b", "a-", "a_b", &"a".repeat(64)] {
            assert!(name_problem(Some(bad), 63).is_some(), "{bad}");
        }
    }

    #[test]
    fn accounts_that_aws_refuses() {
        assert!(account_problems("cloud", &"long-enough".into(), Some("tasks")).is_empty());
        let problems = account_problems("admin", &"a b c d e f".into(), Some("my-tasks"));
        let properties: Vec<_> = problems.into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["user", "database", "password"]);
    }

    #[test]
    fn a_major_version_stands_for_its_minor_ones() {
        assert_eq!(living_version(Some("15.18"), Some("15")).as_deref(), Some("15"));
        assert_eq!(living_version(Some("15.18"), Some("15.1")).as_deref(), Some("15.18"));
        assert_eq!(living_version(Some("15.18"), None), None);
    }
}
