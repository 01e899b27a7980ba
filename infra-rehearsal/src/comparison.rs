//! The difference between an earlier policy and the permissions of a program.

use crate::compaction::applies;
use crate::policy::{Permissions, Statement};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The difference between an earlier policy and the permissions that a program needs now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Grants that the earlier policy does not contain.
    pub added: BTreeSet<Grant>,
    /// Grants of the earlier policy that are no longer needed.
    pub removed: BTreeSet<Grant>,
    /// Actions that both policies allow.
    #[serde(skip)]
    kept: BTreeSet<String>,
}

/// An action on resources of one pattern under conditions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// The action, which may be a pattern.
    pub action: String,
    /// Pattern of ARNs, or `*`.
    pub resource: String,
    /// Operator → condition key → values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Comparison {
    /// Compares the permissions with an earlier policy: the text of a policy document, of a list of documents, or of the
    /// output of `permissions --json`.
    pub fn with(earlier: &str, permissions: &Permissions) -> Result<Comparison, String> {
        let mut earlier = grants_of(&serde_json::from_str(earlier).map_err(|error| error.to_string())?)?;
        // A statement may combine actions with resources to which only its other actions apply.
        earlier.retain(|grant| applies(&grant.action, &grant.resource));
        let now: BTreeSet<Grant> = permissions.statements.iter().flat_map(Grant::all).collect();
        let missing = |of: &BTreeSet<Grant>, all: &BTreeSet<Grant>| -> BTreeSet<Grant> {
            of.iter().filter(|grant| !all.iter().any(|other| other.covers(grant))).cloned().collect()
        };
        let actions = |grants: &BTreeSet<Grant>| -> BTreeSet<String> {
            grants.iter().map(|grant| grant.action.clone()).collect()
        };
        let kept = actions(&now).intersection(&actions(&earlier)).cloned().collect();
        Ok(Comparison { added: missing(&now, &earlier), removed: missing(&earlier, &now), kept })
    }

    /// Returns whether both policies allow the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Returns a line per difference: `+` for a new action, `-` for one that is no longer needed, `~` for one that is
    /// allowed on other resources or under other conditions.
    pub fn lines(&self) -> Vec<String> {
        let line = |grant: &Grant, is_added: bool| {
            let is_kept = self.kept.contains(&grant.action);
            let (mark, change) = match (is_kept, is_added) {
                (true, true) => ('~', "also "),
                (true, false) => ('~', "no longer "),
                (false, true) => ('+', ""),
                (false, false) => ('-', ""),
            };
            let separator = if is_kept { ": " } else { " " };
            format!("{mark} {}{separator}{change}{}", grant.action, grant.scope())
        };
        let added = self.added.iter().map(|grant| (&grant.action, line(grant, true)));
        let mut lines: Vec<(&String, String)> = added.collect();
        lines.extend(self.removed.iter().map(|grant| (&grant.action, line(grant, false))));
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

impl Grant {
    /// Returns the grants of a statement.
    fn all(statement: &Statement) -> Vec<Grant> {
        let document = statement.document();
        grants_of_statement(&document).unwrap_or_default()
    }

    /// Returns whether everything that another grant allows is allowed by this one.
    pub(crate) fn covers(&self, other: &Grant) -> bool {
        let holds = |operator: &String, keys: &BTreeMap<String, BTreeSet<String>>| {
            keys.iter().all(|(key, values)| {
                let narrower = other.conditions.get(operator).and_then(|keys| keys.get(key));
                // More values of a positive operator allow more; other operators are only compared.
                narrower.is_some_and(|narrower| {
                    if operator.contains("Not") { narrower == values } else { narrower.is_subset(values) }
                })
            })
        };
        self.covers_unconditionally(other) && self.conditions.iter().all(|(operator, keys)| holds(operator, keys))
    }

    /// Returns whether the action and the resource of another grant are covered by those of this one.
    pub(crate) fn covers_unconditionally(&self, other: &Grant) -> bool {
        matches(&self.action.to_ascii_lowercase(), &other.action.to_ascii_lowercase())
            && matches(&self.resource, &other.resource)
    }

    /// Returns the resource with its conditions, for people.
    pub fn scope(&self) -> String {
        let mut scope = format!("on {}", self.resource);
        let conditions = self.conditions.iter().flat_map(|(operator, keys)| {
            let name = if operator == "StringEquals" { "=" } else { operator };
            keys.iter().map(move |(key, values)| {
                format!("{key} {name} {}", values.iter().map(String::as_str).collect::<Vec<_>>().join(" or "))
            })
        });
        let conditions: Vec<String> = conditions.collect();
        if !conditions.is_empty() {
            scope.push_str(" if ");
            scope.push_str(&conditions.join(" and "));
        }
        scope
    }
}

/// A statement that denies actions on resources under conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    actions: Texts,
    resources: Texts,
    /// Operator → condition key → values.
    pub(crate) conditions: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

/// The patterns of `Action` or `Resource`, or those that `NotAction` or `NotResource` excludes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Texts {
    These(BTreeSet<String>),
    AllExcept(BTreeSet<String>),
}

