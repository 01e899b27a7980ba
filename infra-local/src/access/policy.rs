//! Evaluation of policy documents.
//!
//! Source: AWS IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Context keys of a request, in lower case, for conditions and variables.
pub(crate) type Context = BTreeMap<String, String>;

/// The versions of the policy language.
const VERSIONS: &[&str] = &["2012-10-17", "2008-10-17"];

/// A policy document.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Document {
    #[serde(default)]
    version: Option<String>,
    #[serde(default, rename = "Id")]
    _id: Option<String>,
    #[serde(deserialize_with = "one_or_many")]
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(default)]
    sid: Option<String>,
    effect: Effect,
    #[serde(default)]
    principal: Option<Value>,
    #[serde(default, deserialize_with = "some_texts")]
    action: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_texts")]
    not_action: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_texts")]
    resource: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_texts")]
    not_resource: Option<Vec<String>>,
    /// Operator, key, values.
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Texts>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// A text or a list of texts; numbers and booleans count as their text.
#[derive(Debug, Clone, PartialEq)]
struct Texts(Vec<String>);

/// The action, the resource and the context that policies are evaluated for.
pub(crate) struct AccessRequest<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) context: Context,
}

/// Effect of a set of policies on a request. Of two sets that both must allow, the lesser verdict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Denies,
    Silent,
    Allows,
}

/// Result of the evaluation of a set of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evaluation {
    pub(super) verdict: Verdict,
    /// The statement that decided; `None` if no statement applies.
    pub(super) decided_by: Option<DecidingStatement>,
}

/// A policy of an identity.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) source: PolicySource,
    pub(super) document: Document,
}

/// Place of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PolicySource {
    /// Name of a policy in a user or role.
    Inline(String),
    /// ARN of an attached policy.
    Managed(String),
    /// The policy that restricts a session.
    Session,
}

/// The statement of a policy that decides a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecidingStatement {
    pub(crate) policy: PolicySource,
    /// `Sid` of the statement, or its position in the document, from 1 on.
    pub(crate) statement: String,
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicySource::Inline(name) => f.write_str(name),
            PolicySource::Managed(arn) => f.write_str(arn),
            PolicySource::Session => f.write_str("session policy"),
        }
    }
}

/// Evaluates a set of policies. The first statement that denies decides, and otherwise the first one that allows.
pub(super) fn evaluate(policies: &[Policy], request: &AccessRequest<'_>) -> Evaluation {
    let mut allowing = None;
    for policy in policies {
        for (index, statement) in policy.document.statement.iter().enumerate() {
            let is_known = allowing.is_some() && statement.effect == Effect::Allow;
            if is_known || !statement.applies(request) {
                continue;
            }
            match statement.effect {
                Effect::Deny => {
                    let decided_by = Some(statement.deciding(&policy.source, index));
                    return Evaluation { verdict: Verdict::Denies, decided_by };
                }
                Effect::Allow => allowing = Some((statement, &policy.source, index)),
            }
        }
    }
    let verdict = if allowing.is_some() { Verdict::Allows } else { Verdict::Silent };
    let decided_by = allowing.map(|(statement, source, index)| statement.deciding(source, index));
    Evaluation { verdict, decided_by }
}

impl Document {
    /// Parses a document. Elements that IAM does not define are errors.
    pub(crate) fn parse(text: &str) -> Result<Document, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(version) = document.version.as_deref().filter(|version| !VERSIONS.contains(version)) {
            return Err(format!("there is no policy language of {version}; write 2012-10-17"));
        }
        if document.statement.is_empty() {
            return Err("there is no statement".to_owned());
        }
        for statement in &document.statement {
            statement.check()?;
        }
        Ok(document)
    }

    /// Returns whether a trust policy allows this principal (an ARN, or a service such as `ec2.amazonaws.com`) to
    /// assume the role.
    pub(crate) fn trusts(&self, action: &str, principal: &str, account: &str) -> bool {
        let applying = self.statement.iter().filter(|statement| {
            let actions = statement.action.as_deref().unwrap_or_default();
            actions.iter().any(|pattern| matches_action(pattern, action)) && statement.names(principal, account)
        });
        let effects: Vec<Effect> = applying.map(|statement| statement.effect).collect();
        effects.contains(&Effect::Allow) && !effects.contains(&Effect::Deny)
    }
}

