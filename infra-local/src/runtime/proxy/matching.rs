//! Conditions of rules, and their evaluation.

use std::net::IpAddr;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use crate::domain::elbv2::AddressRange;
use crate::model::elbv2::routing;

/// A condition on a request.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Path(Vec<Pattern>),
    Host(Vec<Pattern>),
    Header(HeaderName, Vec<Pattern>),
    Method(Vec<String>),
    Query(Vec<(Option<Pattern>, Pattern)>),
    Source(Vec<AddressRange>),
    /// An invalid condition, which matches no request.
    Never,
}

impl Condition {
    pub(super) fn is_met(&self, parts: &Parts, client: IpAddr) -> bool {
        match self {
            Self::Path(patterns) => patterns.iter().any(|pattern| pattern.matches(parts.uri.path())),
            Self::Host(patterns) => {
                let host = host(parts);
                host.is_some_and(|host| patterns.iter().any(|pattern| pattern.matches(without_port(host))))
            }
            Self::Header(name, patterns) => {
                let mut values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
                values.any(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            }
            Self::Method(methods) => methods.iter().any(|method| method == parts.method.as_str()),
            Self::Query(wanted) => {
                let query = parts.uri.query().unwrap_or_default();
                query.split('&').any(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    wanted.iter().any(|(wanted, pattern)| {
                        wanted.as_ref().is_none_or(|wanted| wanted.matches(key)) && pattern.matches(value)
                    })
                })
            }
            Self::Source(ranges) => ranges.iter().any(|range| range.contains(client)),
            Self::Never => false,
        }
    }
}

impl From<&routing::Condition> for Condition {
    fn from(declared: &routing::Condition) -> Self {
        use routing::Condition as Declared;
        let exact = |values: &[String]| values.iter().map(|value| Pattern::new(value)).collect();
        let loose = |values: &[String]| values.iter().map(|value| Pattern::ignoring_case(value)).collect();
        match declared {
            Declared::PathPattern(values) => Self::Path(exact(values)),
            Declared::HostHeader(values) => Self::Host(loose(values)),
            Declared::HttpHeader { name, values } => {
                name.parse().map_or(Self::Never, |name| Self::Header(name, loose(values)))
            }
            Declared::HttpRequestMethod(values) => Self::Method(values.clone()),
            Declared::QueryString(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|pair| (pair.key.as_deref().map(Pattern::ignoring_case), Pattern::ignoring_case(&pair.value)));
                Self::Query(pairs.collect())
            }
            Declared::SourceIp(values) => {
                Self::Source(values.iter().filter_map(|value| AddressRange::parse(value)).collect())
            }
        }
    }
}

/// Returns the host of a request, including its port.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    let named = parts.uri.authority().map(hyper::http::uri::Authority::as_str);
    named.or_else(|| parts.headers.get(header::HOST).map(HeaderValue::to_str)?.ok())
}

/// Returns a host without its port.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A pattern in which `*` matches any text and `?` any character.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: Vec<u8>,
    ignore_case: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self { text: text.as_bytes().to_vec(), ignore_case: false }
    }

    fn ignoring_case(text: &str) -> Self {
        Self { text: text.to_ascii_lowercase().into_bytes(), ignore_case: true }
    }

    fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (&self.text, text.as_bytes());
        let same = |wanted: u8, found: u8| {
            wanted == b'?' || wanted == if self.ignore_case { found.to_ascii_lowercase() } else { found }
        };
        let (mut at, mut place) = (0, 0);
        // Position of the last `*`, and the end of the text that it covers so far.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match pattern.get(place) {
                Some(b'*') => {
                    star = Some((place, at));
                    place += 1;
                }
                Some(wanted) if same(*wanted, text[at]) => {
                    at += 1;
                    place += 1;
                }
                _ => match &mut star {
                    Some((stands, covered)) => {
                        *covered += 1;
                        at = *covered;
                        place = *stands + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[place..].iter().all(|rest| *rest == b'*')
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::Request;

    use super::*;
    use crate::model::elbv2::routing::Parameter;

    #[test]
    fn stars_match_any_text_and_question_marks_one_character() {
        for (pattern, text, matches) in [
            ("/img/*", "/img/", true),
            ("/img/*", "/img/a/b.png", true),
            ("/img/*", "/imgs", false),
            ("/img", "/IMG", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("*.png", "/x/y.png", true),
            ("/*/b*d", "/a/bcbd", true),
            ("/*/b*d", "/a/bcbde", false),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), matches, "{pattern} {text}");
        }
        assert!(Pattern::ignoring_case("*.Example.ORG").matches("Shop.example.org"));
    }

    #[test]
    fn conditions_match_their_part_of_the_request() {
        let request = Request::get("/a?Version=2&x").header("host", "Shop.example.org:8080").header("x-kind", "Test");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let met =
            |declared: &routing::Condition| Condition::from(declared).is_met(&parts, "127.0.0.1".parse().unwrap());
        let text = |text: &str| vec![text.to_owned()];
        let pair = |key: Option<&str>, value: &str| {
            routing::Condition::QueryString(vec![Parameter { key: key.map(str::to_owned), value: value.to_owned() }])
        };
        let header = |value| routing::Condition::HttpHeader { name: "X-Kind".to_owned(), values: text(value) };
        assert!(met(&routing::Condition::HostHeader(text("shop.*"))));
        assert!(met(&header("te?t")) && !met(&header("other")));
        assert!(met(&routing::Condition::HttpRequestMethod(text("GET"))));
        assert!(!met(&routing::Condition::HttpRequestMethod(text("get"))));
        assert!(met(&pair(Some("version"), "2")) && met(&pair(None, "2")) && !met(&pair(Some("version"), "3")));
        assert!(met(&routing::Condition::SourceIp(text("127.0.0.0/8"))));
        assert!(met(&routing::Condition::PathPattern(vec!["/b".to_owned(), "/a".to_owned()])));
    }
}
