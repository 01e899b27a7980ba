//! Tags and AWS's rules for them.

use std::collections::BTreeMap;

use crate::wire::{ApiError, Outcome};

/// Tags by key.
pub(crate) type Tags = BTreeMap<String, String>;

/// AWS's limit of tags per resource.
const LIMIT: usize = 50;

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
