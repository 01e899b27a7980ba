//! The table `tasks_user_permission`: permissions of users, in addition to those of their groups.

use sea_orm::entity::prelude::*;

/// A permission of a user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user_permission")]
pub struct Model {
    /// ID of the user, with whom the permission is deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// Code of the permission, such as `tasks.change`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(100))")]
    pub permission: String,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
