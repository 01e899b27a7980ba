//! The services of the endpoint.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use crate::domain::dns::SERVICES;
use crate::services::Operation;
use crate::services::{acm, autoscaling, cloudcontrol, cloudwatch, ec2, elbv2, iam, logs, rds, ssm, sts};
use crate::wire::{ApiError, JsonVersion, Node, Outcome, Params, Protocol};

/// A table of operations, by resource kind.
pub(super) type QueryTable = &'static [&'static [Operation<Params, Node>]];

/// A table of operations on JSON values, by resource kind.
pub(super) type ValueTable = &'static [&'static [Operation<Value, Value>]];

/// A service of the endpoint, with its protocol and operations.
#[derive(Clone, Copy)]
pub(super) enum Service {
    Query {
        protocol: Protocol,
        operations: QueryTable,
        always: &'static [&'static str],
    },
    Json {
        version: JsonVersion,
        target: &'static str,
        operations: ValueTable,
    },
    /// A service that has moved from Query to CBOR and JSON and still accepts Query; see [`Protocol`].
    QueryCompatible {
        namespace: &'static str,
        target: &'static str,
        operations: ValueTable,
        /// Converts an error's code in Query to its name in the other protocols.
        shape: fn(&str) -> &str,
    },
    S3,
}

impl Service {
    /// Returns the credential scopes of all services.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        SERVICES.iter().copied()
    }

    /// Returns the service of a credential scope.
    pub(super) fn named(name: &str) -> Option<Service> {
        let query = |namespace, operations| Service::Query {
            protocol: Protocol::Query { namespace },
            operations,
            always: &["Action", "Version"],
        };
        let json = |target, operations| Service::Json { version: JsonVersion::V1_1, target, operations };
        Some(match name {
            "ec2" => Service::Query { protocol: Protocol::Ec2, operations: ec2::OPERATIONS, always: ec2::ALWAYS },
            "iam" => query("https://iam.amazonaws.com/doc/2010-05-08/", iam::OPERATIONS),
            "sts" => query("https://sts.amazonaws.com/doc/2011-06-15/", sts::OPERATIONS),
            "autoscaling" => query("http://autoscaling.amazonaws.com/doc/2011-01-01/", autoscaling::OPERATIONS),
            "elasticloadbalancing" => {
                query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", elbv2::OPERATIONS)
            }
            "monitoring" => Service::QueryCompatible {
                namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
                target: "GraniteServiceVersion20100801",
                operations: cloudwatch::OPERATIONS,
                shape: cloudwatch::error_shape,
            },
            "cloudcontrolapi" => Service::Json {
                version: JsonVersion::V1_0,
                target: "CloudApiService",
                operations: cloudcontrol::OPERATIONS,
            },
            "acm" => json("CertificateManager", acm::OPERATIONS),
            "logs" => json("Logs_20140328", logs::OPERATIONS),
            "rds" => query("http://rds.amazonaws.com/doc/2014-10-31/", rds::OPERATIONS),
            "ssm" => json("AmazonSSM", ssm::OPERATIONS),
            "s3" => Service::S3,
            _ => return None,
        })
    }

    /// Returns the protocol of a request to the service.
    pub(super) fn protocol(self, headers: &HeaderMap) -> Protocol {
        match self {
            Service::Query { protocol, .. } => protocol,
            Service::Json { version, .. } => Protocol::Json(version),
            Service::QueryCompatible { namespace, .. } => match guess_protocol(headers) {
                Protocol::Ec2 | Protocol::RestXml => Protocol::Query { namespace },
                Protocol::Json(_) => Protocol::Json(JsonVersion::V1_0),
                other => other,
            },
            Service::S3 => Protocol::RestXml,
        }
    }
}

/// Returns the operation of this name.
pub(super) fn find_operation<I, O>(
    tables: &'static [&'static [Operation<I, O>]],
    name: &str,
) -> Outcome<&'static Operation<I, O>> {
    let found = tables.iter().flat_map(|table| table.iter()).find(|operation| operation.name == name);
    found.ok_or_else(|| {
        ApiError::new("InvalidAction", format!("The action '{name}' is not one that the local cloud has"))
    })
}

/// Guesses the protocol of a request whose service is unknown.
pub(super) fn guess_protocol(headers: &HeaderMap) -> Protocol {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key("smithy-protocol") {
        Protocol::Cbor
    } else if content_type.starts_with("application/x-amz-json-1.0") {
        Protocol::Json(JsonVersion::V1_0)
    } else if headers.contains_key("x-amz-target") || content_type.starts_with("application/x-amz-json") {
        Protocol::Json(JsonVersion::V1_1)
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        Protocol::Ec2
    } else {
        Protocol::RestXml
    }
}
