//! The tables, one file each.

pub mod activity;
pub mod admin_session;
pub mod refresh_token;
pub mod signing_key;
pub mod task;
pub mod user;
