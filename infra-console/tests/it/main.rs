//! Tests of the console over HTTP.
#![allow(clippy::unwrap_used)]

mod faults;
mod fixture;
mod metrics;
