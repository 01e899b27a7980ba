//! A client that signs requests as AWS's clients do.

use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use infra_local::{Credentials, LocalCloud, Status};
use sha2::{Digest as _, Sha256};

/// An endpoint, and the key of its root user.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) endpoint: String,
    pub(crate) key: Credentials,
}

impl Api {
    pub(crate) fn of(cloud: &LocalCloud) -> Self {
        Self { endpoint: cloud.endpoint(), key: cloud.credentials() }
    }

    /// Connects to the cloud of a directory, which may run in another process.
    pub(crate) fn at(endpoint: &str, directory: &Path) -> Self {
        Self { endpoint: endpoint.to_owned(), key: infra_local::credentials(directory).unwrap() }
    }

    /// Sends a signed request; `None` when there is no response.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, String)> {
        exchange(self.request(service, method, path, headers, body)).await
    }

    /// Builds an S3 request whose signature of this moment is in the query.
    pub(crate) fn presigned(
        &self,
        method: Method,
        path: &str,
        at: DateTime<Utc>,
        seconds: u32,
    ) -> Request<Full<Bytes>> {
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let time = at.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/us-east-1/s3/aws4_request", &time[..8]);
        let credential = format!("{}/{scope}", self.key.access_key_id).replace('/', "%2F");
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={time}\
             &X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
        );
        let canonical = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let signature = self.signature(&time, &scope, &canonical);
        let uri = format!("{}{path}?{query}&X-Amz-Signature={signature}", self.endpoint);
        Request::builder().method(method).uri(uri).header("host", host).body(Full::default()).unwrap()
    }

    fn signature(&self, time: &str, scope: &str, canonical: &str) -> String {
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
        let first = format!("AWS4{}", self.key.secret_access_key).into_bytes();
        let key = scope.split('/').fold(first, |key, part| mac(&key, part));
        hex::encode(mac(&key, &to_sign))
    }

    /// Builds a signed request: over its host, date and body.
    pub(crate) fn request(
        &self,
        service: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Request<Full<Bytes>> {
        let host = self.endpoint.strip_prefix("http://").unwrap();
        let time = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/us-east-1/{service}/aws4_request", &time[..8]);
        let digest = hex::encode(Sha256::digest(body));
        let (path_alone, query) = path.split_once('?').unwrap_or((path, ""));
        let mut query: Vec<String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        query.sort();
        let signed = format!("host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{time}\n");
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!("{method}\n{path_alone}\n{}\n{signed}\n{names}\n{digest}", query.join("&"));
        let signature = self.signature(&time, &scope, &canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.key.access_key_id
        );
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        for (name, value) in [
            ("host", host),
            ("x-amz-date", &time),
            ("x-amz-content-sha256", &digest),
            ("authorization", &authorization),
        ] {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }
}

/// Sends a request and reads the response; `None` when there is none.
pub(crate) async fn exchange(request: Request<Full<Bytes>>) -> Option<(u16, String)> {
    let (status, _, body) = exchange_all(request).await?;
    Some((status, body))
}

/// Sends a request and reads the response with its headers; `None` when there is none.
pub(crate) async fn exchange_all(request: Request<Full<Bytes>>) -> Option<(u16, HeaderMap, String)> {
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.ok()?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some((head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned()))
}

/// Returns the administration token of the cloud in a directory.
pub(crate) fn token(directory: &Path) -> String {
    let text = std::fs::read(directory.join("credentials.json")).unwrap();
    let content: serde_json::Value = serde_json::from_slice(&text).unwrap();
    content["token"].as_str().unwrap().to_owned()
}

/// Sends `GET /_infra/status`.
pub(crate) async fn status(endpoint: &str, directory: &Path) -> Status {
    let request = Request::get(format!("{endpoint}/_infra/status"))
        .header("authorization", format!("Bearer {}", token(directory)))
        .body(Full::default())
        .unwrap();
    let (status, text) = exchange(request).await.unwrap();
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
}
