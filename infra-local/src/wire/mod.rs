//! AWS's wire protocols: what a request says, and how answers and errors are written.

pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod operation;
pub(crate) mod query;
pub(crate) mod sigv4;
pub(crate) mod xml;

pub(crate) use error::{ApiError, Outcome};
pub(crate) use filter::{FILTERS, Filters, PAGES, Page};
pub(crate) use operation::{Call, Operation};
pub(crate) use query::Params;
pub(crate) use xml::Node;

/// The protocol a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form in, XML out, with EC2's own envelope.
    Ec2,
    /// Form in, XML out; the namespace stands in the answer.
    Query { namespace: &'static str },
    /// AWS JSON 1.1; the operation stands in `X-Amz-Target`.
    Json,
    /// S3's REST XML.
    RestXml,
}

impl Protocol {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Protocol::Ec2 => "text/xml;charset=UTF-8",
            Protocol::Query { .. } => "text/xml",
            Protocol::Json => "application/x-amz-json-1.1",
            Protocol::RestXml => "application/xml",
        }
    }

    /// Writes an error in this protocol's envelope.
    pub(crate) fn error(self, error: &ApiError, request_id: &str) -> String {
        match self {
            Protocol::Ec2 => xml::ec2_error(&error.code, &error.message, request_id),
            Protocol::Query { namespace } => {
                let kind = if error.status < 500 { "Sender" } else { "Receiver" };
                xml::query_error(namespace, kind, &error.code, &error.message, request_id)
            }
            Protocol::Json => serde_json::json!({"__type": error.code, "message": error.message}).to_string(),
            Protocol::RestXml => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
                quick_xml::escape::escape(error.code.as_ref()),
                quick_xml::escape::escape(error.message.as_str())
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_own_error_envelope() {
        let error = ApiError::new("Bad.Thing", "a & b");
        assert_eq!(
            Protocol::Ec2.error(&error, "r"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>Bad.Thing</Code><Message>a &amp; b</Message></Error></Errors><RequestID>r</RequestID></Response>"
        );
        assert_eq!(
            Protocol::Query { namespace: "urn:n" }.error(&error, "r"),
            "<ErrorResponse xmlns=\"urn:n\"><Error><Type>Sender</Type><Code>Bad.Thing</Code><Message>a &amp; b</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        );
        assert_eq!(Protocol::Json.error(&error, "r"), r#"{"__type":"Bad.Thing","message":"a & b"}"#);
    }
}
