//! Types that a cloud supports: those with a service of their own, and those that it knows by their schema.

use std::path::Path;

use serde_json::Value;

use super::caller::Caller;
use super::kind::Kind;
use super::kinds;
use super::recorded::RecordedType;
use super::schema;
use crate::model::Cloud;
use crate::state::schemas;
use crate::wire::Outcome;

/// A type that Cloud Control can manage.
pub(super) enum Supported {
    /// A type whose resources its own service runs.
    Running(&'static Kind),
    /// A type whose resources are only recorded.
    Recorded(RecordedType),
}

/// Returns the type with this name. A service of the type has precedence over a schema.
pub(super) fn named(name: &str, directory: &Path) -> Outcome<Supported> {
    kinds::named(name).map(Supported::Running).or_else(|unsupported| {
        let schema = schemas::find(directory, name).ok_or(unsupported)?;
        Ok(Supported::Recorded(RecordedType::new(schema)))
    })
}

impl Supported {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Running(kind) => kind.name,
            Self::Recorded(kind) => kind.name(),
        }
    }

    /// Returns the identifier that the properties of a new resource contain.
    pub(super) fn identifier(&self, wanted: &Value) -> Option<String> {
        match self {
            Self::Running(kind) => wanted[kind.identifier].as_str().map(str::to_owned),
            Self::Recorded(kind) => kind.identifier(wanted),
        }
    }

    /// Refuses properties that do not conform to the schema.
    pub(super) fn check(&self, wanted: &Value) -> Outcome<()> {
        match self {
            Self::Running(kind) => schema::check(kind, wanted),
            Self::Recorded(kind) => kind.check(wanted, false),
        }
    }

    /// Checks the result of a patch.
    pub(super) fn check_change(&self, current: &Value, wanted: &Value) -> Outcome<()> {
        match self {
            Self::Running(kind) => schema::check_change(kind, current, wanted),
            Self::Recorded(kind) => kind.check_change(current, wanted),
        }
    }

    /// Creates a resource and returns its identifier.
    pub(super) fn create(&self, cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
        match self {
            Self::Running(kind) => {
                schema::check_new(kind, wanted)?;
                (kind.create)(cloud, caller, wanted)
            }
            Self::Recorded(kind) => {
                kind.check_new(wanted)?;
                kind.create(cloud, caller.region, wanted, caller.context.now)
            }
        }
    }

    /// Changes a resource from its current to the wanted properties.
    pub(super) fn update(
        &self,
        cloud: &mut Cloud,
        caller: &Caller<'_>,
        identifier: &str,
        (current, wanted): (&Value, &Value),
    ) -> Outcome<()> {
        match self {
            Self::Running(kind) => (kind.update)(cloud, caller, identifier, current, wanted),
            Self::Recorded(kind) => kind.update(cloud, caller.region, identifier, wanted),
        }
    }

    pub(super) fn delete(&self, cloud: &mut Cloud, caller: &Caller<'_>, identifier: &str) -> Outcome<()> {
        match self {
            Self::Running(kind) => (kind.delete)(cloud, caller, identifier),
            Self::Recorded(kind) => kind.delete(cloud, caller.region, identifier),
        }
    }

    /// Returns the properties of a resource.
    pub(super) fn read(&self, cloud: &Cloud, region: &str, identifier: &str) -> Outcome<Option<Value>> {
        match self {
            Self::Running(kind) => (kind.read)(cloud, region, identifier),
            Self::Recorded(kind) => kind.read(cloud, region, identifier),
        }
    }

    /// Returns the identifiers of all resources.
    pub(super) fn list(&self, cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
        match self {
            Self::Running(kind) => (kind.list)(cloud, region),
            Self::Recorded(kind) => kind.list(cloud, region),
        }
    }
}
