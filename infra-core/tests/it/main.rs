//! Tests of the whole engine on a cloud in memory.
#![allow(clippy::unwrap_used)]

mod approval;
mod blocked;
mod common;
mod faulty;
mod foreign_store;
mod handover;
mod history;
mod invariants;
mod leases;
mod lifecycle;
mod objects;
mod options;
mod programs;
mod saved_plans;
mod secrecy;
mod selection;
mod simulation;
