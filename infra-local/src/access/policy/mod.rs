//! Policy documents: their elements, and their effect on a request.
//!
//! Source: AWS IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements".
//!
//! - [`condition`]: operators of conditions
//! - [`parsed`]: parsed documents by their texts
//! - [`pattern`]: wildcards and variables
//! - [`principal`]: principals of resource policies and trust policies
//! - [`validation`]: documents that IAM refuses

mod condition;
pub(super) mod parsed;
mod pattern;
mod principal;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Context;
use condition::Operator;
use pattern::{Pattern, Variables, matches_action};
use principal::Principals;
pub(crate) use principal::{Naming, Principal};
pub(crate) use validation::PolicyKind;

/// The version of the policy language that has variables.
const CURRENT_VERSION: &str = "2012-10-17";
/// The versions of the policy language.
const VERSIONS: &[&str] = &[CURRENT_VERSION, "2008-10-17"];

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
    principal: Option<Principals>,
    #[serde(default)]
    not_principal: Option<Principals>,
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
    pub(crate) context: &'a Context,
}

/// Effect of a set of policies on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Denies,
    Silent,
    Allows,
}

/// Result of the evaluation of a set of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evaluation {
    pub(crate) verdict: Verdict,
    /// The statement that decided; `None` if no statement applies.
    pub(crate) decided_by: Option<DecidingStatement>,
}

/// A policy of an identity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) source: PolicySource,
    pub(crate) document: Arc<Document>,
}

/// Place of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PolicySource {
    /// Name of a policy in a user, group or role.
    Inline(String),
    /// ARN of an attached policy.
    Managed(String),
    /// ARN of the policy that limits a user or role.
    Boundary(String),
    /// The policy that restricts a session.
    Session,
    /// ARN of a managed policy that restricts a session.
    SessionManaged(String),
    /// The policy of the requested resource.
    Resource,
}

/// The statement of a policy that decides a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecidingStatement {
    pub(crate) policy: PolicySource,
    /// `Sid` of the statement, or its position in the document, from 1 on.
    pub(crate) statement: String,
}

impl PolicySource {
    /// Returns the kind of policy, as AWS's messages name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            PolicySource::Inline(_) | PolicySource::Managed(_) => "identity-based policy",
            PolicySource::Boundary(_) => "permissions boundary",
            PolicySource::Session | PolicySource::SessionManaged(_) => "session policy",
            PolicySource::Resource => "resource-based policy",
        }
    }
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicySource::Inline(name) => f.write_str(name),
            PolicySource::Managed(arn) | PolicySource::SessionManaged(arn) => f.write_str(arn),
            PolicySource::Boundary(arn) => write!(f, "{arn} (permissions boundary)"),
            PolicySource::Session => f.write_str("session policy"),
            PolicySource::Resource => f.write_str("resource policy"),
        }
    }
}

/// Evaluates a set of policies of an identity. The first statement that denies decides, and otherwise the first one that
/// allows.
pub(crate) fn evaluate(policies: &[Policy], request: &AccessRequest<'_>) -> Evaluation {
    let mut allowing = None;
    for policy in policies {
        for (index, statement) in policy.document.applying(request) {
            match statement.effect {
                Effect::Deny => {
                    let decided_by = Some(statement.deciding(&policy.source, index));
                    return Evaluation { verdict: Verdict::Denies, decided_by };
                }
                Effect::Allow if allowing.is_none() => allowing = Some(statement.deciding(&policy.source, index)),
                Effect::Allow => {}
            }
        }
    }
    let verdict = if allowing.is_some() { Verdict::Allows } else { Verdict::Silent };
    Evaluation { verdict, decided_by: allowing }
}

/// Returns all statements that apply to a request, with whether they allow it.
pub(crate) fn matched(policies: &[Policy], request: &AccessRequest<'_>) -> Vec<(DecidingStatement, bool)> {
    let of = |policy: &Policy| -> Vec<_> {
        let applying = policy.document.applying(request);
        applying.map(|(index, it)| (it.deciding(&policy.source, index), it.effect == Effect::Allow)).collect()
    };
    policies.iter().flat_map(of).collect()
}

