//! Responses that the balancer generates, in AWS's form.

use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};

use super::body::AnswerBody;
use super::client::Client;
use super::matching::{host, without_port};
use crate::model::elbv2::routing::{FixedResponse, Redirect};

/// Returns the page for a status that the balancer generates itself.
pub(super) fn page(status: StatusCode) -> Response<AnswerBody> {
    let reason = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Service Temporarily Unavailable",
        StatusCode::GATEWAY_TIMEOUT => "Gateway Time-out",
        StatusCode::MOVED_PERMANENTLY => "Moved Permanently",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    let title = format!("{} {reason}", status.as_u16());
    let title = title.trim_end();
    own(
        status,
        Some("text/html"),
        format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
        ),
    )
}

/// Returns the fixed response of a rule.
pub(super) fn fixed(declared: &FixedResponse) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(declared.status).unwrap_or(StatusCode::OK);
    let body = declared.body.clone().unwrap_or_default();
    let kind = declared.content_type.as_deref().or((!body.is_empty()).then_some("text/plain"));
    own(status, kind.map(|kind| if kind.starts_with("text/") { with_charset(kind) } else { kind }), body)
}

/// Adds the charset UTF-8 to text types, as AWS does.
fn with_charset(kind: &str) -> &str {
    match kind {
        "text/plain" => "text/plain; charset=utf-8",
        "text/html" => "text/html; charset=utf-8",
        "text/css" => "text/css; charset=utf-8",
        other => other,
    }
}

/// Returns the redirect of a rule.
pub(super) fn redirect(declared: &Redirect, parts: &Parts, client: &Client) -> Response<AnswerBody> {
    let asked_host = without_port(host(parts).unwrap_or_default());
    let own_host = client.local.ip().to_string();
    let asked_host = if asked_host.is_empty() { own_host.as_str() } else { asked_host };
    let port = client.local.port().to_string();
    let path = parts.uri.path().strip_prefix('/').unwrap_or_default();
    let query = parts.uri.query().unwrap_or_default();
    let scheme = client.scheme();
    let fill = |template: &str| {
        template
            .replace("#{protocol}", scheme)
            .replace("#{host}", asked_host)
            .replace("#{port}", &port)
            .replace("#{path}", path)
            .replace("#{query}", query)
    };
    let scheme = fill(&declared.protocol).to_lowercase();
    let (host, port, path) = (fill(&declared.host), fill(&declared.port), fill(&declared.path));
    let query = fill(&declared.query);
    let mark = if query.is_empty() { "" } else { "?" };
    let mut response = page(StatusCode::from_u16(declared.status).unwrap_or(StatusCode::FOUND));
    match HeaderValue::from_str(&format!("{scheme}://{host}:{port}{path}{mark}{query}")) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => page(StatusCode::BAD_REQUEST),
    }
}

fn own(status: StatusCode, kind: Option<&str>, body: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Own(Some(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("awselb/2.0"));
    if let Some(Ok(kind)) = kind.map(HeaderValue::from_str) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}
