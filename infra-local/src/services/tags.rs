//! Tags in requests and responses of the Query services.

pub(crate) use crate::model::tags::{Tags, check};
use crate::wire::{ApiError, Node, Outcome, Params};

/// Parses `name.N.Key`, `name.N.Value`.
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

/// Renders EC2's `tagSet`.
pub(crate) fn set(tags: &Tags) -> Node {
    Node::items(tags.iter().map(|(key, value)| Node::new().with("key", key).with("value", value)))
}

/// Renders the `Tags` of the Query services.
pub(crate) fn members(tags: &Tags) -> Node {
    Node::items(tags.iter().map(|(key, value)| Node::new().with("Key", key).with("Value", value)))
}
