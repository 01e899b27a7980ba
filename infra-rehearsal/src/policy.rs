//! The IAM policy of the identity that deploys a stack.

use crate::calls::Call;
use infra_core::{Urn, names};
use infra_local::AuthorisedAction;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Condition keys that narrow a statement if all recorded actions have the same value.
const NARROWING: &[&str] = &[
    "aws:ResourceTag/infra:program",
    "aws:ResourceTag/infra:stack",
    "aws:RequestTag/infra:program",
    "aws:RequestTag/infra:stack",
];

/// Number of generations whose names are recognised.
const GENERATIONS: u32 = 4;

/// Condition keys with the values that they may have.
type Conditions = BTreeMap<String, BTreeSet<String>>;

/// Patterns of ARNs, or actions.
type Texts = BTreeSet<String>;

/// A statement that allows actions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Statement {
    /// The actions.
    pub actions: BTreeSet<String>,
    /// Patterns of ARNs, or `*`.
    pub resources: BTreeSet<String>,
    /// Values of condition keys, which are compared by `StringEquals`.
    pub conditions: BTreeMap<String, BTreeSet<String>>,
}

/// The permissions that a stack needs, with the resources that need them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Permissions {
    /// The statements of the policy.
    pub statements: Vec<Statement>,
    /// For each action the resources of the program that need it. Reads of lookups have the lookup.
    pub needed_by: BTreeMap<String, BTreeSet<Urn>>,
}

impl Permissions {
    /// Derives the policy from recorded calls.
    pub(crate) fn of<'c>(calls: impl Iterator<Item = &'c Call> + Clone, seed: &str) -> Permissions {
        let mut needed_by: BTreeMap<String, BTreeSet<Urn>> = BTreeMap::new();
        let mut uses: BTreeMap<(String, String), Vec<&AuthorisedAction>> = BTreeMap::new();
        let urns: BTreeSet<Urn> = calls.clone().filter_map(|call| call.resource.parse().ok()).collect();
        let suffixes = suffixes(&urns, seed);
        for call in calls {
            let urn: Option<Urn> = call.resource.parse().ok();
            for action in &call.decisions {
                needed_by.entry(action.action.clone()).or_default().extend(urn.clone());
                let pattern = generalise(&action.resource, &suffixes);
                uses.entry((action.action.clone(), pattern)).or_default().push(action);
            }
        }
        Permissions { statements: statements(uses), needed_by }
    }

    /// Returns the policy document.
    pub fn document(&self) -> Value {
        document(&self.statements)
    }

    /// Returns the permissions without a statement.
    pub(crate) fn without_statement(&self, statement: usize) -> Permissions {
        let mut reduced = self.clone();
        reduced.statements.remove(statement);
        reduced
    }
}

impl Statement {
    /// Returns the statement as an element of a policy document.
    pub(crate) fn document(&self) -> Value {
        let mut document =
            json!({"Effect": "Allow", "Action": one_or_list(&self.actions), "Resource": one_or_list(&self.resources)});
        if !self.conditions.is_empty() {
            let conditions = self.conditions.iter().map(|(key, values)| (key.clone(), one_or_list(values)));
            document["Condition"] = json!({"StringEquals": conditions.collect::<Map<String, Value>>()});
        }
        document
    }
}

/// Returns a single text as it is, which is shorter than a list.
fn one_or_list(texts: &BTreeSet<String>) -> Value {
    match texts.first() {
        Some(single) if texts.len() == 1 => json!(single),
        _ => json!(texts),
    }
}

/// Returns the document with these statements.
pub(crate) fn document<'s>(statements: impl IntoIterator<Item = &'s Statement>) -> Value {
    let statements: Vec<Value> = statements.into_iter().map(Statement::document).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Combines the uses of actions to statements: actions with equal conditions and resources share one.
fn statements(uses: BTreeMap<(String, String), Vec<&AuthorisedAction>>) -> Vec<Statement> {
    let mut resources: BTreeMap<(String, Conditions), Texts> = BTreeMap::new();
    for ((action, pattern), used) in uses {
        let conditions = conditions(&action, &pattern, &used);
        resources.entry((action, conditions)).or_default().insert(pattern);
    }
    let mut actions: BTreeMap<(Conditions, Texts), Texts> = BTreeMap::new();
    for ((action, conditions), patterns) in resources {
        actions.entry((conditions, patterns)).or_default().insert(action);
    }
    let statement = |((conditions, resources), actions)| Statement { actions, resources, conditions };
    let mut statements: Vec<Statement> = actions.into_iter().map(statement).collect();
    statements.sort();
    statements
}

/// Returns the conditions that all uses of an action on resources of one pattern satisfy.
fn conditions(action: &str, pattern: &str, used: &[&AuthorisedAction]) -> Conditions {
    let values = |key: &str| -> Option<BTreeSet<String>> {
        let all = used.iter().map(|action| action.context.get(key).filter(|values| values.len() == 1));
        all.map(|values| values.and_then(|values| values.first().cloned())).collect()
    };
    let mut conditions = BTreeMap::new();
    for key in NARROWING {
        if let Some(values) = values(key).filter(|values| values.len() == 1) {
            conditions.insert((*key).to_owned(), values);
        }
    }
    if action == "iam:PassRole"
        && let Some(services) = values("iam:PassedToService")
    {
        conditions.insert("iam:PassedToService".to_owned(), services);
    }
    let is_global = ["iam:", "sts:", "s3:"].iter().any(|service| action.starts_with(service));
    if pattern == "*"
        && !is_global
        && let Some(regions) = values("aws:RequestedRegion")
    {
        conditions.insert("aws:RequestedRegion".to_owned(), regions);
    }
    conditions
}

/// Returns the suffixes of the unique names of these resources.
pub(crate) fn suffixes<'u>(urns: impl IntoIterator<Item = &'u Urn>, seed: &str) -> BTreeSet<String> {
    let names = urns.into_iter().flat_map(|urn| (0..GENERATIONS).map(move |it| names::unique(seed, urn, it, 64)));
    names.filter_map(|name| name.rsplit_once('-').map(|(_, suffix)| suffix.to_owned())).collect()
}

