//! Members of requests and responses that are secret, and their removal from recorded calls.
//!
//! The tables below are the only place that decides about it. A test sends a secret through every row
//! (`tests/calls.rs`), and another one checks that the operations have these parameters. Objects of S3, signatures and
//! headers are never recorded, so they need no rows.

use quick_xml::escape::escape;
use serde_json::Value;

/// Text in place of a secret.
pub(super) const HIDDEN: &str = "(hidden)";

/// Parts of the names of parameters that are secret in every operation, in lower case.
const NAMES: &[&str] = &["password", "secret", "privatekey"];

/// Secret members of the requests and responses of single operations.
const SECRETS: &[Secrets] = &[
    Secrets::of("acm", &["ImportCertificate"]).request(&["PrivateKey"]),
    Secrets::of("ec2", &["RunInstances", "CreateLaunchTemplate", "CreateLaunchTemplateVersion"]).request(&["UserData"]),
    Secrets::of("ec2", &["ModifyInstanceAttribute"]).request(&["UserData"]),
    Secrets::of("ec2", &["ModifyInstanceAttribute"]).request(&["Value"]).only_if("Attribute", "userData"),
    Secrets::of("ec2", &["DescribeInstanceAttribute", "DescribeLaunchTemplateVersions", "GetLaunchTemplateData"])
        .response(&["userData"]),
    Secrets::of("ec2", &["CreateKeyPair"]).response(&["keyMaterial"]),
    Secrets::of("iam", &["CreateAccessKey"]).response(&["SecretAccessKey"]),
    Secrets::of("rds", &["CreateDBCluster", "ModifyDBCluster", "CreateDBInstance", "ModifyDBInstance"])
        .request(&["MasterUserPassword"]),
    // The type of an overwritten parameter need not be in the request.
    Secrets::of("ssm", &["PutParameter"]).request(&["Value"]),
    Secrets::of("ssm", &["GetParameter", "GetParameters", "GetParametersByPath", "GetParameterHistory"])
        .response(&["Value"]),
    Secrets::of("sts", &["AssumeRole"]).response(&["SecretAccessKey", "SessionToken"]),
    Secrets::of("cloudcontrolapi", &["CreateResource"])
        .request(&["DesiredState"])
        .only_if("TypeName", "AWS::SSM::Parameter"),
    Secrets::of("cloudcontrolapi", &["UpdateResource"])
        .request(&["PatchDocument"])
        .only_if("TypeName", "AWS::SSM::Parameter"),
    Secrets::of("cloudcontrolapi", &["GetResource", "ListResources"])
        .response(&["Properties"])
        .only_if("TypeName", "AWS::SSM::Parameter"),
];

/// A row of the table.
struct Secrets {
    service: &'static str,
    operations: &'static [&'static str],
    /// Names of members of the request, at any depth.
    request: &'static [&'static str],
    /// Names of members of the response, at any depth.
    response: &'static [&'static str],
    /// A parameter and the value for which the row holds.
    condition: Option<(&'static str, &'static str)>,
}

impl Secrets {
    const fn of(service: &'static str, operations: &'static [&'static str]) -> Secrets {
        Secrets { service, operations, request: &[], response: &[], condition: None }
    }

    const fn request(mut self, names: &'static [&'static str]) -> Secrets {
        self.request = names;
        self
    }

    const fn response(mut self, names: &'static [&'static str]) -> Secrets {
        self.response = names;
        self
    }

    const fn only_if(mut self, parameter: &'static str, value: &'static str) -> Secrets {
        self.condition = Some((parameter, value));
        self
    }
}

/// Returns the parameters in the table, each with its service and operation.
#[cfg(test)]
pub(crate) fn parameters() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SECRETS.iter().flat_map(|row| {
        let names = row.request.iter().copied().chain(row.condition.map(|(name, _)| name));
        names.flat_map(move |name| row.operations.iter().map(move |operation| (row.service, *operation, name)))
    })
}

/// Names of the secret members of one call.
#[derive(Debug, Default)]
pub(super) struct SecretNames {
    request: Vec<&'static str>,
    response: Vec<&'static str>,
}

impl SecretNames {
    /// Returns the names for an operation with these parameters.
    pub(super) fn of(service: &str, operation: &str, parameters: &Value) -> SecretNames {
        let mut names = SecretNames::default();
        for row in SECRETS.iter().filter(|row| row.service == service && row.operations.contains(&operation)) {
            if row.condition.is_none_or(|(parameter, value)| parameters[parameter] == value) {
                names.request.extend(row.request);
                names.response.extend(row.response);
            }
        }
        names
    }

