//! Stickiness cookies, which bind a client to a target or a target group.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hyper::header::{self, HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};

/// Stickiness of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stickiness {
    /// Duration since the last request.
    Duration(Duration),
    /// Bound to the application's cookie with this name, for at most the given duration.
    Application { cookie: String, most: Duration },
}

/// Cookie for target groups.
pub(super) const OF_GROUPS: &str = "AWSALBTG";
/// Cookie for targets with a duration.
const OF_TARGETS: &str = "AWSALB";
/// Cookie for targets with an application's cookie.
const OF_APPLICATIONS: &str = "AWSALBAPP-0";

/// Identifier of a target or a target group in a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark([u8; 16]);

impl Mark {
    /// Returns the mark of an entity that these words name. It is the same in every run.
    pub(super) fn of(words: &[&str]) -> Self {
        let digest = Sha256::digest(words.join("\0").as_bytes());
        let mut mark = [0; 16];
        mark.copy_from_slice(&digest[..16]);
        Self(mark)
    }

    fn write(self, expires: DateTime<Utc>) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend(expires.timestamp().to_be_bytes());
        STANDARD.encode(bytes)
    }

    /// Parses a cookie's value; `None` when it has expired.
    fn read(value: &str, now: DateTime<Utc>) -> Option<Self> {
        let bytes = STANDARD.decode(value).ok()?;
        let (mark, expires) = bytes.split_first_chunk::<16>()?;
        let expires = i64::from_be_bytes(expires.try_into().ok()?);
        (expires > now.timestamp()).then_some(Self(*mark))
    }
}

/// Returns the target group to which the client's session is bound.
pub(super) fn group(headers: &HeaderMap) -> Option<Mark> {
    mark(headers, OF_GROUPS).or_else(|| mark(headers, "AWSALBTGCORS"))
}

/// Binds a client to a target group.
pub(super) fn keep_with_group(headers: &mut HeaderMap, group: Mark, period: Duration) {
    set(headers, OF_GROUPS, group, period);
}

impl Stickiness {
    /// Returns the target to which the client's session is bound.
    pub(super) fn target(&self, headers: &HeaderMap) -> Option<Mark> {
        match self {
            Self::Duration(_) => mark(headers, OF_TARGETS).or_else(|| mark(headers, "AWSALBCORS")),
            Self::Application { cookie, .. } => {
                value(headers, cookie)?;
                mark(headers, OF_APPLICATIONS)
            }
        }
    }

    /// Binds a client to the target that responded; `stayed` is true when its cookie selected the target.
    pub(super) fn keep_with_target(&self, headers: &mut HeaderMap, target: Mark, stayed: bool) {
        match self {
            Self::Duration(period) => set(headers, OF_TARGETS, target, *period),
            Self::Application { cookie, most } => {
                let set_cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
                let mut names = set_cookies.filter_map(|value| value.split_once('=')).map(|(name, _)| name.trim());
                if stayed || names.any(|name| name == cookie) {
                    set_one(headers, OF_APPLICATIONS, target, *most, "");
                }
            }
        }
    }
}

fn mark(headers: &HeaderMap, name: &str) -> Option<Mark> {
    Mark::read(value(headers, name)?, Utc::now())
}

/// Returns the value of a cookie.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Sets a cookie, and its duplicate for cross-site requests.
fn set(headers: &mut HeaderMap, name: &str, mark: Mark, period: Duration) {
    set_one(headers, name, mark, period, "");
    set_one(headers, &format!("{name}CORS"), mark, period, "; SameSite=None; Secure");
}

fn set_one(headers: &mut HeaderMap, name: &str, mark: Mark, period: Duration, more: &str) {
    let expires = Utc::now() + period;
    let (value, date) = (mark.write(expires), expires.format("%a, %d %b %Y %H:%M:%S GMT"));
    if let Ok(cookie) = HeaderValue::from_str(&format!("{name}={value}; Expires={date}; Path=/{more}")) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Returns the request headers of a client that has stored the cookies of a response.
    fn kept(answer: &HeaderMap) -> HeaderMap {
        let set = answer.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        let cookies: Vec<&str> = set.map(|cookie| cookie.split(';').next().unwrap()).collect();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&cookies.join("; ")).unwrap())])
    }

    #[test]
    fn a_stickiness_cookie_is_valid_until_it_expires() {
        let (one, other) = (Mark::of(&["arn", "i-1"]), Mark::of(&["arn", "i-2"]));
        assert_ne!(one, other);
        let mut answer = HeaderMap::new();
        let stickiness = Stickiness::Duration(Duration::from_mins(1));
        stickiness.keep_with_target(&mut answer, one, false);
        assert_eq!(stickiness.target(&kept(&answer)), Some(one));
        assert_eq!(answer.get_all(header::SET_COOKIE).iter().count(), 2);
        let now = Utc::now();
        assert_eq!(Mark::read(&one.write(now), now), None);
        assert_eq!(Mark::read("nonsense", now), None);
    }

    #[test]
    fn an_application_cookie_controls_stickiness() {
        let most = Duration::from_mins(1);
        let stickiness = Stickiness::Application { cookie: "session".to_owned(), most };
        let mark = Mark::of(&["i-1"]);
        let mut answer = HeaderMap::new();
        stickiness.keep_with_target(&mut answer, mark, false);
        assert!(answer.is_empty());
        answer.insert(header::SET_COOKIE, HeaderValue::from_static("session=1; Path=/"));
        stickiness.keep_with_target(&mut answer, mark, false);
        assert_eq!(stickiness.target(&kept(&answer)), Some(mark));
        let mut without = kept(&answer);
        let own_cookies = without[header::COOKIE].to_str().unwrap().replace("session=1; ", "");
        without.insert(header::COOKIE, HeaderValue::from_str(&own_cookies).unwrap());
        assert_eq!(stickiness.target(&without), None);
    }
}
