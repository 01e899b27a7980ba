//! Fuzz test: every request has a response in AWS's form. All operations with parameters of all kinds, and random
//! bytes.
#![allow(clippy::unwrap_used)]

use chrono::Utc;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::request::ServiceRequest;
use super::service::Service;
use super::*;
use crate::model::Account;
use crate::runtime::network::Loopback;
use crate::services::Operation;
use crate::state::address::AddressBlock;
use crate::wire::{JsonVersion, Params, Protocol, sigv4};

/// Number of requests per operation.
const CASES: usize = 20;

const QUERY: &[&str] = &["ec2", "iam", "sts", "autoscaling", "elasticloadbalancing", "rds"];
const VALUES: &[&str] = &["ssm", "logs", "acm", "monitoring", "cloudcontrolapi", "cloudtrail"];

/// A cloud with resources, and texts that identify them.
struct World {
    server: Server,
    known: Vec<String>,
    _directory: TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let addresses = AddressBlock::claim(directory.path()).unwrap();
        let shared = Shared::load(directory.path(), Account::default(), addresses).unwrap();
        let known = shared.read(|cloud| {
            let region = &cloud.regions["us-east-1"];
            let ids = region.ec2.vpcs.keys().chain(region.ec2.subnets.keys()).chain(region.ec2.security_groups.keys());
            ids.cloned().collect()
        });
        let root = RootKeys { accept_any: true, ..RootKeys::default() };
        let access = Access { root, token: Token::new("token".to_owned()), enforce_iam: false, delegate: None };
        let server = Server::new(shared, NetworkHandle::new(Loopback), access, Arc::new(Notify::new()));
        World { server, known, _directory: directory }
    }

    /// Generates texts that a client may send.
    fn texts(&self) -> impl Strategy<Value = String> + use<> {
        const ODD: &[&str] = &[
            "",
            "0",
            "-1",
            "1",
            "2147483648",
            "99999999999999999999",
            "1e400",
            "true",
            "false",
            "null",
            "a",
            "é\u{0}\n",
            "10.0.0.0/16",
            "10.0.0.0/99",
            "0.0.0.0/0",
            "i-0123456789abcdef0",
            "vpc-00000000000000000",
            "ami-1",
            "t3.micro",
            "us-east-1a",
            "tcp",
            "HTTP",
            "instance",
            "arn:aws:iam::000000000000:role/x",
            "arn:",
            "{}",
            "[1]",
            "W10=",
            "===",
            "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
            "postgres",
            "db.t3.micro",
            "2026-01-01T00:00:00Z",
            "*/0 * * * *",
            "%zz",
            "a/../b",
        ];
        let odd: Vec<String> = ODD.iter().map(|text| (*text).to_owned()).chain(self.known.clone()).collect();
        prop_oneof![6 => select(odd), 1 => any::<String>(), 1 => Just("x".repeat(70_000))]
    }

    /// Sends a request, and returns the response's status; a panic fails the test.
    fn respond_to(&self, service: &str, operation: &str, content_type: &str, body: &[u8]) -> u16 {
        let credential = format!("test/20250101/us-east-1/{service}/aws4_request");
        let signature =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={}", "0".repeat(64));
        let head = Request::post("/")
            .header(AUTHORIZATION, signature)
            .header("x-amz-date", Utc::now().format("%Y%m%dT%H%M%SZ").to_string())
            .header(CONTENT_TYPE, content_type)
            .body(())
            .unwrap()
            .into_parts()
            .0;
        let signed = Signed::of(&head.headers, &head.uri).unwrap();
        let named = Service::named(service).unwrap();
        let protocol = match named {
            Service::Query { protocol, .. } => protocol,
            Service::QueryCompatible { namespace, .. } if content_type.ends_with("urlencoded") => {
                Protocol::Query { namespace }
            }
            _ if content_type.ends_with("cbor") => Protocol::Cbor,
            _ => Protocol::Json(JsonVersion::V1_1),
        };
        let service_request = ServiceRequest {
            signed: &signed,
            head: &head,
            body,
            digest: sigv4::digest(body),
            protocol,
            request_id: "fuzz",
        };
        let mut recording = Recording::new("fuzz");
        recording.scope(service, "us-east-1");
        recording.operation(operation);
        let outcome = self.server.execute_named(&service_request, named, operation, &mut recording);
        match outcome {
            Ok(answer) => {
                recording.finish(&answer);
                answer.status().as_u16()
            }
            Err(error) => {
                assert!(!error.code.is_empty() && !error.message.is_empty(), "{service}:{operation} {error:?}");
                assert_ne!(error.code, "InternalError", "{service}:{operation}: {error}");
                error.status
            }
        }
    }
}

fn sample<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

