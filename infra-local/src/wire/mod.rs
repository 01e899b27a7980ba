//! AWS's wire protocols: parsing of requests, rendering of responses and errors.

pub(crate) mod body;
mod cbor;
pub(crate) mod compression;
pub(crate) mod constraint;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod members;
pub(crate) mod query;
pub(crate) mod services;
pub(crate) mod shape;
mod sigv2;
pub(crate) mod sigv4;
pub(crate) mod xml;

pub(crate) use error::{ApiError, Outcome};
pub(crate) use filter::{FILTERS, Filters, PAGES, Page};
pub(crate) use query::Params;
pub(crate) use xml::Node;

use serde_json::Value;

/// Protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form requests and XML responses, with EC2's envelope.
    Ec2,
    /// Form requests and XML responses with a namespace.
    Query { namespace: &'static str },
    /// AWS JSON; the header `X-Amz-Target` names the operation.
    Json(JsonVersion),
    /// Smithy's RPC v2 with CBOR; the path names service and operation.
    Cbor,
    /// REST with XML, S3's protocol.
    RestXml,
    /// REST with JSON. Errors have their code in the header `x-amzn-errortype`. No service of the local cloud uses it.
    RestJson,
}

/// Versions of AWS JSON, which differ in little more than the content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonVersion {
    V1_0,
    V1_1,
}

impl Protocol {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Protocol::Ec2 => "text/xml;charset=UTF-8",
            Protocol::Query { .. } => "text/xml",
            Protocol::Json(JsonVersion::V1_0) => "application/x-amz-json-1.0",
            Protocol::Json(JsonVersion::V1_1) => "application/x-amz-json-1.1",
            Protocol::Cbor => "application/cbor",
            Protocol::RestXml => "application/xml",
            Protocol::RestJson => "application/json",
        }
    }

    /// Parses the body of a request to an operation on JSON values.
    pub(crate) fn read(self, body: &[u8]) -> Outcome<Value> {
        match self {
            Protocol::Cbor => cbor::decode(body),
            Protocol::Ec2 | Protocol::Query { .. } => shape::from_form(&Params::parse(body)),
            Protocol::Json(_) | Protocol::RestXml | Protocol::RestJson => {
                let body: &[u8] = if body.is_empty() { b"{}" } else { body };
                serde_json::from_slice(body).map_err(|error| {
                    ApiError::new("SerializationException", format!("the request is not JSON: {error}"))
                })
            }
        }
    }

    /// Renders the response of an operation on JSON values.
    pub(crate) fn write(self, operation: &str, output: &Value, request_id: &str) -> Vec<u8> {
        match self {
            Protocol::Cbor => cbor::encode(output),
            Protocol::Query { namespace } => {
                xml::query_envelope(namespace, operation, request_id, &shape::to_xml(output)).into_bytes()
            }
            _ => output.to_string().into_bytes(),
        }
    }

    /// Renders an error in this protocol's envelope.
    pub(crate) fn error(self, error: &ApiError, request_id: &str) -> Vec<u8> {
        let text = match self {
            Protocol::Ec2 => xml::ec2_error(&error.code, &error.message, request_id),
            Protocol::Query { namespace } => {
                let kind = if error.status < 500 { "Sender" } else { "Receiver" };
                xml::query_error(namespace, kind, &error.code, &error.message, request_id)
            }
            Protocol::Json(_) => serde_json::json!({"__type": error.code, "message": error.message}).to_string(),
            Protocol::RestJson => serde_json::json!({"code": error.code, "message": error.message}).to_string(),
            Protocol::Cbor => {
                return cbor::encode(&serde_json::json!({"__type": error.code, "message": error.message}));
            }
            Protocol::RestXml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
                quick_xml::escape::escape(error.code.as_ref()),
                quick_xml::escape::escape(error.message.as_str())
            ),
        };
        text.into_bytes()
    }
}

/// Returns the texts of a JSON request by the names of their fields.
pub(crate) fn leaves(value: &Value) -> Vec<(String, String)> {
    fn walk(name: &str, value: &Value, out: &mut Vec<(String, String)>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| walk(name, value, out)),
            Value::Array(items) => items.iter().for_each(|item| walk(name, item, out)),
            Value::String(text) => out.push((name.to_owned(), text.clone())),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk("", value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_own_error_envelope() {
        let error = ApiError::new("Bad.Thing", "a & b");
        let text = |protocol: Protocol| String::from_utf8(protocol.error(&error, "r")).unwrap_or_default();
        assert_eq!(
            text(Protocol::Ec2),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>Bad.Thing</Code><Message>a &amp; b</Message></Error></Errors><RequestID>r</RequestID></Response>"
        );
        assert_eq!(
            text(Protocol::Query { namespace: "urn:n" }),
            "<ErrorResponse xmlns=\"urn:n\"><Error><Type>Sender</Type><Code>Bad.Thing</Code><Message>a &amp; b</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        );
        assert_eq!(text(Protocol::Json(JsonVersion::V1_1)), r#"{"__type":"Bad.Thing","message":"a & b"}"#);
    }
}
