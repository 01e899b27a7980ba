//! Parameters of database servers: which exist, which values an instance has, and which of them are in effect. New identifiers
//! of databases.

pub(crate) mod catalog;
pub(crate) mod formula;
pub(crate) mod rename;
pub(crate) mod settings;
