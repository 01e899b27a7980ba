//! The table `tasks_user_group`: members of groups.

use sea_orm::entity::prelude::*;

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user_group")]
pub struct Model {
    /// ID of the member, with whom the membership is deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// ID of the group, with which the membership is deleted.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: i64,
}

/// The foreign keys exist in the database only: no query uses them.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
