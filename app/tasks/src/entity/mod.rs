//! Tables, one per file.

pub mod activity;
pub mod admin_history;
pub mod admin_session;
pub mod group;
pub mod group_permission;
pub mod refresh_token;
pub mod signing_key;
pub mod task;
pub mod user;
pub mod user_group;
pub mod user_permission;
