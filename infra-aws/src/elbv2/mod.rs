//! Elastic Load Balancing, version 2.

pub mod action;
mod attributes;
pub mod condition;
pub mod listener;
pub mod listener_rule;
pub mod load_balancer;
pub mod target_group;
pub mod target_group_attachment;

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    tags,
};
use aws_sdk_elasticloadbalancingv2::{Client, types::TagDescription};
use infra_core::provider::{Context, Problem};
use std::collections::BTreeMap;

/// Whether this very operation made what has this ARN.
async fn is_ours(cx: &Context<'_, Aws>, elbv2: &Client, arn: &str) -> Result<bool, AwsError> {
    let answer = found(elbv2.describe_tags().resource_arns(arn).send().await.context("DescribeTags"))?;
    let descriptions = answer.and_then(|answer| answer.tag_descriptions).unwrap_or_default();
    let tags = descriptions.iter().flat_map(TagDescription::tags);
    Ok(tags::are_ours(cx, tags.map(|tag| (tag.key(), tag.value()))))
}

/// What lives of the recorded tags of one's own; others may add theirs.
async fn own_tags(
    elbv2: &Client,
    arn: &str,
    recorded: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, AwsError> {
    if recorded.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = elbv2.describe_tags().resource_arns(arn).send().await.context("DescribeTags")?;
    let tags = answer.tag_descriptions().iter().flat_map(TagDescription::tags);
    let tags = tags.filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    Ok(tags.filter(|(key, _)| recorded.contains_key(key)).collect())
}

/// A name for what the program gives none. AWS keeps names that begin with `internal-` to itself.
fn derived_name(cx: &Context<'_, Aws>) -> String {
    const LONGEST: usize = 32;
    let name = cx.unique_name(LONGEST);
    if name.starts_with("internal-") { format!("r-{}", cx.unique_name(LONGEST - 2)) } else { name }
}

/// What is wrong with the name of a balancer or target group.
fn name_problem(name: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = (1..=32).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.starts_with("internal-");
    (!fits).then(|| {
        Problem::new("name", format!("AWS does not take the name `{name}`")).hint(
            "write 1 to 32 letters, digits and `-`, without `-` at either end and without `internal-` at the beginning",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name_problem("web-1"), None);
        for bad in ["", "-a", "a-", "a_b", "internal-a", &"a".repeat(33)] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }
}
