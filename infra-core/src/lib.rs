//! The engine: typed resources become a graph, the graph a plan, the plan is executed in parallel, and a run can be
//! killed at any instant without losing a resource.
//!
//! # Layout
//! Each module knows only those above it:
//! - [`diagnostic`]: messages for people
//! - [`boundary`]: the moments at which a crash could tear something apart
//! - [`urn`], [`names`]: identities and unique names
//! - [`value`]: values, expressions, [`Input`] and [`Output`]
//! - [`target`], [`config`]: where to deploy to, and with which settings
//! - [`resource`]: what a kind of resource is
//! - [`diff`]: what differs
//! - [`execution`]: the tasks of a plan and the order between them
//! - [`options`]: what a program asks for beyond properties
//! - [`policy`]: rules that a plan has to keep
//! - [`graph`]: the declared resources and who uses whom
//! - [`state`]: what was last known, and the journal entries that change it
//! - [`event`]: what happens in a run
//! - [`provider`]: who makes resources
//! - [`stack`]: what a program declares into
//! - [`store`]: where states are kept
//! - `reference`: other stacks' outputs
//! - [`plan`]: what would have to be done
//! - [`execute`]: doing it
//! - [`engine`]: all of it behind `preview`, `up`, `refresh` and `destroy`
//! - [`random`]: passwords, a provider that lives in the state alone
//! - [`testing`]: providers made of closures, for tests

// The derive macros name this crate by its path.
extern crate self as infra_core;

pub mod boundary;
pub mod config;
pub mod diagnostic;
pub mod diff;
pub mod engine;
pub mod event;
pub mod execute;
pub mod execution;
pub mod graph;
pub mod names;
pub mod options;
pub mod plan;
pub mod policy;
pub mod provider;
pub mod random;
mod reference;
pub mod resource;
pub mod stack;
pub mod state;
pub mod store;
pub mod target;
pub mod testing;
pub mod urn;
pub mod value;

pub use config::Config;
pub use engine::Engine;

pub use infra_macros::{Lookup, Outputs, Resource};
pub use options::Options;
pub use resource::{Lookup, Outputs, Resource, Schema};
pub use stack::{ProgramError, Result, Scope, Stack};
pub use target::Target;
pub use urn::Urn;
pub use value::{Input, Output, all};
