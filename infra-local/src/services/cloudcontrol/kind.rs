//! A resource type: its properties, and its operations in terms of the type's own service.

use serde_json::Value;

use super::caller::Caller;
use crate::model::Cloud;
use crate::wire::Outcome;

/// A type of resources.
pub(super) struct Kind {
    /// `AWS::Logs::LogGroup`
    pub(super) name: &'static str,
    /// The property that identifies one.
    pub(super) identifier: &'static str,
    /// Properties that can be given and changed.
    pub(super) properties: &'static [&'static str],
    /// Properties that can be given at creation alone.
    pub(super) create_only: &'static [&'static str],
    /// Properties that are told and not taken.
    pub(super) read_only: &'static [&'static str],
    /// Properties that only AWS has.
    pub(super) only_on_aws: &'static [&'static str],
    pub(super) required: &'static [&'static str],
    /// What reading one does at its service, as actions of IAM.
    pub(super) reading: &'static [&'static str],
    /// Makes one, and returns its identifier.
    pub(super) create: fn(&mut Cloud, &Caller<'_>, &Value) -> Outcome<String>,
    /// Makes the properties be as wanted; given are the identifier, what lives and what is wanted.
    pub(super) update: fn(&mut Cloud, &Caller<'_>, &str, &Value, &Value) -> Outcome<()>,
    pub(super) delete: fn(&mut Cloud, &Caller<'_>, &str) -> Outcome<()>,
    /// The properties of one in a region; what can be written only is left out.
    pub(super) read: fn(&Cloud, &str, &str) -> Outcome<Option<Value>>,
    /// The identifiers of all in a region.
    pub(super) list: fn(&Cloud, &str) -> Outcome<Vec<String>>,
}

impl Kind {
    /// Whether it has a property of this name.
    pub(super) fn has(&self, property: &str) -> bool {
        [self.properties, self.create_only, self.read_only].iter().any(|names| names.contains(&property))
    }
}
