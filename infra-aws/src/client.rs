//! The clients of AWS's services: one set per region, created on first use and shared by every handler.

mod attempts;
mod throttling;

pub(crate) use attempts::earlier_attempt_may_have_arrived;
pub(crate) use throttling::{is_throttling, reporting};

use attempts::Attempts;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider as Tls, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};
use infra_core::{
    Target,
    provider::{Api, Context, ProviderError},
    target::{Credentials, Readiness},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use throttling::Throttling;
use tokio::sync::OnceCell;

/// What every handler is given: AWS, as seen from one target.
///
/// Requests are signed with the target's credentials when it has some, else with what the SDK's standard chain finds.
/// Lost requests are retried a few times, throttled ones for minutes.
pub struct Aws {
    target: Target,
    interceptor: Option<SharedInterceptor>,
    base: OnceCell<SdkConfig>,
    regions: Mutex<HashMap<String, Clients>>,
}

#[derive(Clone)]
struct Clients {
    acm: aws_sdk_acm::Client,
    ec2: aws_sdk_ec2::Client,
    autoscaling: aws_sdk_autoscaling::Client,
    elbv2: aws_sdk_elasticloadbalancingv2::Client,
    cloudcontrol: aws_sdk_cloudcontrol::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    iam: aws_sdk_iam::Client,
    kms: aws_sdk_kms::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    rds: aws_sdk_rds::Client,
    s3: aws_sdk_s3::Client,
    ssm: aws_sdk_ssm::Client,
    sts: aws_sdk_sts::Client,
}

impl Aws {
    /// Connects to nothing yet.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), interceptor: None, base: OnceCell::new(), regions: Mutex::default() }
    }

    /// Adds an interceptor of the SDK to the clients of all services, for recording or failing requests in tests.
    pub fn intercepted(self, interceptor: impl Intercept + 'static) -> Self {
        Self { interceptor: Some(SharedInterceptor::new(interceptor)), regions: Mutex::default(), ..self }
    }

    /// The Certificate Manager client of a region.
    pub async fn acm(&self, region: &str) -> aws_sdk_acm::Client {
        self.clients(region).await.acm
    }

    /// The EC2 client of a region.
    pub async fn ec2(&self, region: &str) -> aws_sdk_ec2::Client {
        self.clients(region).await.ec2
    }

    /// The Auto Scaling client of a region.
    pub async fn autoscaling(&self, region: &str) -> aws_sdk_autoscaling::Client {
        self.clients(region).await.autoscaling
    }

    /// The Elastic Load Balancing (v2) client of a region.
    pub async fn elbv2(&self, region: &str) -> aws_sdk_elasticloadbalancingv2::Client {
        self.clients(region).await.elbv2
    }

    /// The Cloud Control client of a region.
    pub async fn cloudcontrol(&self, region: &str) -> aws_sdk_cloudcontrol::Client {
        self.clients(region).await.cloudcontrol
    }

    /// The CloudWatch client of a region.
    pub async fn cloudwatch(&self, region: &str) -> aws_sdk_cloudwatch::Client {
        self.clients(region).await.cloudwatch
    }

    /// The IAM client; IAM is one for all regions of a partition, which the region tells.
    pub async fn iam(&self, region: &str) -> aws_sdk_iam::Client {
        self.clients(region).await.iam
    }

    /// The Key Management Service client of a region.
    pub async fn kms(&self, region: &str) -> aws_sdk_kms::Client {
        self.clients(region).await.kms
    }

    /// The CloudWatch Logs client of a region.
    pub async fn logs(&self, region: &str) -> aws_sdk_cloudwatchlogs::Client {
        self.clients(region).await.logs
    }

    /// The Relational Database Service client of a region.
    pub async fn rds(&self, region: &str) -> aws_sdk_rds::Client {
        self.clients(region).await.rds
    }

    /// The S3 client of a region.
    pub async fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        self.clients(region).await.s3
    }

    /// The Systems Manager client of a region.
    pub async fn ssm(&self, region: &str) -> aws_sdk_ssm::Client {
        self.clients(region).await.ssm
    }

    /// The Security Token Service client of a region.
    pub async fn sts(&self, region: &str) -> aws_sdk_sts::Client {
        self.clients(region).await.sts
    }

    /// What requests are signed with, as the standard chain or the target tells.
    pub(crate) async fn credentials(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        let base = self.base.get_or_init(|| configure(&self.target)).await;
        match base.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("nothing provides credentials")),
        }
    }

    /// What counts as ready: behind a plain mock server nothing ever comes to life.
    pub fn readiness(&self) -> Readiness {
        self.target.readiness
    }

    /// Whether the stack lives somewhere else than on AWS.
    pub fn is_elsewhere(&self) -> bool {
        self.target.endpoint.is_some()
    }

    /// The options that make the AWS command line call the same target, each with a leading blank.
    pub(crate) fn command_options(&self, region: &str) -> String {
        let endpoint = self.target.endpoint.as_ref().map(|url| format!(" --endpoint-url {url}")).unwrap_or_default();
        format!(" --region {region}{endpoint}")
    }

    /// Whether the stack lives in the local cloud.
    pub fn is_local(&self) -> bool {
        self.target.is_local()
    }

    async fn clients(&self, region: &str) -> Clients {
        let base = self.base.get_or_init(|| configure(&self.target)).await;
        // Nothing that holds the lock can panic halfway through a change.
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions
            .entry(region.to_owned())
            .or_insert_with(|| Clients::new(base, region, self.interceptor.as_ref()))
            .clone()
    }
}

