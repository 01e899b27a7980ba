//! Changes of the headers of requests and responses.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri, Version};

use super::client::Client;
use super::matching::{host, without_port};
use super::random;
use super::route::{ForwardedFor, Settings};

const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Headers that keep their meaning up to the target. `Connection` cannot name them as options (RFC 9110, 7.6.1).
const END_TO_END: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::AUTHORIZATION, header::COOKIE];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Maximum number of headers that the balancer adds to a request.
const ADDED: usize = 6;

/// AWS's limits for lines of a request.
const LINE_BYTES: usize = 16 * 1024;

/// AWS's limit for all headers of a request.
const HEADER_BYTES: usize = 64 * 1024;

/// AWS's limit for all headers of a response.
const RESPONSE_HEADER_BYTES: usize = 32 * 1024;

/// AWS's limit for the number of addresses in `X-Forwarded-For`.
const HOPS: usize = 30;

/// Returns the status for requests that an AWS load balancer answers itself, regardless of its rules.
pub(super) fn refusal(parts: &Parts) -> Option<StatusCode> {
    if [Method::TRACE, Method::CONNECT].contains(&parts.method) {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    if parts.uri.path_and_query().is_some_and(|path| path.as_str().len() > LINE_BYTES) {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let mut header_bytes = 0;
    for (name, value) in &parts.headers {
        let line = name.as_str().len() + value.len();
        header_bytes += line + ": \r\n".len();
        if line > LINE_BYTES || header_bytes > HEADER_BYTES {
            return Some(StatusCode::BAD_REQUEST);
        }
    }
    let supported = |value: &HeaderValue| {
        [&b"chunked"[..], b"identity"].iter().any(|coding| value.as_bytes().eq_ignore_ascii_case(coding))
    };
    if !parts.headers.get_all(header::TRANSFER_ENCODING).iter().all(supported) {
        return Some(StatusCode::NOT_IMPLEMENTED);
    }
    let hops = parts.headers.get_all(&FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let hops: usize = hops.map(|value| value.split(|byte| *byte == b',').count()).sum();
    (hops > HOPS).then(|| StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST))
}

/// Returns whether the headers of a target's response exceed AWS's limit.
pub(super) fn exceed_response_limit(headers: &HeaderMap) -> bool {
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    bytes.sum::<usize>() > RESPONSE_HEADER_BYTES
}

/// Converts a client's request to a request for a target.
pub(super) fn rewrite(parts: &mut Parts, client: &Client, settings: &Settings, upgrade: Option<HeaderValue>) {
    rewrite_host(parts, client, settings.preserve_host);
    // Requests to targets use the origin form, and the balancer's HTTP version.
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        parts.uri = parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(&mut parts.headers);
    }
    parts.version = Version::HTTP_11;

    let headers = &mut parts.headers;
    remove_hop_by_hop(headers);
    // The balancer's server has already sent `100 Continue`.
    headers.remove(header::EXPECT);
    if settings.drop_invalid_headers {
        let valid = |name: &HeaderName| name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let dropped: Vec<HeaderName> = headers.keys().filter(|name| !valid(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    headers.reserve(ADDED);
    rewrite_forwarded_for(headers, client, settings);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.scheme()));
    headers.insert(FORWARDED_PORT, client.port.clone());
    if let (Some((version, cipher)), Some(spoken)) = (&settings.tls_headers, &client.tls) {
        headers.insert(version, spoken.version.clone());
        headers.insert(cipher, spoken.cipher.clone());
    }
    trace(headers);
}

/// Rewrites the Host header as AWS does: it names the listener's port unless the port is the protocol's default.
fn rewrite_host(parts: &mut Parts, client: &Client, preserve: bool) {
    let port = client.local.port();
    let requested_host = host(parts).filter(|requested_host| !requested_host.is_empty());
    let rewritten = match requested_host {
        None => Some(client.local.to_string()),
        Some(requested_host) if preserve => parts.uri.authority().map(|_| requested_host.to_owned()),
        Some(requested_host) => {
            let name = without_port(requested_host);
            match (name.len() == requested_host.len(), [80, 443].contains(&port)) {
                (true, false) => Some(format!("{requested_host}:{port}")),
                (false, true) => Some(name.to_owned()),
                _ => parts.uri.authority().map(|_| requested_host.to_owned()),
            }
        }
    };
    if let Some(Ok(host)) = rewritten.map(|host| HeaderValue::from_str(&host)) {
        parts.headers.insert(header::HOST, host);
    }
}

/// Joins the cookie headers. HTTP/2 clients may send one header per cookie; older targets accept only one header.
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, joined);
    }
}

fn rewrite_forwarded_for(headers: &mut HeaderMap, client: &Client, settings: &Settings) {
    let own = if settings.client_port { &client.address_and_port } else { &client.address };
    match settings.forwarded_for {
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => {
            headers.remove(&FORWARDED_FOR);
        }
        ForwardedFor::Append if !headers.contains_key(&FORWARDED_FOR) => {
            headers.insert(FORWARDED_FOR, own.clone());
        }
        ForwardedFor::Append => {
            let hops = headers.get_all(&FORWARDED_FOR).iter().chain([own]).map(HeaderValue::as_bytes);
            let hops = hops.collect::<Vec<_>>().join(&b", "[..]);
            if let Ok(hops) = HeaderValue::from_bytes(&hops) {
                headers.insert(FORWARDED_FOR, hops);
            }
        }
    }
}

/// Adds a trace id to a request, or extends the existing one.
fn trace(headers: &mut HeaderMap) {
    let known = headers.get(&TRACE_ID).and_then(|value| value.to_str().ok());
    let value = match known {
        None => trace_id("Root="),
        Some(known) => {
            let others = known.split(';').map(str::trim).filter(|field| !field.starts_with("Self="));
            let fields: Vec<String> = [trace_id("Self=")].into_iter().chain(others.map(str::to_owned)).collect();
            fields.join(";")
        }
    };
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) {
        headers.insert(TRACE_ID, value);
    }
}

/// Returns a new trace id after a field's name: `1-`, the seconds since 1970, and 96 random bits, in hexadecimal.
fn trace_id(field: &str) -> String {
    let mut id = String::with_capacity(field.len() + 35);
    id.push_str(field);
    id.push_str("1-");
    push_hexadecimal(&mut id, chrono::Utc::now().timestamp().cast_unsigned(), 8);
    id.push('-');
    push_hexadecimal(&mut id, random::number(), 16);
    push_hexadecimal(&mut id, random::number(), 8);
    id
}

/// Appends the last digits of a number, in hexadecimal.
fn push_hexadecimal(text: &mut String, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (number >> (place * 4)) & 0xf;
        text.push(char::from_digit(digit as u32, 16).unwrap_or('0'));
    }
}

/// Returns the protocol to which the client wants to upgrade.
pub(super) fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(header::UPGRADE)?;
    tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade")).then(|| protocol.clone())
}

pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most requests have none of these headers, and comparing names is cheaper than a lookup of each.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = tokens(headers).filter_map(|token| token.parse().ok()).collect();
    let named = named.iter().filter(|name| !END_TO_END.contains(name));
    for name in named.chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Returns the names in the `Connection` headers.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}
