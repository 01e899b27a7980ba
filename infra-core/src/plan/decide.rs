//! The decision about one declared resource.

use crate::{
    diff::{Action, Diff},
    graph::Node,
    state::{Generation, Marks},
    value::Value,
};

/// Returns the declared inputs. Ignored properties keep their recorded values.
pub(crate) fn wanted(node: &Node, recorded: Option<&Generation>, mut inputs: Value) -> Value {
    if let Some(recorded) = recorded {
        for path in &node.options.ignore_changes {
            path.restore(&recorded.inputs, &mut inputs);
        }
    }
    inputs
}

/// Returns the action on a declared resource, and the differences that cause it.
pub(crate) fn decide(node: &Node, recorded: Option<&Generation>, wanted: &Value, forced: bool) -> (Action, Diff) {
    let Some(recorded) = recorded else {
        return (Action::Create, Diff::between(&node.schema, &Value::empty(), wanted));
    };
    let mut diff = Diff::between(&node.schema, &recorded.inputs, wanted);
    diff.replace_on(&node.options.replace_on_changes);
    let moved = recorded.region != node.region;
    let action = if moved || forced || diff.replaces() {
        Action::Replace
    } else if recorded.uncertain || !diff.is_empty() {
        Action::Update
    } else {
        Action::Same
    };
    (action, diff)
}

/// Returns the options for the deletion of a resource. A protection stays unless the program sets it.
pub(crate) fn marks(node: &Node, recorded: Option<&Generation>) -> Marks {
    let options = &node.options;
    Marks {
        protect: options.protect.unwrap_or_else(|| recorded.is_some_and(|recorded| recorded.marks.protect)),
        retain_on_delete: options.retain_on_delete.unwrap_or_default(),
        deleted_with: options.deleted_with.clone(),
        delete_timeout_seconds: options.delete_timeout.map(|timeout| timeout.as_secs()),
    }
}
