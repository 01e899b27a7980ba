//! The engine as a whole, on a cloud in memory.
#![allow(clippy::unwrap_used)]

mod common;
mod history;
mod invariants;
mod kept;
mod lifecycle;
mod options;
mod programs;
mod selection;
