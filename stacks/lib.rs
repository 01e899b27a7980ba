//! The programs of the `stack` command, one file each.
//!
//! - [`multicloud_orm`](mod@multicloud_orm): the Tasks application with its database in another region
//! - [`selfieless_acts`](mod@selfieless_acts): two services behind one load balancer, and an orchestrator of processes
//! - [`bookstore`](mod@bookstore): an application on a database cluster in three availability zones
//! - [`db_patterns`](mod@db_patterns): a gatekeeper, a trusted host and a proxy in front of a replicated database

pub mod bookstore;
pub mod db_patterns;
pub mod multicloud_orm;
pub mod selfieless_acts;