impl Texts {
    fn of(statement: &Value, element: &str, excluding: &str) -> Texts {
        match &statement[excluding] {
            Value::Null => Texts::These(texts(&statement[element])),
            excluded => Texts::AllExcept(texts(excluded)),
        }
    }

    fn contain(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Texts::These(patterns) => patterns.iter().any(|pattern| matches(pattern)),
            Texts::AllExcept(patterns) => !patterns.iter().any(|pattern| matches(pattern)),
        }
    }

    fn map(self, convert: impl Fn(&str) -> String) -> Texts {
        let all = |texts: BTreeSet<String>| texts.iter().map(|text| convert(text)).collect();
        match self {
            Texts::These(texts) => Texts::These(all(texts)),
            Texts::AllExcept(texts) => Texts::AllExcept(all(texts)),
        }
    }
}

impl Denial {
    /// Returns `true` if the statement denies this grant, as far as its conditions are true.
    pub(crate) fn concerns(&self, grant: &Grant) -> bool {
        let action = grant.action.to_ascii_lowercase();
        self.actions.contain(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && self.resources.contain(|pattern| matches(pattern, &grant.resource))
    }

    /// Returns the denial with other resources and condition values.
    pub(crate) fn converted(self, convert: impl Fn(&str) -> String) -> Denial {
        let conditions = converted(self.conditions, &convert);
        Denial { resources: self.resources.map(&convert), conditions, ..self }
    }
}

/// Converts the values of conditions.
pub(crate) fn converted(
    conditions: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    convert: impl Fn(&str) -> String,
) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let values = |values: BTreeSet<String>| values.iter().map(|value| convert(value)).collect();
    let keys = |keys: BTreeMap<String, BTreeSet<String>>| keys.into_iter().map(|(key, it)| (key, values(it))).collect();
    conditions.into_iter().map(|(operator, it)| (operator, keys(it))).collect()
}

/// Returns whether a pattern with `*` and `?` matches all texts that another pattern matches: the wildcards of the other one
/// count as characters that only a wildcard matches.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut in_text) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_text < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_text));
                at += 1;
            }
            Some(character) if *character == text[in_text] || (*character == '?' && text[in_text] != '*') => {
                at += 1;
                in_text += 1;
            }
            _ => match &mut star {
                Some((star, matched)) => {
                    *matched += 1;
                    (at, in_text) = (*star + 1, *matched);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

/// Returns the grants of a policy document, of a list of documents, or of the output of `permissions --json`.
pub(crate) fn grants_of(document: &Value) -> Result<BTreeSet<Grant>, String> {
    if let Some(documents) = document.as_array() {
        let grants: Result<Vec<BTreeSet<Grant>>, String> = documents.iter().map(grants_of).collect();
        return Ok(grants?.into_iter().flatten().collect());
    }
    if let Some(documents) = document["documents"].as_array() {
        let documents: Vec<Value> = documents.iter().map(|it| it["document"].clone()).collect();
        return grants_of(&Value::Array(documents));
    }
    let grants: Result<Vec<Vec<Grant>>, String> = statements(document)?.iter().map(grants_of_statement).collect();
    Ok(grants?.into_iter().flatten().collect())
}

/// Returns the grants and the denials of a policy document.
pub(crate) fn rules_of(document: &Value) -> Result<(BTreeSet<Grant>, Vec<Denial>), String> {
    let (denying, allowing): (Vec<Value>, Vec<Value>) =
        statements(document)?.into_iter().partition(|statement| statement["Effect"] == "Deny");
    let denial = |statement: &Value| Denial {
        actions: Texts::of(statement, "Action", "NotAction"),
        resources: Texts::of(statement, "Resource", "NotResource"),
        conditions: conditions_of(statement),
    };
    let grants: Result<Vec<Vec<Grant>>, String> = allowing.iter().map(grants_of_statement).collect();
    Ok((grants?.into_iter().flatten().collect(), denying.iter().map(denial).collect()))
}

fn statements(document: &Value) -> Result<Vec<Value>, String> {
    match &document["Statement"] {
        Value::Array(statements) => Ok(statements.clone()),
        statement @ Value::Object(_) => Ok(vec![statement.clone()]),
        _ => Err("it has no element `Statement`".to_owned()),
    }
}

fn conditions_of(statement: &Value) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut conditions = BTreeMap::new();
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        let keys = keys.as_object().into_iter().flatten().map(|(key, values)| (key.clone(), texts(values)));
        conditions.insert(operator.clone(), keys.collect());
    }
    conditions
}

