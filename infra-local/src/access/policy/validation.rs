//! Policy documents that AWS refuses, with the texts of its `MalformedPolicyDocument` errors.
//!
//! Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language", and the API reference's `CreatePolicy`,
//! `CreateRole` and `PutBucketPolicy`. AWS does not list the texts; they are those that its service returns.

use std::collections::BTreeSet;

use super::{CURRENT_VERSION, Document, Principals, Statement};

/// Use of a policy document, which determines the elements that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    /// Inline policy of a user, a group or a role.
    Identity,
    /// Managed policy, which needs the current version of the language.
    Managed,
    /// Policy that restricts a session.
    Session,
    /// Policy of a role that names the principals who can assume it.
    Trust,
    /// Policy of a resource, such as a bucket.
    Resource,
}

/// First parts of the resources of IAM.
const IAM_PATHS: &[&str] = &[
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];
const PARTITIONS: &[&str] = &["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "*"];
const PRINCIPAL_KINDS: &[&str] = &["AWS", "Service", "Federated", "CanonicalUser"];
/// Identity providers that have no ARN.
const PROVIDERS: &[&str] =
    &["cognito-identity.amazonaws.com", "www.amazon.com", "graph.facebook.com", "accounts.google.com"];

impl Document {
    /// Parses a document and checks it as AWS does when a policy of this kind is stored. An error is AWS's message.
    pub(crate) fn checked(text: &str, kind: PolicyKind) -> Result<Document, String> {
        let document = Document::parse(text).map_err(|reason| syntax_error(text, kind, &reason))?;
        for statement in &document.statement {
            statement.check_sid()?;
        }
        match kind {
            PolicyKind::Identity | PolicyKind::Managed | PolicyKind::Session => document.check_identity_policy(kind)?,
            PolicyKind::Trust => document.check_trust_policy()?,
            PolicyKind::Resource => document.check_resource_policy()?,
        }
        document.check_unique_sids()?;
        Ok(document)
    }

    /// Returns the principals that the document names, as kind and value.
    pub(crate) fn principals(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.statement.iter().flat_map(|statement| [&statement.principal, &statement.not_principal]);
        named.flatten().flat_map(Principals::kinds)
    }

    fn check_identity_policy(&self, kind: PolicyKind) -> Result<(), String> {
        if self.statement.iter().any(|it| it.principal.is_some() || it.not_principal.is_some()) {
            return Err("Policy document should not specify a principal.".to_owned());
        }
        if kind == PolicyKind::Managed && !self.has_variables() {
            return Err(format!("Policy document must be version {CURRENT_VERSION} or greater."));
        }
        for statement in &self.statement {
            let actions = statement.actions().ok_or("Policy statement must contain actions.")?;
            actions.iter().try_for_each(|action| check_action(action))?;
            let resources = statement.resources().ok_or("Policy statement must contain resources.")?;
            resources.iter().try_for_each(|resource| check_resource(resource))?;
        }
        Ok(())
    }

    fn check_trust_policy(&self) -> Result<(), String> {
        for statement in &self.statement {
            if statement.resource.is_some() {
                return Err("Has prohibited field Resource".to_owned());
            }
            if statement.not_resource.is_some() {
                return Err("Has prohibited field NotResource".to_owned());
            }
            let named = statement.principal.as_ref().or(statement.not_principal.as_ref());
            check_principals(named.ok_or("Missing required field Principal")?)?;
            let actions = statement.actions().ok_or("Missing required field Action")?;
            actions.iter().try_for_each(|action| check_action(action))?;
            if statement.action.is_some() && actions.iter().any(|action| !is_assuming(action)) {
                return Err("AssumeRole policy may only specify STS AssumeRole actions.".to_owned());
            }
        }
        Ok(())
    }

    fn check_resource_policy(&self) -> Result<(), String> {
        for statement in &self.statement {
            let named = statement.principal.as_ref().or(statement.not_principal.as_ref());
            check_principals(named.ok_or("Missing required field Principal")?)?;
            let actions = statement.actions().ok_or("Missing required field Action")?;
            actions.iter().try_for_each(|action| check_action(action))?;
            let resources = statement.resources().ok_or("Missing required field Resource")?;
            if resources.iter().any(|resource| *resource != "*" && !resource.starts_with("arn:")) {
                return Err("Policy has invalid resource".to_owned());
            }
        }
        Ok(())
    }

    fn check_unique_sids(&self) -> Result<(), String> {
        let mut known = BTreeSet::new();
        let mut sids = self.statement.iter().filter_map(|it| it.sid.as_deref()).filter(|sid| !sid.is_empty());
        if sids.all(|sid| known.insert(sid)) {
            return Ok(());
        }
        Err("Statement IDs (SID) in a single policy must be unique.".to_owned())
    }
}

impl Statement {
    /// Returns the values of `Action` or `NotAction`, unless there are none.
    fn actions(&self) -> Option<&Vec<String>> {
        self.action.as_ref().or(self.not_action.as_ref()).filter(|actions| !actions.is_empty())
    }

    /// Returns the values of `Resource` or `NotResource`, unless there are none.
    fn resources(&self) -> Option<&Vec<String>> {
        self.resource.as_ref().or(self.not_resource.as_ref()).filter(|resources| !resources.is_empty())
    }

    fn check_sid(&self) -> Result<(), String> {
        if self.sid.as_deref().is_none_or(|sid| sid.chars().all(|it| it.is_ascii_alphanumeric())) {
            return Ok(());
        }
        let text = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                    [0-9A-Za-z]*";
        Err(text.to_owned())
    }
}

/// Returns AWS's message for a document that cannot be parsed.
fn syntax_error(text: &str, kind: PolicyKind, reason: &str) -> String {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    match kind {
        PolicyKind::Identity | PolicyKind::Managed | PolicyKind::Session => "Syntax errors in policy.".to_owned(),
        PolicyKind::Trust if !is_json => "This policy contains invalid Json".to_owned(),
        PolicyKind::Resource if !is_json => "Policies must be valid JSON and the first byte must be '{'".to_owned(),
        PolicyKind::Trust | PolicyKind::Resource => format!("Syntax errors in policy: {reason}"),
    }
}

fn check_action(action: &str) -> Result<(), String> {
    if action == "*" {
        return Ok(());
    }
    let vendor = match action.split(':').collect::<Vec<_>>()[..] {
        [vendor, _] => vendor,
        [_] => {
            return Err("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.".to_owned());
        }
        _ => return Err("Actions/Condition can contain only one colon.".to_owned()),
    };
    if vendor.is_empty() || !vendor.chars().all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '.') {
        return Err(format!("Vendor {vendor} is not valid"));
    }
    Ok(())
}