    pub(super) fn hides_in_request(&self, name: &str) -> bool {
        is_listed(&self.request, name) || {
            let name = name.to_ascii_lowercase();
            NAMES.iter().any(|part| name.contains(part))
        }
    }

    /// Returns whether responses of the operation contain secrets.
    pub(super) fn are_in_responses(&self) -> bool {
        !self.response.is_empty()
    }

    /// Replaces the secret members of a response in JSON or XML.
    pub(super) fn hide_in_response(&self, text: &str) -> String {
        match serde_json::from_str::<Value>(text) {
            Ok(mut value) => {
                self.hide_members(&mut value);
                value.to_string()
            }
            Err(_) => self.hide_elements(text),
        }
    }

    fn hide_members(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if is_listed(&self.response, name) {
                        *member = Value::from(HIDDEN);
                    } else {
                        self.hide_members(member);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_members(item)),
            _ => {}
        }
    }

    /// Replaces the contents of secret elements. An element contains no other one of its name.
    fn hide_elements(&self, xml: &str) -> String {
        let (mut out, mut rest) = (String::with_capacity(xml.len()), xml);
        while let Some(open) = rest.find('<') {
            let Some(end) = rest[open..].find('>').map(|end| open + end + 1) else { break };
            out.push_str(&rest[..end]);
            let tag = &rest[open + 1..end - 1];
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            rest = &rest[end..];
            if !is_listed(&self.response, name) || tag.ends_with('/') {
                continue;
            }
            out.push_str(HIDDEN);
            // Without its end, for example in a text that was cut, the whole rest is secret.
            rest = rest.find(&format!("</{name}>")).map_or("", |close| &rest[close..]);
        }
        out.push_str(rest);
        out
    }
}

fn is_listed(names: &[&str], name: &str) -> bool {
    names.iter().any(|listed| listed.eq_ignore_ascii_case(name))
}

/// Replaces secrets that a text repeats, for example in the message about an invalid value.
pub(super) fn hide_repeated(text: &mut String, secrets: &[String]) {
    for secret in secrets {
        let quoted = Value::from(secret.as_str()).to_string();
        let in_json = &quoted[1..quoted.len() - 1];
        let in_xml = escape(secret.as_str());
        for form in [secret, in_json, &*in_xml] {
            if text.contains(form) {
                *text = text.replace(form, HIDDEN);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_in_responses_are_hidden_in_xml_and_json() {
        let names = SecretNames::of("iam", "CreateAccessKey", &Value::Null);
        let xml = "<A x=\"1\"><UserName>eve</UserName><SecretAccessKey>s3cret</SecretAccessKey><Secret/></A>";
        insta::assert_snapshot!(
            names.hide_in_response(xml),
            @r#"<A x="1"><UserName>eve</UserName><SecretAccessKey>(hidden)</SecretAccessKey><Secret/></A>"#
        );
        insta::assert_snapshot!(
            names.hide_in_response("<SecretAccessKey>s3cr"), @"<SecretAccessKey>(hidden)"
        );
        let names = SecretNames::of("ssm", "GetParameters", &Value::Null);
        let json = json!({"Parameters": [{"Name": "a", "Value": "s3cret"}]}).to_string();
        insta::assert_snapshot!(
            names.hide_in_response(&json), @r#"{"Parameters":[{"Name":"a","Value":"(hidden)"}]}"#
        );
        assert!(!SecretNames::of("ec2", "DescribeVpcs", &Value::Null).are_in_responses());
    }

    #[test]
    fn conditions_restrict_rows_to_a_parameter_s_value() {
        let hides = |parameters: &Value| {
            SecretNames::of("ec2", "ModifyInstanceAttribute", parameters).hides_in_request("Value")
        };
        assert!(hides(&json!({"Attribute": "userData", "Value": "x"})));
        assert!(!hides(&json!({"Attribute": "instanceType", "Value": "x"})));
    }

    #[test]
    fn repeated_secrets_are_hidden_in_all_spellings() {
        let mut text = r#"a<"b is invalid, and a&lt;&quot;b, and "a<\"b""#.to_owned();
        hide_repeated(&mut text, &["a<\"b".to_owned()]);
        insta::assert_snapshot!(text, @r#"(hidden) is invalid, and (hidden), and "(hidden)""#);
    }
}
