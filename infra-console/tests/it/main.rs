//! Tests of the console over HTTP, with a stack in memory and a local cloud of recorded documents.
#![allow(clippy::unwrap_used)]

mod access;
mod aws;
mod calls;
mod controls;
mod faults;
mod harness;
mod logs;
mod mcp;
mod metrics;
mod openapi;
mod problems;
mod resource;
mod runs;
mod schema;
mod shop;
mod stack;
