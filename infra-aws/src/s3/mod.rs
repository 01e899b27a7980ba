//! Simple Storage Service.

pub mod bucket;
pub mod object;
