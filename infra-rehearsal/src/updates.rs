//! Updates of single properties in a scratch cloud, by the handlers of the resources.
//!
//! The engine updates all properties at once if every value has an opposite that is valid. All others are changed here, one
//! property of one resource at a time: an update may fail after its first call without affecting the others.

use crate::alteration::{self, Altered};
use crate::seed::Silent;
use crate::stage::REHEARSED;
use futures::{StreamExt, stream};
use infra_core::{
    Urn,
    graph::{Node, ResourceGraph},
    provider::{Inspect as _, Provider as _, ProviderError, Providers},
    state::{Generation, Live, OperationId, Request, State, Verb},
    value::{Map, Value},
};
use serde::Serialize;
use std::{collections::BTreeSet, time::Duration};

/// Number of resources that are updated at the same time.
const PARALLEL: usize = 16;

/// Maximum duration of an update.
const LONGEST: Duration = Duration::from_secs(10);

/// Limit of the fields of a variant of an enumeration.
const MOST_FIELDS: usize = 16;

/// Text of the fields of another variant of an enumeration.
const OTHER_TEXT: &str = "rehearsal";

/// A property that could not be updated in place, so that calls of its update may be missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unchanged {
    /// The resource.
    pub urn: Urn,
    /// Path of the property.
    pub property: String,
    /// The reason.
    pub reason: String,
}

/// Updates each property of all resources once, and records their outputs. Returns the properties whose updates failed.
pub(crate) async fn update_each(
    state: &mut State,
    declared: &ResourceGraph,
    providers: &Providers,
) -> BTreeSet<Unchanged> {
    let recorded = state.clone();
    let updates = recorded.resources.iter().filter_map(|(urn, resource)| {
        let generation = resource.current.as_ref().filter(|it| it.id.is_some() && urn.provider() == REHEARSED)?;
        let node = declared.node(urn)?;
        let outputs = generation.outputs.clone();
        Some(Updates { node, generation, seed: &recorded.seed, providers, outputs, unchanged: BTreeSet::new() })
    });
    let updates: Vec<Updates<'_>> = updates.collect();
    let updated = stream::iter(updates).map(Updates::execute).buffer_unordered(PARALLEL);
    let updated: Vec<Updates<'_>> = updated.collect().await;
    let mut unchanged = BTreeSet::new();
    for updates in updated {
        unchanged.extend(updates.unchanged);
        let resource = state.resources.get_mut(&updates.node.urn);
        if let Some(current) = resource.and_then(|resource| resource.current.as_mut()) {
            current.outputs = updates.outputs;
        }
    }
    unchanged
}

/// The updates of a resource, one after another.
struct Updates<'s> {
    node: &'s Node,
    generation: &'s Generation,
    seed: &'s str,
    providers: &'s Providers,
    /// The outputs of the last update.
    outputs: Value,
    unchanged: BTreeSet<Unchanged>,
}