impl Statement {
    /// Returns a reference to this statement, the one with this index in its document.
    fn deciding(&self, policy: &PolicySource, index: usize) -> DecidingStatement {
        let statement = self.sid.clone().unwrap_or_else(|| (index + 1).to_string());
        DecidingStatement { policy: policy.clone(), statement }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(sid) = self.sid.as_deref().filter(|sid| !sid.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(format!("Statement IDs (SID) must be alpha-numeric, and {sid} is not"));
        }
        if self.action.is_some() == self.not_action.is_some() {
            return Err("a statement needs either Action or NotAction".to_owned());
        }
        if self.resource.is_some() && self.not_resource.is_some() {
            return Err("a statement cannot have both Resource and NotResource".to_owned());
        }
        for operator in self.condition.keys() {
            Operator::parse(operator).ok_or_else(|| format!("Invalid Condition type : {operator}"))?;
        }
        Ok(())
    }

    fn applies(&self, request: &AccessRequest<'_>) -> bool {
        let action = |patterns: &Vec<String>| patterns.iter().any(|pattern| matches_action(pattern, request.action));
        let resource = |patterns: &Vec<String>| {
            patterns.iter().any(|pattern| like(&substitute(pattern, &request.context), request.resource))
        };
        self.action.as_ref().is_none_or(action)
            && !self.not_action.as_ref().is_some_and(action)
            && self.resource.as_ref().is_none_or(resource)
            && !self.not_resource.as_ref().is_some_and(resource)
            && self.condition.iter().all(|(operator, keys)| {
                Operator::parse(operator).is_some_and(|operator| {
                    keys.iter().all(|(key, wanted)| operator.holds(key, &wanted.0, &request.context))
                })
            })
    }

    /// Returns whether the `Principal` element matches this principal.
    fn names(&self, principal: &str, account: &str) -> bool {
        let texts = |value: &Value| Texts::from_value(value).map(|texts| texts.0).unwrap_or_default();
        let means = |text: &str| {
            text == "*"
                || text == principal
                || text == account && principal.starts_with("arn:")
                || text == format!("arn:aws:iam::{account}:root") && principal.starts_with("arn:")
        };
        match &self.principal {
            Some(Value::Object(kinds)) => kinds.values().flat_map(texts).any(|text| means(&text)),
            Some(value) => texts(value).iter().any(|text| means(text)),
            None => false,
        }
    }
}

/// A condition operator: the comparison of values, and the treatment of multiple and of missing values.
struct Operator {
    compare: fn(&str, &str) -> bool,
    negated: bool,
    if_exists: bool,
    null: bool,
}

impl Operator {
    fn parse(name: &str) -> Option<Operator> {
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        // Keys have one value each here, so that quantifiers over sets change nothing.
        let name = name.strip_prefix("ForAnyValue:").or_else(|| name.strip_prefix("ForAllValues:")).unwrap_or(name);
        let negated = name.contains("Not");
        let compare: fn(&str, &str) -> bool = match name.replacen("Not", "", 1).as_str() {
            "StringEquals" | "Bool" | "BinaryEquals" => |wanted, given| wanted == given,
            "StringEqualsIgnoreCase" => |wanted, given| wanted.eq_ignore_ascii_case(given),
            "StringLike" | "ArnLike" | "ArnEquals" => like,
            "NumericEquals" => |wanted, given| numbers(wanted, given, |w, g| g.total_cmp(&w).is_eq()),
            "NumericLessThan" => |wanted, given| numbers(wanted, given, |w, g| g < w),
            "NumericLessThanEquals" => |wanted, given| numbers(wanted, given, |w, g| g <= w),
            "NumericGreaterThan" => |wanted, given| numbers(wanted, given, |w, g| g > w),
            "NumericGreaterThanEquals" => |wanted, given| numbers(wanted, given, |w, g| g >= w),
            "DateEquals" => |wanted, given| dates(wanted, given, |w, g| g == w),
            "DateLessThan" => |wanted, given| dates(wanted, given, |w, g| g < w),
            "DateLessThanEquals" => |wanted, given| dates(wanted, given, |w, g| g <= w),
            "DateGreaterThan" => |wanted, given| dates(wanted, given, |w, g| g > w),
            "DateGreaterThanEquals" => |wanted, given| dates(wanted, given, |w, g| g >= w),
            "IpAddress" => in_range,
            "Null" if !negated => {
                return Some(Operator { compare: |_, _| false, negated: false, if_exists: false, null: true });
            }
            _ => return None,
        };
        Some(Operator { compare, negated, if_exists, null: false })
    }

    fn holds(&self, key: &str, wanted: &[String], context: &Context) -> bool {
        let given = context.get(&key.to_ascii_lowercase());
        if self.null {
            return wanted.iter().any(|wanted| (wanted == "true") == given.is_none());
        }
        let Some(given) = given else {
            return self.if_exists || self.negated;
        };
        wanted.iter().any(|wanted| (self.compare)(&substitute(wanted, context), given)) != self.negated
    }
}

fn numbers(wanted: &str, given: &str, compare: fn(f64, f64) -> bool) -> bool {
    matches!((wanted.parse(), given.parse()), (Ok(wanted), Ok(given)) if compare(wanted, given))
}

