//! Pictures of resource graphs: what a program declares, a state records or a plan changes.
//!
//! # Tutorial
//! A [`Drawing`] has boxes in nested frames and the edges between the boxes, a [`Layout`] their coordinates, and [`svg`]
//! writes both as an image:
//!
//! ```
//! use infra_core::{Config, Engine, Result, Stack, random::Password, store::MemoryStore};
//! use infra_graph::{Drawing, Layout, Markup, SvgOptions, Theme, svg};
//!
//! let program = |stack: &Stack, _: &Config| -> Result {
//!     let password = stack.add("password", Password::of_length(32));
//!     stack.export("password", password.value);
//!     Ok(())
//! };
//! let graph = Engine::new("secrets", "dev", MemoryStore::new()).declared(&program)?;
//! let drawing = Drawing::declared(&graph);
//! let layout = Layout::new(&drawing);
//! let image = svg(&drawing, &layout, SvgOptions { heading: "secrets, stack dev", markup: Markup::File(Theme::Auto) });
//! assert!(image.contains(">password</text>"));
//! # Ok::<(), infra_core::engine::EngineError>(())
//! ```
//!
//! For an HTML page, [`Markup::Page`] adds links and the URNs of boxes, and [`style_sheet`] returns the colours, which a
//! script can change with the class of a box. A large graph is drawn with components and types as single boxes:
//! [`Drawing::overview`] selects them, and [`Drawing::collapsed`] receives a selection.
//!
//! [`Drawing::new`] draws other things than resources, such as the interfaces of a network.
//!
//! # Layout
//! No module uses a later one:
//! - `drawing`: boxes, frames, edges and their colours
//! - `order`: the order of the boxes, and the reduction of the edges
//! - `build`: drawings of graphs, states and plans
//! - `group`: components and types as single boxes
//! - `rows`, `cells`, `place`: a cell of a grid for each box
//! - `route`: a route between the cells for each edge
//! - `layout`: coordinates
//! - `text`: texts and their widths
//! - `style`, `legend`: colours and their meanings
//! - `svg`, `dot`: output formats

mod build;
mod cells;
mod dot;
mod drawing;
mod group;
mod layout;
mod legend;
mod order;
mod place;
mod route;
mod rows;
mod style;
mod svg;
#[cfg(test)]
mod tests;
mod text;

pub use dot::dot;
pub use drawing::{Arrow, Content, Drawing, Edge, Frame, Node, Status};
pub use layout::{Layout, Rect};
pub use style::{Theme, style_sheet};
pub use svg::{Link, Markup, SvgOptions, svg};
