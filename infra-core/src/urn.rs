//! Stable identities of declared resources.

mod pattern;

pub use pattern::Pattern;

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

const SCHEME: &str = "urn:infra:";

/// The identity of a declared resource: stack, program, type and name.
///
/// Written as `urn:infra:STACK::PROGRAM::TYPE::NAME`; resources inside a component carry its name as a path,
/// `database/instance`. A URN says which declaration is meant; it is not the provider's id, which changes with
/// every replacement.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Urn(Arc<str>);

/// Why a text is no [`Urn`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrnError {
    /// The text does not have the four parts of a URN.
    #[error("`{0}` is not a URN: expected urn:infra:STACK::PROGRAM::TYPE::NAME")]
    Malformed(String),
    /// A part is empty or has characters that a URN cannot carry.
    #[error("the {part} `{text}` cannot be used: write 1 to 100 letters, digits, `-`, `_`, `.`{also}")]
    Part {
        /// Which part: stack, program, type or name.
        part: &'static str,
        /// What was given.
        text: String,
        /// What else the part may hold.
        also: &'static str,
    },
}

impl Urn {
    /// The URN of a declaration; each part is checked.
    pub fn new(stack: &str, program: &str, kind: &str, name: &str) -> Result<Self, UrnError> {
        check_part("stack", stack, "")?;
        check_part("program", program, "")?;
        check_part("type", kind, ":")?;
        check_part("name", name, "/")?;
        Ok(Self(format!("{SCHEME}{stack}::{program}::{kind}::{name}").into()))
    }

    /// The stack, such as `dev`.
    pub fn stack(&self) -> &str {
        self.part(0)
    }

    /// The program, such as `multicloud-orm`.
    pub fn program(&self) -> &str {
        self.part(1)
    }

    /// The type token, such as `aws:ec2:SecurityGroup`.
    pub fn kind(&self) -> &str {
        self.part(2)
    }

    /// The name in the program, with the components it lies in: `database/instance`.
    pub fn name(&self) -> &str {
        self.part(3)
    }

    /// The provider that answers for the type: its token's first segment, such as `aws`.
    pub fn provider(&self) -> &str {
        self.kind().split(':').next().unwrap_or_default()
    }

    /// The type's last segment and the name: `SecurityGroup access`, for people.
    pub fn short(&self) -> String {
        let kind = self.kind().rsplit(':').next().unwrap_or_default();
        format!("{kind} {}", self.name())
    }

    /// The whole text.
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

fn check_part(part: &'static str, text: &str, also: &'static str) -> Result<(), UrnError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') || also.contains(c);
    let fits = (1..=100).contains(&text.len()) && text.chars().all(allowed);
    let segmented = text.contains("::") || text.starts_with([':', '/']) || text.ends_with([':', '/']);
    // `..` would lead a store of files out of its directory.
    let dots = text.chars().all(|c| c == '.');
    if fits && !segmented && !dots {
        return Ok(());
    }
    Err(UrnError::Part { part, text: text.to_owned(), also: if also.is_empty() { "" } else { " (and its separator)" } })
}

impl FromStr for Urn {
    type Err = UrnError;

    fn from_str(text: &str) -> Result<Self, UrnError> {
        let malformed = || UrnError::Malformed(text.to_owned());
        let parts: Vec<&str> = text.strip_prefix(SCHEME).ok_or_else(malformed)?.split("::").collect();
        let [stack, program, kind, name] = parts[..] else {
            return Err(malformed());
        };
        Self::new(stack, program, kind, name)
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
    fn parts_come_back() {
        let urn = Urn::new("dev", "web", "aws:ec2:SecurityGroup", "database/access").unwrap();
        assert_eq!(urn.to_string().parse::<Urn>().unwrap(), urn);
        assert_eq!(
            (urn.stack(), urn.program(), urn.kind(), urn.name(), urn.provider()),
            ("dev", "web", "aws:ec2:SecurityGroup", "database/access", "aws")
        );
        assert_eq!(urn.short(), "SecurityGroup database/access");
    }

    #[test]
    fn bad_parts_are_refused() {
        for (stack, name) in
            [("", "a"), ("dev", ""), ("a b", "a"), ("dev", "a::b"), ("dev", "/a"), ("a/b", "a"), ("..", "a")]
        {
            assert!(Urn::new(stack, "p", "t:T", name).is_err(), "{stack:?} {name:?}");
        }
        assert!("urn:infra:a::b::c".parse::<Urn>().is_err());
        assert!("urn:aws:a::b::c::d".parse::<Urn>().is_err());
    }
}
