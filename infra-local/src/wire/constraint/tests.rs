//! Tests of the tables: every constraint of every operation, violated once, and a minimal valid request.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

use super::table::{Kind, Shape, services};
use super::*;

/// A text for each pattern and minimum length.
const EXAMPLES: &str = include_str!("../constraints/examples.json");

/// Services whose requests are forms.
const FORMS: &[&str] = &["autoscaling", "ec2", "elasticloadbalancing", "iam", "monitoring", "rds", "sts"];

/// Services whose requests are documents.
const DOCUMENTS: &[&str] = &["acm", "cloudcontrolapi", "cloudtrail", "logs", "monitoring", "ssm"];

/// A value that violates one constraint, and a part of the constraint's text.
type Broken = (Value, String);

/// Generator of requests to a service.
struct Requests {
    service: &'static str,
    table: &'static Table,
    examples: BTreeMap<String, String>,
}

impl Requests {
    fn to(service: &'static str) -> Requests {
        let table = Table::of(service).unwrap().as_ref().unwrap();
        Requests { service, table, examples: serde_json::from_str(EXAMPLES).unwrap() }
    }

    /// Returns a minimal valid value.
    fn example(&self, shape: &Shape) -> Value {
        let least = bound(shape.min.as_ref()).unwrap_or(0);
        match shape.kind {
            Kind::String => match (shape.values.first(), &shape.pattern) {
                (Some(value), _) => Value::from(value.as_str()),
                (None, Some(pattern)) => Value::from(self.examples[&format!("{least} {pattern}")].as_str()),
                (None, None) => Value::from("a".repeat(usize::try_from(least.max(1)).unwrap())),
            },
            Kind::Integer | Kind::Long => Value::from(least.max(1).min(bound(shape.max.as_ref()).unwrap_or(1))),
            Kind::Float | Kind::Double => Value::from(least as f64),
            Kind::Boolean => Value::from(true),
            Kind::Timestamp => Value::from("2026-01-01T00:00:00Z"),
            Kind::Blob => Value::from(STANDARD.encode("a".repeat(usize::try_from(least.max(1)).unwrap()))),
            Kind::List => {
                let item = self.example(self.table.item(shape).unwrap());
                Value::from(vec![item; usize::try_from(least.max(1)).unwrap()])
            }
            Kind::Map => {
                let key = self.example(self.table.key(shape).unwrap());
                json!({key.as_str().unwrap(): self.example(self.table.item(shape).unwrap())})
            }
            Kind::Structure => {
                let with = |name: &str| (name.to_owned(), self.example(self.table.member(shape, name).unwrap()));
                let mut members: Map<String, Value> = shape.required.iter().map(|name| with(name)).collect();
                // A form has no structure without members.
                let optional = self.table.members(shape).find(|(_, member)| member.kind.is_scalar());
                if let (true, Some((name, _))) = (members.is_empty(), optional) {
                    members.extend([with(name)]);
                }
                Value::Object(members)
            }
        }
    }

    /// Returns values of which each violates one constraint of the shape or of the shapes inside it.
    fn broken(&self, shape: &Shape, outer: &mut Vec<*const Shape>) -> Vec<Broken> {
        if outer.contains(&std::ptr::from_ref(shape)) {
            return Vec::new();
        }
        outer.push(shape);
        let mut found = self.broken_itself(shape);
        match shape.kind {
            Kind::Structure => {
                let Value::Object(valid) = self.example(shape) else { unreachable!() };
                for name in &shape.required {
                    let mut fields = valid.clone();
                    fields.remove(name);
                    let other =
                        self.table.members(shape).find(|(other, inner)| other != name && inner.kind.is_scalar());
                    if let (true, Some((other, inner))) = (fields.is_empty(), other) {
                        fields.insert(other.to_owned(), self.example(inner));
                    }
                    found.push((Value::Object(fields), "not be null".to_owned()));
                }
                for (name, member) in self.table.members(shape) {
                    let with = |value| {
                        let mut fields = valid.clone();
                        fields.insert(name.to_owned(), value);
                        Value::Object(fields)
                    };
                    let inner = self.broken(member, outer);
                    found.extend(inner.into_iter().map(|(value, text)| (with(value), text)));
                }
            }
            Kind::List => {
                let inner = self.broken(self.table.item(shape).unwrap(), outer);
                found.extend(inner.into_iter().map(|(value, text)| {
                    let mut items = self.example(shape);
                    items[0] = value;
                    (items, text)
                }));
            }
            Kind::Map => {
                let key = self.example(self.table.key(shape).unwrap());
                let inner = self.broken(self.table.item(shape).unwrap(), outer);
                found.extend(inner.into_iter().map(|(value, text)| (json!({key.as_str().unwrap(): value}), text)));
            }
            _ => {}
        }
        outer.pop();
        found
    }

