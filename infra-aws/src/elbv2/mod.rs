//! Elastic Load Balancing, version 2.

pub mod action;
mod attributes;
pub mod condition;
pub mod listener;
pub mod listener_rule;
pub mod load_balancer;
pub mod target_group;
pub mod target_group_attachment;

use crate::prelude::*;
use aws_sdk_elasticloadbalancingv2::{Client, types::Tag};

/// Returns the tags of a resource.
async fn tags_of(elbv2: &Client, arn: &str) -> Result<Vec<Tag>> {
    let response = elbv2.describe_tags().resource_arns(arn).send().await.context("DescribeTags")?;
    let descriptions = response.tag_descriptions.unwrap_or_default();
    Ok(descriptions.into_iter().flat_map(|description| description.tags.unwrap_or_default()).collect())
}

/// Changes the user-defined tags of a resource, by `AddTags` and `RemoveTags`.
async fn retag(
    elbv2: &Client,
    arn: &str,
    old: Option<&BTreeMap<String, String>>,
    new: &BTreeMap<String, String>,
) -> Result<()> {
    let (set, removed) = tags::retag(old, new);
    if set.is_some() {
        elbv2.add_tags().resource_arns(arn).set_tags(set).send().await.context("AddTags")?;
    }
    if removed.is_some() {
        elbv2.remove_tags().resource_arns(arn).set_tag_keys(removed).send().await.context("RemoveTags")?;
    }
    Ok(())
}

/// Returns a name for a resource that is declared without one. Names that begin with `internal-` are reserved.
fn derived_name(cx: &Context<'_>) -> String {
    const MAX_LENGTH: usize = 32;
    let name = cx.unique_name(MAX_LENGTH);
    if name.starts_with("internal-") { format!("r-{}", cx.unique_name(MAX_LENGTH - 2)) } else { name }
}

/// Returns the problem of a name that no balancer or target group can have.
fn name_problem(name: &str) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = (1..=32).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.starts_with("internal-");
    (!fits).then(|| {
        Problem::new("name", format!("Elastic Load Balancing does not accept the name `{name}`")).hint(
            "write 1 to 32 letters, digits and `-`, without `-` at either end and without `internal-` at the beginning",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(name_problem("web-1"), None);
        for bad in ["", "-a", "a-", "a_b", "internal-a", &"a".repeat(33)] {
            assert!(name_problem(bad).is_some(), "{bad}");
        }
    }
}