#[test]
fn every_operation_responds_to_arbitrary_parameters() {
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    let texts = world.texts();
    let mut answers = [0; 6];
    for service in QUERY {
        let Some(Service::Query { operations, .. }) = Service::named(service) else { unreachable!() };
        for operation in operations.iter().flat_map(|table| table.iter()) {
            let names = operation.parameters();
            for _ in 0..CASES {
                let mut form = form_urlencoded::Serializer::new(String::new());
                form.append_pair("Action", operation.name);
                for name in sample(&mut runner, &subsequence(names.clone(), 0..=names.len())) {
                    let numbers = sample(&mut runner, &prop_oneof![4 => Just(1), 1 => Just(2)]);
                    for number in 1..=numbers {
                        let name: Vec<String> = name
                            .split('.')
                            .map(|part| if part == "N" { number.to_string() } else { part.to_owned() })
                            .collect();
                        form.append_pair(&name.join("."), &sample(&mut runner, &texts));
                    }
                }
                let status = world.respond_to(
                    service,
                    operation.name,
                    "application/x-www-form-urlencoded",
                    form.finish().as_bytes(),
                );
                answers[usize::from(status / 100).min(5)] += 1;
            }
        }
    }
    // Most requests are invalid, and some are valid by chance.
    assert!(answers[2] > 100 && answers[4] > 1000, "{answers:?}");
}

#[test]
fn every_operation_responds_to_arbitrary_documents() {
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    let texts = world.texts().prop_map(Value::from);
    let leaf = prop_oneof![4 => texts, 1 => any::<i64>().prop_map(Value::from), 1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((select(vec!["Key", "Value", "Name", "x"]), inner), 0..3)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    });
    for service in VALUES {
        let Some(Service::Json { operations, .. } | Service::QueryCompatible { operations, .. }) =
            Service::named(service)
        else {
            unreachable!()
        };
        for operation in operations.iter().flat_map(|table| table.iter()) {
            let names = operation.parameters();
            for _ in 0..CASES {
                let mut document = json!({});
                for name in sample(&mut runner, &subsequence(names.clone(), 0..=names.len())) {
                    document[name] = sample(&mut runner, &value);
                }
                world.respond_to(
                    service,
                    operation.name,
                    "application/x-amz-json-1.1",
                    document.to_string().as_bytes(),
                );
            }
        }
    }
}

/// Generates forms whose names consist of segments in any order and to any depth.
fn nested_form() -> impl Strategy<Value = String> {
    const SEGMENTS: &[&str] =
        &["member", "1", "2", "0", "", "entry", "key", "MetricData", "Dimensions", "Filter", "Name", "Tag", "N"];
    let name = prop_oneof![
        8 => prop::collection::vec(select(SEGMENTS), 1..12),
        1 => (select(SEGMENTS), select(SEGMENTS), 1..3000_usize).prop_map(|(one, other, times)| [one, other].repeat(times)),
    ];
    let pair = (name, "[a-z0-9]{0,4}").prop_map(|(name, value)| format!("{}={value}", name.join(".")));
    prop::collection::vec(pair, 0..8).prop_map(|pairs| pairs.join("&"))
}

#[test]
fn every_operation_responds_to_arbitrary_form_structures() {
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    let (forms, kind) = (nested_form(), "application/x-www-form-urlencoded");
    for service in QUERY.iter().chain(&["monitoring"]) {
        let operations: Vec<(&str, Vec<&str>)> = match Service::named(service) {
            Some(Service::Query { operations, .. }) => named(operations),
            Some(Service::QueryCompatible { operations, .. }) => named(operations),
            _ => unreachable!(),
        };
        for (operation, parameters) in operations {
            for _ in 0..CASES {
                let form = sample(&mut runner, &forms);
                // Half of the inputs begin with a parameter of the operation.
                let own = parameters.first().map(|name| format!("&{}.{form}", name.replace(".N", ".1")));
                for form in [form, own.unwrap_or_default()] {
                    world.respond_to(service, operation, kind, format!("Action={operation}&{form}").as_bytes());
                }
            }
        }
    }
}

fn named<I, O>(tables: &'static [&'static [Operation<I, O>]]) -> Vec<(&'static str, Vec<&'static str>)> {
    let operations = tables.iter().flat_map(|table| table.iter());
    operations.map(|operation| (operation.name, operation.parameters())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for protocol in [Protocol::Json(JsonVersion::V1_0), Protocol::Cbor, Protocol::Ec2] {
            let _ = protocol.read(&bytes);
        }
        let _ = Params::parse(&bytes).patterns();
        if let Ok(text) = HeaderValue::from_bytes(&bytes) {
            let mut headers = hyper::HeaderMap::new();
            headers.insert(AUTHORIZATION, text.clone());
            headers.insert("x-amz-date", text);
            let signed = Signed::of(&headers, &hyper::Uri::from_static("/"));
            prop_assert!(signed.is_err());
        }
    }
}
