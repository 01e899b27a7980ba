//! Programs: each file declares one system.
//!
//! - [`multicloud_orm`](mod@multicloud_orm): the Tasks application, its database in another region

pub mod multicloud_orm;
