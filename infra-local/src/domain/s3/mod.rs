//! Rules of buckets: their configuration documents, and what lifecycle rules demand.

pub(crate) mod documents;
pub(crate) mod lifecycle;
