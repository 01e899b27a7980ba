//! The engine: typed resources become a graph, the graph a plan, the plan is executed in parallel, and a run can be
//! killed at any instant without losing a resource.
//!
//! # Layout
//! No module uses a later one:
//! - [`diagnostic`]: messages for people
//! - [`boundary`]: the moments at which a crash could leave durable state half changed
//! - `intern`: shared copies of texts that repeat
//! - [`urn`], [`names`]: identities and unique names
//! - [`value`]: values, expressions, [`Input`] and [`Output`]
//! - [`target`], [`config`]: the target of a deployment and its configuration
//! - [`resource`]: kinds of resources and their schemas
//! - [`diff`]: differences between recorded and declared resources
//! - [`execution`]: the tasks of a plan and the order between them
//! - [`options`]: options of declarations
//! - [`policy`]: rules that plans must satisfy
//! - [`graph`]: the declared resources and their dependencies
//! - [`state`]: the recorded state, and the journal entries that change it
//! - [`event`]: events of a run
//! - [`provider`]: providers and the handlers of resource kinds
//! - [`stack`]: scopes, in which a program declares resources
//! - [`store`]: stores of states
//! - `reference`: outputs of other stacks
//! - [`plan`]: plans and the planner
//! - [`execute`]: the execution of plans
//! - [`engine`]: handles on stacks with `preview`, `up`, `refresh` and `destroy`
//! - [`random`]: passwords, from a provider without a cloud
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
mod intern;
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
