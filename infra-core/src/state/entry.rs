//! Entries of the journal.

use super::{Generation, Live, Marks, OperationId, Request};
use crate::{urn::Urn, value::Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One entry of the journal. A state is a snapshot with the entries of its journal applied in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The provider is called after this entry is durable.
    Intent(Request),
    /// The operation reached a milestone that its recovery depends on.
    Progress {
        /// The operation.
        operation: OperationId,
        /// The recorded value.
        value: Value,
    },
    /// The operation succeeded.
    Done {
        /// The operation.
        operation: OperationId,
        /// The resource; `None` after a delete.
        live: Option<Live>,
    },
    /// The operation failed.
    Failed {
        /// The operation.
        operation: OperationId,
        /// The resource that exists despite the failure.
        live: Option<Live>,
        /// `true` if the operation may have succeeded at the provider: then it stays open.
        unsure: bool,
    },
    /// A lookup returned.
    Read {
        /// The lookup.
        urn: Urn,
        /// The result.
        generation: Generation,
    },
    /// The actual state of a resource was read.
    Refreshed {
        /// The declaration.
        urn: Urn,
        /// The resource; `None` if it no longer exists.
        live: Option<Live>,
    },
    /// The dependencies changed, and the inputs did not.
    Depends {
        /// The declaration.
        urn: Urn,
        /// The new dependencies.
        dependencies: Vec<Urn>,
    },
    /// The options for the deletion changed.
    Marked {
        /// The declaration.
        urn: Urn,
        /// The new options.
        marks: Marks,
    },
    /// The declaration was renamed.
    Renamed {
        /// The previous URN.
        from: Urn,
        /// The new URN.
        to: Urn,
    },
    /// An existing resource was imported.
    Imported {
        /// The declaration.
        urn: Urn,
        /// The resource.
        generation: Generation,
    },
    /// A generation was removed from the state. It still exists, or was deleted together with another resource.
    Released {
        /// The declaration.
        urn: Urn,
        /// Number of the generation.
        generation: u32,
    },
    /// The actual inputs may differ from the recorded ones.
    Distrusted(Urn),
    /// The current generation must be deleted, whatever the program declares.
    Deposed(Urn),
    /// The open operation was abandoned.
    Dropped(OperationId),
    /// The declaration was removed from the state.
    Forgotten(Urn),
    /// The exports of the program.
    Outputs(BTreeMap<String, Value>),
}
