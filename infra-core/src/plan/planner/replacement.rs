//! Replacements that other replacements cause, and the order of replacements.

use super::Planner;
use crate::{
    graph::Node,
    plan::ReplaceOrder,
    state::Generation,
    urn::Urn,
    value::{Expression, Value},
};
use std::collections::HashSet;

impl<'a> Planner<'a> {
    /// Returns the reason why a resource cannot stay where it is: it refers to a resource that is replaced elsewhere.
    pub(super) fn followed(&self, node: &Node) -> Option<String> {
        let Expression::Map(inputs) = &node.inputs else { return None };
        let mut reason = None;
        for (input, of) in node.schema.followed().filter(|_| !self.changing.is_empty()) {
            let Some(expression) = inputs.get(input) else { continue };
            expression.references(&mut |reference, _| {
                if self.changing.contains_key(&reference.urn) && reason.is_none() && self.moves(&reference.urn, of) {
                    reason = Some(format!("follows the `{of}` of {}", reference.urn.short()));
                }
            });
        }
        reason
    }

    /// Returns `true` if another value of this input replaces a resource.
    fn moves(&self, urn: &Urn, input: &str) -> bool {
        let step = self.steps.iter().rev().find(|step| step.urn == *urn);
        step.is_some_and(|step| step.diff.properties.iter().any(|it| it.replaces && it.path == input))
    }

    /// Returns the order of a replacement. A resource is deleted before its replacement is created if one of its
    /// dependencies is, directly or through resources that are deleted.
    pub(super) fn order(&mut self, node: &'a Node, recorded: Option<&'a Generation>, inputs: &Value) -> ReplaceOrder {
        let has_same_key = || recorded.is_some_and(|recorded| node.schema.have_same_key(&recorded.inputs, inputs));
        let mut first = node
            .options
            .delete_before_replace
            .unwrap_or_else(|| node.schema.deletes_before_replace() || has_same_key());
        let mut used: Vec<&Urn> = recorded.iter().flat_map(|recorded| &recorded.dependencies).collect();
        let mut seen = HashSet::new();
        while let Some(urn) = used.pop().filter(|_| !first) {
            first = self.deleted_first.contains(urn);
            if seen.insert(urn) && self.graph.node(urn).is_none() {
                used.extend(self.state.current(urn).iter().flat_map(|current| &current.dependencies));
            }
        }
        if !first {
            return ReplaceOrder::CreateBeforeDelete;
        }
        self.deleted_first.insert(&node.urn);
        ReplaceOrder::DeleteBeforeCreate
    }
}
