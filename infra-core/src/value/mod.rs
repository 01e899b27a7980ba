//! Values, and expressions that become values.
//!
//! - [`Value`]: the resolved value of a property. It can be secret, and unknown in a preview.
//! - [`Map`]: the map inside a value.
//! - [`Mask`]: masks secrets in texts of other components.
//! - [`Expression`]: the computation of a property from outputs of other resources.
//! - [`Output`] and [`Input`]: typed expressions, which programs use.
//! - [`sealing`]: serialisation with encrypted secrets.
//! - [`source`]: values as Rust expressions.
//! - `capture`, `lower`: conversions between typed structs and expressions.

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
