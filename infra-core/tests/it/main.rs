//! The engine as a whole, on a cloud in memory.
#![allow(clippy::unwrap_used)]

mod approval;
mod blocked;
mod common;
mod faulty;
mod foreign_store;
mod handing_over;
mod history;
mod invariants;
mod kept;
mod leases;
mod lifecycle;
mod objects;
mod options;
mod programs;
mod secrecy;
mod selection;
mod simulation;