fn dates(wanted: &str, given: &str, compare: fn(DateTime<Utc>, DateTime<Utc>) -> bool) -> bool {
    matches!((wanted.parse(), given.parse()), (Ok(wanted), Ok(given)) if compare(wanted, given))
}

/// Returns whether a range contains an address; both may be of either family.
fn in_range(range: &str, address: &str) -> bool {
    use std::net::IpAddr;
    let (network, bits) = range.split_once('/').map_or((range, None), |(network, bits)| (network, bits.parse().ok()));
    let bits_of = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let (Ok(network), Ok(address)) = (network.parse::<IpAddr>(), address.parse::<IpAddr>()) else {
        return false;
    };
    let ((network, width), (address, other)) = (bits_of(network), bits_of(address));
    let bits = bits.unwrap_or(width).min(width);
    width == other && (network ^ address).checked_shr(128 - bits).unwrap_or(0) == 0
}

/// Matches an action, such as `ec2:RunInstances`, with a pattern, such as `ec2:Describe*`, without regard to case.
fn matches_action(pattern: &str, action: &str) -> bool {
    like(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

/// Returns whether a text matches a pattern with `*` and `?`.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut position) = (0, 0);
    // Position of the last `*`, and the length of the text that it covers.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(character) if *character == '?' || *character == text[position] => {
                at += 1;
                position += 1;
            }
            _ => match star {
                Some((begin, taken)) => {
                    star = Some((begin, taken + 1));
                    at = begin + 1;
                    position = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

/// Replaces variables such as `${aws:username}` by their values; an unknown one matches nothing.
fn substitute<'a>(text: &'a str, context: &Context) -> Cow<'a, str> {
    if !text.contains("${") {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, variable)) = rest.split_once("${") {
        let Some((name, after)) = variable.split_once('}') else { break };
        out.push_str(before);
        match name {
            "*" | "?" | "$" => out.push_str(name),
            _ => out.push_str(context.get(&name.to_ascii_lowercase()).map_or("\u{0}", String::as_str)),
        }
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

impl Texts {
    fn from_value(value: &Value) -> Option<Texts> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        };
        match value {
            Value::Array(values) => Some(Texts(values.iter().map(text).collect::<Option<_>>()?)),
            value => Some(Texts(vec![text(value)?])),
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Texts::from_value(&value).ok_or_else(|| serde::de::Error::custom("expected a text or a list of texts"))
    }
}

fn some_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Texts::deserialize(deserializer).map(|texts| Some(texts.0))
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Statement>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let list = if value.is_array() { value } else { Value::Array(vec![value]) };
    serde_json::from_value(list).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn verdict(statements: Value, action: &str, resource: &str, context: &[(&str, &str)]) -> Verdict {
        let document = Document::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string()).unwrap();
        let context = context.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let policies = [Policy { source: PolicySource::Inline("mine".to_owned()), document }];
        evaluate(&policies, &AccessRequest { action, resource, context }).verdict
    }

    #[test]
    fn the_first_statement_that_denies_decides_or_else_the_first_that_allows() {
        let policy = |source: PolicySource, statements: Value| Policy {
            source,
            document: Document::parse(&json!({"Statement": statements}).to_string()).unwrap(),
        };
        let inline = json!([
            {"Effect": "Allow", "Action": "s3:Put*", "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"},
        ]);
        let managed = json!([
            {"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Sid": "Keep", "Effect": "Deny", "Action": "ec2:DeleteVpc", "Resource": "*"},
        ]);
        let policies = [
            policy(PolicySource::Inline("mine".to_owned()), inline),
            policy(PolicySource::Managed("arn:aws:iam::0:policy/all".to_owned()), managed),
        ];
        let decided = |policies: &[Policy], action: &str| {
            let evaluation = evaluate(policies, &AccessRequest { action, resource: "*", context: Context::new() });
            let by = evaluation.decided_by.map(|by| format!("{} of {}", by.statement, by.policy));
            format!("{:?} {}", evaluation.verdict, by.unwrap_or_default())
        };
        insta::assert_snapshot!(decided(&policies, "ec2:DescribeVpcs"), @"Allows 2 of mine");
        insta::assert_snapshot!(decided(&policies, "iam:ListUsers"), @"Allows All of arn:aws:iam::0:policy/all");
        insta::assert_snapshot!(decided(&policies, "ec2:DeleteVpc"), @"Denies Keep of arn:aws:iam::0:policy/all");
        insta::assert_snapshot!(decided(&policies[..1], "iam:ListUsers"), @"Silent");
    }

    #[test]
    fn actions_are_denied_without_a_matching_statement() {
        let read = json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::mine/*"});
        assert_eq!(verdict(read.clone(), "s3:GetObject", "arn:aws:s3:::mine/a/b", &[]), Verdict::Allows);
        assert_eq!(verdict(read.clone(), "s3:PutObject", "arn:aws:s3:::mine/a", &[]), Verdict::Silent);
        assert_eq!(verdict(read.clone(), "s3:GetObject", "arn:aws:s3:::other/a", &[]), Verdict::Silent);
        assert_eq!(verdict(read, "S3:getobject", "arn:aws:s3:::mine/a", &[]), Verdict::Allows);
    }

    #[test]
    fn an_explicit_deny_overrides_every_allow() {
        let both = json!([
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "NotAction": ["ec2:Describe*"], "NotResource": "arn:aws:ec2:*:*:vpc/*"},
        ]);
        assert_eq!(verdict(both.clone(), "ec2:RunInstances", "*", &[]), Verdict::Denies);
        assert_eq!(verdict(both.clone(), "ec2:DescribeVpcs", "*", &[]), Verdict::Allows);
        assert_eq!(verdict(both, "ec2:DeleteVpc", "arn:aws:ec2:us-east-1:0:vpc/vpc-1", &[]), Verdict::Allows);
    }

    #[test]
    fn conditions_evaluate_the_request() {
        let only =
            |condition: Value| json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
        let region = only(json!({"StringEquals": {"aws:RequestedRegion": ["us-east-1", "us-east-2"]}}));
        assert_eq!(verdict(region.clone(), "a:b", "*", &[("aws:requestedregion", "us-east-2")]), Verdict::Allows);
        assert_eq!(verdict(region.clone(), "a:b", "*", &[("aws:requestedregion", "eu-west-1")]), Verdict::Silent);
        assert_eq!(verdict(region, "a:b", "*", &[]), Verdict::Silent);
        let absent = only(json!({"StringNotEquals": {"aws:username": "eve"}, "Null": {"aws:token": "true"}}));
        assert_eq!(verdict(absent, "a:b", "*", &[]), Verdict::Allows);
        let time = only(json!({"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}));
        assert_eq!(verdict(time, "a:b", "*", &[("aws:currenttime", "2026-01-01T00:00:00Z")]), Verdict::Allows);
        let address =
            only(json!({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "Bool": {"aws:SecureTransport": false}}));
        let context = [("aws:sourceip", "127.3.4.5"), ("aws:securetransport", "false")];
        assert_eq!(verdict(address, "a:b", "*", &context), Verdict::Allows);
    }

    #[test]
    fn variables_are_replaced_by_properties_of_the_caller() {
        let own = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::home/${aws:username}/*"});
        let eve = [("aws:username", "eve")];
        assert_eq!(verdict(own.clone(), "s3:GetObject", "arn:aws:s3:::home/eve/x", &eve), Verdict::Allows);
        assert_eq!(verdict(own.clone(), "s3:GetObject", "arn:aws:s3:::home/bob/x", &eve), Verdict::Silent);
        assert_eq!(verdict(own, "s3:GetObject", "arn:aws:s3:::home//x", &[]), Verdict::Silent);
    }

    #[test]
    fn unknown_elements_of_policies_are_refused() {
        let text = |statement: Value| json!({"Statement": statement}).to_string();
        for wrong in [
            text(json!([])),
            text(json!({"Effect": "Maybe", "Action": "*", "Resource": "*"})),
            text(json!({"Effect": "Allow", "Resource": "*"})),
            text(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Color": "red"})),
            text(json!({"Sid": "a b", "Effect": "Allow", "Action": "*", "Resource": "*"})),
            json!({"Version": "2024-01-01", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
                .to_string(),
            text(json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Sounds": {"a": "b"}}})),
            "{".to_owned(),
        ] {
            assert!(Document::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn trust_policies_match_services_roles_and_accounts() {
        let trust = |principal: Value| {
            let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal});
            Document::parse(&json!({"Statement": [statement]}).to_string()).unwrap()
        };
        let (action, account) = ("sts:AssumeRole", "000000000000");
        let ec2 = trust(json!({"Service": ["ec2.amazonaws.com"]}));
        assert!(ec2.trusts(action, "ec2.amazonaws.com", account));
        assert!(!ec2.trusts(action, "arn:aws:iam::000000000000:user/eve", account));
        let root = trust(json!({"AWS": account}));
        assert!(root.trusts(action, "arn:aws:iam::000000000000:user/eve", account));
        assert!(!root.trusts(action, "ec2.amazonaws.com", account));
    }

    #[test]
    fn wildcards_match_separators() {
        assert!(like("arn:aws:s3:::a*z/?", "arn:aws:s3:::abc/yz/1"));
        assert!(!like("a?c", "ac"));
        assert!(like("*", ""));
        assert!(like("a*b*c", "a-b-b-c"));
    }
}