/// Returns whether a trust policy may contain this action.
fn is_assuming(action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    ["*", "sts:*", "sts:setsourceidentity", "sts:tagsession", "sts:setcontext"].contains(&action.as_str())
        || action.starts_with("sts:assume")
        || action.starts_with("sts:tag")
        || action.starts_with("sts:set")
}

fn check_resource(resource: &str) -> Result<(), String> {
    if resource == "*" {
        return Ok(());
    }
    let Some(("arn", rest)) = resource.split_once(':') else {
        return Err(format!("Resource {resource} must be in ARN format or \"*\"."));
    };
    let parts: Vec<&str> = rest.splitn(5, ':').collect();
    let partition = parts[0];
    if !PARTITIONS.contains(&partition) {
        let part = |index: usize| parts.get(index).copied().unwrap_or("*");
        let arn = format!("arn:{partition}:{}:{}:{}:{}", part(1), part(2), part(3), part(4));
        return Err(format!("Partition \"{partition}\" is not valid for resource \"{arn}\"."));
    }
    let Some(&vendor) = parts.get(1) else {
        return Err("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    };
    if vendor.contains(['*', '?']) && parts.len() > 2 {
        return Err("Resource vendor must be fully qualified and cannot contain regexes.".to_owned());
    }
    if vendor.is_empty() || parts.len() < 5 && resource.contains("::") {
        return Err("The policy failed legacy parsing".to_owned());
    }
    check_region_and_path(resource, vendor, &parts)
}

/// Checks the ARNs of the global services.
fn check_region_and_path(resource: &str, vendor: &str, parts: &[&str]) -> Result<(), String> {
    let region = parts.get(2).copied().unwrap_or_default();
    let has_region = !region.is_empty() && region != "*";
    match (vendor, parts.get(4)) {
        ("iam", _) if has_region => Err(format!("IAM resource {resource} cannot contain region information.")),
        ("s3", _) if has_region => Err(format!("Resource {resource} can not contain region information.")),
        ("iam", Some(path)) => {
            let begins = |known: &&str| path.starts_with(*known);
            let is_known = ["*", "root"].contains(path) || path.starts_with(['*', '$']) || IAM_PATHS.iter().any(begins);
            if is_known {
                return Ok(());
            }
            Err(format!("IAM resource path must either be \"*\" or start with {}.", IAM_PATHS.join(", ")))
        }
        _ => Ok(()),
    }
}

fn check_principals(principals: &Principals) -> Result<(), String> {
    let invalid = |kind: &str, value: &str| Err(format!("Invalid principal in policy: \"{kind}\":\"{value}\""));
    let kinds = match principals {
        Principals::Everyone => return Ok(()),
        Principals::Invalid(text) => return invalid("AWS", text),
        Principals::Kinds(kinds) if kinds.values().all(Vec::is_empty) => {
            return Err("Missing required field Principal cannot be empty!".to_owned());
        }
        Principals::Kinds(_) => principals.kinds(),
    };
    for (kind, value) in kinds {
        let is_valid = match kind {
            "AWS" => is_principal(value),
            "Service" => value.split('.').count() >= 3 && value.contains(".amazonaws.com") && !value.contains('*'),
            "Federated" => {
                PROVIDERS.contains(&value) || value.contains(":oidc-provider/") || value.contains(":saml-provider/")
            }
            "CanonicalUser" => true,
            _ => return Err(format!("Unknown field {kind}; a Principal has {}", PRINCIPAL_KINDS.join(", "))),
        };
        if !is_valid {
            let kind = if kind == "AWS" { kind.to_owned() } else { kind.to_ascii_uppercase() };
            return invalid(&kind, value);
        }
    }
    Ok(())
}

/// Returns whether an entry of `AWS` can be a principal: `*`, an account, a unique id, or an ARN without wildcards.
fn is_principal(value: &str) -> bool {
    if value == "*" {
        return true;
    }
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|it| it.is_ascii_digit());
    if is_account(value) || (value.len() == 21 && (value.starts_with("AIDA") || value.starts_with("AROA"))) {
        return true;
    }
    match value.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", _, "iam", "", account, resource] => {
            let known = ["user/", "role/"].iter().any(|kind| resource.starts_with(kind));
            is_account(account) && (resource == "root" || known) && !resource.contains(['*', '?'])
        }
        ["arn", _, "sts", "", account, resource] => {
            let known = ["assumed-role/", "federated-user/"].iter().any(|kind| resource.starts_with(kind));
            is_account(account) && known && !resource.contains('*')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(kind: PolicyKind, statement: &Value) -> String {
        let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        Document::checked(&text, kind).map_or_else(|message| message, |_| "valid".to_owned())
    }

    fn identity(statement: &Value) -> String {
        refusal(PolicyKind::Identity, statement)
    }

    fn on(resource: &str) -> String {
        identity(&json!({"Effect": "Allow", "Action": "s3:*", "Resource": resource}))
    }

    fn trust(statement: &Value) -> String {
        refusal(PolicyKind::Trust, statement)
    }

    #[test]
    fn identity_policies_need_actions_and_resources_and_no_principal() {
        let allow = |more: Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
            let (Some(fields), Some(more)) = (statement.as_object_mut(), more.as_object()) else { unreachable!() };
            for (name, value) in more {
                fields.insert(name.clone(), value.clone());
            }
            fields.retain(|_, value| !value.is_null());
            identity(&statement)
        };
        insta::assert_snapshot!(allow(json!({})), @"valid");
        insta::assert_snapshot!(allow(json!({"Resource": null})), @"Policy statement must contain resources.");
        insta::assert_snapshot!(allow(json!({"Resource": []})), @"Policy statement must contain resources.");
        insta::assert_snapshot!(allow(json!({"Action": null})), @"Policy statement must contain actions.");
        insta::assert_snapshot!(allow(json!({"Principal": "*"})), @"Policy document should not specify a principal.");
        insta::assert_snapshot!(allow(json!({"Effect": "Maybe"})), @"Syntax errors in policy.");
        insta::assert_snapshot!(allow(json!({"Color": "red"})), @"Syntax errors in policy.");
        insta::assert_snapshot!(allow(json!({"NotAction": "s3:*"})), @"Syntax errors in policy.");
        insta::assert_snapshot!(allow(json!({"Condition": {"Sounds": {"a": "b"}}})), @"Syntax errors in policy.");
        insta::assert_snapshot!(allow(json!({"Sid": "a b"})), @"Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*");
        insta::assert_snapshot!(allow(json!({"Action": "GetObject"})), @"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
        insta::assert_snapshot!(allow(json!({"Action": "a:b:c"})), @"Actions/Condition can contain only one colon.");
        insta::assert_snapshot!(allow(json!({"Action": "a b:c"})), @"Vendor a b is not valid");
    }

    #[test]
    fn documents_need_the_current_version_and_unique_sids() {
        let allow = json!({"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        insta::assert_snapshot!(identity(&json!([allow, allow])), @"Statement IDs (SID) in a single policy must be unique.");
        let checked = |text: &str| Document::checked(text, PolicyKind::Managed).err().unwrap_or_default();
        let old = json!({"Version": "2008-10-17", "Statement": [allow]}).to_string();
        insta::assert_snapshot!(checked(&old), @"Policy document must be version 2012-10-17 or greater.");
        assert!(Document::checked(&old, PolicyKind::Identity).is_ok());
        let unknown = json!({"Version": "2024-01-01", "Statement": [allow]}).to_string();
        insta::assert_snapshot!(checked(&unknown), @"Syntax errors in policy.");
        insta::assert_snapshot!(checked("{"), @"Syntax errors in policy.");
        insta::assert_snapshot!(checked("{\"Version\": \"2012-10-17\", \"Statement\": []}"), @"Syntax errors in policy.");
    }

    #[test]
    fn resources_are_arns() {
        insta::assert_snapshot!(on("arn:aws:s3:::a/*"), @"valid");
        insta::assert_snapshot!(on("a"), @"Resource a must be in ARN format or \"*\".");
        insta::assert_snapshot!(on("arn:nowhere:s3:::a"), @"Partition \"nowhere\" is not valid for resource \"arn:nowhere:s3:::a\".");
        insta::assert_snapshot!(on("arn:aws"), @"Resource vendor must be fully qualified and cannot contain regexes.");
        insta::assert_snapshot!(on("arn:aws:s3::a"), @"The policy failed legacy parsing");
        insta::assert_snapshot!(on("arn:aws:s3:us-east-1::a"), @"Resource arn:aws:s3:us-east-1::a can not contain region information.");
        insta::assert_snapshot!(on("arn:aws:iam::0:thing/x"), @"IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.");
    }

    #[test]
    fn trust_policies_need_known_kinds_of_principals() {
        let with =
            |principal: Value| trust(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}));
        insta::assert_snapshot!(with(json!({"Service": "ec2.amazonaws.com"})), @"valid");
        insta::assert_snapshot!(with(json!("*")), @"valid");
        insta::assert_snapshot!(with(json!("eve")), @r#"Invalid principal in policy: "AWS":"eve""#);
        insta::assert_snapshot!(with(json!({"AWS": "arn:aws:iam::000000000000:user/*"})), @r#"Invalid principal in policy: "AWS":"arn:aws:iam::000000000000:user/*""#);
        insta::assert_snapshot!(with(json!({"Service": "ec2"})), @r#"Invalid principal in policy: "SERVICE":"ec2""#);
        insta::assert_snapshot!(with(json!({"Robot": "x"})), @"Unknown field Robot; a Principal has AWS, Service, Federated, CanonicalUser");
        let principal = json!({"AWS": "000000000000"});
        insta::assert_snapshot!(trust(&json!({"Effect": "Allow", "Action": "sts:AssumeRole"})), @"Missing required field Principal");
        insta::assert_snapshot!(trust(&json!({"Effect": "Allow", "Principal": principal})), @"Missing required field Action");
        insta::assert_snapshot!(trust(&json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Resource": "*"})), @"Has prohibited field Resource");
        insta::assert_snapshot!(trust(&json!({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject"})), @"AssumeRole policy may only specify STS AssumeRole actions.");
    }
}
