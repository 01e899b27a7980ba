//! Remembers whether a retried request may already have arrived.
//!
//! The SDK shows a caller only how the last attempt ended. When an earlier one was sent and its answer lost, "connection
//! refused" or "access denied" at the end proves nothing: the request may have been carried out. What is noted here lets
//! [`error`](crate::error) tell "it certainly did not happen" from "nobody knows".

use super::throttling::is_throttled;
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

/// Whether an earlier attempt of the request that this response answers may have arrived.
pub(crate) fn earlier_attempt_may_have_arrived(headers: &Headers) -> bool {
    headers.get(HEADER).is_some()
}

/// The interceptor that watches every attempt.
#[derive(Debug)]
pub(super) struct Attempts;

/// An earlier attempt may have arrived.
#[derive(Debug)]
struct Ambiguous;

impl Storable for Ambiguous {
    type Storer = StoreReplace<Self>;
}

#[derive(Debug, thiserror::Error)]
#[error("the endpoint went away before it could be asked again")]
struct AnswerLost;

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
            (Some(Err(error)), None) => !crate::error::never_sent(error),
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
            && crate::error::never_sent(error)
        {
            *error = OrchestratorError::connector(ConnectorError::other(AnswerLost.into(), None));
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

    async fn ask(endpoint: &str) -> AwsError {
        let ec2 = Aws::new(&Target::local(endpoint, Credentials::new("key", "secret"))).ec2("us-east-1").await;
        ec2.create_vpc().send().await.context("CreateVpc").unwrap_err()
    }

    /// Answers the first request with this text, and is not there for the second.
    async fn once(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(listener);
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        endpoint
    }

    fn response(status: &str, code: &str) -> String {
        let body = format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>");
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn nobody_there_is_certain() {
        let error = ask("http://127.0.0.1:1").await;
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.message.starts_with("the endpoint does not answer"), "{error}");
    }

    #[tokio::test]
    async fn nobody_there_any_more_is_not() {
        let lost = ask(&once(String::new()).await).await;
        assert_eq!(lost.kind, ErrorKind::Unsure, "{lost}");
        let failed = ask(&once(response("500 Internal Server Error", "InternalError")).await).await;
        assert_eq!(failed.kind, ErrorKind::Unsure, "{failed}");
    }

    #[tokio::test]
    async fn a_refusal_is_certain() {
        let error = ask(&once(response("400 Bad Request", "VpcLimitExceeded")).await).await;
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Refused, Some("VpcLimitExceeded")), "{error}");
    }
}
