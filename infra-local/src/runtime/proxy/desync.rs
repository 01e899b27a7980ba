//! Requests that servers may delimit differently, which allows HTTP desync attacks (request smuggling).
//!
//! Source: Application Load Balancers, "Desync mitigation mode" and "Classification reasons" of access logs
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>). The HTTP
//! server refuses requests of the class `Severe`, and resolves repeated and contradicting lengths, before a request is
//! classified.

use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Version};

/// Treatment of requests that do not comply with RFC 7230.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DesyncMode {
    /// Forwards all requests.
    Monitor,
    /// Forwards ambiguous requests, and closes the connections of the client and the target afterwards.
    Defensive,
    /// Forwards compliant requests only.
    Strictest,
}

/// Class and reason of a request that does not comply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) class: Class,
    pub(super) reason: &'static str,
}

/// Threat of a request, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Acceptable,
    Ambiguous,
}

impl DesyncMode {
    pub(super) fn blocks(self, finding: Option<Finding>) -> bool {
        self == Self::Strictest && finding.is_some()
    }

    /// Returns whether the connections are closed after a request.
    pub(super) fn closes(self, finding: Option<Finding>) -> bool {
        self == Self::Defensive && finding.is_some_and(|finding| finding.class == Class::Ambiguous)
    }
}

impl Class {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
        }
    }
}

/// Classifies a request; `None` when it complies. Frames delimit the requests of HTTP/2.
pub(super) fn classify(parts: &Parts) -> Option<Finding> {
    if parts.version >= Version::HTTP_2 {
        return None;
    }
    let without_body = [Method::GET, Method::HEAD].contains(&parts.method);
    let mut found = None;
    for (name, value) in &parts.headers {
        let finding = of_header(name, value, without_body);
        // The first finding of the highest class counts.
        if finding.is_some_and(|new: Finding| found.is_none_or(|known: Finding| known.class < new.class)) {
            found = finding;
        }
    }
    found
}

fn of_header(name: &HeaderName, value: &HeaderValue, without_body: bool) -> Option<Finding> {
    let ambiguous = |reason| Some(Finding { class: Class::Ambiguous, reason });
    let acceptable = |reason| Some(Finding { class: Class::Acceptable, reason });
    if name == CONTENT_LENGTH {
        return match (without_body, value.as_bytes()) {
            (false, _) => None,
            (true, b"0") => acceptable("GetHeadZeroContentLength"),
            (true, _) => ambiguous("UndefinedContentLengthSemantics"),
        };
    }
    if name == TRANSFER_ENCODING {
        return if without_body { ambiguous("UndefinedTransferEncodingSemantics") } else { None };
    }
    if resembles_length(name.as_str()) {
        return ambiguous("SuspiciousHeader");
    }
    let complies = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    if value.as_bytes().iter().all(complies) { None } else { acceptable("NonCompliantHeader") }
}

/// Returns whether a server that normalises names may read a name as `Content-Length` or `Transfer-Encoding`.
fn resembles_length(name: &str) -> bool {
    // Most names are shorter or longer.
    if !(13..=32).contains(&name.len()) {
        return false;
    }
    // Names of headers are in lower case here.
    let letters = name.bytes().filter(u8::is_ascii_alphabetic);
    ["contentlength", "transferencoding"].iter().any(|length| letters.clone().eq(length.bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::Request;

    use super::*;

    fn classified(method: &str, headers: &[(&str, &[u8])]) -> String {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let found = classify(&request.body(()).unwrap().into_parts().0);
        found.map_or("Compliant".to_owned(), |found| format!("{} {}", found.class.as_str(), found.reason))
    }

    #[test]
    fn requests_are_classified_as_documented() {
        insta::assert_snapshot!(classified("GET", &[("host", b"h"), ("content-type", b"a")]), @"Compliant");
        insta::assert_snapshot!(classified("POST", &[("content-length", b"3")]), @"Compliant");
        insta::assert_snapshot!(classified("GET", &[("content-length", b"0")]), @"Acceptable GetHeadZeroContentLength");
        insta::assert_snapshot!(classified("HEAD", &[("content-length", b"3")]), @"Ambiguous UndefinedContentLengthSemantics");
        insta::assert_snapshot!(classified("GET", &[("transfer-encoding", b"chunked")]), @"Ambiguous UndefinedTransferEncodingSemantics");
        insta::assert_snapshot!(classified("POST", &[("transfer_encoding", b"chunked")]), @"Ambiguous SuspiciousHeader");
        insta::assert_snapshot!(classified("POST", &[("x-name", b"caf\xc3\xa9")]), @"Acceptable NonCompliantHeader");
        // The highest class counts.
        let both: [(&str, &[u8]); 2] = [("x-name", b"\xff"), ("content_length", b"1")];
        insta::assert_snapshot!(classified("POST", &both), @"Ambiguous SuspiciousHeader");
    }

    #[test]
    fn modes_block_and_close_as_documented() {
        let finding = |class| Some(Finding { class, reason: "" });
        let treatment = |mode: DesyncMode, finding| match (mode.blocks(finding), mode.closes(finding)) {
            (true, _) => "blocked",
            (false, true) => "closed",
            (false, false) => "allowed",
        };
        let all = [None, finding(Class::Acceptable), finding(Class::Ambiguous)];
        for (mode, expected) in [
            (DesyncMode::Monitor, ["allowed", "allowed", "allowed"]),
            (DesyncMode::Defensive, ["allowed", "allowed", "closed"]),
            (DesyncMode::Strictest, ["allowed", "blocked", "blocked"]),
        ] {
            assert_eq!(all.map(|finding| treatment(mode, finding)), expected, "{mode:?}");
        }
    }
}
