//! Descriptions of parameters.

/// A parameter that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// Whether a server takes a new value only when it starts.
    pub(crate) is_static: bool,
    /// `boolean`, `integer`, `float` or `string`.
    pub(crate) kind: &'static str,
    /// What it may be, where the server tells.
    pub(crate) allowed: Option<String>,
    pub(crate) description: String,
    pub(crate) modifiable: bool,
}