macro_rules! apis {
    ($($service:ident: $sdk:ident)+) => {$(
        impl Api<Aws> for $sdk::Client {
            async fn of(cx: &Context<'_, Aws>) -> Result<Self, ProviderError> {
                Ok(cx.client().$service(cx.region()?).await)
            }
        }
    )+};
}

apis! {
    acm: aws_sdk_acm
    autoscaling: aws_sdk_autoscaling
    elbv2: aws_sdk_elasticloadbalancingv2
    cloudcontrol: aws_sdk_cloudcontrol
    cloudwatch: aws_sdk_cloudwatch
    ec2: aws_sdk_ec2
    iam: aws_sdk_iam
    logs: aws_sdk_cloudwatchlogs
    rds: aws_sdk_rds
    s3: aws_sdk_s3
    ssm: aws_sdk_ssm
}

impl Clients {
    fn new(base: &SdkConfig, region: &str, interceptor: Option<&SharedInterceptor>) -> Self {
        let config = base.to_builder().region(Region::new(region.to_owned())).build();
        let elsewhere = config.endpoint_url().is_some();
        let throttling = Throttling {
            backoff: backoff(elsewhere),
            slowest: Duration::from_secs(if elsewhere { 1 } else { 20 }),
            patience: throttling::PATIENCE,
            retry_for: RETRIES,
        };
        let own = [SharedInterceptor::new(Attempts), SharedInterceptor::new(throttling)];
        let interceptors = || own.iter().chain(interceptor).cloned();
        macro_rules! client {
            ($sdk:ident) => {{
                let mut builder = $sdk::config::Builder::from(&config);
                for interceptor in interceptors() {
                    builder.push_interceptor(interceptor);
                }
                $sdk::Client::from_conf(builder.build())
            }};
        }
        // Buckets in the host name need wildcard DNS, which only AWS has. A large upload may take its time.
        let mut s3 = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(config.endpoint_url().is_some())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ATTEMPT).build());
        for interceptor in interceptors() {
            s3.push_interceptor(interceptor);
        }
        Self {
            acm: client!(aws_sdk_acm),
            ec2: client!(aws_sdk_ec2),
            autoscaling: client!(aws_sdk_autoscaling),
            elbv2: client!(aws_sdk_elasticloadbalancingv2),
            cloudcontrol: client!(aws_sdk_cloudcontrol),
            cloudwatch: client!(aws_sdk_cloudwatch),
            iam: client!(aws_sdk_iam),
            kms: client!(aws_sdk_kms),
            logs: client!(aws_sdk_cloudwatchlogs),
            rds: client!(aws_sdk_rds),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            ssm: client!(aws_sdk_ssm),
            sts: client!(aws_sdk_sts),
        }
    }
}

const CONNECT: Duration = Duration::from_secs(4);
const ATTEMPT: Duration = Duration::from_secs(15);
/// How long failures other than throttling are retried. The last attempt ends [`ATTEMPT`] later. A run that loses its
/// lease on a shared state abandons its calls at once, so this need not be shorter than the lease.
const RETRIES: Duration = Duration::from_secs(25);

/// The first pause before a retry; each further one is about twice as long.
fn backoff(elsewhere: bool) -> Duration {
    Duration::from_millis(if elsewhere { 50 } else { 500 })
}

async fn configure(target: &Target) -> SdkConfig {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
    let backoff = backoff(target.endpoint.is_some());
    let retries = RetryConfig::standard().with_max_attempts(4).with_initial_backoff(backoff);
    let http = HttpClient::new().tls_provider(Tls::Rustls(CryptoMode::Ring)).build_https();
    // The region of the moment only serves the credential chain; every client is given its own.
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::from_static("us-east-1"))
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Ok(name) = AppName::new("infra") {
        loader = loader.app_name(name);
    }
    if let Some(endpoint) = &target.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(Credentials { access_key, secret_key }) = &target.credentials {
        loader = loader
            .credentials_provider(aws_credential_types::Credentials::new(access_key, secret_key, None, None, "target"));
    }
    loader.load().await
}