impl<'s> Updates<'s> {
    async fn execute(mut self) -> Updates<'s> {
        let inputs = &self.generation.inputs;
        let changes = |name: &str| self.node.can_update_in_place(name);
        let (mut others, mut opposites) =
            (alteration::other_values(inputs, &changes), alteration::opposites(inputs, &changes));
        others.retain(|other| self.node.updates_in_place(&other.path));
        opposites.retain(|opposite| self.node.updates_in_place(&opposite.path));
        // The handler of CloudFormation's types compares the declaration with the existing resource, not with the recorded
        // inputs, so the resource itself needs another value. The type may not accept it.
        let compares_existing = inputs.field("type_name").is_some();
        let mut failed = Vec::new();
        for other in others {
            if let Err(error) = self.update_from(&other).await {
                failed.push((other.path, error.message));
            } else if compares_existing {
                self.update_to_and_back(&other).await;
            }
        }
        let mut removed = BTreeSet::new();
        for opposite in opposites {
            if self.update_to_and_back(&opposite).await {
                removed.insert(opposite.path);
            }
        }
        // A property that was removed and set again was changed.
        failed.retain(|(path, _)| !removed.contains(path.split(['.', '[']).next().unwrap_or_default()));
        for (path, reason) in failed {
            self.note(path, reason);
        }
        self
    }

    /// Updates the resource to its declaration as if it had been created with other inputs. A text that belongs to an
    /// enumeration is replaced by another value of that enumeration.
    async fn update_from(&mut self, other: &Altered) -> Result<(), ProviderError> {
        let inputs = &self.generation.inputs;
        let Err(error) = self.update(&other.inputs, inputs).await else { return Ok(()) };
        for variant in enumerated(&error.message) {
            if self.update_from_variant(&other.path, variant).await {
                return Ok(());
            }
        }
        Err(error)
    }

    /// Updates the resource as if a property had been this variant of its enumeration. The fields of a variant with data are
    /// those that the errors of serde name. Returns whether the update succeeded.
    async fn update_from_variant(&mut self, path: &str, variant: &str) -> bool {
        let inputs = &self.generation.inputs;
        let mut value: Value = variant.into();
        let mut fields: Map<Value> = Map::new();
        while fields.len() < MOST_FIELDS {
            let altered = alteration::with_other(inputs, path, &value).filter(|altered| altered != inputs);
            let Some(altered) = altered else { return false };
            let Err(error) = self.update(&altered, inputs).await else { return true };
            match missing_field(&error.message) {
                Some(field) => drop(fields.insert(field, OTHER_TEXT.into())),
                None if fields.is_empty() && error.message.contains("expected struct variant") => {}
                None => return false,
            }
            let next = Value::Map([(variant, Value::Map(fields.clone()))].into());
            if next == value {
                return false;
            }
            value = next;
        }
        false
    }

    /// Updates the resource to other inputs, if they are valid, and back. Returns whether both succeeded.
    async fn update_to_and_back(&mut self, other: &Altered) -> bool {
        let inputs = &self.generation.inputs;
        let problems = self.providers.check(&self.node.urn, &other.inputs, Some(inputs));
        if !problems.is_empty() {
            return false;
        }
        let changed = self.update(inputs, &other.inputs).await;
        // An update that failed may have changed something.
        match self.update(&other.inputs, inputs).await {
            Ok(()) => changed.is_ok(),
            Err(error) => {
                self.note(other.path.clone(), format!("it cannot be set again: {}", error.message));
                false
            }
        }
    }

    async fn update(&mut self, from: &Value, to: &Value) -> Result<(), ProviderError> {
        let operation = OperationId::random().map_err(|error| ProviderError::refused(error.to_string()))?;
        let urn = self.node.urn.clone();
        let mut request = Request::new(operation, Verb::Update, urn, to.clone(), self.seed).about(self.generation);
        request.dependencies.clone_from(&self.generation.dependencies);
        request.marks = self.generation.marks.clone();
        let id = self.generation.id.clone().unwrap_or_default();
        let prior = Live { id, inputs: Some(from.clone()), outputs: self.outputs.clone() };
        let update = tokio::time::timeout(LONGEST, self.providers.update(&request, &prior, &Silent)).await;
        let updated = update.map_err(|_| ProviderError::unsure("the update did not finish in time"))?;
        self.outputs = updated?.outputs;
        Ok(())
    }

    fn note(&mut self, property: String, reason: String) {
        self.unchanged.insert(Unchanged { urn: self.node.urn.clone(), property, reason });
    }
}

/// Returns the values of an enumeration that serde's error about an unknown one lists: "unknown variant `x`, expected `a` or
/// `b`", "unknown variant `x`, expected one of `a`, `b`, `c`".
fn enumerated(message: &str) -> Vec<&str> {
    let expected = message.split_once("unknown variant ").and_then(|(_, rest)| rest.split_once(", expected "));
    expected.map_or_else(Vec::new, |(_, values)| values.split('`').skip(1).step_by(2).collect())
}

/// Returns the field that serde's error about a missing one names: "missing field `x`".
fn missing_field(message: &str) -> Option<&str> {
    message.split_once("missing field `")?.1.split_once('`').map(|(field, _)| field)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Number {
        One,
        Two,
        Three,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Metric {
        Custom {
            #[allow(dead_code)]
            name: String,
        },
    }

    #[test]
    fn errors_of_serde_name_the_missing_fields_of_a_variant() {
        let error = |text: &str| serde_json::from_str::<Metric>(text).unwrap_err().to_string();
        assert_eq!(missing_field(&error(r#"{"custom": {}}"#)), Some("name"));
        assert_eq!(missing_field(&error(r#""custom""#)), None);
        assert!(error(r#""custom""#).contains("expected struct variant"));
        assert!(serde_json::from_str::<Metric>(r#"{"custom": {"name": "a"}}"#).is_ok());
    }

    #[test]
    fn errors_of_serde_list_the_values_of_an_enumeration() {
        let error = serde_json::from_str::<Number>("\"two-rehearsal\"").unwrap_err().to_string();
        assert_eq!(enumerated(&error), ["one", "two", "three"]);
        assert_eq!(enumerated("unknown variant `x`, expected `a` or `b`"), ["a", "b"]);
        assert_eq!(enumerated("the request was refused"), [""; 0]);
    }
}