impl Document {
    /// Parses a document. Elements that IAM does not define are errors.
    pub(crate) fn parse(text: &str) -> Result<Document, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(version) = document.version.as_deref().filter(|version| !VERSIONS.contains(version)) {
            return Err(format!("there is no policy language of {version}; write {CURRENT_VERSION}"));
        }
        if document.statement.is_empty() {
            return Err("there is no statement".to_owned());
        }
        for statement in &document.statement {
            statement.check()?;
        }
        Ok(document)
    }

    /// Evaluates a resource policy or a trust policy, and returns the precision with which the allowing statements name
    /// the principal. The resource of a statement without the element `Resource` is the one that has the policy.
    pub(crate) fn evaluate_for(
        &self,
        principal: &Principal,
        request: &AccessRequest<'_>,
        account: &str,
    ) -> (Evaluation, Option<Naming>) {
        let mut allowing: Option<(Naming, DecidingStatement)> = None;
        for (index, statement) in self.applying(request) {
            let Some(naming) = statement.naming(principal, account) else { continue };
            let deciding = statement.deciding(&PolicySource::Resource, index);
            match statement.effect {
                Effect::Deny => {
                    let evaluation = Evaluation { verdict: Verdict::Denies, decided_by: Some(deciding) };
                    return (evaluation, None);
                }
                Effect::Allow if allowing.as_ref().is_none_or(|(known, _)| *known < naming) => {
                    allowing = Some((naming, deciding));
                }
                Effect::Allow => {}
            }
        }
        match allowing {
            Some((naming, by)) => (Evaluation { verdict: Verdict::Allows, decided_by: Some(by) }, Some(naming)),
            None => (Evaluation { verdict: Verdict::Silent, decided_by: None }, None),
        }
    }

    /// Returns the positions of the statements that deny something to a principal of this account.
    pub(crate) fn denying(&self, principal: &Principal, account: &str) -> Vec<usize> {
        let names = |statement: &Statement| statement.naming(principal, account).is_some();
        let denying = self.statement.iter().enumerate();
        denying.filter(|(_, it)| it.effect == Effect::Deny && names(it)).map(|(index, _)| index).collect()
    }

    /// Returns the condition keys that the document refers to, in conditions and variables, in lower case.
    pub(crate) fn context_keys(&self) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for statement in &self.statement {
            let resources = [&statement.resource, &statement.not_resource].into_iter().flatten().flatten();
            let values = statement.condition.values().flat_map(BTreeMap::values).flat_map(|Texts(values)| values);
            if self.has_variables() {
                keys.extend(resources.chain(values).flat_map(|text| pattern::variables(text)).map(str::to_owned));
            }
            keys.extend(statement.condition.values().flat_map(BTreeMap::keys).cloned());
        }
        keys
    }

    fn has_variables(&self) -> bool {
        self.version.as_deref() == Some(CURRENT_VERSION)
    }

    /// Returns whether a statement allows a request and none denies it.
    pub(crate) fn allows(&self, request: &AccessRequest<'_>) -> bool {
        let mut applying = self.applying(request).map(|(_, statement)| &statement.effect).peekable();
        applying.peek().is_some() && applying.all(|effect| matches!(effect, Effect::Allow))
    }

    /// Returns the statements whose action, resource and condition match, with their positions.
    fn applying<'a>(
        &'a self,
        request: &'a AccessRequest<'_>,
    ) -> impl Iterator<Item = (usize, &'a Statement)> + use<'a> {
        let variables = if self.has_variables() { Variables::Of(request.context) } else { Variables::None };
        self.statement.iter().enumerate().filter(move |(_, statement)| statement.applies(request, variables))
    }
}

impl Statement {
    /// Returns a reference to this statement, the one with this index in its document.
    fn deciding(&self, policy: &PolicySource, index: usize) -> DecidingStatement {
        let sid = self.sid.clone().filter(|sid| !sid.is_empty());
        DecidingStatement { policy: policy.clone(), statement: sid.unwrap_or_else(|| (index + 1).to_string()) }
    }

    fn check(&self) -> Result<(), String> {
        if self.action.is_some() && self.not_action.is_some() {
            return Err("a statement cannot have both Action and NotAction".to_owned());
        }
        if self.resource.is_some() && self.not_resource.is_some() {
            return Err("a statement cannot have both Resource and NotResource".to_owned());
        }
        if self.principal.is_some() && self.not_principal.is_some() {
            return Err("a statement cannot have both Principal and NotPrincipal".to_owned());
        }
        for operator in self.condition.keys() {
            Operator::parse(operator).ok_or_else(|| format!("Invalid Condition type : {operator}"))?;
        }
        Ok(())
    }

    fn applies(&self, request: &AccessRequest<'_>, variables: Variables<'_>) -> bool {
        let action = |patterns: &Vec<String>| patterns.iter().any(|pattern| matches_action(pattern, request.action));
        let resource = |patterns: &Vec<String>| {
            let matches = |text: &String| {
                Pattern::parse(text, variables).is_some_and(|pattern| pattern.matches_arn(request.resource))
            };
            patterns.iter().any(matches)
        };
        let has_action = match (&self.action, &self.not_action) {
            (Some(patterns), _) => action(patterns),
            (None, Some(patterns)) => !action(patterns),
            (None, None) => false,
        };
        has_action
            && self.resource.as_ref().is_none_or(resource)
            && !self.not_resource.as_ref().is_some_and(resource)
            && self.condition.iter().all(|(name, keys)| {
                let Some(operator) = Operator::parse(name) else { return false };
                let variables = if operator.has_variables() { variables } else { Variables::None };
                keys.iter().all(|(key, Texts(wanted))| operator.holds(key, wanted, variables, request.context))
            })
    }

