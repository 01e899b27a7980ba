//! Tables, one per file.

pub mod book;
pub mod delivery_assignment;
pub mod delivery_provider;
pub mod payment;
pub mod purchase;
pub mod user;
