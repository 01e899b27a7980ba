//! Descriptions of parameters.

/// A parameter of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// True when a new value takes effect only after a restart of the server.
    pub(crate) is_static: bool,
    /// `boolean`, `integer`, `float` or `string`.
    pub(crate) kind: &'static str,
    /// Allowed values, if the server describes them.
    pub(crate) allowed: Option<String>,
    pub(crate) description: String,
    pub(crate) modifiable: bool,
}
