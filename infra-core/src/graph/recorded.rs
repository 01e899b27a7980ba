//! A graph as data: the declarations of an earlier program, for rollbacks.

use super::{GraphError, Node, NodeKind, ResourceGraph, Set};
use crate::{
    options::Options,
    resource::Schema,
    urn::Urn,
    value::{EvaluateError, Expression, Value},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// The declarations of an earlier program. Closures and lookups are replaced by their results. Hooks, conditions and
/// transforms are code and are omitted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedGraph {
    nodes: Vec<RecordedNode>,
    exports: BTreeMap<String, Expression>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RecordedNode {
    urn: Urn,
    kind: NodeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    inputs: Expression,
    schema: Schema,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Urn>,
    options: Options,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Set>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<Value>,
}

impl ResourceGraph {
    /// Converts the graph to data. `outputs` returns the known outputs of a resource.
    pub fn recorded<'a>(&self, outputs: &dyn Fn(&Urn) -> Option<&'a Value>) -> Result<RecordedGraph, EvaluateError> {
        let nodes = self.in_order().map(|node| {
            let mut options = node.options.as_ref().clone();
            options.present = options.present.map(|present| present.answered(outputs)).transpose()?;
            Ok(RecordedNode {
                urn: node.urn.clone(),
                kind: node.kind,
                region: node.region.clone(),
                inputs: node.inputs.answered(outputs)?,
                schema: node.schema.as_ref().clone(),
                parent: node.parent.clone(),
                options,
                set: node.set.clone(),
                pinned: outputs(&node.urn).filter(|_| node.kind == NodeKind::Lookup).cloned(),
            })
        });
        let exports = self.exports.iter().map(|(name, value)| Ok((name.clone(), value.answered(outputs)?)));
        Ok(RecordedGraph {
            nodes: nodes.collect::<Result<_, EvaluateError>>()?,
            exports: exports.collect::<Result<_, EvaluateError>>()?,
        })
    }
}

impl RecordedGraph {
    /// Converts the data back to a graph.
    pub fn into_graph(self) -> Result<ResourceGraph, Vec<GraphError>> {
        let nodes = self.nodes.into_iter().map(|node| Node {
            urn: node.urn,
            kind: node.kind,
            region: node.region,
            inputs: node.inputs,
            schema: Arc::new(node.schema),
            parent: node.parent,
            options: Arc::new(node.options),
            set: node.set,
            pinned: node.pinned,
        });
        ResourceGraph::new(nodes.collect(), self.exports)
    }
}
