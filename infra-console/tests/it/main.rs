//! Tests of the console over HTTP.
#![allow(clippy::unwrap_used)]

mod faults;
mod harness;
mod metrics;