fn grants_of_statement(statement: &Value) -> Result<Vec<Grant>, String> {
    if statement["Effect"] != "Allow" {
        return Err("a statement does not allow: statements with the effect `Deny` cannot be compared".to_owned());
    }
    for element in ["NotAction", "NotResource"] {
        if !statement[element].is_null() {
            return Err(format!("a statement has `{element}`, which cannot be compared"));
        }
    }
    let conditions = conditions_of(statement);
    let grant = |action: &String, resource: &String| Grant {
        action: action.clone(),
        resource: resource.clone(),
        conditions: conditions.clone(),
    };
    let (actions, resources) = (texts(&statement["Action"]), texts(&statement["Resource"]));
    Ok(actions.iter().flat_map(|action| resources.iter().map(move |resource| grant(action, resource))).collect())
}

/// Returns the texts of a list, or the single text.
fn texts(value: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Null => BTreeSet::new(),
        Value::Array(values) => values.iter().map(text).collect(),
        single => [text(single)].into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn permissions() -> Permissions {
        let texts = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<String>>();
        let conditions = BTreeMap::from([("aws:ResourceTag/infra:stack".to_owned(), texts(&["dev"]))]);
        let objects = texts(&["arn:aws:s3:::web-*/a", "arn:aws:s3:::web-*/b"]);
        let statements = vec![
            Statement { actions: texts(&["s3:PutObject"]), resources: objects, conditions: BTreeMap::new() },
            Statement {
                actions: texts(&["ec2:CreateVpc", "ec2:DeleteVpc"]),
                resources: texts(&["arn:aws:ec2:us-east-1:*:vpc/*"]),
                conditions,
            },
        ];
        Permissions { statements, ..Permissions::default() }
    }

    fn compared(earlier: &Value) -> String {
        Comparison::with(&earlier.to_string(), &permissions()).map_or_else(|error| error, |it| it.lines().join("\n"))
    }

    #[test]
    fn comparison_with_itself_is_empty() {
        let document = permissions().document();
        assert!(Comparison::with(&document.to_string(), &permissions()).unwrap().is_empty());
        assert_eq!(compared(&json!([document])), "");
        assert_eq!(compared(&json!({"documents": [{"document": document}]})), "");
    }

    #[test]
    fn actions_are_not_compared_on_resources_to_which_they_do_not_apply() {
        let conditions = json!({"StringEquals": {"aws:ResourceTag/infra:stack": "dev"}});
        let resources = ["arn:aws:ec2:us-east-1:*:vpc/*", "arn:aws:ec2:us-east-1:*:subnet/*"];
        let earlier = json!([
            {"Effect": "Allow", "Action": ["ec2:CreateVpc", "ec2:DeleteVpc"], "Resource": resources, "Condition": conditions},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": ["arn:aws:s3:::web-*/a", "arn:aws:s3:::web-*/b"]},
        ]);
        assert_eq!(compared(&json!({ "Statement": earlier })), "");
    }

    #[test]
    fn new_actions_resources_and_conditions_are_shown() {
        let earlier = json!({"Statement": [
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::web-*/a"},
            {"Effect": "Allow", "Action": ["ec2:DeleteVpc"], "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:CreateSubnet", "Resource": "*",
             "Condition": {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}}},
        ]});
        insta::assert_snapshot!(compared(&earlier), @r"
        - ec2:CreateSubnet on * if aws:RequestedRegion = us-east-1 or us-east-2
        + ec2:CreateVpc on arn:aws:ec2:us-east-1:*:vpc/* if aws:ResourceTag/infra:stack = dev
        ~ ec2:DeleteVpc: no longer on *
        ~ s3:PutObject: also on arn:aws:s3:::web-*/b
        ");
    }

    #[test]
    fn patterns_of_actions_cover_their_actions() {
        let earlier = json!({"Statement": {"Effect": "Allow", "Action": ["s3:*", "EC2:*Vpc"], "Resource": "*"}});
        insta::assert_snapshot!(compared(&earlier), @r"
        - EC2:*Vpc on *
        - s3:* on *
        ");
    }

    #[test]
    fn statements_that_do_not_only_allow_are_refused() {
        insta::assert_snapshot!(compared(&json!({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})), @"a statement does not allow: statements with the effect `Deny` cannot be compared");
        insta::assert_snapshot!(compared(&json!({"Statement": [{"Effect": "Allow", "NotAction": "*", "Resource": "*"}]})), @"a statement has `NotAction`, which cannot be compared");
        insta::assert_snapshot!(compared(&json!({})), @"it has no element `Statement`");
    }

    #[test]
    fn patterns_match_the_patterns_that_they_cover() {
        for (pattern, text, is_matched) in [
            ("*", "arn:aws:s3:::*", true),
            ("arn:aws:s3:::a-*", "arn:aws:s3:::a-*/b", true),
            ("arn:aws:s3:::a-*/b", "arn:aws:s3:::a-*", false),
            ("a?c", "abc", true),
            ("a?c", "a*c", false),
            ("*b*d", "abcd", true),
            ("*b*d", "abce", false),
        ] {
            assert_eq!(matches(pattern, text), is_matched, "{pattern} and {text}");
        }
    }
}
