//! Tests of the generator: with schemas of its own, and with all schemas of a source.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod every_type;
mod golden;
