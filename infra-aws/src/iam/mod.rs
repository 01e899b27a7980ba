//! Identity and Access Management.

pub mod instance_profile;
pub mod role;
pub mod role_policy;