/// Replaces the account, identifiers and the suffixes of unique names in an ARN by `*`.
pub(crate) fn generalise(arn: &str, suffixes: &BTreeSet<String>) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else { return arn.to_owned() };
    let account = if account.is_empty() { "" } else { "*" };
    let mut pattern = String::new();
    for segment in resource.split_inclusive(['/', ':']) {
        let (text, separator) = match segment.strip_suffix(['/', ':']) {
            Some(text) => (text, &segment[text.len()..]),
            None => (segment, ""),
        };
        pattern.push_str(&generalise_segment(text, suffixes));
        pattern.push_str(separator);
    }
    format!("{scheme}:{partition}:{service}:{region}:{account}:{pattern}")
}

fn generalise_segment(text: &str, suffixes: &BTreeSet<String>) -> String {
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() >= 16 && is_hexadecimal(&text.replace('-', "")) {
        return "*".to_owned();
    }
    match text.rsplit_once('-') {
        Some((_, digits)) if digits.len() >= 8 && is_hexadecimal(digits) => "*".to_owned(),
        Some((base, suffix)) if suffixes.contains(suffix) => format!("{base}-*"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action: &str, resource: &str, context: &[(&str, &str)]) -> AuthorisedAction {
        let context = context.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]));
        AuthorisedAction { action: action.to_owned(), resource: resource.to_owned(), context: context.collect() }
    }

    fn call(resource: &str, decisions: Vec<AuthorisedAction>) -> Call {
        Call { resource: resource.to_owned(), decisions, ..Call::default() }
    }

    #[test]
    fn arns_are_generalised_to_names_and_kinds() {
        let suffixes = ["abcd234".to_owned()].into();
        for (arn, pattern) in [
            ("arn:aws:ec2:us-east-1:000000000000:vpc/vpc-0123456789abcdef0", "arn:aws:ec2:us-east-1:*:vpc/*"),
            ("arn:aws:iam::000000000000:role/web-role-abcd234", "arn:aws:iam::*:role/web-role-*"),
            ("arn:aws:s3:::web-data-abcd234/a/b.txt", "arn:aws:s3:::web-data-*/a/b.txt"),
            (
                "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web-abcd234/50dc6c495c0c9188",
                "arn:aws:elasticloadbalancing:us-east-1:*:loadbalancer/app/web-*/*",
            ),
            ("*", "*"),
        ] {
            assert_eq!(generalise(arn, &suffixes), pattern);
        }
    }

    #[test]
    fn statements_share_actions_with_equal_resources_and_conditions() {
        let stack = ("aws:ResourceTag/infra:stack", "dev");
        let vpc = "arn:aws:ec2:us-east-1:000000000000:vpc/vpc-0123456789abcdef0";
        let role = "arn:aws:iam::000000000000:role/web";
        let calls = [
            call(
                "urn:infra:dev::web::aws:ec2:Vpc::net",
                vec![
                    action("ec2:DeleteVpc", vpc, &[stack]),
                    action("ec2:ModifyVpcAttribute", vpc, &[stack]),
                    action("ec2:DescribeVpcs", "*", &[("aws:RequestedRegion", "us-east-1")]),
                ],
            ),
            call("", vec![action("iam:PassRole", role, &[("iam:PassedToService", "ec2.amazonaws.com")])]),
            call("", vec![action("ec2:DescribeVpcs", "*", &[("aws:RequestedRegion", "us-east-2")])]),
        ];
        let permissions = Permissions::of(calls.iter(), "seed");
        insta::assert_snapshot!(format!("{:#}", permissions.document()), @r#"
        {
          "Statement": [
            {
              "Action": [
                "ec2:DeleteVpc",
                "ec2:ModifyVpcAttribute"
              ],
              "Condition": {
                "StringEquals": {
                  "aws:ResourceTag/infra:stack": "dev"
                }
              },
              "Effect": "Allow",
              "Resource": "arn:aws:ec2:us-east-1:*:vpc/*"
            },
            {
              "Action": "ec2:DescribeVpcs",
              "Condition": {
                "StringEquals": {
                  "aws:RequestedRegion": [
                    "us-east-1",
                    "us-east-2"
                  ]
                }
              },
              "Effect": "Allow",
              "Resource": "*"
            },
            {
              "Action": "iam:PassRole",
              "Condition": {
                "StringEquals": {
                  "iam:PassedToService": "ec2.amazonaws.com"
                }
              },
              "Effect": "Allow",
              "Resource": "arn:aws:iam::*:role/web"
            }
          ],
          "Version": "2012-10-17"
        }
        "#);
        assert_eq!(permissions.needed_by["ec2:DeleteVpc"].len(), 1);
    }
}
