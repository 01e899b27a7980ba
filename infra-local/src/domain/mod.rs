//! Rules that services and the runtime share. They decide about the model, and perform no I/O.
//!
//! - [`machine`]: the Machine document of an instance
//! - [`reachability`]: which sources reach which destinations

pub(crate) mod machine;
pub(crate) mod reachability;
