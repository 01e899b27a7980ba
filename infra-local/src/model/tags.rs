//! Tags and AWS's rules for them.

use std::collections::BTreeMap;

use crate::wire::{ApiError, Node, Outcome, Params};

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// The most tags a resource may have.
const LIMIT: usize = 50;

/// Reads `name.N.Key`, `name.N.Value`.
pub(crate) fn parse(params: &Params, name: &str) -> Outcome<Tags> {
    let mut tags = Tags::new();
    for entry in params.structures(name) {
        let key = entry.required("Key")?.to_owned();
        let value = entry.optional("Value").unwrap_or_default().to_owned();
        if tags.insert(key.clone(), value).is_some() {
            return Err(ApiError::invalid(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    check(&tags)?;
    Ok(tags)
}

/// Checks keys, values and their number.
pub(crate) fn check(tags: &Tags) -> Outcome<()> {
    if tags.len() > LIMIT {
        return Err(ApiError::new("TagLimitExceeded", format!("a resource has at most {LIMIT} tags")));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || key.to_lowercase().starts_with("aws:") {
            return Err(ApiError::invalid(format!(
                "Tag key '{key}' is not valid: it has 1 to 128 characters and does not begin with 'aws:'"
            )));
        }
        if value.chars().count() > 256 {
            return Err(ApiError::invalid(format!("The value of tag '{key}' exceeds the limit of 256 characters")));
        }
    }
    Ok(())
}

/// EC2's `tagSet`.
pub(crate) fn set(tags: &Tags) -> Node {
    Node::items(tags.iter().map(|(key, value)| Node::new().with("key", key).with("value", value)))
}

/// The Query services' `Tags`.
pub(crate) fn members(tags: &Tags) -> Node {
    Node::items(tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}
