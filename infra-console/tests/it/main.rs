//! Tests of the console over HTTP.
#![allow(clippy::unwrap_used)]

mod fixture;
mod metrics;
