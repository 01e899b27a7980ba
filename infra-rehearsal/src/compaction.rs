//! Fewer statements that allow the same.
//!
//! An action applies only to resources of its types: a statement that deletes VPCs and one that deletes subnets, under equal
//! conditions, allow the same as one statement with both actions on VPCs and subnets.

use crate::policy::{Permissions, Statement};
use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

/// The types of resources to which actions apply, from AWS's Service Authorization Reference. `tests/peers/iam-data` writes it,
/// and compares it with the reference.
static REFERENCE: LazyLock<Reference> = LazyLock::new(|| Reference::parse(include_str!("resource_types.txt")));

impl Permissions {
    /// Returns the same permissions in fewer statements.
    pub fn compacted(&self) -> Permissions {
        Permissions { statements: compact(&self.statements), ..self.clone() }
    }
}

/// Merges statements with equal conditions, as long as no action is allowed on a resource on which it was not.
fn compact(statements: &[Statement]) -> Vec<Statement> {
    let mut merged: Vec<Statement> = Vec::new();
    for statement in statements {
        match merged.iter_mut().find(|other| allow_the_same_together(other, statement)) {
            Some(other) => {
                other.actions.extend(statement.actions.iter().cloned());
                other.resources.extend(statement.resources.iter().cloned());
            }
            None => merged.push(statement.clone()),
        }
    }
    merged
}

fn allow_the_same_together(one: &Statement, other: &Statement) -> bool {
    let adds = |statement: &Statement, resources: &BTreeSet<String>| {
        let mut new = resources.difference(&statement.resources);
        new.any(|resource| statement.actions.iter().any(|action| applies(action, resource)))
    };
    one.conditions == other.conditions && !adds(one, &other.resources) && !adds(other, &one.resources)
}

/// Returns whether an action applies to a resource that a pattern of ARNs matches. Actions that the reference does not contain
/// may apply to all resources.
pub(crate) fn applies(action: &str, pattern: &str) -> bool {
    let types = REFERENCE.actions.get(&action.to_ascii_lowercase());
    let Some(types) = types.filter(|_| pattern != "*") else { return true };
    types.iter().any(|&kind| REFERENCE.forms.get(kind).is_none_or(|form| have_common_arn(pattern, form)))
}

struct Reference {
    /// Names of the resource types of an action, each after its service; actions are in lower case.
    actions: HashMap<String, Vec<&'static str>>,
    /// Forms of the ARNs of a resource type: `*` is any text, and `~` is any text without a slash.
    forms: HashMap<&'static str, &'static str>,
}

impl Reference {
    /// Parses lines of two forms: `type SERVICE:TYPE FORM`, and `actions SERVICE:TYPE… = SERVICE:ACTION…`.
    fn parse(text: &'static str) -> Reference {
        let mut reference = Reference { actions: HashMap::new(), forms: HashMap::new() };
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or_default();
            match kind {
                "type" => reference.forms.extend(rest.split_once(' ')),
                "actions" => {
                    let (types, actions) = rest.split_once(" = ").unwrap_or_default();
                    let types: Vec<&str> = types.split(' ').collect();
                    let actions = actions.split(' ').map(|action| (action.to_ascii_lowercase(), types.clone()));
                    reference.actions.extend(actions);
                }
                _ => {}
            }
        }
        reference
    }
}

/// Returns whether an ARN exists that a pattern of a policy matches, and that has the form of a resource type. Wildcards do
/// not match the colons before the resource.
fn have_common_arn(pattern: &str, form: &str) -> bool {
    let (pattern, form): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), form.splitn(6, ':').collect());
    pattern.len() != form.len() || pattern.iter().zip(&form).all(|(one, other)| have_common_text(one, other))
}

