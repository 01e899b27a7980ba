//! The services of the endpoint.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde_json::Value;

use crate::domain::dns::SERVICES;
use crate::services::Operation;
use crate::services::{acm, autoscaling, cloudcontrol, cloudtrail, cloudwatch, ec2, elbv2, iam, logs, rds, ssm, sts};
use crate::wire::{ApiError, JsonVersion, Node, Params, Protocol, services};

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
            "cloudtrail" => json("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", cloudtrail::OPERATIONS),
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

/// Returns the prefix of a service's actions, which differs from the credential scope of some services.
pub(super) fn action_prefix(scope: &str) -> &str {
    match scope {
        "monitoring" => "cloudwatch",
        "cloudcontrolapi" => "cloudformation",
        other => other,
    }
}

/// Returns the operation of this name.
pub(super) fn find_operation<I, O>(
    tables: &'static [&'static [Operation<I, O>]],
    name: &str,
) -> Option<&'static Operation<I, O>> {
    tables.iter().flat_map(|table| table.iter()).find(|operation| operation.name == name)
}

/// Returns the error for an operation that a service does not have here. AWS has a code for each family of protocols:
/// `InvalidAction` is a common error of Query, and `UnknownOperationException` of JSON
/// (<https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>,
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CommonErrors.html>).
pub(super) fn unknown_operation(service: &str, name: &str, protocol: Protocol) -> ApiError {
    let code = match protocol {
        Protocol::Json(_) | Protocol::Cbor | Protocol::RestJson => "UnknownOperationException",
        Protocol::Ec2 | Protocol::Query { .. } | Protocol::RestXml => "InvalidAction",
    };
    let message = format!("The action '{name}' of {service} is not one that the local cloud has; use AWS for it");
    ApiError::new(code, message)
}

/// Returns the error for a service that the local cloud does not have, and the protocol of the response.
pub(super) fn unknown_service(scope: &str, headers: &HeaderMap) -> (Protocol, ApiError) {
    let named = services::named(scope);
    let protocol = match (named_protocol(headers), named) {
        (Some(Protocol::Ec2), _) => services::QUERY,
        (Some(protocol), _) => protocol,
        (None, Some(service)) => service.protocol,
        (None, None) => guess_protocol(headers),
    };
    let offered: Vec<&str> = Service::names().collect();
    let way_out = named.map(|service| {
        let variable = service.id.to_uppercase().replace([' ', '-'], "_");
        format!(
            " Another emulator can answer for it: `stack local start --delegate URL`. To use {} of AWS, set \
             AWS_ENDPOINT_URL_{variable} to its endpoint, and sign with credentials of AWS.",
            service.id
        )
    });
    let message = format!(
        "The local cloud has no service '{scope}' (from the request's credential scope); it has {}.{}",
        offered.join(", "),
        way_out.unwrap_or_default()
    );
    (protocol, ApiError::new("UnknownService", message))
}

/// Guesses the protocol of a request whose service is unknown.
pub(super) fn guess_protocol(headers: &HeaderMap) -> Protocol {
    named_protocol(headers).unwrap_or(Protocol::RestXml)
}

/// Returns the protocol that the headers of a request name. The REST protocols have none of these headers.
fn named_protocol(headers: &HeaderMap) -> Option<Protocol> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key("smithy-protocol") {
        Some(Protocol::Cbor)
    } else if content_type.starts_with("application/x-amz-json-1.0") {
        Some(Protocol::Json(JsonVersion::V1_0))
    } else if headers.contains_key("x-amz-target") || content_type.starts_with("application/x-amz-json") {
        Some(Protocol::Json(JsonVersion::V1_1))
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        Some(Protocol::Ec2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    #[test]
    fn unknown_services_are_refused_in_their_own_protocol_with_the_way_out() {
        let refused = |scope: &str, header: Option<(&'static str, &'static str)>| {
            let header = header.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let (protocol, error) = unknown_service(scope, &HeaderMap::from_iter(header));
            (protocol, String::from_utf8(protocol.error(&error, "r")).unwrap_or_default())
        };
        let (protocol, body) = refused("lambda", None);
        assert_eq!(protocol, Protocol::RestJson);
        insta::assert_snapshot!(body, @r#"{"code":"UnknownService","message":"The local cloud has no service 'lambda' (from the request's credential scope); it has acm, autoscaling, cloudcontrolapi, cloudtrail, ec2, elasticloadbalancing, iam, logs, monitoring, rds, s3, ssm, sts. Another emulator can answer for it: `stack local start --delegate URL`. To use Lambda of AWS, set AWS_ENDPOINT_URL_LAMBDA to its endpoint, and sign with credentials of AWS."}"#);
        let (protocol, body) = refused("sqs", Some(("x-amz-target", "AmazonSQS.ListQueues")));
        assert_eq!(protocol, Protocol::Json(JsonVersion::V1_1));
        insta::assert_snapshot!(body, @r#"{"__type":"UnknownService","message":"The local cloud has no service 'sqs' (from the request's credential scope); it has acm, autoscaling, cloudcontrolapi, cloudtrail, ec2, elasticloadbalancing, iam, logs, monitoring, rds, s3, ssm, sts. Another emulator can answer for it: `stack local start --delegate URL`. To use SQS of AWS, set AWS_ENDPOINT_URL_SQS to its endpoint, and sign with credentials of AWS."}"#);
        let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        assert_eq!(refused("sns", Some(form)).0, services::QUERY);
        assert_eq!(refused("route53", None).0, services::QUERY);
        let (protocol, body) = refused("nowhere", None);
        assert_eq!(protocol, Protocol::RestXml);
        insta::assert_snapshot!(body, @r#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>UnknownService</Code><Message>The local cloud has no service &apos;nowhere&apos; (from the request&apos;s credential scope); it has acm, autoscaling, cloudcontrolapi, cloudtrail, ec2, elasticloadbalancing, iam, logs, monitoring, rds, s3, ssm, sts.</Message><RequestId>r</RequestId></Error>"#);
    }

    #[test]
    fn unknown_operations_have_the_code_of_the_protocol() {
        let error = |protocol| unknown_operation("ssm", "SendCommand", protocol).to_string();
        insta::assert_snapshot!(error(Protocol::Json(JsonVersion::V1_1)), @"UnknownOperationException: The action 'SendCommand' of ssm is not one that the local cloud has; use AWS for it");
        insta::assert_snapshot!(error(Protocol::Ec2), @"InvalidAction: The action 'SendCommand' of ssm is not one that the local cloud has; use AWS for it");
    }
}
