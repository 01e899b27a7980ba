//! The engine: typed resources become a graph, the graph becomes a plan, and the plan is executed in parallel. A run can be
//! killed at any moment without losing a resource.
//!
//! # Tutorial
//! A *kind* of resource is a struct of inputs and a struct of outputs. A *provider* serves kinds; here it is a
//! [`FakeCloud`](testing::FakeCloud), which keeps resources in memory and computes the outputs of a kind by a closure.
//! A *program* is a function that declares resources. The use of an output as an input is a dependency: the record below is
//! created after the server.
//!
//! ```
//! use infra_core::{
//!     Config, Engine, Input, Output, Outputs, Resource, Result, Stack,
//!     diff::Action, engine::EngineError, store::MemoryStore, testing::FakeCloud,
//! };
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//! use std::sync::Arc;
//!
//! #[derive(Serialize, Deserialize, Resource)]
//! #[resource(type = "demo:compute:Server")]
//! struct Server {
//!     size: u32,
//!     #[resource(replace)]
//!     zone: String,
//! }
//!
//! #[derive(Clone, Serialize, Deserialize, Outputs)]
//! struct ServerOutputs {
//!     address: Output<String>,
//! }
//!
//! #[derive(Serialize, Deserialize, Resource)]
//! #[resource(type = "demo:dns:Record")]
//! struct Record {
//!     address: Input<String>,
//! }
//!
//! #[derive(Clone, Serialize, Deserialize, Outputs)]
//! struct RecordOutputs {
//!     id: Output<String>,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), EngineError> {
//! let cloud = FakeCloud::new()
//!     .outputs("demo:compute:Server", |_, id| json!({"address": format!("{id}.example.org")}));
//! let program = |stack: &Stack, config: &Config| -> Result {
//!     let cloud = cloud.clone();
//!     stack.provide("demo", move || Arc::new(cloud));
//!     let server = stack.add("web", Server { size: config.get_or("size", 1_u32)?, zone: "a".into() });
//!     stack.add("www", Record { address: server.address.clone() });
//!     stack.export("address", server.address);
//!     Ok(())
//! };
//!
//! // A preview plans, and changes nothing.
//! let engine = Engine::new("demo", "dev", MemoryStore::new());
//! let plan = engine.preview(&program).await?;
//! assert_eq!(plan.counts()[&Action::Create], 2);
//!
//! // `up` plans and executes. Afterwards, a preview contains no changes.
//! assert!(engine.up(&program).await?.is_success());
//! assert!(engine.outputs().await?["address"].as_str().is_some_and(|name| name.ends_with(".example.org")));
//! assert!(!engine.preview(&program).await?.has_changes());
//!
//! // A change of `size` updates the server; a change of `zone` would replace it.
//! let engine = engine.config([("size", "2")]);
//! let plan = engine.preview(&program).await?;
//! assert_eq!(plan.counts()[&Action::Update], 1);
//! assert!(engine.up(&program).await?.is_success());
//!
//! // The resources are deleted in the reverse order of their dependencies.
//! assert!(engine.destroy(&program).await?.is_success());
//! # Ok(())
//! # }
//! ```
//!
//! A real provider implements [`provider::Handler`] or [`provider::Described`] for each kind, puts the kinds into a
//! [`provider::Registry`], and keeps states in a [`store::FileStore`] or a [`store::ObjectStateStore`].
//! `examples/files/provider.rs` is a complete one in a single file, and the crate infra-aws contains the one of AWS.
//!
//! # Layout
//! No module uses a later one:
//! - [`diagnostic`]: messages for people
//! - [`boundary`]: the moments at which a crash could leave durable state half changed
//! - [`monitoring`]: metrics and logs of deployed resources
//! - [`instances`]: the instances that commands connect to
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
pub mod instances;
mod intern;
pub mod monitoring;
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
pub use resource::{Lookup, Outputs, Resource, Schema, Shape};
pub use stack::{ProgramError, Result, Scope, Stack};
pub use target::Target;
pub use urn::Urn;
pub use value::{Input, Output, all};
