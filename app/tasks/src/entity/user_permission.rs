//! The table `tasks_user_permission`: permissions that users have besides those of their groups.

use sea_orm::entity::prelude::*;

/// One permission of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user_permission")]
pub struct Model {
    /// The user. The permission is deleted with the user.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// The permission's code, such as `tasks.change`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "String(StringLen::N(100))")]
    pub permission: String,
}

/// Foreign keys exist in the database; no query follows them here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
