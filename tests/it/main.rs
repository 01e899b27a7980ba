//! End-to-end tests: programs, engine, providers, command line and local cloud together.
#![allow(clippy::unwrap_used)]

mod architecture;
mod bad_input;
mod balancing;
mod bindings;
mod cloud_control;
mod connections;
mod crash;
mod database_settings;
mod databases;
mod each_once;
mod end_to_end;
mod every_kind;
mod forwarding;
mod images;
mod import;
mod import_code;
mod imports;
mod kind_pages;
mod language;
mod monitoring;
mod network;
mod permissions;
mod plans;
mod refusals;
mod rehearsal;
mod rehearsal_random;
mod rehearsal_refusals;
mod relaunch;
mod replacement;
mod replicas;
mod replication;
mod scaling;
mod security_group;
#[path = "../skip.rs"]
mod skip;
mod sshd;
mod states_in_s3;
