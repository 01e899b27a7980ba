//! The programs of the `stack` command, one file each.
//!
//! - [`multicloud_orm`](mod@multicloud_orm): the Tasks application with its database in another region

pub mod multicloud_orm;
