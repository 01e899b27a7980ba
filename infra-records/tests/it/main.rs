//! Tests of records: runs of the engine on a cloud in memory, recorded and read back.
#![allow(clippy::unwrap_used)]

mod common;
mod damaged;
mod live;
mod recorded;
