//! Synthesised outputs of resources that cannot be rehearsed.
//!
//! The outputs have the shapes that the kind declares, and contain the parts that the program uses. Texts have the form
//! that their names suggest, such as an ARN, and contain the name of the declaration:
//! `arn:aws:sqs:us-east-1:000000000000:rehearsal-jobs`.

use infra_core::{
    Shape,
    graph::ResourceGraph,
    state::{Live, Request},
    value::{Segment, Value},
};
use infra_local::Account;
use serde_json::{Map, Value as Json, json};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Beginning of synthesised names.
const PREFIX: &str = "rehearsal-";

/// Synthesises outputs for the declarations of a program.
pub(crate) struct Synthesis {
    declared: ResourceGraph,
    account: Account,
}

impl Synthesis {
    pub(crate) fn new(declared: ResourceGraph, account: Account) -> Synthesis {
        Synthesis { declared, account }
    }

    /// Returns the resource that a create would return.
    pub(crate) fn create(&self, request: &Request) -> Live {
        let texts = Texts::of(request, self.account);
        Live {
            id: format!("{}-{}", texts.name, request.generation),
            inputs: None,
            outputs: self.outputs(request, &texts),
        }
    }

    fn outputs(&self, request: &Request, texts: &Texts<'_>) -> Value {
        let mut outputs = Json::Object(Map::new());
        let node = self.declared.node(&request.urn);
        for (name, shape) in node.iter().flat_map(|node| node.schema.shapes()) {
            // An output with the name of an input, such as the CIDR block of a VPC, has its value.
            let input = request.inputs.field(name).filter(|input| !input.has_secret()).map(Value::to_json);
            outputs[name] = input.unwrap_or_else(|| texts.value(name, shape));
        }
        self.declared.uses(&request.urn, &mut |property, path| texts.complete(&mut outputs[property], property, path));
        let is_secret = |name: &str| node.is_some_and(|node| node.schema.is_secret(name));
        let outputs = Value::from_json(outputs);
        let marked = outputs.entries().map(|(name, value)| {
            let value = value.clone();
            (name.clone(), if is_secret(name) { value.into_secret() } else { value })
        });
        Value::Map(marked.collect())
    }
}

/// The texts of one resource.
struct Texts<'r> {
    request: &'r Request,
    /// Name that the resource could have.
    name: String,
    service: String,
    kind: String,
    region: &'r str,
    account: Account,
}

