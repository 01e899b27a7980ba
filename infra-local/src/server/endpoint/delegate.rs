//! Another emulator, which answers for the services that the local cloud does not have.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::answer::Answer;
use crate::wire::{ApiError, Outcome};

/// Maximum size of a response.
const RESPONSE_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Time limit for a response.
const LIMIT: Duration = Duration::from_mins(1);

/// Headers of a connection, which are not forwarded.
const HOP_BY_HOP: &[HeaderName] = &[CONNECTION, UPGRADE, TRANSFER_ENCODING, CONTENT_LENGTH, HOST];

/// The emulator to which requests are forwarded.
pub(super) struct Delegate {
    authority: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Delegate {
    pub(super) fn new(authority: Authority) -> Delegate {
        Delegate { authority, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Forwards a request, whose signature is verified, and returns the response.
    pub(super) async fn forward(&self, head: &Parts, body: Bytes) -> Outcome<Answer> {
        let unreachable = |reason: String| {
            let message = format!(
                "The emulator http://{}, to which this service is delegated, does not answer: {reason}",
                self.authority
            );
            ApiError::new("ServiceUnavailable", message).with_status(503)
        };
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = Uri::builder().scheme("http").authority(self.authority.clone()).path_and_query(path).build();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri.map_err(|error| unreachable(error.to_string()))?;
        *request.headers_mut() = forwarded(&head.headers);
        let answer = async {
            let answer = self.client.request(request).await.map_err(|error| unreachable(error.to_string()))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, RESPONSE_LIMIT_BYTES).collect().await;
            let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
            let mut answer = Response::new(s3s::Body::from(body));
            *answer.status_mut() = head.status;
            *answer.headers_mut() = forwarded(&head.headers);
            Ok(answer)
        };
        let late = |_| unreachable(format!("it needs more than {} s", LIMIT.as_secs()));
        tokio::time::timeout(LIMIT, answer).await.map_err(late)?
    }
}

/// Returns the headers without those of the connection.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = headers.clone();
    for name in HOP_BY_HOP {
        forwarded.remove(name);
    }
    forwarded
}
