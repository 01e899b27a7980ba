//! Responses of the endpoint, in the protocols of AWS.

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::service::guess_protocol;
use crate::wire::{ApiError, Protocol};

/// A response. S3's bodies are streams.
pub(super) type Answer = Response<s3s::Body>;

/// Returns the response to a request that is refused before its signature is read.
pub(super) fn refusal(head: &Parts, message: &str, request_id: &str) -> Answer {
    let error = ApiError::new("AccessDenied", message).with_status(403);
    failure(guess_protocol(&head.headers), &error, request_id)
}

/// Returns the response for an error, in the service's protocol.
pub(super) fn failure(protocol: Protocol, error: &ApiError, request_id: &str) -> Answer {
    tracing::debug!(code = %error.code, message = error.message, request_id, "refused");
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = response(status, protocol, protocol.error(error, request_id), request_id);
    if protocol == Protocol::RestJson
        && let Ok(code) = HeaderValue::from_str(&error.code)
    {
        answer.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), code);
    }
    answer
}

/// Returns the response for an error of a service that has moved from Query to newer protocols. Those return the
/// error's name in the service model, and the code that Query uses in a header.
pub(super) fn compatible_failure(
    protocol: Protocol,
    error: ApiError,
    shape: fn(&str) -> &str,
    request_id: &str,
) -> Answer {
    if let Protocol::Query { .. } = protocol {
        return failure(protocol, &error, request_id);
    }
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    let code = HeaderValue::from_str(&format!("{};{kind}", error.code));
    let named = ApiError { code: shape(&error.code).to_owned().into(), ..error };
    let mut answer = failure(protocol, &named, request_id);
    if let Ok(code) = code {
        answer.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), code);
    }
    answer
}

/// Returns a response with the headers of its protocol.
pub(super) fn response(status: StatusCode, protocol: Protocol, body: Vec<u8>, request_id: &str) -> Answer {
    let mut answer = Response::new(s3s::Body::from(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(protocol.content_type()));
    let name = match protocol {
        Protocol::RestXml => "x-amz-request-id",
        _ => "x-amzn-requestid",
    };
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(name), id);
    }
    if protocol == Protocol::Cbor {
        headers.insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
    }
    answer
}