impl<'r> Texts<'r> {
    fn of(request: &'r Request, account: Account) -> Texts<'r> {
        // `AWS::SQS::Queue` of a CloudFormation type, or the type token `aws:ec2:Vpc`.
        let type_name = request.inputs.field("type_name").and_then(Value::as_str);
        let kind = type_name.unwrap_or(request.urn.kind());
        let mut parts = kind.split(':').filter(|part| !part.is_empty()).skip(1).map(str::to_ascii_lowercase);
        let (service, kind) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let name: String = request.urn.name().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
        let region = request.region.as_deref().unwrap_or("us-east-1");
        Texts { request, name: format!("{PREFIX}{name}"), service, kind, region, account }
    }

    fn value(&self, name: &str, shape: Shape) -> Json {
        match shape {
            Shape::Text => self.text(name).into(),
            Shape::Number => 1.into(),
            Shape::Flag => false.into(),
            Shape::List => json!([self.text(name)]),
            Shape::Document => json!({}),
        }
    }

    /// Adds a part of an output that the program uses, unless it exists.
    fn complete(&self, value: &mut Json, name: &str, path: &[&Segment]) {
        match path {
            [] if value.is_null() => *value = self.text(name).into(),
            [] => {}
            [Segment::Field(field), rest @ ..] => {
                if !value.is_object() {
                    *value = json!({});
                }
                self.complete(&mut value[field.as_str()], field, rest);
            }
            [Segment::Index(index), rest @ ..] => {
                if !value.is_array() {
                    *value = json!([]);
                }
                let Json::Array(items) = value else { return };
                items.resize_with(items.len().max(index + 1), || self.text(name).into());
                self.complete(&mut items[*index], name, rest);
            }
        }
    }

    /// Returns a text of the form that the name of the output suggests.
    fn text(&self, output: &str) -> String {
        let Texts { name, service, kind, region, account, .. } = self;
        // `id`, `vpc_id`, `Id` and `VpcId`, but not `paid`.
        let id = ["_id", "Id", "ID"].iter().find_map(|ending| output.strip_suffix(ending));
        let id = id.or_else(|| (output == "id").then_some("")).map(str::to_ascii_lowercase);
        let output = output.to_ascii_lowercase();
        let ends_with = |endings: &[&str]| endings.iter().any(|ending| output.ends_with(ending));
        if ends_with(&["arn"]) {
            format!("arn:aws:{service}:{region}:{account}:{name}")
        } else if ends_with(&["url", "uri"]) {
            format!("https://{service}.{region}.amazonaws.com/{account}/{name}")
        } else if ends_with(&["endpoint", "address", "dns_name", "dnsname", "domain", "domainname", "host", "hostname"])
        {
            format!("{name}.{service}.{region}.amazonaws.com")
        } else if ends_with(&["cidr", "cidrblock"]) {
            "192.0.2.0/24".to_owned()
        } else if ends_with(&["ip", "ipaddress"]) {
            // Of a range that is reserved for documentation, RFC 5737.
            "192.0.2.1".to_owned()
        } else if let Some(of) = id {
            format!("{}-{:017x}", if of.is_empty() { kind } else { &of }, self.digits(&of))
        } else {
            name.clone()
        }
    }

    /// Returns the digits of an id of this kind: the same in all outputs of the generation.
    fn digits(&self, of: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.request.urn.as_str(), self.request.generation, of).hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::state::{OperationId, Verb};

    fn texts(kind: &str, inputs: Json, check: impl Fn(&Texts<'_>)) {
        let urn = format!("urn:infra:dev::program::{kind}::group/jobs").parse().unwrap();
        let inputs = Value::from_json(inputs);
        let request = Request::new(OperationId::random().unwrap(), Verb::Create, urn, inputs, "seed");
        check(&Texts::of(&request, "112233445566".parse().unwrap()));
    }

    #[test]
    fn texts_have_the_form_that_their_names_suggest() {
        texts("aws:cloudcontrol:Resource", json!({"type_name": "AWS::SQS::Queue"}), |texts| {
            assert_eq!(texts.text("Arn"), "arn:aws:sqs:us-east-1:112233445566:rehearsal-group-jobs");
            assert_eq!(texts.text("QueueUrl"), "https://sqs.us-east-1.amazonaws.com/112233445566/rehearsal-group-jobs");
            assert_eq!(texts.text("QueueName"), "rehearsal-group-jobs");
        });
        texts("aws:ec2:Vpc", Json::Null, |texts| {
            let id = texts.text("id");
            assert_eq!((id.len(), &id[..4]), ("vpc-".len() + 17, "vpc-"));
            assert_eq!(texts.text("SubnetId")[.."subnet-".len()], *"subnet-");
            assert_eq!((texts.text("paid"), texts.text("public_ip")), (texts.name.clone(), "192.0.2.1".to_owned()));
        });
    }

    #[test]
    fn used_parts_of_documents_are_added() {
        texts("aws:cloudcontrol:Resource", json!({"type_name": "AWS::SQS::Queue"}), |texts| {
            let mut outputs = json!({"properties": {"QueueName": "jobs"}});
            let (field, index) = (Segment::Field("Arns".into()), Segment::Index(1));
            texts.complete(&mut outputs["properties"], "properties", &[&field, &index]);
            texts.complete(&mut outputs["properties"], "properties", &[&Segment::Field("QueueName".into())]);
            assert_eq!(outputs["properties"]["Arns"].as_array().map(Vec::len), Some(2));
            assert_eq!(outputs["properties"]["QueueName"], "jobs");
        });
    }
}
