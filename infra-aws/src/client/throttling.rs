//! Retries throttled requests for minutes, with backoff, and reports that the operation waits.
//!
//! AWS limits the request rate of an account and region. A throttled request was certainly not executed, so it is retried
//! even if it is not idempotent. Other failures are retried as often as the client's retry configuration allows.

use aws_smithy_runtime::client::retries::TokenBucket;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::FinalizerInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::{HttpResponse, Metadata},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::{
    config_bag::{ConfigBag, Storable, StoreReplace},
    retry::RetryConfig,
};
use std::{future::Future, time::Duration};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::Instant,
};

/// Period in which a throttled request is retried; the operation's own timeout may be shorter.
pub(super) const TIMEOUT: Duration = Duration::from_mins(10);

/// Maximum number of attempts of a throttled request: more than fit into [`TIMEOUT`]. The SDK computes a value for each
/// attempt when it loads an identity, so this cannot be `u32::MAX`.
const MAX_ATTEMPTS: u32 = 10_000;

/// The error codes that the SDK classifies as throttling, except those that some services also use for quotas.
const CODES: [&str; 11] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// Returns true when the error code means that the request rate was too high.
pub(crate) fn is_throttling(code: &str) -> bool {
    CODES.contains(&code) || code == "ThrottledException"
}

/// Returns true when the response refuses the request because of the request rate. The body must have been read.
pub(super) fn is_throttled(response: &HttpResponse) -> bool {
    if !matches!(response.status().as_u16(), 400 | 429 | 503) {
        return false;
    }
    let header = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_throttling);
    words(header) || words(&body)
}

tokio::task_local! {
    static STATUS: UnboundedSender<String>;
}

/// Runs `call` and passes a message to `status` whenever one of its requests is throttled.
pub(crate) async fn reporting<T>(status: impl Fn(String), call: impl Future<Output = T>) -> T {
    let (sender, mut messages) = unbounded_channel();
    let call = STATUS.scope(sender, call);
    tokio::pin!(call);
    loop {
        tokio::select! {
            biased;
            Some(message) = messages.recv() => status(message),
            answer = &mut call => return answer,
        }
    }
}

/// The interceptor that sets the maximum number of attempts and the backoff after each failed attempt.
#[derive(Debug)]
pub(super) struct Throttling {
    /// Pause before the first retry.
    pub(super) backoff: Duration,
    /// Upper bound of the pauses.
    pub(super) max_backoff: Duration,
    /// Period in which throttled requests are retried.
    pub(super) retry_throttled_for: Duration,
    /// Period in which failures other than throttling are retried.
    pub(super) retry_for: Duration,
}

/// The attempts of one request so far.
#[derive(Clone, Debug)]
struct Attempts {
    config: RetryConfig,
    /// Start of the first attempt.
    started: Instant,
    /// Number of throttled attempts.
    throttled: u32,
    /// Time of the last throttled attempt, or the start of the first attempt.
    since: Instant,
}

impl Storable for Attempts {
    type Storer = StoreReplace<Self>;
}

impl Attempts {
    fn new(bag: &ConfigBag) -> Self {
        let config = bag.load::<RetryConfig>().cloned().unwrap_or_else(RetryConfig::disabled);
        let now = Instant::now();
        Self { config, started: now, throttled: 0, since: now }
    }
}

