//! The clients of AWS's services: one set per region, created on first use and shared by every handler.

mod attempts;
mod attribution;
mod causes;
mod throttling;

pub(crate) use attempts::earlier_attempt_may_have_arrived;
pub(crate) use causes::{Unsent, chain, root_cause, unsent};
pub(crate) use throttling::{is_throttling, reporting};

use attempts::Attempts;
use attribution::Attribution;
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

/// The AWS clients of one target, which every handler receives.
///
/// Requests are signed with the target's credentials when it has some, otherwise with those of the SDK's standard
/// credential chain. Failed requests are retried a few times, throttled requests for minutes.
pub struct Aws {
    target: Target,
    interceptor: Option<SharedInterceptor>,
    base: OnceCell<SdkConfig>,
    regions: Mutex<HashMap<String, Clients>>,
}

impl Aws {
    /// Creates the clients of a target without connecting to it.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), interceptor: None, base: OnceCell::new(), regions: Mutex::default() }
    }

    /// Adds an SDK interceptor to the clients of all services, so that tests can record requests or let them fail.
    pub fn with_interceptor(self, interceptor: impl Intercept + 'static) -> Self {
        Self { interceptor: Some(SharedInterceptor::new(interceptor)), regions: Mutex::default(), ..self }
    }

    /// Returns the credentials of the target, or those that the SDK's standard chain finds.
    pub(crate) async fn credentials(&self) -> Result<aws_credential_types::Credentials, CredentialsError> {
        let base = self.base.get_or_init(|| configure(&self.target)).await;
        match base.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("nothing provides credentials")),
        }
    }

    /// Returns the configuration that the clients of all services share.
    #[cfg(feature = "cloudcontrol")]
    pub(crate) async fn base(&self) -> &SdkConfig {
        self.base.get_or_init(|| configure(&self.target)).await
    }

    /// Returns the state in which the target's resources count as ready. A plain mock server never starts anything, so
    /// waiting for running instances or healthy targets would never end there.
    pub fn readiness(&self) -> Readiness {
        self.target.readiness
    }

    /// Returns the maximum time for which an operation waits for a change, given its own limit.
    pub(crate) fn longest_wait(&self, limit: Duration) -> Duration {
        self.target.longest_wait.map_or(limit, |longest| longest.min(limit))
    }

    /// Returns true when the target has an endpoint other than AWS's own.
    pub fn has_custom_endpoint(&self) -> bool {
        self.target.endpoint.is_some()
    }

    /// Returns the URL of the target's endpoint; `None` for AWS's own ones.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.target.endpoint.as_deref()
    }

    /// Returns the options with which the AWS CLI calls the same target, each with a leading space.
    pub(crate) fn command_options(&self, region: &str) -> String {
        let endpoint = self.target.endpoint.as_ref().map(|url| format!(" --endpoint-url {url}")).unwrap_or_default();
        format!(" --region {region}{endpoint}")
    }

    /// Returns true when the target is the local cloud.
    pub fn is_local(&self) -> bool {
        self.target.is_local()
    }

    async fn clients(&self, region: &str) -> Clients {
        let base = self.base.get_or_init(|| configure(&self.target)).await;
        // No code that holds the lock can panic halfway through a change, so a poisoned map is still consistent.
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        regions.entry(region.to_owned()).or_insert_with(|| self.connect(base, region)).clone()
    }

    /// Returns the clients of a region: with the common configuration, retries, and the interceptor of a test.
    fn connect(&self, base: &SdkConfig, region: &str) -> Clients {
        let config = base.to_builder().region(Region::new(region.to_owned())).build();
        let custom_endpoint = config.endpoint_url().is_some();
        let throttling = Throttling {
            backoff: backoff(custom_endpoint),
            max_backoff: Duration::from_secs(if custom_endpoint { 1 } else { 20 }),
            retry_throttled_for: throttling::TIMEOUT,
            retry_for: RETRY_FOR,
        };
        let own = [SharedInterceptor::new(Attempts), SharedInterceptor::new(throttling)];
        let attribution = self.has_custom_endpoint().then(|| SharedInterceptor::new(Attribution));
        let interceptors: Vec<_> = own.into_iter().chain(attribution).chain(self.interceptor.clone()).collect();
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
                // Without any service feature, both parameters are unused.
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
    /// Returns the CloudTrail client of a region.
    cloudtrail "cloudtrail" aws_sdk_cloudtrail;
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

/// Adapts the client configuration to S3. Outside of AWS, buckets are addressed by path, because bucket names in the host
/// name need wildcard DNS. An upload may take longer than other requests.
#[cfg(feature = "s3")]
fn adapt_s3(config: &SdkConfig, builder: aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder {
    builder
        .force_path_style(config.endpoint_url().is_some())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(ATTEMPT_TIMEOUT).build())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Period in which failures other than throttling are retried. The last attempt ends [`ATTEMPT_TIMEOUT`] later. A run
/// that loses its lease on a shared state abandons its calls at once, so this period may be longer than the lease.
const RETRY_FOR: Duration = Duration::from_secs(25);

/// Returns the pause before the first retry; each further pause is about twice as long.
fn backoff(custom_endpoint: bool) -> Duration {
    Duration::from_millis(if custom_endpoint { 50 } else { 500 })
}

async fn configure(target: &Target) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let backoff = backoff(target.endpoint.is_some());
    let retries = RetryConfig::standard().with_max_attempts(4).with_initial_backoff(backoff);
    let http = HttpClient::new().tls_provider(Tls::Rustls(CryptoMode::Ring)).build_https();
    // Only the credential chain uses this region; every client has its own.
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
