//! Records for each request that an earlier attempt may have reached the service.
//!
//! The SDK reports only the result of the last attempt. When an earlier attempt was sent and its response was lost,
//! "connection refused" or "access denied" in the last attempt proves nothing: the service may have executed the request.
//! With this record, [`error`](crate::error) distinguishes a request that was certainly not executed
//! ([`ErrorKind::Refused`](infra_core::provider::ErrorKind::Refused)) from one that may have been
//! ([`ErrorKind::Unsure`](infra_core::provider::ErrorKind::Unsure)).

use super::{causes::never_sent, throttling::is_throttled};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{
                BeforeDeserializationInterceptorContextMut, FinalizerInterceptorContextMut,
                FinalizerInterceptorContextRef,
            },
            dyn_dispatch_hint,
        },
        orchestrator::OrchestratorError,
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::Headers,
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

const HEADER: &str = "x-infra-earlier-attempt";

/// Returns true when an earlier attempt of the request may have reached the service before this response.
pub(crate) fn earlier_attempt_may_have_arrived(headers: &Headers) -> bool {
    headers.get(HEADER).is_some()
}

/// The interceptor that inspects the result of every attempt.
#[derive(Debug)]
pub(super) struct Attempts;

/// Marks a request of which an earlier attempt may have reached the service.
#[derive(Debug)]
struct Ambiguous;

impl Storable for Ambiguous {
    type Storer = StoreReplace<Self>;
}

#[derive(Debug, thiserror::Error)]
#[error("the response to an earlier attempt was lost, and the endpoint could not be reached again")]
struct ResponseLost;

#[dyn_dispatch_hint]
impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<Ambiguous>().is_some() {
            context.response_mut().headers_mut().insert(HEADER, "ambiguous");
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let ambiguous = match (context.output_or_error(), context.response()) {
            (Some(Err(error)), None) => !never_sent(error),
            (_, Some(response)) => response.status().is_server_error() && !is_throttled(response),
            (_, None) => false,
        };
        if ambiguous {
            bag.interceptor_state().store_put(Ambiguous);
        }
        Ok(())
    }

    fn modify_before_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<Ambiguous>().is_some()
            && let Some(Err(error)) = context.output_or_error_mut()
            && never_sent(error)
        {
            *error = OrchestratorError::connector(ConnectorError::other(ResponseLost.into(), None));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::{
        client::Aws,
        error::{AwsError, SdkContext},
    };
    use infra_core::{Target, provider::ErrorKind, target::Credentials};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    async fn create_vpc(endpoint: &str) -> AwsError {
        let ec2 = Aws::new(&Target::local(endpoint, Credentials::new("key", "secret"))).ec2("us-east-1").await;
        ec2.create_vpc().send().await.context("CreateVpc").unwrap_err()
    }

    /// Starts a server that sends this response to the first request and refuses further connections.
    async fn serve_once(response: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(listener);
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(response.as_bytes()).await;
        });
        endpoint
    }

    fn response(status: &str, code: &str) -> String {
        let body = format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>");
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn unreachable_endpoint_is_a_refusal() {
        let error = create_vpc("http://127.0.0.1:1").await;
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.message.starts_with("the endpoint does not answer"), "{error}");
    }

    #[tokio::test]
    async fn endpoint_that_is_unreachable_after_a_lost_response_is_unsure() {
        let lost = create_vpc(&serve_once(String::new()).await).await;
        assert_eq!(lost.kind, ErrorKind::Unsure, "{lost}");
        let failed = create_vpc(&serve_once(response("500 Internal Server Error", "InternalError")).await).await;
        assert_eq!(failed.kind, ErrorKind::Unsure, "{failed}");
    }

    #[tokio::test]
    async fn error_response_to_the_first_attempt_is_a_refusal() {
        let error = create_vpc(&serve_once(response("400 Bad Request", "VpcLimitExceeded")).await).await;
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Refused, Some("VpcLimitExceeded")), "{error}");
    }
}
