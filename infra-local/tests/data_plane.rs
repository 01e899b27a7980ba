//! Behaviour that AWS's documentation promises, of a running cloud. `docs/src/data-plane.md` lists the promises and their
//! tests.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "data_plane/balancer_logs.rs"]
mod balancer_logs;
#[path = "data_plane/databases.rs"]
mod databases;
#[path = "data_plane/instances.rs"]
mod instances;
#[path = "data_plane/objects.rs"]
mod objects;
#[path = "data_plane/page.rs"]
mod page;
#[path = "data_plane/refusals.rs"]
mod refusals;
mod support;
