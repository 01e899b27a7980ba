//! A resource type: its properties, and the operations of the type's own service that implement it.

use serde_json::Value;

use super::caller::Caller;
use crate::model::Cloud;
use crate::wire::Outcome;

/// A resource type.
pub(super) struct Kind {
    /// `AWS::Logs::LogGroup`
    pub(super) name: &'static str,
    /// The property that contains the identifier.
    pub(super) identifier: &'static str,
    /// Properties that can be set and changed.
    pub(super) properties: &'static [&'static str],
    /// Properties that can be set only at creation.
    pub(super) create_only: &'static [&'static str],
    /// Properties that are returned and cannot be set.
    pub(super) read_only: &'static [&'static str],
    /// Properties that the local cloud does not support.
    pub(super) only_on_aws: &'static [&'static str],
    pub(super) required: &'static [&'static str],
    /// IAM actions of a read in the type's service.
    pub(super) reading: &'static [&'static str],
    /// Creates a resource, and returns its identifier.
    pub(super) create: fn(&mut Cloud, &Caller<'_>, &Value) -> Outcome<String>,
    /// Changes the properties. Parameters: the identifier, the existing properties and the requested ones.
    pub(super) update: fn(&mut Cloud, &Caller<'_>, &str, &Value, &Value) -> Outcome<()>,
    pub(super) delete: fn(&mut Cloud, &Caller<'_>, &str) -> Outcome<()>,
    /// Returns the properties of a resource in a region, without write-only ones.
    pub(super) read: fn(&Cloud, &str, &str) -> Outcome<Option<Value>>,
    /// Returns the identifiers of all resources in a region.
    pub(super) list: fn(&Cloud, &str) -> Outcome<Vec<String>>,
}

impl Kind {
    /// Returns whether the type has a property with this name.
    pub(super) fn has(&self, property: &str) -> bool {
        [self.properties, self.create_only, self.read_only].iter().any(|names| names.contains(&property))
    }
}
