//! Values, and expressions that become values.
//!
//! - [`Value`]: what a property resolved to; it can be unknown in a preview, and secret.
//! - [`Map`]: the map inside a value.
//! - [`Mask`]: keeps secrets out of texts from elsewhere.
//! - [`Expression`]: how a property is computed from other resources' outputs.
//! - [`Output`] and [`Input`]: the typed edge over an expression, what programs hold.
//! - [`sealing`]: values on disk, secrets encrypted.
//! - [`source`]: values as the Rust that makes them.
//! - `capture`, `lower`: how typed structs of inputs and outputs become expressions and back.

mod capture;
mod expression;
mod lower;
mod map;
mod marker;
mod mask;
mod output;
mod sealed;
mod share;
mod source;
#[expect(clippy::module_inception, reason = "the noun itself")]
mod value;

pub use capture::{from_value, handle, lower};
pub use expression::{Answered, EvaluateError, Expression, Reference, Segment};
#[doc(hidden)]
pub use serde_json::{Value as Json, json};

pub use map::{Map, MapIter};
pub use marker::LowerError;
pub use mask::Mask;
pub use output::{Input, Output, Piece, Tuple, Unresolved, all};
pub use sealed::sealing;
pub use source::source;
pub use value::{Seal, SealError, Value};
