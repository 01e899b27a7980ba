//! The table `tasks_group_permission`: permissions of groups.

use sea_orm::entity::prelude::*;

/// One permission that all members of a group have.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_group_permission")]
pub struct Model {
    /// The group. The permission is deleted with it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: i64,
    /// The permission's code, such as `tasks.change`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(100))")]
    pub permission: String,
}

/// Foreign keys exist in the database; no query follows them here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
