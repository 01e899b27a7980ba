//! Requests of all services except S3, and the operations that they name.

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use hyper::header::{REFERER, USER_AGENT};
use hyper::http::request::Parts;

use super::service::Service;
use crate::access::Context;
use crate::wire::body::RequestBody;
use crate::wire::sigv4::Signed;
use crate::wire::{ApiError, Outcome, Params, Protocol};

/// A request of a service other than S3.
pub(super) struct ServiceRequest<'a> {
    pub(super) signed: &'a Signed,
    pub(super) head: &'a Parts,
    pub(super) body: &'a [u8],
    /// SHA-256 of the body as it was sent.
    pub(super) digest: String,
    pub(super) protocol: Protocol,
    pub(super) request_id: &'a str,
}

impl ServiceRequest<'_> {
    /// Returns the operation that the request names, or an empty name.
    pub(super) fn operation(&self, service: Service) -> String {
        match (service, self.protocol) {
            (
                Service::Json { target, .. } | Service::QueryCompatible { target, .. },
                Protocol::Json(_) | Protocol::Cbor,
            ) => named_operation(self.head, self.protocol, target),
            _ => self.params().optional("Action").unwrap_or_default().to_owned(),
        }
    }

    /// Returns the condition keys of the request's headers.
    pub(super) fn context(&self) -> Context {
        let header = |name| self.head.headers.get(name).and_then(|value| value.to_str().ok());
        let mut context = Context::default();
        context.maybe("aws:UserAgent", header(USER_AGENT));
        context.maybe("aws:Referer", header(REFERER));
        context
    }

    /// Returns the form parameters of the body or of the URL.
    pub(super) fn params(&self) -> Params {
        match self.head.uri.query() {
            Some(query) if self.body.is_empty() => Params::parse(query.as_bytes()),
            _ => Params::parse(self.body),
        }
    }
}

/// Returns the operation that a request names outside of its body.
fn named_operation(request: &Parts, protocol: Protocol, target: &str) -> String {
    let name = if protocol == Protocol::Cbor {
        let path = request.uri.path().strip_prefix("/service/").and_then(|path| path.strip_prefix(target));
        path.and_then(|path| path.strip_prefix("/operation/"))
    } else {
        let header = request.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        header.strip_prefix(target).and_then(|rest| rest.strip_prefix('.'))
    };
    name.unwrap_or_default().to_owned()
}

/// Reads a body to its end.
pub(super) async fn read_body(body: RequestBody) -> Outcome<Bytes> {
    match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            Err(ApiError::new("RequestEntityTooLarge", format!("the request could not be read: {error}"))
                .with_status(413))
        }
    }
}

/// Maximum size of a request of a service other than S3.
pub(super) const BODY_LIMIT_BYTES: usize = 4 * 1024 * 1024;