    fn broken_itself(&self, shape: &Shape) -> Vec<Broken> {
        let mut found = Vec::new();
        let (least, most) = (bound(shape.min.as_ref()), bound(shape.max.as_ref()));
        if shape.kind.is_number() {
            found.extend(least.map(|least| (Value::from(least - 1), format!("greater than or equal to {least}"))));
            found.extend(most.map(|most| (Value::from(most + 1), format!("less than or equal to {most}"))));
            return found;
        }
        if let Some(least) = least {
            let short = self.sized(shape, least - 1);
            found.push((short, format!("length greater than or equal to {least}")));
        }
        if let Some(most) = most {
            found.push((self.sized(shape, most + 1), format!("length less than or equal to {most}")));
        }
        if !shape.values.is_empty() {
            found.push((Value::from("no such value"), "enum value set".to_owned()));
        } else if let Some(pattern) = &shape.pattern
            && let Some(text) = mismatch(shape)
        {
            found.push((Value::from(text), format!("pattern: {pattern}")));
        }
        found
    }

    /// Returns a value of a length.
    fn sized(&self, shape: &Shape, length: i64) -> Value {
        let length = usize::try_from(length).unwrap();
        match shape.kind {
            Kind::Blob => Value::from(STANDARD.encode("a".repeat(length))),
            Kind::List => Value::from(vec![self.example(self.table.item(shape).unwrap()); length]),
            Kind::Map => {
                let item = self.example(self.table.item(shape).unwrap());
                Value::Object((0..length).map(|number| (format!("a{number}"), item.clone())).collect())
            }
            _ => Value::from("a".repeat(length)),
        }
    }

    fn check(&self, operation: &str, shape: &Shape, input: &Value, is_form: bool) -> Outcome<()> {
        if is_form {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in self.form(shape, input, "") {
                form.append_pair(&name, &value);
            }
            let params = Params::parse(form.finish().as_bytes());
            return check(self.service, operation, Parameters::Form(&params), &|_| false);
        }
        check(self.service, operation, Parameters::Document(input), &|_| false)
    }

    /// Returns a request as a client of the Query protocols sends it.
    fn form(&self, shape: &Shape, value: &Value, name: &str) -> Vec<(String, String)> {
        match value {
            Value::Object(fields) if shape.kind == Kind::Map => {
                let item = self.table.item(shape).unwrap();
                let entries = fields.iter().enumerate().flat_map(|(at, (key, value))| {
                    let entry = format!("{name}.entry.{}", at + 1);
                    let mut pairs = self.form(item, value, &format!("{entry}.value"));
                    pairs.push((format!("{entry}.key"), key.clone()));
                    pairs
                });
                entries.collect()
            }
            Value::Object(fields) => {
                let fields = fields.iter().flat_map(|(member, field)| {
                    let dot = if name.is_empty() { "" } else { "." };
                    self.form(self.table.member(shape, member).unwrap(), field, &format!("{name}{dot}{member}"))
                });
                fields.collect()
            }
            Value::Array(items) if items.is_empty() => vec![(name.to_owned(), String::new())],
            Value::Array(items) => {
                let element = match &shape.element {
                    _ if self.service == "ec2" => String::new(),
                    Some(element) => format!("{element}."),
                    None => "member.".to_owned(),
                };
                let item = self.table.item(shape).unwrap();
                let items = items.iter().enumerate();
                items.flat_map(|(at, value)| self.form(item, value, &format!("{name}.{element}{}", at + 1))).collect()
            }
            Value::String(text) => vec![(name.to_owned(), text.clone())],
            other => vec![(name.to_owned(), other.to_string())],
        }
    }
}

fn bound(number: Option<&Number>) -> Option<i64> {
    number.and_then(|number| number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)))
}

/// Returns a text of a valid length that the pattern of a shape does not match.
fn mismatch(shape: &Shape) -> Option<String> {
    let least = usize::try_from(bound(shape.min.as_ref()).unwrap_or(1)).unwrap().max(1);
    let candidates = ["\u{1}", "\n", " ", "!", "*", ":", "é", "中"].map(|character| character.repeat(least));
    candidates.into_iter().find(|text| !shape.matches(text))
}

/// Returns the services with the form of their requests.
fn all() -> impl Iterator<Item = (Requests, bool)> {
    let forms = FORMS.iter().map(|service| (Requests::to(service), true));
    forms.chain(DOCUMENTS.iter().map(|service| (Requests::to(service), false)))
}

