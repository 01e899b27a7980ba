//! The table `tasks_user_group`: the members of groups.

use sea_orm::entity::prelude::*;

/// One membership.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tasks_user_group")]
pub struct Model {
    /// The member. The membership is deleted with the user.
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// The group. The membership is deleted with the group.
    #[sea_orm(primary_key, auto_increment = false)]
    pub group_id: i64,
}

/// Foreign keys exist in the database; no query follows them here.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
