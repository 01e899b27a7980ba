//! Stable identities of declared resources.

mod pattern;

pub use pattern::Pattern;

use crate::intern::intern_long;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr, sync::Arc};

const SCHEME: &str = "urn:infra:";

/// The identity of a declared resource: stack, program, type and name.
///
/// Written as `urn:infra:STACK::PROGRAM::TYPE::NAME`; resources inside a component carry its name as a path,
/// `database/instance`. A URN identifies a declaration; the provider's id identifies a resource and changes with every
/// replacement.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Urn(Arc<str>);

/// The reason why a text is not a [`Urn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrnError {
    /// The text does not have the four parts of a URN.
    #[error("`{0}` is not a URN: expected urn:infra:STACK::PROGRAM::TYPE::NAME")]
    Malformed(String),
    /// A part is empty or has characters that are invalid in a URN.
    #[error("the {part} `{text}` is invalid: use 1 to 100 letters, digits, `-`, `_`, `.`{also}")]
    Part {
        /// The part: stack, program, type or name.
        part: &'static str,
        /// The text of the part.
        text: String,
        /// Additional characters that the part may contain.
        also: &'static str,
    },
}

impl Urn {
    /// Creates the URN of a declaration and checks each part.
    pub fn new(stack: &str, program: &str, kind: &str, name: &str) -> Result<Self, UrnError> {
        check_parts(stack, program, kind, name)?;
        Ok(Self(format!("{SCHEME}{stack}::{program}::{kind}::{name}").into()))
    }

    /// Returns the stack, such as `dev`.
    pub fn stack(&self) -> &str {
        self.part(0)
    }

    /// Returns the program, such as `multicloud-orm`.
    pub fn program(&self) -> &str {
        self.part(1)
    }

    /// Returns the type token, such as `aws:ec2:SecurityGroup`.
    pub fn kind(&self) -> &str {
        self.part(2)
    }

    /// Returns the name in the program, with its components: `database/instance`.
    pub fn name(&self) -> &str {
        self.part(3)
    }

    /// Returns the provider of the type: the first segment of its token, such as `aws`.
    pub fn provider(&self) -> &str {
        self.kind().split(':').next().unwrap_or_default()
    }

    /// Returns the last segment of the type and the name for people: `SecurityGroup access`.
    pub fn short(&self) -> String {
        let kind = self.kind().rsplit(':').next().unwrap_or_default();
        format!("{kind} {}", self.name())
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0[SCHEME.len()..].split("::").nth(index).unwrap_or_default()
    }
}

/// Checks the name of a stack, program or resource the way [`Urn::new`] does.
pub fn check_name(part: &'static str, text: &str) -> Result<(), UrnError> {
    check_part(part, text, "")
}

fn check_parts(stack: &str, program: &str, kind: &str, name: &str) -> Result<(), UrnError> {
    check_part("stack", stack, "")?;
    check_part("program", program, "")?;
    check_part("type", kind, ":")?;
    check_part("name", name, "/")
}

fn check_part(part: &'static str, text: &str, also: &'static str) -> Result<(), UrnError> {
    let bytes = text.as_bytes();
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') || also.as_bytes().contains(b);
    let fits = (1..=100).contains(&bytes.len()) && bytes.iter().all(allowed);
    let segmented = bytes.windows(2).any(|pair| pair == b"::")
        || matches!(bytes.first(), Some(b':' | b'/'))
        || matches!(bytes.last(), Some(b':' | b'/'));
    // `..` would lead a store of files out of its directory.
    let dots = bytes.iter().all(|&b| b == b'.');
    if fits && !segmented && !dots {
        return Ok(());
    }
    Err(UrnError::Part { part, text: text.to_owned(), also: if also.is_empty() { "" } else { " (and its separator)" } })
}

impl FromStr for Urn {
    type Err = UrnError;

    fn from_str(text: &str) -> Result<Self, UrnError> {
        let mut parts = text.strip_prefix(SCHEME).into_iter().flat_map(|parts| parts.split("::"));
        let four = (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(stack), Some(program), Some(kind), Some(name), None) = four else {
            return Err(UrnError::Malformed(text.to_owned()));
        };
        check_parts(stack, program, kind, name)?;
        // A state contains most URNs several times, close to each other.
        Ok(Self(intern_long(text)))
    }
}

impl Serialize for Urn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Deserialises without an intermediate copy, because states contain many URNs.
impl<'de> Deserialize<'de> for Urn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parsing;
        impl de::Visitor<'_> for Parsing {
            type Value = Urn;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URN")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Urn, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Parsing)
    }
}

impl TryFrom<String> for Urn {
    type Error = UrnError;

    fn try_from(text: String) -> Result<Self, UrnError> {
        text.parse()
    }
}

impl From<Urn> for String {
    fn from(urn: Urn) -> Self {
        urn.0.as_ref().to_owned()
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urn_is_parsed_into_its_parts() {
        let urn = Urn::new("dev", "web", "aws:ec2:SecurityGroup", "database/access").unwrap();
        assert_eq!(urn.to_string().parse::<Urn>().unwrap(), urn);
        assert_eq!(
            (urn.stack(), urn.program(), urn.kind(), urn.name(), urn.provider()),
            ("dev", "web", "aws:ec2:SecurityGroup", "database/access", "aws")
        );
        assert_eq!(urn.short(), "SecurityGroup database/access");
    }

    #[test]
    fn invalid_parts_are_refused() {
        for (stack, name) in
            [("", "a"), ("dev", ""), ("a b", "a"), ("dev", "a::b"), ("dev", "/a"), ("a/b", "a"), ("..", "a")]
        {
            assert!(Urn::new(stack, "p", "t:T", name).is_err(), "{stack:?} {name:?}");
        }
        assert!("urn:infra:a::b::c".parse::<Urn>().is_err());
        assert!("urn:aws:a::b::c::d".parse::<Urn>().is_err());
    }
}
