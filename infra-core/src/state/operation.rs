//! Operations: requests to providers, and what is known of them until they are confirmed.

use super::{Generation, Marks};
use crate::{urn::Urn, value::Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Unique id of an operation: 32 random hexadecimal digits, also sent to the provider as a token or tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(String);

impl OperationId {
    /// Creates a random id.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Creates a new generation.
    Create,
    /// Updates the current generation.
    Update,
    /// Deletes a generation.
    Delete,
}

/// A request to a provider. It is in the journal before the provider is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Id of the operation.
    pub operation: OperationId,
    /// Kind of the operation.
    pub verb: Verb,
    /// The declaration.
    pub urn: Urn,
    /// Region of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Number of the generation that it creates, updates or deletes.
    #[serde(default)]
    pub generation: u32,
    /// Provider's id of the resource that is updated or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The generation that this create replaces, if it still exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<Live>>,
    /// The resolved inputs: the declared ones, or those of the resource that is deleted.
    pub inputs: Value,
    /// The resources that the inputs refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// Seed of the stack, for unique names.
    pub seed: String,
    /// Time of the request, RFC 3339.
    pub at: String,
    /// Options of the declaration for its deletion.
    #[serde(default, skip_serializing_if = "Marks::is_none")]
    pub marks: Marks,
    /// The URN that the resource was created under, if the declaration has been renamed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Urn>,
}

impl Request {
    /// Creates a request for a declaration.
    pub fn new(operation: OperationId, verb: Verb, urn: Urn, inputs: Value, seed: &str) -> Self {
        Self {
            operation,
            verb,
            urn,
            region: None,
            generation: 0,
            id: None,
            replaces: None,
            inputs,
            dependencies: Vec::new(),
            seed: seed.to_owned(),
            at: String::new(),
            marks: Marks::default(),
            origin: None,
        }
    }

    /// Sets region, generation, id and origin to those of an existing resource.
    pub fn about(mut self, recorded: &Generation) -> Self {
        self.region.clone_from(&recorded.region);
        self.generation = recorded.generation;
        self.id.clone_from(&recorded.id);
        self.origin.clone_from(&recorded.origin);
        self
    }
}

/// An operation that was requested and not confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenOperation {
    /// The request.
    pub request: Request,
    /// Milestones that the operation recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Value>,
    /// `true` if the generation that this create replaces was updated since. The update reverted the changes of the
    /// unfinished create.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
}

impl OpenOperation {
    /// Returns `true` if a create may have changed the generation that it replaces, for example stopped an instance to
    /// copy its disk.
    pub fn has_touched_previous(&self) -> bool {
        let is_replacement = self.request.verb == Verb::Create && self.request.replaces.is_some();
        is_replacement && !self.progress.is_empty() && !self.undone
    }
}

/// An existing resource as its provider describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Id of the resource at the provider.
    pub id: String,
    /// The actual inputs, if the provider returns them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// The actual outputs.
    pub outputs: Value,
}
