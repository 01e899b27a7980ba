//! Markers: while a struct is serialised or deserialised, each of its outputs is replaced by a marker, and the output's
//! expression is kept in a table of the thread.

use super::{expression::Expression, value::Value};
use std::{cell::RefCell, sync::Arc};

/// Name of the property of a marker. No property of a program has this name: it begins with a NUL.
pub(super) const MARKER: &str = "\0expression";

thread_local! {
    static TABLE: RefCell<Option<Vec<Arc<Expression>>>> = const { RefCell::new(None) };
}

/// A struct that cannot be converted to properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the declaration cannot be converted to properties: {0}")]
pub struct LowerError(String);

impl LowerError {
    pub(super) fn new(reason: String) -> Self {
        Self(reason)
    }
}

/// Runs `work` with a new table.
pub(super) fn with_table<T>(work: impl FnOnce() -> T) -> T {
    let outer = TABLE.replace(Some(Vec::new()));
    let result = work();
    TABLE.replace(outer);
    result
}

/// Adds an expression to the table and returns its index. Returns `None` outside of [`with_table`].
pub(super) fn add(expression: &Arc<Expression>) -> Option<usize> {
    TABLE.with_borrow_mut(|table| {
        let table = table.as_mut()?;
        table.push(expression.clone());
        Some(table.len() - 1)
    })
}

/// Returns the expression with this index.
pub(super) fn get(index: usize) -> Option<Arc<Expression>> {
    TABLE.with_borrow(|table| table.as_ref()?.get(index).cloned())
}

/// Returns the expression that a lowered marker with this index stands for.
pub(super) fn captured(index: &Expression) -> Option<Expression> {
    let Expression::Literal(Value::Number(index)) = index else {
        return None;
    };
    Some(get(index.as_u64()? as usize)?.as_ref().clone())
}