/// Returns whether a text exists that both match: `*` is any text, `~` any text without a slash, and `?` one character.
fn have_common_text(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let is_wildcard = |character: char| matches!(character, '*' | '~');
    // The positions in `other` that are reachable at a position in `one`.
    let mut pairs = vec![(0, 0)];
    let mut known = BTreeSet::from([(0, 0)]);
    while let Some((i, j)) = pairs.pop() {
        let (a, b) = (one.get(i).copied(), other.get(j).copied());
        if a.is_none() && b.is_none() {
            return true;
        }
        let mut next = Vec::new();
        // A wildcard matches nothing, or one more character of the other text.
        if a.is_some_and(is_wildcard) {
            next.push((i + 1, j));
        }
        if b.is_some_and(is_wildcard) {
            next.push((i, j + 1));
        }
        if let (Some(a), Some(b)) = (a, b) {
            let excludes = |wildcard: char, character: char| wildcard == '~' && character == '/';
            match (is_wildcard(a), is_wildcard(b)) {
                (true, false) if !excludes(a, b) => next.push((i, j + 1)),
                (false, true) if !excludes(b, a) => next.push((i + 1, j)),
                (false, false) if a == b || a == '?' || b == '?' => next.push((i + 1, j + 1)),
                _ => {}
            }
        }
        pairs.extend(next.into_iter().filter(|pair| known.insert(*pair)));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn statement(actions: &[&str], resources: &[&str], stack: &str) -> Statement {
        let texts = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<String>>();
        let conditions = BTreeMap::from([("aws:ResourceTag/infra:stack".to_owned(), texts(&[stack]))]);
        Statement { actions: texts(actions), resources: texts(resources), conditions }
    }

    /// Returns the pairs of an action and a resource that have an effect.
    fn effective(statements: &[Statement]) -> BTreeSet<(&str, &str)> {
        let pairs = statements.iter().flat_map(|it| {
            it.actions.iter().flat_map(|action| it.resources.iter().map(move |resource| (&**action, &**resource)))
        });
        pairs.filter(|(action, resource)| applies(action, resource)).collect()
    }

    const VPC: &str = "arn:aws:ec2:us-east-1:*:vpc/*";
    const SUBNET: &str = "arn:aws:ec2:us-east-1:*:subnet/*";
    const OTHER_VPC: &str = "arn:aws:ec2:us-east-2:*:vpc/*";

    #[test]
    fn statements_about_different_types_are_merged() {
        let statements =
            [statement(&["ec2:DeleteVpc"], &[VPC], "dev"), statement(&["ec2:DeleteSubnet"], &[SUBNET], "dev")];
        let merged = compact(&statements);
        assert_eq!(merged, [statement(&["ec2:DeleteSubnet", "ec2:DeleteVpc"], &[SUBNET, VPC], "dev")]);
        assert_eq!(effective(&merged), effective(&statements));
    }

    #[test]
    fn statements_whose_actions_apply_to_the_other_resources_stay_separate() {
        for (one, other) in [
            (statement(&["ec2:DeleteVpc"], &[VPC], "dev"), statement(&["ec2:DeleteVpc"], &[OTHER_VPC], "test")),
            (statement(&["ec2:DeleteVpc"], &[VPC], "dev"), statement(&["ec2:ModifyVpcAttribute"], &[OTHER_VPC], "dev")),
            (statement(&["ec2:DeleteVpc"], &[VPC], "dev"), statement(&["ec2:CreateTags"], &[SUBNET], "dev")),
            (statement(&["ec2:DescribeVpcs"], &["*"], "dev"), statement(&["ec2:DeleteVpc"], &[VPC], "dev")),
            (statement(&["ec2:NoSuchAction"], &[SUBNET], "dev"), statement(&["ec2:DeleteVpc"], &[VPC], "dev")),
        ] {
            let statements = [one, other];
            assert_eq!(compact(&statements), statements);
        }
    }

    #[test]
    fn actions_apply_to_patterns_that_match_resources_of_their_types() {
        for (action, pattern, expected) in [
            ("ec2:DeleteVpc", "arn:aws:ec2:*:*:*", true),
            ("ec2:deletevpc", "arn:aws:ec2:*:*:vpc/vpc-1", true),
            ("ec2:DeleteVpc", "arn:aws:ec2:*:*:v?c/*", true),
            ("ec2:DeleteVpc", "arn:aws:ec2:*:*:vpc-peering-connection/*", false),
            ("ec2:DeleteVpc", "arn:aws:rds:*:*:vpc/*", false),
            ("s3:PutObject", "arn:aws:s3:::bucket/key", true),
            ("s3:PutObject", "arn:aws:s3:::bucket", false),
            ("s3:PutBucketTagging", "arn:aws:s3:::bucket/key", false),
            ("s3:PutBucketTagging", "arn:aws:s3:::*", true),
            ("iam:GetRole", "arn:aws:iam::*:instance-profile/web-*", false),
            ("iam:GetRole", "arn:aws:iam::*:role/a/web-*", true),
        ] {
            assert_eq!(applies(action, pattern), expected, "{action} on {pattern}");
        }
    }
}
