//! Tests of the `stack` command as a child process. `testing/stack` has its programs.
#![allow(clippy::unwrap_used)]

mod commands;
mod config;
mod exit_codes;
#[path = "../../testing/stack/http.rs"]
mod http;
mod interrupt;
mod local;
mod mcp;
mod mistakes;
mod place;
mod records;
mod runs;
mod secrets;
mod state;
#[path = "../../testing/stack/variables.rs"]
mod variables;
