//! Web console of a stack and its local cloud.
//!
//! # Tutorial
//! A [`Source`] gives the console access to a stack; `stack console` implements it for the stack of the command line.
//! [`Console::bind`] chooses the address, [`Console::url`] contains the token with which a browser signs in, and
//! [`Console::serve`] answers requests until its future is dropped:
//!
//! ```no_run
//! # use infra_console::{Console, Settings, Source};
//! # use std::sync::Arc;
//! # async fn run(source: Arc<dyn Source>) -> std::io::Result<()> {
//! let console = Console::bind(source, Settings::default()).await?;
//! println!("{}", console.url()?);
//! console.serve().await
//! # }
//! ```
//!
//! # Layout
//! No module uses a later one:
//! - `source`: the stack, and the commands that the console may run
//! - `engine_source`: the source of an engine in the same process
//! - `cloud`: client of the local cloud's administration paths
//! - `audit`: the record of shown secrets and of changes
//! - `plot`: time series as SVG
//! - `views`: the content of the pages as data, one file per page, for pages and for the JSON API
//! - `access`: sign-in, checks of requests, and headers of responses
//! - `live`: notifications of changes
//! - `pages`: HTML, one file per page
//! - `api`: the views as JSON, their OpenAPI document, and the table of both
//! - `mcp`: the views as tools of an MCP server
//! - `server`: addresses and routes

mod access;
mod api;
mod audit;
mod cloud;
mod engine_source;
mod live;
mod mcp;
mod pages;
mod plot;
mod server;
mod source;
mod views;

pub use engine_source::EngineSource;
pub use mcp::serve_mcp;
pub use server::{Console, Settings};
pub use source::{CloudAccess, Proposal, Source};
