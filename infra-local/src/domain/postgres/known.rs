//! Descriptions of parameters.

/// A parameter of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// True when a server takes a new value only when it starts.
    pub(crate) is_static: bool,
    /// `boolean`, `integer`, `float` or `string`.
    pub(crate) kind: &'static str,
    /// Allowed values, where the server describes them.
    pub(crate) allowed: Option<String>,
    pub(crate) description: String,
    pub(crate) modifiable: bool,
}
