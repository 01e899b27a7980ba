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

impl Aws {
    /// Connects to nothing yet.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), interceptor: None, base: OnceCell::new(), regions: Mutex::default() }
    }

    /// Adds an interceptor of the SDK to the clients of all services, for recording or failing requests in tests.
    pub fn intercepted(self, interceptor: impl Intercept + 'static) -> Self {
        Self { interceptor: Some(SharedInterceptor::new(interceptor)), regions: Mutex::default(), ..self }
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
        regions.entry(region.to_owned()).or_insert_with(|| self.connect(base, region)).clone()
    }

    /// Returns the clients of a region: with the common configuration, retries, and the interceptor of a test.
    fn connect(&self, base: &SdkConfig, region: &str) -> Clients {
        let config = base.to_builder().region(Region::new(region.to_owned())).build();
        let elsewhere = config.endpoint_url().is_some();
        let throttling = Throttling {
            backoff: backoff(elsewhere),
            slowest: Duration::from_secs(if elsewhere { 1 } else { 20 }),
            patience: throttling::PATIENCE,
            retry_for: RETRIES,
        };
        let own = [SharedInterceptor::new(Attempts), SharedInterceptor::new(throttling)];
        let interceptors: Vec<_> = own.into_iter().chain(self.interceptor.clone()).collect();
        Clients::new(&config, &interceptors)
    }
}

/// Defines the client of each service: its feature, its method of [`Aws`], and its SDK crate.
macro_rules! services {
    ($($(#[$doc:meta])* $service:ident $feature:literal $sdk:ident $(with $adapt:path)?;)+) => {
        #[derive(Clone)]
        struct Clients {
            $(#[cfg(feature = $feature)] $service: $sdk::Client,)+
        }

        impl Clients {
            /// Returns clients with this configuration and these interceptors.
            fn new(config: &SdkConfig, interceptors: &[SharedInterceptor]) -> Self {
                // Without the features of all services, nothing uses them.
                let _ = (config, interceptors);
                Self {
                    $(#[cfg(feature = $feature)] $service: {
                        let mut builder = $sdk::config::Builder::from(config);
                        $(builder = $adapt(config, builder);)?
                        for interceptor in interceptors {
                            builder.push_interceptor(interceptor.clone());
                        }
                        $sdk::Client::from_conf(builder.build())
                    },)+
                }
            }
        }

        impl Aws {
            $(
                $(#[$doc])*
                #[cfg(feature = $feature)]
                pub async fn $service(&self, region: &str) -> $sdk::Client {
                    self.clients(region).await.$service
                }
            )+
        }

        $(
            #[cfg(feature = $feature)]
            impl Api<Aws> for $sdk::Client {
                async fn of(cx: &Context<'_, Aws>) -> Result<Self, ProviderError> {
                    Ok(cx.client().$service(cx.region()?).await)
                }
            }
        )+
    };
}

services! {
    /// Returns the Certificate Manager client of a region.
    acm "acm" aws_sdk_acm;
    /// Returns the Auto Scaling client of a region.
    autoscaling "autoscaling" aws_sdk_autoscaling;
    /// Returns the Cloud Control client of a region.
    cloudcontrol "cloudcontrol" aws_sdk_cloudcontrol;
    /// Returns the CloudWatch client of a region.
    cloudwatch "cloudwatch" aws_sdk_cloudwatch;
    /// Returns the EC2 client of a region.
    ec2 "ec2" aws_sdk_ec2;
    /// Returns the Elastic Load Balancing (version 2) client of a region.
    elbv2 "elbv2" aws_sdk_elasticloadbalancingv2;
    /// Returns the IAM client. IAM has one endpoint for all regions of a partition, which the region determines.
    iam "iam" aws_sdk_iam;
    /// Returns the Key Management Service client of a region.
    kms "kms" aws_sdk_kms;
    /// Returns the CloudWatch Logs client of a region.
    logs "logs" aws_sdk_cloudwatchlogs;
    /// Returns the Relational Database Service client of a region.
    rds "rds" aws_sdk_rds;
    /// Returns the S3 client of a region.
    s3 "s3" aws_sdk_s3 with adapt_s3;
    /// Returns the Systems Manager client of a region.
    ssm "ssm" aws_sdk_ssm;
    /// Returns the Security Token Service client of a region.
    sts "sts" aws_sdk_sts;
}

/// Addresses buckets by path elsewhere than on AWS, because bucket names in the host name need wildcard DNS; and lets an
/// upload take longer than other requests.
#[cfg(feature = "s3")]
fn adapt_s3(config: &SdkConfig, builder: aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder {
    builder
        .force_path_style(config.endpoint_url().is_some())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ATTEMPT).build())
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
