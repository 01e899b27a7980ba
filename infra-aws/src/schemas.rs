//! Schemas of CloudFormation's resource types.
//!
//! Only one operation of CloudFormation is needed, so it is called with the runtime of the SDK instead of another SDK
//! crate with its 90 operations. The protocol is AWS Query.

use crate::client::Aws;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_smithy_types::{body::SdkBody, retry::RetryConfig, timeout::TimeoutConfig};
use infra_core::{Target, diagnostic::Diagnostic};
use std::time::{Duration, SystemTime};

const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// Returns the schema of a resource type in a region by [`DescribeType`], which needs the permission
/// `cloudformation:DescribeType`. `infra_cli::Cli::new(programs).schemas(schemas::describe)` enables
/// `bindings --from-aws`.
///
/// [`DescribeType`]: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeType.html
pub async fn describe(target: Target, region: String, type_name: String) -> Result<String, Diagnostic> {
    let failed = |reason: String, hint: &str| {
        Err(Diagnostic::error(format!("the schema of `{type_name}` cannot be read from CloudFormation"))
            .because(reason)
            .hint(hint))
    };
    let aws = Aws::new(&target);
    let credentials = match aws.credentials().await {
        Ok(credentials) => credentials,
        Err(error) => return failed(error.to_string(), "`login-check` examines the credentials"),
    };
    match request(aws.base().await, &region, &type_name, credentials).await {
        Ok(schema) => Ok(schema),
        Err(error) => match error.as_service_error() {
            Some(Refusal { code, message }) if code == "TypeNotFoundException" => {
                failed(format!("{code}: {message}"), "check the name of the type and the region")
            }
            Some(Refusal { code, message }) => {
                failed(format!("{code}: {message}"), "the permission `cloudformation:DescribeType` is needed")
            }
            None => {
                let causes: Vec<String> = crate::client::chain(&error).map(ToString::to_string).collect();
                failed(causes.join(": "), "check the network and the region")
            }
        },
    }
}

/// An error response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
struct Refusal {
    code: String,
    message: String,
}

async fn request(
    config: &SdkConfig,
    region: &str,
    type_name: &str,
    credentials: Credentials,
) -> Result<String, SdkError<Refusal, HttpResponse>> {
    let endpoint = endpoint(config, region);
    let signer = Signer { url: format!("{}/", endpoint.trim_end_matches('/')), region: region.to_owned(), credentials };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(4))
        .operation_attempt_timeout(Duration::from_secs(30))
        .build();
    let mut operation = Operation::builder()
        .service_name("CloudFormation")
        .operation_name("DescribeType")
        .endpoint_url(&endpoint)
        .no_auth()
        .timeout_config(timeouts)
        .standard_retry(&RetryConfig::standard())
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<Refusal>::new());
    if let Some(client) = config.http_client() {
        operation = operation.http_client(client);
    }
    if let Some(sleep) = config.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    let operation = operation.serializer(move |body: String| signer.request(body)).deserializer(parse).build();
    let parameters =
        [("Action", "DescribeType"), ("Version", "2010-05-15"), ("Type", "RESOURCE"), ("TypeName", type_name)];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    operation.invoke(form).await
}

/// Returns the URL of CloudFormation, or that of the target's server.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let chosen = std::env::var("AWS_ENDPOINT_URL_CLOUDFORMATION").ok();
    chosen.or_else(|| config.endpoint_url().map(str::to_owned)).unwrap_or_else(|| {
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://cloudformation.{region}.{domain}")
    })
}

/// The parts of a signature that all requests share.
struct Signer {
    url: String,
    region: String,
    credentials: Credentials,
}

impl Signer {
    /// Returns the signed request with this form.
    fn request(&self, body: String) -> Result<HttpRequest, BoxError> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("cloudformation")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", CONTENT_TYPE)];
        let unsigned =
            SignableRequest::new("POST", &self.url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(unsigned, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body.clone()));
        request.set_method("POST")?;
        request.set_uri("/")?;
        request.headers_mut().try_insert("content-type", CONTENT_TYPE)?;
        for (name, value) in instructions.headers() {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned())?;
        }
        Ok(request)
    }
}

fn parse(response: &HttpResponse) -> Result<String, OrchestratorError<Refusal>> {
    let text = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
    let refused = |code: String, message: String| Err(OrchestratorError::operation(Refusal { code, message }));
    if !response.status().is_success() {
        let code = element(&text, "Code").unwrap_or_else(|| response.status().as_u16().to_string());
        return refused(code, element(&text, "Message").unwrap_or_default());
    }
    match element(&text, "Schema") {
        Some(schema) => Ok(schema),
        None => refused("InvalidResponse".to_owned(), "the response contains no schema".to_owned()),
    }
}

/// Returns the text of the first element with this name. The elements that are read contain no others.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let Some((entity, after)) = after.split_once(';') else { break };
        plain.extend(character(entity));
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        numeric => {
            let number = numeric.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::target::Credentials as Keys;
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    /// Answers one request, and returns its head and its body.
    fn serve(status: &'static str, answer: &'static str) -> (Target, JoinHandle<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let keys = Keys { access_key: "AKIAIOSFODNN7EXAMPLE".into(), secret_key: "secret".into() };
        let target = Target::local(format!("http://{}", listener.local_addr().unwrap()), keys);
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap()];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).unwrap();
            (head, String::from_utf8(body).unwrap())
        });
        (target, server)
    }

    async fn described(target: Target) -> Result<String, Diagnostic> {
        describe(target, "eu-west-1".into(), "AWS::SQS::Queue".into()).await
    }

    #[tokio::test]
    async fn schema_is_read_with_a_signed_request() {
        let (target, server) = serve(
            "200 OK",
            "<DescribeTypeResponse><DescribeTypeResult><Schema>{&quot;a&quot;: &quot;&lt;&#38;&#x263A;&quot;}</Schema></DescribeTypeResult></DescribeTypeResponse>",
        );
        assert_eq!(described(target).await.unwrap(), "{\"a\": \"<&\u{263a}\"}");
        let (head, body) = server.join().unwrap();
        assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("/eu-west-1/cloudformation/aws4_request, SignedHeaders=content-type;host;x-amz-date"),
            "{head}"
        );
        assert_eq!(body, "Action=DescribeType&Version=2010-05-15&Type=RESOURCE&TypeName=AWS%3A%3ASQS%3A%3AQueue");
    }

    #[tokio::test]
    async fn error_contains_the_reason_of_the_refusal() {
        let (target, _server) = serve(
            "404 Not Found",
            "<ErrorResponse><Error><Code>TypeNotFoundException</Code><Message>no such type</Message></Error></ErrorResponse>",
        );
        let error = described(target).await.unwrap_err();
        assert_eq!(error.detail.as_deref(), Some("TypeNotFoundException: no such type"));
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