#[test]
fn all_services_are_tested() {
    let tested: BTreeSet<&str> = FORMS.iter().chain(DOCUMENTS).copied().collect();
    assert_eq!(tested, services().collect());
}

#[test]
fn minimal_valid_requests_pass() {
    for (requests, is_form) in all() {
        for operation in requests.table.operations() {
            let Some(shape) = requests.table.request(operation) else { continue };
            let input = requests.example(shape);
            let checked = requests.check(operation, shape, &input, is_form);
            assert_eq!(checked, Ok(()), "{}:{operation} {input}", requests.service);
        }
    }
}

#[test]
fn every_violated_constraint_is_refused() {
    let mut count = 0;
    for (requests, is_form) in all() {
        for operation in requests.table.operations() {
            let Some(shape) = requests.table.request(operation) else { continue };
            for (input, text) in requests.broken(shape, &mut Vec::new()) {
                // A form has no structure without members.
                if is_form && has_empty_structure(&input) {
                    continue;
                }
                count += 1;
                let name = format!("{}:{operation}", requests.service);
                let error = requests.check(operation, shape, &input, is_form).expect_err(&name);
                assert_eq!(error.status, 400);
                match (requests.service, text.as_str()) {
                    ("ec2", "not be null") => assert_eq!(error.code, "MissingParameter", "{name}: {error}"),
                    ("ec2" | "rds", _) => assert_eq!(error.code, "InvalidParameterValue", "{name}: {error}"),
                    ("monitoring", "not be null") => assert!(error.message.contains("is required."), "{name}: {error}"),
                    _ => assert!(error.message.contains(&text), "{name}: {error} has no '{text}'"),
                }
            }
        }
    }
    assert!(count > 2000, "{count}");
}

fn has_empty_structure(value: &Value) -> bool {
    match value {
        Value::Object(fields) => {
            let inner = |field: &Value| field.as_object().is_some_and(Map::is_empty) || has_empty_structure(field);
            fields.values().any(inner)
        }
        Value::Array(items) => {
            items.iter().any(|item| item.as_object().is_some_and(Map::is_empty) || has_empty_structure(item))
        }
        _ => false,
    }
}

#[test]
fn every_pattern_is_compiled_and_refuses_something() {
    let mut permissive = BTreeSet::new();
    for service in services() {
        for shape in Requests::to(service).table.shapes() {
            let Some(pattern) = &shape.pattern else { continue };
            assert!(shape.is_compiled(), "{service}: {pattern}");
            if mismatch(shape).is_none() {
                permissive.insert(pattern.as_str());
            }
        }
    }
    insta::assert_snapshot!(permissive.into_iter().collect::<Vec<_>>().join("\n"), @r"[\s\S]*");
}

fn refused(service: &str, operation: &str, parameters: Parameters<'_>) -> String {
    check(service, operation, parameters, &|_| false).map_or_else(|error| error.to_string(), |()| "ok".to_owned())
}

fn form(service: &str, operation: &str, form: &str) -> String {
    refused(service, operation, Parameters::Form(&Params::parse(form.as_bytes())))
}

fn document(service: &str, operation: &str, document: Value) -> String {
    refused(service, operation, Parameters::Document(&document))
}

#[test]
fn all_violations_are_counted_with_their_paths() {
    insta::assert_snapshot!(
        form("iam", "CreateRole", "RoleName=&Tags.member.1.Key=k&Tags.member.1.Value=a%26b"),
        @r"ValidationError: 4 validation errors detected: Value null at 'assumeRolePolicyDocument' failed to satisfy constraint: Member must not be null; Value '' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+; Value '' at 'roleName' failed to satisfy constraint: Member must have length greater than or equal to 1; Value 'a&b' at 'tags.1.member.value' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*"
    );
    insta::assert_snapshot!(
        form("iam", "TagRole", "RoleName=web&Tags.member.1.Value="),
        @"ValidationError: 1 validation error detected: Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null"
    );
    insta::assert_snapshot!(
        form("elasticloadbalancing", "CreateTargetGroup", "Name=t&Protocol=http&HealthCheckIntervalSeconds=1"),
        @"ValidationError: 2 validation errors detected: Value '1' at 'healthCheckIntervalSeconds' failed to satisfy constraint: Member must have value greater than or equal to 5; Value 'http' at 'protocol' failed to satisfy constraint: Member must satisfy enum value set: [HTTP, HTTPS, TCP, TLS, UDP, TCP_UDP, GENEVE, QUIC, TCP_QUIC]"
    );
    insta::assert_snapshot!(
        form("sts", "AssumeRole", "RoleArn=arn:aws:iam::000000000000:role/x"),
        @"ValidationError: 1 validation error detected: Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"
    );
    insta::assert_snapshot!(
        document("ssm", "GetParameters", json!({"Names": ["", "b"]})),
        @"ValidationException: 1 validation error detected: Value '[, b]' at 'names' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal to 1]"
    );
    insta::assert_snapshot!(
        document("logs", "CreateLogGroup", json!({"logGroupName": ""})),
        @r"InvalidParameterException: 2 validation errors detected: Value '' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+; Value '' at 'logGroupName' failed to satisfy constraint: Member must have length greater than or equal to 1"
    );
}

