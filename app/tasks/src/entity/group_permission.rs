//! The table `tasks_group_permission`: permissions of groups.

use sea_orm::entity::prelude::*;

/// A permission of all members of a group.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_group_permission")]
pub struct Model {
    /// ID of the group, with which the permission is deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: i64,
    /// Code of the permission, such as `tasks.change`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(100))")]
    pub permission: String,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
