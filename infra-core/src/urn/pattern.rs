//! Patterns that select resources on the command line.

use super::Urn;
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt, str::FromStr};

/// A pattern for resources: a URN, a name, or a component with all of its content. `*` matches any characters, `?`
/// matches one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// Returns `true` if the pattern matches this resource.
    pub fn matches(&self, urn: &Urn) -> bool {
        let name = urn.name();
        let components = name.match_indices('/').map(|(end, _)| &name[..end]);
        [urn.as_str(), name].into_iter().chain(components).any(|text| matches(&self.0, text))
    }

    /// Returns the text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Matches greedily and returns to the last `*`: linear for one star, quadratic at worst.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_match_names_components_and_urns() {
        let urn = Urn::new("dev", "web", "aws:ec2:Instance", "database/host/main").unwrap();
        let matches = |pattern: &str| pattern.parse::<Pattern>().unwrap().matches(&urn);
        for pattern in
            ["database/host/main", "database", "database/host", "data*", "*main", "*:Instance::*", "*", "d?tabase"]
        {
            assert!(matches(pattern), "{pattern}");
        }
        assert!(matches(urn.as_str()));
        for pattern in ["data", "main", "host", "database/", "", "*:Subnet::*"] {
            assert!(!matches(pattern), "{pattern}");
        }
    }
}
