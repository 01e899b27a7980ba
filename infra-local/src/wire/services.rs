//! Protocols of all services of AWS, for errors about those that the local cloud does not have.
//!
//! `tests/peers/constraints.py` generates the table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{JsonVersion, Protocol};

static SERVICES: LazyLock<BTreeMap<String, (String, String)>> =
    LazyLock::new(|| serde_json::from_str(include_str!("constraints/protocols.json")).unwrap_or_default());

/// The protocol of Query services whose namespace is not known.
pub(crate) const QUERY: Protocol = Protocol::Query { namespace: "http://amazonaws.com/doc/" };

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AwsService {
    pub(crate) protocol: Protocol,
    /// The service's id, which names it in environment variables.
    pub(crate) id: &'static str,
}

/// Returns the service with a credential scope.
pub(crate) fn named(scope: &str) -> Option<AwsService> {
    let (protocol, id) = SERVICES.get(scope)?;
    let protocol = match protocol.as_str() {
        "ec2" => Protocol::Ec2,
        "json" => Protocol::Json(JsonVersion::V1_1),
        // Only S3's errors have no envelope (https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html); the others
        // have that of Query.
        "rest-xml" if scope.starts_with("s3") => Protocol::RestXml,
        "query" | "rest-xml" => QUERY,
        "smithy-rpc-v2-cbor" => Protocol::Cbor,
        _ => Protocol::RestJson,
    };
    Some(AwsService { protocol, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_the_protocols_of_their_models() {
        let protocol = |scope: &str| named(scope).map(|service| service.protocol);
        assert_eq!(protocol("lambda"), Some(Protocol::RestJson));
        assert_eq!(protocol("sqs"), Some(Protocol::Json(JsonVersion::V1_1)));
        assert_eq!(protocol("route53"), Some(QUERY));
        assert_eq!(protocol("s3"), Some(Protocol::RestXml));
        assert_eq!(protocol("sns"), Some(QUERY));
        assert_eq!(named("secretsmanager").map(|service| service.id), Some("Secrets Manager"));
        assert_eq!(named("nowhere"), None);
    }
}