#[dyn_dispatch_hint]
impl Intercept for Throttling {
    fn name(&self) -> &'static str {
        "Throttling"
    }

    fn read_before_attempt(
        &self,
        _: &aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if bag.load::<Attempts>().is_none() {
            let attempts = Attempts::new(bag);
            bag.interceptor_state().store_put(attempts);
        }
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !matches!(context.output_or_error(), Some(Err(_))) {
            return Ok(());
        }
        let mut attempts = bag.load::<Attempts>().cloned().unwrap_or_else(|| Attempts::new(bag));
        let throttled = context.response().is_some_and(is_throttled);
        let may_retry = if throttled {
            attempts.throttled += 1;
            attempts.since = Instant::now();
            attempts.started.elapsed() < self.retry_throttled_for
        } else {
            attempts.since.elapsed() < self.retry_for
        };
        let max_attempts = match (may_retry, throttled) {
            (false, _) => 1,
            (true, true) => MAX_ATTEMPTS,
            (true, false) => attempts.config.max_attempts().saturating_add(attempts.throttled),
        };
        let config = attempts.config.clone().with_max_attempts(max_attempts);
        let config = config.with_initial_backoff(self.backoff).with_max_backoff(self.max_backoff);
        if throttled && may_retry {
            let operation = bag.load::<Metadata>().map(Metadata::name).unwrap_or_default();
            let seconds = attempts.started.elapsed().as_secs();
            let message = format!("throttled by the service for {seconds} s: retrying {operation}");
            // Requests outside of `reporting`, such as those of reads, have no receiver.
            let _ = STATUS.try_with(|status| status.send(message));
        }
        let layer = bag.interceptor_state();
        layer.store_put(config).store_put(attempts);
        if throttled {
            // The SDK's retry quota is designed for short disturbances and would be used up.
            layer.store_put(TokenBucket::unlimited());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        client::Aws,
        error::{AwsError, SdkContext},
    };
    use infra_core::{Target, provider::ErrorKind, target::Credentials};
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Starts a server that answers each connection's only request with the next of these responses and then always with
    /// the last one. Returns its endpoint and its counter of requests.
    async fn server(responses: Vec<String>) -> (String, std::sync::Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = std::sync::Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let response = responses.get(number).or(responses.last()).unwrap();
                let mut request = [0; 16 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        (endpoint, requests)
    }

    fn response(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn error(status: &str, code: &str) -> String {
        response(status, &format!("<Response><Errors><Error><Code>{code}</Code></Error></Errors></Response>"))
    }

    async fn create_vpc(endpoint: &str) -> Result<(), AwsError> {
        let ec2 = Aws::new(&Target::local(endpoint, Credentials::new("key", "secret"))).ec2("us-east-1").await;
        ec2.create_vpc().send().await.context("CreateVpc").map(drop)
    }

    #[tokio::test]
    async fn throttled_requests_are_retried_beyond_the_configured_attempts_and_reported() {
        let throttled = error("503 Service Unavailable", "RequestLimitExceeded");
        let done = response("200 OK", "<CreateVpcResponse><vpc><vpcId>vpc-1</vpcId></vpc></CreateVpcResponse>");
        let (endpoint, requests) = server([vec![throttled; 8], vec![done]].concat()).await;
        let messages = Mutex::new(Vec::new());
        let call = Box::pin(create_vpc(&endpoint));
        let answer = reporting(|message| messages.lock().unwrap().push(message), call).await;
        answer.unwrap();
        assert_eq!(requests.load(Ordering::SeqCst), 9);
        let messages = messages.into_inner().unwrap();
        assert_eq!(messages.len(), 8, "{messages:?}");
        assert!(messages[7].contains("retrying CreateVpc"), "{messages:?}");
    }

    #[tokio::test]
    async fn error_response_after_throttling_is_a_refusal() {
        let throttled = error("503 Service Unavailable", "RequestLimitExceeded");
        let (endpoint, _) = server(vec![throttled, error("400 Bad Request", "VpcLimitExceeded")]).await;
        let error = create_vpc(&endpoint).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Refused, Some("VpcLimitExceeded")), "{error}");
    }

    #[tokio::test]
    async fn other_failures_are_retried_as_often_as_configured() {
        let (endpoint, requests) = server(vec![error("500 Internal Server Error", "InternalError")]).await;
        let error = create_vpc(&endpoint).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsure, "{error}");
        assert_eq!(requests.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn throttling_fails_after_the_retry_period_with_a_hint_about_the_rate() {
        let json = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
        let (endpoint, requests) = server(vec![response("400 Bad Request", json)]).await;
        let ssm = Aws::new(&Target::local(&endpoint, Credentials::new("key", "secret"))).ssm("us-east-1").await;
        let pause = Duration::from_millis(5);
        let period = Duration::from_millis(500);
        let interceptor =
            Throttling { backoff: pause, max_backoff: pause, retry_throttled_for: period, retry_for: period };
        let call = ssm.delete_parameter().name("x").customize();
        let call = call.config_override(aws_sdk_ssm::config::Builder::default().interceptor(interceptor));
        let error = call.send().await.context("DeleteParameter").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(requests.load(Ordering::SeqCst) > 10);
        let hint = infra_core::provider::ProviderError::from(error).hint.unwrap();
        assert!(hint.contains("--parallel"), "{hint}");
    }
}