#[test]
fn services_with_another_wording_keep_it() {
    insta::assert_snapshot!(
        form("ec2", "RunInstances", "ImageId=ami-1&MinCount=1"),
        @"MissingParameter: The request must contain the parameter MaxCount"
    );
    insta::assert_snapshot!(
        form("ec2", "DescribeSubnets", "MaxResults=4"),
        @"InvalidParameterValue: Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5."
    );
    insta::assert_snapshot!(
        form("ec2", "DescribeSubnets", "MaxResults=1001"),
        @"InvalidParameterValue: Value ( 1001 ) for parameter maxResults is invalid. Expecting a value less than or equal to 1000."
    );
    insta::assert_snapshot!(
        form("rds", "CreateDBParameterGroup", "DBParameterGroupName=g&Description=d"),
        @"InvalidParameterValue: The parameter DBParameterGroupFamily must be provided and must not be blank."
    );
    insta::assert_snapshot!(
        form("rds", "CreateDBInstance", "DBInstanceIdentifier=i&DBInstanceClass=c&Engine=postgres&DatabaseInsightsMode=all"),
        @"InvalidParameterValue: Invalid value 'all' for parameter DatabaseInsightsMode. Member must satisfy enum value set: [standard, advanced]."
    );
    insta::assert_snapshot!(
        document("monitoring", "PutMetricData", json!({"MetricData": [{"MetricName": "m"}, {}]})),
        @r"
    MissingParameter: The parameter Namespace is required.
    The parameter MetricData.member.2.MetricName is required.
    "
    );
    insta::assert_snapshot!(
        document("monitoring", "DescribeAlarms", json!({"MaxRecords": 101})),
        @"ValidationError: 1 validation error detected: Value '101' at 'maxRecords' failed to satisfy constraint: Member must have value less than or equal to 100"
    );
}

#[test]
fn values_of_another_type_cannot_be_converted() {
    insta::assert_snapshot!(
        document("ssm", "DescribeParameters", json!({"MaxResults": "10"})),
        @"SerializationException: STRING_VALUE can not be converted to an Integer"
    );
    insta::assert_snapshot!(
        document("ssm", "GetParameters", json!({"Names": "a"})),
        @"SerializationException: Expected list or null"
    );
    insta::assert_snapshot!(
        document("ssm", "GetParameter", json!({"Name": 5})),
        @"SerializationException: NUMBER_VALUE can not be converted to a String"
    );
    insta::assert_snapshot!(
        document("ssm", "GetParameter", json!({"Name": {"a": 1}})),
        @"SerializationException: Start of structure or map found where not expected."
    );
    insta::assert_snapshot!(
        document("ssm", "GetParameter", json!({"Name": ["a"]})),
        @"SerializationException: Start of list found where not expected"
    );
    insta::assert_snapshot!(
        document("ssm", "AddTagsToResource", json!({"Tags": ["a"]})),
        @"SerializationException: Expected map or null"
    );
}

#[test]
fn messages_contain_no_secrets() {
    let key = STANDARD.encode("s3cret".repeat(100_000));
    let import = document("acm", "ImportCertificate", json!({"Certificate": "QQ==", "PrivateKey": key}));
    insta::assert_snapshot!(
        import,
        @"ValidationException: 1 validation error detected: Value at 'privateKey' failed to satisfy constraint: Member must have length less than or equal to 8192"
    );
    // A member that is secret by its name.
    let params = Params::parse(b"PolicyName=p&PolicyDocument=s3cret%00");
    let put = check("iam", "CreatePolicy", Parameters::Form(&params), &|name| name == "PolicyDocument");
    insta::assert_snapshot!(
        put.unwrap_err(),
        @r"ValidationError: 1 validation error detected: Value at 'policyDocument' failed to satisfy constraint: Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+"
    );
}

#[test]
fn names_of_other_scripts_are_letters() {
    insta::assert_snapshot!(
        document("ssm", "AddTagsToResource", json!({
            "ResourceType": "Parameter", "ResourceId": "p", "Tags": [{"Key": "名前", "Value": "été 1½"}],
        })),
        @"ok"
    );
}