    /// Returns the precision with which the statement names a principal, or `None` if it does not.
    fn naming(&self, principal: &Principal, account: &str) -> Option<Naming> {
        match (&self.principal, &self.not_principal) {
            (Some(principals), _) => principals.naming(principal, account),
            // An account excludes only its root user: the other principals are excluded by their own ARNs.
            (None, Some(excluded)) => {
                let is_excluded = excluded.naming(principal, account).is_some_and(|naming| naming > Naming::Account);
                (!is_excluded).then_some(Naming::Direct)
            }
            (None, None) => None,
        }
    }
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
        let mut keys = Context::default();
        context.iter().for_each(|(key, value)| keys.set(key, *value));
        let policies = [Policy { source: PolicySource::Inline("mine".to_owned()), document: document.into() }];
        evaluate(&policies, &AccessRequest { action, resource, context: &keys }).verdict
    }

    #[test]
    fn the_first_statement_that_denies_decides_or_else_the_first_that_allows() {
        let policy = |source: PolicySource, statements: Value| Policy {
            source,
            document: Document::parse(&json!({"Statement": statements}).to_string()).unwrap().into(),
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
            let evaluation = evaluate(policies, &AccessRequest { action, resource: "*", context: &Context::default() });
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
    fn variables_are_texts_in_the_language_of_2008() {
        let document =
            json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:username}"}]});
        let policies = [Policy {
            source: PolicySource::Session,
            document: Document::parse(&document.to_string()).unwrap().into(),
        }];
        let context = Context::default().with("aws:username", "eve");
        let verdict =
            |resource| evaluate(&policies, &AccessRequest { action: "s3:x", resource, context: &context }).verdict;
        assert_eq!(verdict("arn:aws:s3:::eve"), Verdict::Silent);
        assert_eq!(verdict("arn:aws:s3:::${aws:username}"), Verdict::Allows);
        assert!(policies[0].document.context_keys().is_empty());
    }

    #[test]
    fn documents_name_their_context_keys() {
        let statement = json!({
            "Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:username}",
            "Condition": {"StringEquals": {"aws:PrincipalTag/team": "${aws:RequestTag/team, 'x'}"}},
        });
        let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let keys = Document::parse(&text).unwrap().context_keys();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        assert_eq!(keys, ["aws:PrincipalTag/team", "aws:RequestTag/team", "aws:username"]);
    }

    #[test]
    fn policies_of_resources_name_principals_with_different_precision() {
        let named = |statement: Value, principal: &Principal| {
            let document = Document::parse(&json!({"Statement": statement}).to_string()).unwrap();
            let request =
                AccessRequest { action: "s3:GetObject", resource: "arn:aws:s3:::b/k", context: &Context::default() };
            let (evaluation, naming) = document.evaluate_for(principal, &request, "000000000000");
            format!("{:?} {naming:?}", evaluation.verdict)
        };
        let allow = |principal: Value| json!([{"Effect": "Allow", "Action": "*", "Principal": principal}]);
        let eve = Principal::User { arn: "arn:aws:iam::000000000000:user/eve".to_owned(), id: "AIDAEVE".to_owned() };
        let session = Principal::Session {
            role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
            role_id: "AROAR".to_owned(),
            session_arn: "arn:aws:sts::000000000000:assumed-role/r/s".to_owned(),
        };
        let ec2 = Principal::Service("ec2.amazonaws.com".to_owned());
        assert_eq!(named(allow(json!({"AWS": "000000000000"})), &eve), "Allows Some(Account)");
        assert_eq!(named(allow(json!({"AWS": ["000000000000", "AIDAEVE"]})), &eve), "Allows Some(Direct)");
        assert_eq!(named(allow(json!({"AWS": "arn:aws:iam::000000000000:role/r"})), &session), "Allows Some(Role)");
        assert_eq!(named(allow(json!("*")), &Principal::Anonymous), "Allows Some(Direct)");
        assert_eq!(named(allow(json!("*")), &ec2), "Silent None");
        assert_eq!(named(allow(json!({"Service": "ec2.amazonaws.com"})), &ec2), "Allows Some(Direct)");
        assert_eq!(named(allow(json!({"Service": "ec2.amazonaws.com"})), &eve), "Silent None");
        let others = json!([
            {"Effect": "Allow", "Action": "*", "Principal": "*"},
            {"Effect": "Deny", "Action": "*", "NotPrincipal": {"AWS": ["arn:aws:iam::000000000000:user/eve", "000000000000"]}},
        ]);
        assert_eq!(named(others.clone(), &eve), "Allows Some(Direct)");
        assert_eq!(named(others, &session), "Denies None");
    }
}
