//! Security Token Service.

pub mod caller_identity;
